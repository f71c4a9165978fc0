"""The files of a thread by the names its code and its links use."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence

from jupyter_ci_ext.engine.interpreter import Interpreter
from jupyter_ci_ext.engine.journal import Journal, Write
from jupyter_ci_ext.engine.ledger import unix_now
from jupyter_ci_ext.engine.values import Made
from jupyter_ci_ext.ids import new_id
from jupyter_ci_ext.store.blobs import Blob
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.store.files import StoredFile
from jupyter_ci_ext.store.transaction import Transaction
from jupyter_ci_ext.wire.azure import file_id_out
from jupyter_ci_ext.wire.file import File
from jupyter_ci_ext.wire.run import Run


class Shelf:
    """Gives ids to what code makes, and finds the file that a link means.

    Of several versions of a file under one name the newest counts.
    """

    def __init__(
        self, store: Store, journal: Journal, run: Run, clock: Callable[[], int] = unix_now
    ) -> None:
        self._store = store
        self._journal = journal
        self._run = run
        self._now = clock
        self._new: dict[str, str] = {}
        self._earlier: list[StoredFile] = []
        self._interpreter: Interpreter | None = None

    def stand_by(self, interpreter: Interpreter, earlier: Sequence[StoredFile]) -> None:
        """From now on look into the session of *interpreter*, where it has one.

        *earlier* are the files that code of the thread made before, oldest first.
        """
        self._interpreter = interpreter
        self._earlier = list(earlier)

    def new_file(self, made: Made, step_id: str | None = None) -> tuple[File, Write]:
        """The file for something made, and how to store it."""
        file = File(
            id=new_id("file"),
            purpose="assistants_output",
            filename=made.name,
            bytes=made.size,
            created_at=self._now(),
        )

        async def write(tx: Transaction) -> None:
            await tx.files.insert(
                file,
                sha256=made.sha256,
                thread_id=self._run.thread_id,
                run_id=self._run.id,
                step_id=step_id,
            )

        if made.path is not None:
            self._new[made.path] = file.id
        return file, write

    async def find(self, name: str) -> str | None:
        """Id of the file of that name below ``/mnt/data``, or None.

        One that is there but has no id yet, because nobody has asked for it before, gets one.
        """
        if not name or "\0" in name:
            return None
        name = posixpath.normpath(name)
        if name.startswith(("/", "..")) or name == ".":
            return None
        if name in self._new:
            return self._new[name]
        interpreter = self._interpreter
        if interpreter is None:
            return None
        for file_id, known in interpreter.names.items():
            if name in (known, file_id, file_id_out(file_id)):
                return file_id
        made = await interpreter.take_file(name)
        if made is not None:
            return await self._register(made)
        if not interpreter.open:
            base = posixpath.basename(name)
            for stored in reversed(self._earlier):
                if stored.file.filename == base:
                    return stored.id
        return None

    async def _register(self, made: Made) -> str:
        for stored in self._earlier:
            if stored.sha256 == made.sha256 and stored.file.filename == made.name:
                await self._store.discard(Blob(made.sha256, made.size))
                self._new[made.path or made.name] = stored.id
                return stored.id
        file, write = self.new_file(made)
        await self._journal.commit([], write)
        return file.id
