"""The store: one SQLite database and the blobs beside it, in one data directory.

One connection writes, in transactions that follow one another; others read, each statement on the
last committed state. A transaction belongs to the task that opened it: what this task reads, even
through the store itself, it reads in its own transaction. On network file systems, where SQLite's
WAL does not work, there is one connection for everything and no other process is let in.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio

from .. import to_thread
from ..errors import DiskFull, StoreError
from .access import Row, SQLValue
from .blobs import HOLD_SECONDS, Blob, Blobs
from .connection import Connection
from .events import AT_ONCE, Append, batches, insertion, told
from .filesystem import filesystem_type, is_network
from .instances import InstanceLock
from .migrations import migrate
from .reserve import Reserve
from .statements import Immediate, Statements, run_through
from .transaction import Reading, ReadOnly, Tables, Transaction
from .uninterrupted import on_disk, uninterrupted
from .usage import database_bytes

T = TypeVar("T")

DATABASE = "state.db"
READERS = 2
_CLOSE_SECONDS = 5.0
_BATCH = 500
_WORTH_BYTES = 2**20
_SMALL_BYTES = 64 * 2**20


class Store(Tables, ReadOnly):
    """What this server remembers; from `Store.open`.

    Its tables are for reading; whoever writes does so through those of a `transaction`. Everything
    here may raise `StoreError`.
    """

    def __init__(self, data_dir: Path, log: logging.Logger) -> None:
        super().__init__(self)
        self.data_dir = data_dir
        self.instance = secrets.token_hex(8)
        self.blobs = Blobs(data_dir / "blobs", self.instance)
        self.exclusive = False
        self._log = log
        self._path = data_dir / DATABASE
        self._connections: list[Connection] = []
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(READERS)
        self._turn = asyncio.Lock()
        self._appends: list[Append] = []
        self._owner: asyncio.Task[object] | None = None
        self._transaction: Transaction | None = None
        self._lock: InstanceLock | None = None
        self._reserve = Reserve(data_dir / "reserve")

    @classmethod
    async def open(cls, data_dir: Path, *, log: logging.Logger | None = None) -> Store:
        """Open the store in *data_dir*, which is made where it is missing; bring it up to date."""
        store = cls(data_dir, log or logging.getLogger(__name__))
        try:
            await store._open()
        except BaseException:
            await store.close()
            raise
        return store

    async def _open(self) -> None:
        await on_disk(lambda: _make_directories(self.data_dir), self.data_dir)
        fstype = await to_thread.run_sync(filesystem_type, self.data_dir)
        writer = await self._connect(fstype)
        self._connections.append(writer)
        await migrate(writer, self._path)
        if not self.exclusive:
            for _ in range(READERS):
                self._connections.append(await Connection.open(self._path, read_only=True))
            self._idle = self._connections[1:]
        lock = InstanceLock(self.data_dir / "instances", self.instance, alone=self.exclusive)
        self._lock = lock
        await on_disk(lock.acquire, self.data_dir)
        async with self.transaction() as tx:
            await tx.instances.insert(self.instance)
        await self.blobs.sweep(lock.alive)
        if await self.dead_instances():
            await self.collect_garbage()

    async def _connect(self, fstype: str | None) -> Connection:
        self.exclusive = fstype is not None and is_network(fstype)
        if not self.exclusive:
            connection = await Connection.open(self._path)
            if connection.journal == "wal":
                return connection
            await connection.close()
            self.exclusive = True
        self._log.warning(
            "%s is on a network file system (%s): its database works without WAL, slower, and for "
            "this server alone. A local directory (CodeInterpreterApp.data_dir) is better.",
            self.data_dir,
            fstype or "unknown",
        )
        return await Connection.open(self._path, exclusive=True)

    async def close(self) -> None:
        """Close everything; closing twice is fine. Waits a little for a transaction to end."""
        await uninterrupted(self._close())

    async def _close(self) -> None:
        lock, self._lock = self._lock, None
        try:
            if lock is not None:
                with anyio.fail_after(_CLOSE_SECONDS):
                    async with self.transaction() as tx:
                        await tx.instances.delete(self.instance)
                        tx.released |= self.blobs.let_go_all()
                await on_disk(lock.release, self.data_dir)
                await self.blobs.sweep(lock.alive)
        except (StoreError, TimeoutError) as error:
            reason = str(error) or "a transaction did not end"
            self._log.warning("The store was not closed cleanly: %s", reason)
        finally:
            if lock is not None:
                lock.release()
            for connection in self._connections:
                await connection.close()

    # ---- transactions -------------------------------------------------------------------------

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Write: everything at the end of the block, or nothing when it is left by an exception.

        Transactions of all tasks follow one another, so the block must be short: no waiting for
        anything but the store. They do not nest.
        """
        async with self._writer() as connection:
            await connection.begin()
            tx = Transaction(connection, self.blobs, self.instance)
            self._owner, self._transaction = asyncio.current_task(), tx
            try:
                yield tx
            finally:
                self._owner = self._transaction = None
                tx.over = True
            await uninterrupted(self._keep(connection, tx))

    async def writing(self, work: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
        """What *work* does as a `transaction`, in one trip to the connection's thread.

        It runs there, so it may wait for nothing but the tables it is given.
        """
        async with self._writer() as connection:
            return await uninterrupted(self._transact(connection, work))

    async def _transact(
        self, connection: Connection, work: Callable[[Transaction], Coroutine[Any, Any, T]]
    ) -> T:
        def transact(db: Statements) -> tuple[T, Transaction]:
            db.begin()
            tx = Transaction(Immediate(db), self.blobs, self.instance)
            try:
                result = run_through(work(tx))
            except BaseException:
                db.rollback()
                raise
            finally:
                tx.over = True
            db.commit()
            return result, tx

        result, tx = await connection.run(transact)
        await self._settle(connection, tx)
        return result

    @asynccontextmanager
    async def _writer(self) -> AsyncIterator[Connection]:
        """The connection that writes, when it is this task's turn; what stays open is undone."""
        if self._owner is asyncio.current_task():
            raise RuntimeError("transactions do not nest")
        async with self._turn:
            connection = self._connection()
            try:
                yield connection
                if self._reserve.due:
                    await to_thread.run_sync(self._reserve.hold)
            except BaseException as error:
                await connection.rollback()
                if isinstance(error, DiskFull):
                    # not for this transaction, but for the next: another try, or a deletion
                    await to_thread.run_sync(self._reserve.release)
                raise

    async def _keep(self, connection: Connection, tx: Transaction) -> None:
        await connection.commit()
        await self._settle(connection, tx)

    async def _settle(self, connection: Connection, tx: Transaction) -> None:
        """What follows from rows that are committed."""
        for sha256 in tx.kept:
            self.blobs.let_go(sha256)
        if tx.released:
            try:
                await self._collect(connection, tx.released)
            except StoreError as error:  # the rows are gone; the contents go at a later time
                self._log.warning("Contents of deleted files stay for now: %s", error)

    async def append_events(self, run_id: str, events: Sequence[tuple[int, str, str]]) -> None:
        """Store new events of a run and nothing else, all or none.

        The same as a `transaction`, at a fifth of its trips to the connection's thread: streams do
        this dozens of times a second. What several runs want stored by the time the connection is
        free is stored together. Raises `NotFound` when the run is gone.
        """
        if len(events) > AT_ONCE:
            async with self.transaction() as tx:
                await tx.events.append(run_id, events)
            return
        append = Append(run_id, events)
        self._appends.append(append)
        async with self._turn:
            if not append.over:
                await uninterrupted(self._append_waiting())
        append.result()

    async def _append_waiting(self) -> None:
        waiting, self._appends = self._appends, []
        for batch in batches(waiting):
            if not await self._insert(batch) and len(batch) > 1:
                for append in batch:  # a run that is gone must not harm the others
                    await self._insert([append])

    async def _insert(self, batch: list[Append]) -> bool:
        """Store *batch* in one statement and note what became of it; False if a row was refused."""
        refused = None
        failed: Exception | None = None
        try:
            await self._connection().alone(*insertion(batch))
        except sqlite3.IntegrityError as error:
            refused = error
        except Exception as error:  # whatever it is, each of them has to hear it
            failed = error
        for append in batch:
            append.over = True
            append.error = failed or (refused and told(refused, append.run_id))
        return refused is None

    # ---- reading ------------------------------------------------------------------------------

    async def fetch(self, sql: str, values: Sequence[SQLValue] = (), /) -> list[Row]:
        if self._transaction is not None and self._owner is asyncio.current_task():
            return await self._transaction.fetch(sql, values)
        return await self._read(lambda db: db.fetch(sql, values))

    async def reading(self, work: Callable[[Tables], Coroutine[Any, Any, T]]) -> T:
        """What *work* finds in the tables it is given, in one trip to a connection's thread.

        It runs there, so it may wait for nothing but these tables.
        """
        if self._transaction is not None and self._owner is asyncio.current_task():
            return await work(self._transaction)
        return await self._read(lambda db: run_through(work(Reading(db, self.instance))))

    async def _read(self, work: Callable[[Statements], T]) -> T:
        if self.exclusive:
            async with self._turn:
                return await self._connection().run(work)
        async with self._free:
            if not self._idle:
                raise StoreError("The store is closed.")
            reader = self._idle.pop()
            try:
                return await reader.run(work)
            finally:
                self._idle.append(reader)

    def _connection(self) -> Connection:
        if not self._connections:
            raise StoreError("The store is closed.")
        return self._connections[0]

    # ---- contents that no row refers to -------------------------------------------------------

    async def discard(self, blob: Blob) -> None:
        """Give up a content that was put but will get no row."""
        self.blobs.let_go(blob.sha256)
        async with self._turn:
            await uninterrupted(self._collect(self._connection(), {blob.sha256}))

    async def collect_garbage(self) -> None:
        """Delete all contents that no row refers to; only a killed process leaves such."""
        others = [id for id in await self.instances.ids() if id != self.instance]
        dead = await self.dead_instances()
        # what another live server has written a moment ago may yet get its row
        older_than = time.time() - HOLD_SECONDS if set(others) - set(dead) else float("inf")
        hashes = await self.blobs.list(older_than)
        async with self._turn:
            await uninterrupted(self._collect(self._connection(), set(hashes)))

    async def unreferenced(self, without: Collection[str] = ()) -> set[str]:
        """The contents that no row refers to, or none but the files of the ids *without*."""
        hashes = set(await self.blobs.list(float("inf")))
        for table in ("files", "upload_parts"):
            for id, sha256 in await self.fetch(f"SELECT id, sha256 FROM {table}"):
                if id not in without:
                    hashes.discard(str(sha256))
        return hashes

    async def _collect(self, connection: Connection, hashes: set[str]) -> None:
        # no other process can store a row for a content while this transaction is open
        await connection.begin()
        try:
            used = {
                str(row[0])
                for table in ("files", "upload_parts")
                for some in _batches(sorted(hashes))
                for row in await connection.fetch(
                    f"SELECT sha256 FROM {table} WHERE sha256 IN ({', '.join('?' * len(some))})",
                    some,
                )
            }
            await self.blobs.remove(hashes - used)
        finally:
            await connection.rollback()

    async def compact(self, *, quiet: bool) -> int:
        """Give what is free in the database back to the disk; the bytes it got smaller by.

        Only where that is worth it, and *quiet* says that nobody would mind to wait: it takes as
        long as copying the database does.
        """
        others = set(await self.instances.ids()) - set(await self.dead_instances())
        async with self._turn:
            connection = self._connection()
            before = await on_disk(self._database_bytes, self.data_dir)
            pages, free, size = [
                int((await connection.fetch(f"PRAGMA {name}"))[0][0] or 0)
                for name in ("page_count", "freelist_count", "page_size")
            ]
            worth = free * size > _WORTH_BYTES and free * 5 > pages
            alone = others <= {self.instance} or pages * size <= _SMALL_BYTES
            if worth and quiet and alone:
                await uninterrupted(connection.alone("VACUUM", ()))
            if not self.exclusive:
                await uninterrupted(connection.fetch("PRAGMA wal_checkpoint(TRUNCATE)"))
            return max(0, before - await on_disk(self._database_bytes, self.data_dir))

    def _database_bytes(self) -> int:
        return database_bytes(self.data_dir)

    # ---- instances ----------------------------------------------------------------------------

    async def dead_instances(self) -> list[str]:
        """Server instances that ended without closing their store.

        Their runs that are not over (``runs.unfinished(owner)``) are anybody's to recover; to do
        so, read them again inside the transaction that changes them, as another server may be at
        it. Then `forget_instance`.
        """
        lock = self._lock
        if lock is None:
            return []
        ids = await self.instances.ids()
        return await to_thread.run_sync(lambda: [id for id in ids if not lock.alive(id)])

    async def forget_instance(self, id: str) -> None:
        """Remove the traces of a dead instance, once its runs are recovered."""
        async with self.transaction() as tx:
            await tx.instances.delete(id)
        if self._lock is not None:
            await to_thread.run_sync(self._lock.remove, id)


def _batches(hashes: list[str]) -> list[list[str]]:
    return [hashes[at : at + _BATCH] for at in range(0, len(hashes), _BATCH)]


def _make_directories(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("blobs", "blobs/tmp", "instances"):
        (data_dir / name).mkdir(mode=0o700, exist_ok=True)
    # SQLite gives its other files the mode of this one. Never open the file when it exists: to
    # close it again would drop the locks that this process holds on it through SQLite.
    try:
        fd = os.open(data_dir / DATABASE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    os.close(fd)
