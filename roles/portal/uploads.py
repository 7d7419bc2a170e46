"""Uploads: refused before they are read when they are too large, and kept out of memory while they are."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.http import HttpRequest

from roles.errors import InputError

FORM_OVERHEAD_BYTES = 64 * 1024  # boundaries, headers and the form's other fields


class UploadLimit(FileUploadHandler):
    """Stops reading once more than the limit has arrived, whatever the request said about its length."""

    def __init__(self, request: HttpRequest, limit: int) -> None:
        super().__init__(request)
        self.limit = limit
        self.received = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        """Count, and pass the data on to the next handler."""
        self.received += len(raw_data)
        if self.received > self.limit:
            raise StopUpload(connection_reset=True)
        return raw_data

    def check(self) -> None:
        """Raise `InputError` if it stopped. Call it once the body has been read."""
        if self.received > self.limit:
            raise too_large(self.limit)

    def file_complete(self, file_size: int) -> Any:
        """Leave the file to the next handler."""
        return None


def too_large(limit: int) -> InputError:
    """Return the error for a file over `limit` bytes."""
    return InputError(
        "The file is larger than the portal takes.",
        field="file",
        allowed=f"at most {limit:,} bytes",
        hint=f"Uploads end at {limit:,} bytes. Use 'Get credentials' and the AWS CLI for larger files.",
    )


def limit_upload(request: HttpRequest, limit: int) -> UploadLimit:
    """Refuse a body longer than `limit` bytes: now if it says so itself, else while it arrives.

    Raises `InputError`. Call it before anything reads the body; call the returned handler's `check` after that.
    """
    announced = request.META.get("CONTENT_LENGTH") or "0"
    if not announced.isdigit() or int(announced) > limit + FORM_OVERHEAD_BYTES:
        raise too_large(limit)
    handler = UploadLimit(request, limit)
    request.upload_handlers.insert(0, handler)
    return handler
