"""Writing the messages of a run: text as it comes, links resolved, pictures first."""

from __future__ import annotations

from collections.abc import Sequence

from jupyter_ci_ext.engine.ledger import MESSAGE, Find, Ledger, message_events, step_events
from jupyter_ci_ext.engine.ledger import update_message as update
from jupyter_ci_ext.engine.links import LinkScanner, Plain, Stretch, resolve
from jupyter_ci_ext.engine.opened import OpenMessage
from jupyter_ci_ext.engine.state import break_off_message, complete_message
from jupyter_ci_ext.ids import new_id
from jupyter_ci_ext.wire.common import dump
from jupyter_ci_ext.wire.deltas import MessageDelta
from jupyter_ci_ext.wire.message import IncompleteReason, Message
from jupyter_ci_ext.wire.run_step import MessageCreation, MessageCreationDetails, RunStep


class MessageWriter:
    """Writes one message after the other; none for text that is nothing but blanks."""

    def __init__(self, ledger: Ledger, find: Find) -> None:
        self.pictures: list[str] = []
        """Ids of pictures shown by code; the next message begins with them."""
        self._ledger = ledger
        self._find = find
        self._open: OpenMessage | None = None
        self._step: RunStep | None = None
        self._scanner = LinkScanner()
        self._leading = ""  # blanks that may or may not be the beginning of a message

    async def say(self, text: str) -> None:
        """More text."""
        if self._open is None:
            self._leading += text
            if self._leading.isspace():
                return
            text, self._leading = self._leading, ""
        message = await self._opened()
        if message.refusing:
            await self._said(message, message.refusal(text))
        else:
            await self._text(message, self._scanner.feed(text))

    async def refuse(self, text: str) -> None:
        """More of a refusal; words held back as the beginning of a link come before it."""
        message = await self._opened()
        await self._text(message, self._scanner.close())
        await self._said(message, message.refusal(text))

    async def close(self, reason: IncompleteReason | None = None) -> None:
        """End the message that is open, if one is; *reason* where it is not whole."""
        self._leading = ""
        opened, step = self._open, self._step
        if opened is None or step is None:
            return
        await self._text(opened, self._scanner.close())
        at = self._ledger.now()
        if reason is None:
            message = complete_message(opened.now(), at)
        else:
            message = break_off_message(opened.now(), reason, at)
        done = self._ledger.ended([step], "completed")
        await self._ledger.commit(
            [
                *message_events(message, message.status),
                *step_events(done[0], "completed"),
            ],
            steps=done,
            message=message,
        )
        self._open = self._step = None

    async def show_pictures(self) -> None:
        """A message of the pictures that no message has shown yet, if there are any."""
        if self.pictures:
            await self._opened()
            await self.close()

    async def broken_off(self, reason: IncompleteReason) -> Message | None:
        """The open message as it is when it is broken off; its step and itself are not stored."""
        message = self._open
        if message is None:
            return None
        for piece in self._scanner.close():
            await self._plain(message, piece.text)
        return break_off_message(message.now(), reason, self._ledger.now())

    async def _opened(self) -> OpenMessage:
        if self._open is not None:
            return self._open
        run = self._ledger.run
        message = Message(
            id=new_id("message"),
            created_at=self._ledger.now(),
            assistant_id=run.assistant_id,
            thread_id=run.thread_id,
            run_id=run.id,
            status="in_progress",
            role="assistant",
        )
        details = MessageCreationDetails(message_creation=MessageCreation(message_id=message.id))
        step = self._ledger.new_step(details)
        opened = OpenMessage(message, self.pictures)
        await self._ledger.commit(
            [
                *step_events(step, "created", "in_progress"),
                *message_events(message, "created", "in_progress"),
                *((f"{MESSAGE}.delta", dump(delta)) for delta in opened.begin()),
            ],
            steps=[step],
            message=opened.now(),
            new=True,
        )
        self._open, self._step, self.pictures = opened, step, []
        self._scanner = LinkScanner()
        return opened

    async def _text(self, message: OpenMessage, pieces: Sequence[Plain | Stretch]) -> None:
        for piece in pieces:
            if isinstance(piece, Plain):
                await self._plain(message, piece.text)
                continue
            for part in await resolve(piece.text, self._find):
                if isinstance(part, Plain):
                    await self._plain(message, part.text)
                else:
                    await self._said(message, message.link(part.text, part.file_id))

    async def _plain(self, message: OpenMessage, text: str) -> None:
        """Text without a link; of a model faster than the store, several pieces become one."""
        line, journal = message.text(text), self._ledger.journal
        await journal.say(
            f"{MESSAGE}.delta",
            text,
            line,
            join=("text", message.id) if journal.behind else None,
            half=(message.id, lambda: update(message.now())),
        )

    async def _said(self, message: OpenMessage, delta: MessageDelta) -> None:
        await self._ledger.journal.say(
            f"{MESSAGE}.delta",
            "",
            lambda _: dump(delta),
            half=(message.id, lambda: update(message.now())),
        )
