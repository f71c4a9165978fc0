"""pydantic-monty: an interpreter of a part of Python, in a process of its own, without any package."""

from pydantic_monty import Monty
from serve import Executor, serve


class Interpreter(Executor):
    def start(self) -> None:
        self._pool = Monty()
        self._pool.__enter__()
        self._checkout = self._pool.checkout()
        self._session = self._checkout.__enter__()

    def run(self, code: str) -> tuple[str, bytes]:
        said = []
        value = self._session.feed_run(code, print_callback=lambda _stream, text: said.append(text))
        return "".join(said) + ("" if value is None else str(value)), b""

    def stop(self) -> None:
        self._checkout.__exit__(None, None, None)
        self._pool.__exit__(None, None, None)


serve(Interpreter())
