"""HTTP: verbs, the url table, the error map and the SSE emitter."""
