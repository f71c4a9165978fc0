"""What is remembered: rows in SQLite, contents of files on disk; nothing here knows HTTP.

`database` has the `Store`: ``store.threads`` and its like read, ``async with store.transaction()
as tx`` writes through ``tx.threads`` and its like; what waits for nothing but the tables goes
through ``store.reading`` and ``store.writing``, in one trip to a connection's thread. `paging` is written once for all tables,
`migrations` only ever grows, `blobs` keeps contents by hash, `instances` tells the living servers
from the dead.
"""
