"""Imports go one way through the house; this reads them all, also those inside functions."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import jupyter_ci_ext

PACKAGE = Path(jupyter_ci_ext.__file__).parent

LAYERS = (
    {"collector", "errors", "ids", "lifecycle", "metrics", "quiet", "to_thread"},
    {"wire", "hub", "site_limits"},
    {"events", "store", "llm", "sandbox"},
    {"kernels"},
    {"engine"},
    {"services"},
    {"api"},
    {"app"},
    {"cli"},
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}

# What a room must not import, wherever it stands in the order.
FORBIDDEN = {
    "wire": {"tornado", "sqlite3", "aiosqlite", "jupyter_server"},
    "hub": {"jupyter_server", "jupyter_client", "jupyter_ci_ext.metrics"},
    "store": {"tornado", "jupyter_server"},
    "sandbox": {"tornado", "jupyter_server"},
    "kernels": {"jupyter_ci_ext.wire"},
    "llm": {"jupyter_ci_ext.wire", "jupyter_ci_ext.kernels"},
    "engine": {"tornado", "jupyter_server", "sqlite3", "aiosqlite"},
    "services": {"tornado", "jupyter_server", "sqlite3", "aiosqlite"},
}

# Whoever starts the server imports these; nothing heavy may come along.
LIGHT = {"traitlets", "tornado", "jupyter_server", "jupyter_core", "anyio"}


def modules() -> Iterator[Path]:
    return (path for path in PACKAGE.rglob("*.py") if "labextension" not in path.parts)


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, top_only: bool = False) -> Iterator[str]:
    """The absolute names a module imports."""
    tree = ast.parse(path.read_text())
    package = name_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in _nodes(tree, top_only):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            yield ".".join([*base, *(node.module or "").split(".")]).strip(".")
            yield from (
                ".".join([*base, *filter(None, (node.module or "").split(".")), alias.name])
                for alias in node.names
            )


def _nodes(tree: ast.AST, top_only: bool) -> Iterator[ast.AST]:
    if not top_only:
        yield from ast.walk(tree)
        return
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _nodes(node, top_only)


def room_of(name: str) -> str | None:
    package, _, rest = name.partition(".")
    room = rest.partition(".")[0]
    return room if package == "jupyter_ci_ext" and room in LEVEL else None


def test_imports_go_one_way() -> None:
    wrong = [
        f"{name_of(path)} imports {other}"
        for path in modules()
        for other in imports(path)
        if (room := room_of(name_of(path))) is not None
        and (target := room_of(other)) not in (None, room)
        and LEVEL[target] >= LEVEL[room]
    ]
    assert wrong == []


def test_rooms_keep_to_their_own_matter() -> None:
    wrong = [
        f"{name_of(path)} imports {other}"
        for path in modules()
        for other in imports(path)
        for each in FORBIDDEN.get(room_of(name_of(path)) or "", ())
        if other == each or other.startswith(each + ".")
    ]
    assert wrong == []


def test_blocking_work_goes_to_threads_that_end_with_the_server() -> None:
    """anyio's do not, see `jupyter_ci_ext.to_thread`."""
    wrong = [
        name_of(path)
        for path in modules()
        if "anyio.to_thread" in {*imports(path), *re.findall(r"anyio\.to_thread", path.read_text())}
    ]
    assert wrong == []


def test_every_room_has_a_place() -> None:
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or _is_room(path)}
    assert rooms - {"__init__"} == set(LEVEL)


def _is_room(path: Path) -> bool:
    return (path / "__init__.py").exists()


def test_starting_the_server_imports_nothing_heavy() -> None:
    seen: set[str] = set()
    found: set[str] = set()
    queue = ["jupyter_ci_ext.app"]
    while queue:
        name = queue.pop()
        path = _path_of(name)
        if path is None or name in seen:
            continue
        seen.add(name)
        for other in imports(path, top_only=True):
            (queue.append if other.startswith("jupyter_ci_ext") else found.add)(other)
    heavy = {name.partition(".")[0] for name in found} - LIGHT
    assert heavy <= sys.stdlib_module_names


def _path_of(name: str) -> Path | None:
    path = PACKAGE.parent / name.replace(".", "/")
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate
    return None
