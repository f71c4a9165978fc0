"""The rules of the API, one file per resource; no status codes here."""
