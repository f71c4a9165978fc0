"""The API's objects and parameters, one file per resource: names, order, defaults and limits.

Objects (`Assistant`, `Thread`, `Message`, `Run`, `RunStep`, `File`, `Upload`, …) are frozen pydantic
models in the v2 form, which is also the stored form; their fields stand in the order of recorded
traffic. They are never changed in place: ``run.model_copy(update={"status": "queued"})`` makes the
next one. A list inside an object is replaced in the same way, never appended to. Keys that older
rows lack take their defaults, keys that this version does not know are dropped on reading.

`dump` makes the one line of JSON of an object (for a row, an event or a response), with nulls kept;
``Cls.model_validate_json(line)`` reads it back. What is absent rather than null on the wire is a
field of a `Sparse` model: left out unless it was given.

Parameters (``CreateAssistant``, ``ListQuery``, …) are strict, forbid unknown keys and come into
being only through `jupyter_ci_ext.wire.validation.parse`, which speaks the API's error texts. The
forms of v1 and of Azure are pure functions over these in ``wire.v1`` and ``wire.azure``.
"""
