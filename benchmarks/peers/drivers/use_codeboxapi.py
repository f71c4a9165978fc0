"""codeboxapi's LocalBox: IPython in the program's own process."""

import base64

from codeboxapi.local import LocalBox
from serve import Executor, serve


class CodeBox(Executor):
    def start(self) -> None:
        self._box = LocalBox()

    def run(self, code: str) -> tuple[str, bytes]:
        result = self._box.exec(code)
        return result.text, base64.b64decode(result.images[-1]) if result.images else b""


serve(CodeBox())
