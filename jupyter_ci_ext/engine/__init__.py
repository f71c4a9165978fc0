"""The run: its states, the agent loop, its projection on steps and messages, its journal."""
