"""open-interpreter's Python language: jupyter_client and a kernel, without its chat."""

import base64

from interpreter import OpenInterpreter
from serve import Executor, serve


class Interpreter(Executor):
    def start(self) -> None:
        self._computer = OpenInterpreter(disable_telemetry=True).computer

    def run(self, code: str) -> tuple[str, bytes]:
        said = self._computer.run("python", code)
        images = [each["content"] for each in said if each["type"] == "image"]
        text = "".join(each["content"] for each in said if each["type"] == "console")
        return text, base64.b64decode(images[-1]) if images else b""

    def stop(self) -> None:
        self._computer.terminate()


serve(Interpreter())
