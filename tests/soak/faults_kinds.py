"""The faults there are, each a function that makes one happen in the middle of something, and waits it out."""

from __future__ import annotations

from collections.abc import Callable

from .faults_inside import (
    clock_jumps,
    database_locked,
    disk_full,
    kernel_hung,
    kernel_killed,
    kernel_out_of_memory,
    kernel_stopped,
    server_killed,
    server_killed_twice,
    server_killed_while_a_run_waits,
    two_servers,
)
from .faults_outside import (
    client_vanishes,
    client_vanishes_uploading,
    model_breaks_off,
    model_is_not_there,
    model_is_overrun,
    model_stalls,
    model_talks_garbage,
)
from .faults_round import Round

Kind = Callable[[Round], None]

KINDS: tuple[Kind, ...] = (
    server_killed,
    server_killed_twice,
    server_killed_while_a_run_waits,
    two_servers,
    kernel_killed,
    kernel_hung,
    kernel_out_of_memory,
    kernel_stopped,
    model_stalls,
    model_breaks_off,
    model_talks_garbage,
    model_is_overrun,
    model_is_not_there,
    disk_full,
    database_locked,
    client_vanishes,
    client_vanishes_uploading,
    clock_jumps,
)
"""All of them."""

OFTEN: dict[Kind, int] = {server_killed: 4, disk_full: 2, two_servers: 2}
"""How often some come where the others come once: their moment matters most."""
