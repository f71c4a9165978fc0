"""The short version of the fuzzing: a few hundred cases, the same every time."""

from __future__ import annotations

from random import Random

import pytest

from tests.soak import fuzz
from tests.soak.fuzzing import kernels
from tests.soak.fuzzing.line import Reply
from tests.soak.fuzzing.spelling import changed, readable, spelled
from tests.soak.fuzzing.world import fault_of

CASES = 400
SECONDS = 600
"""Never reached: how many cases are made must not depend on how busy a machine is."""


@pytest.mark.timeout(SECONDS)
def test_nothing_that_is_sent_does_any_harm() -> None:
    over_http = [kind for kind in fuzz.KINDS if kind != "kernels"]
    outcome = fuzz.fuzz(CASES, SECONDS, 20261121, over_http)
    assert outcome.findings == [], outcome.table()
    assert sum(tally.cases for tally in outcome.tallies) >= CASES * 0.8
    assert all(tally.taken + tally.refused for tally in outcome.tallies)


@pytest.mark.timeout(SECONDS)
def test_no_kernel_does_any_harm() -> None:
    tally = kernels.kernels(Random(20261121), 40)
    assert tally.wrong == []
    assert tally.cases == 40
    assert tally.taken > 25


@pytest.mark.parametrize(
    ("status", "kind", "body", "fault"),
    [
        (200, "application/json", b'{"a": 1}', ""),
        (200, "application/json", b'{"a": NaN}', "not JSON"),
        (200, "text/event-stream; charset=utf-8", b"event: x\n", ""),
        (400, "application/json", b"", "not JSON"),
        (404, "text/html", b"<p>", "not JSON"),
        (400, "application/json", b'{"message": "x"}', "not the API's error"),
        (400, "application/json", b'{"error": {"message": "x"}}', "not the API's error"),
        (401, "application/json", b'{"error": {"code": "401", "message": "x"}}', ""),
        (
            400,
            "application/json",
            b'{"error": {"message": "x", "type": "y", "param": null, "code": null}}',
            "",
        ),
        (500, "application/json", b"{}", "server error"),
        (503, "application/json", b"{}", "server error"),
    ],
)
def test_faults_are_seen(status: int, kind: str, body: bytes, fault: str) -> None:
    assert fault_of(Reply(status, {"content-type": kind}, body)) == fault


def test_the_same_seed_makes_the_same_cases() -> None:
    value = {"a": [1, "b", {"c": None}], "d": "text"}

    def made(bend: object) -> list[bytes]:
        rng = Random(7)
        return [spelled(rng, bend(rng, value)) for _ in range(300)]  # type: ignore[operator]

    assert made(changed) == made(changed)
    assert len(set(made(changed))) > 200
    assert len(set(made(readable))) > 100
