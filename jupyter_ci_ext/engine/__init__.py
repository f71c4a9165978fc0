"""The run: its states, the agent loop, its projection on steps and messages, its journal.

Words, each with one meaning in here
    A *run* is the API's object; a *stretch* is the work on it between two waits for its client; a
    *turn* is one request to the model. A *call* is what the model asks for, an *execution* is code
    that runs. A *value* is what the agent loop says (`values`), an *output* is a numbered output of
    an execution, a *piece* is more of something that is being written.

One way through the room
    ``supervisor`` owns the tasks of all runs; ``live`` is the life of one. It reads a ``brief`` from
    the store (``transcript`` and ``environment`` make the prompt of it) and lets ``turn`` converse
    with the model (``reply``, ``allowance`` and ``budget`` are parts of that), which runs code
    through ``interpreter`` (``cells`` number its outputs, ``results`` tell the model). What ``turn``
    says, ``run`` writes down (``messages`` with ``links``, ``calls``, ``shelf``, over the objects of
    ``opened``, with ``state`` as the only one that changes a status), through the ``ledger`` into the
    ``journal``: stored first, then published. ``stop`` ends what is under way, ``recovery`` what a
    dead server left.
"""
