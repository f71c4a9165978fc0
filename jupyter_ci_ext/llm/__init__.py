"""The language model: an OpenAI-compatible server, or the demo model."""
