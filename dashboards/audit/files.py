"""Whole files as answers."""

from typing import BinaryIO

from django.http import FileResponse


def send_file(content: BinaryIO, *, name: str, content_type: str, size: int) -> FileResponse:
    """A file to be saved; the answer closes it."""
    response = FileResponse(content, content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Content-Length"] = str(size)
    return response
