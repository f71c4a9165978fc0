from __future__ import annotations

import subprocess
import sys

# In a process of its own: what is left alone is so for its whole life.
PROGRAM = """
import gc, weakref
from jupyter_ci_ext.collector import loading

class Node:
    pass

def cycle():
    node = Node()
    node.self = node
    return weakref.ref(node)

with loading("json"):
    assert not gc.isenabled()
    import json.tool
    garbage = cycle()
assert gc.isenabled()
assert garbage() is None, "garbage was kept"
kept = gc.get_freeze_count()
assert kept > 1000
assert json.tool not in gc.get_objects()

with loading("json"):
    assert gc.isenabled()
assert gc.get_freeze_count() == kept, "once is enough"

later = cycle()
gc.collect()
assert later() is None, "what comes later is collected"

gc.disable()
try:
    with loading("nothing"):
        raise ImportError
except ImportError:
    pass
assert not gc.isenabled(), "that was somebody else's wish"
"""


def test_what_is_loaded_is_left_alone_once() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
