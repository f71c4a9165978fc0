"""MIME types of the formats the API's documentation names, by the ending of a file's name."""

from __future__ import annotations

OCTET_STREAM = "application/octet-stream"

MIME_TYPES: dict[str, str] = {
    "c": "text/x-c",
    "cpp": "text/x-c++",
    "cs": "text/x-csharp",
    "css": "text/css",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "gif": "image/gif",
    "html": "text/html",
    "java": "text/x-java",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript",
    "json": "application/json",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "php": "text/x-php",
    "png": "image/png",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "py": "text/x-python",
    "rb": "text/x-ruby",
    "sh": "application/x-sh",
    "tar": "application/x-tar",
    "tex": "text/x-tex",
    "ts": "application/typescript",
    "txt": "text/plain",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "text/xml",
    "zip": "application/zip",
}


def mime_type(filename: str) -> str:
    """The MIME type that the name stands for; anything unknown is a stream of bytes."""
    _, dot, ending = filename.rpartition(".")
    return MIME_TYPES.get(ending.lower(), OCTET_STREAM) if dot else OCTET_STREAM
