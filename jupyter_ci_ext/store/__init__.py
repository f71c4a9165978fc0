"""Rows in SQLite and bytes on disk; knows nothing of HTTP."""
