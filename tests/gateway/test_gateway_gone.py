"""A gateway that dies under its server."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.playbook import Playbook
from tests.fakes.upstream import ScriptedUpstream
from tests.gateway.conftest import built


def test_a_gateway_that_is_killed_costs_the_run_and_no_more(
    model: ScriptedUpstream, playbook: Playbook, tmp_path: Path
) -> None:
    with built("kernel", tmp_path, model, playbook, reconnect_seconds=3) as house:
        talk = house.thread()
        source = "import time\nprint('begun', flush=True)\ntime.sleep(60)"
        ran = talk.run(source, when="begun", then=lambda _: house.gateway.kill())
        assert ran.status == "completed"
        assert "gateway could not be reached" in ran.logs
        # Later ones say what is wrong; they neither hang nor break anything.
        assert talk.run("print(1)").status == "failed"
    # Leaving the block has ended the server, within half a minute though its gateway is gone.
