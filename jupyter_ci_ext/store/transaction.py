"""All tables over one way to the rows, those that only read, and the transaction that may write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import StoreError
from .access import Access, Row, SQLValue
from .aged import Aged
from .assistants import Assistants
from .blobs import Blobs
from .connection import Connection
from .containers import Containers
from .events import Events
from .files import Files
from .instances import Instances
from .messages import Messages
from .runs import Runs
from .statements import Immediate, Statements
from .steps import Steps
from .threads import Threads
from .uploads import Uploads

_READ_ONLY = "the store's own tables only read; write through store.transaction()"


class Tables:
    """All tables, over one way to the rows."""

    def __init__(self, access: Access) -> None:
        self.assistants = Assistants(access)
        self.threads = Threads(access)
        self.messages = Messages(access)
        self.runs = Runs(access)
        self.steps = Steps(access)
        self.events = Events(access)
        self.files = Files(access)
        self.uploads = Uploads(access)
        self.containers = Containers(access)
        self.instances = Instances(access)
        self.aged = Aged(access)


class ReadOnly(Access):
    """A way to the rows that does not change them."""

    async def execute(self, _sql: str, _values: Sequence[SQLValue] = (), /) -> int:
        raise RuntimeError(_READ_ONLY)

    async def execute_many(self, _sql: str, _rows: Iterable[Sequence[SQLValue]], /) -> None:
        raise RuntimeError(_READ_ONLY)

    async def keep_blob(self, _sha256: str, /) -> None:
        raise RuntimeError(_READ_ONLY)

    def release_blob(self, _sha256: str, /) -> None:
        raise RuntimeError(_READ_ONLY)


class Reading(Tables, ReadOnly):
    """The tables on a connection's thread, for reading."""

    def __init__(self, statements: Statements, instance: str) -> None:
        super().__init__(self)
        self.instance = instance
        self._statements = statements

    async def fetch(self, sql: str, values: Sequence[SQLValue] = (), /) -> list[Row]:
        return self._statements.fetch(sql, values)


class Transaction(Tables, Access):
    """The tables inside a transaction; of no use after it."""

    def __init__(self, connection: Connection | Immediate, blobs: Blobs, instance: str) -> None:
        super().__init__(self)
        self.instance = instance
        self.kept: list[str] = []
        self.released: set[str] = set()
        self.over = False
        self._connection = connection
        self._blobs = blobs

    async def fetch(self, sql: str, values: Sequence[SQLValue] = (), /) -> list[Row]:
        self._check()
        return await self._connection.fetch(sql, values)

    async def execute(self, sql: str, values: Sequence[SQLValue] = (), /) -> int:
        self._check()
        return await self._connection.execute(sql, values)

    async def execute_many(self, sql: str, rows: Iterable[Sequence[SQLValue]], /) -> None:
        self._check()
        await self._connection.execute_many(sql, rows)

    async def keep_blob(self, sha256: str, /) -> None:
        if isinstance(self._connection, Immediate):
            there = self._blobs.is_there(sha256)
        else:
            there = await self._blobs.exists(sha256)
        if not there:
            raise StoreError("The content of the file is gone from the disk; send it again.")
        self.kept.append(sha256)

    def release_blob(self, sha256: str, /) -> None:
        self.released.add(sha256)

    def _check(self) -> None:
        if self.over:
            raise RuntimeError("the transaction is over")
