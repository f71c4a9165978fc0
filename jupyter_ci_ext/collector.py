"""Keeping what is loaded for good out of full garbage collections.

A full collection looks at every object there is and holds the interpreter meanwhile: with Jupyter Server,
this package and the model client's library in one process that takes 0.1 to 0.2 seconds, in which no request
is answered and no token passed on. Nearly all of it is modules, classes and functions, which never go away.
`loading` takes them out of the collector's sight (see `gc.freeze`), after which it takes milliseconds.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_loaded: set[str] = set()


@contextmanager
def loading(what: str) -> Iterator[None]:
    """While *what* is imported, collect no garbage; then leave all there is alone from here on.

    Once per process; later it does nothing. What is garbage at the end is collected before. What is part of a
    cycle then and becomes garbage later is never collected; that is little, and no more of it comes.
    """
    if what in _loaded:
        yield
        return
    _loaded.add(what)
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.collect()
        gc.freeze()
    finally:
        if enabled:
            gc.enable()
