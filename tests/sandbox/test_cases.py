"""The table of attempts, as root and as an ordinary user, at level 3 and at level 2."""

from __future__ import annotations

import pytest

from jupyter_ci_ext.sandbox.stage2 import landlock

from .cases import CASES, Case
from .conftest import require, require_user, tried

_WHO = [("root", 3), ("user", 3), ("root", 2), ("user", 2)]


@pytest.mark.parametrize(("who", "level"), _WHO, ids=[f"{w} level {n}" for w, n in _WHO])
class TestCases:
    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
    def test_holds(self, who: str, level: int, case: Case) -> None:
        require_user(who)
        require(level)
        if not case.at(level, landlock.version()):
            pytest.skip("not at this level, or not with this kernel")
        happened, detail = tried(who, level)["results"][case.id]
        assert happened == case.must_work, detail

    def test_nothing_was_touched(self, who: str, level: int) -> None:
        require_user(who)
        require(level)
        found = tried(who, level)
        assert found["isolation"]["level"] == level
        assert found["hits"] == []
        assert found["changed"] == []
        assert "CANARY" not in str(found["results"])


def test_the_attempts_succeed_where_nothing_isolates() -> None:
    """The control: a table whose cases could not get through would prove nothing."""
    found = tried("root", 1, "reads", "network")
    results = found["results"]
    through = {name for name, (happened, _) in results.items() if happened}
    assert {
        "reads: ssh key",
        "reads: token file of the server",
        "reads: connection file",
        "reads: /proc/SERVER/environ",
        "reads: /proc/SERVER/cmdline",
        "reads: environments of all processes",
        "network: TCP to the loopback of the host",
        "network: abstract unix socket",
        "network: unix socket by path",
        "network: unix datagram by path",
        "network: datagram pair with an address",
    } <= through
    assert {"tcp", "udp", "abstract", "unix", "dgram"} <= set(found["hits"])
    assert "reads: own environment holds no key" not in through  # clean at every level
