"""The kinds of cases that `tests.soak.fuzz` makes, and the wires they are sent over."""
