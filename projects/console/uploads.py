"""Uploads: the one file of a form goes straight into the spool, piece by piece, and never through memory."""

import shutil
from pathlib import Path
from typing import IO, Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile, StopUpload
from django.http import HttpRequest

from projects.errors import DiskFull
from projects.store.spool import PIECE


class SpoolUpload(FileUploadHandler):
    """Writes the form's first file to a path of the spool that nobody has; `refusal` says why it could not.

    Whoever makes it removes the file: a form that is refused may have brought one all the same.
    """

    chunk_size = PIECE

    def __init__(self, request: HttpRequest, path: Path) -> None:
        super().__init__(request)
        self.path = path
        self.refusal: DiskFull | None = None
        self._file: IO[bytes] | None = None

    def handle_raw_input(self, input_data: Any, META: dict[str, Any], content_length: int, *args: Any, **kwargs: Any) -> None:
        """Sees before anything is written that the disk is too small; the form is read to its end all the same."""
        if content_length > shutil.disk_usage(self.path.parent).free:
            self.refusal = DiskFull()

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        if self._file or self.refusal:
            raise SkipFile()
        self._file = self.path.open("xb")
        self.path.chmod(0o600)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        try:
            self._file.write(raw_data)  # type: ignore[union-attr]  # `new_file` came before.
        except OSError as error:
            self._refuse(error)

    def file_complete(self, file_size: int) -> UploadedFile:
        try:
            self._file.close()  # type: ignore[union-attr]
        except OSError as error:
            self._refuse(error)
        return UploadedFile(name=self.file_name, size=file_size)

    def _refuse(self, error: OSError) -> None:
        self.refusal = DiskFull()
        raise StopUpload() from error

    def close(self) -> None:
        """Ends the writing where the form broke off midway."""
        if self._file:
            self._file.close()
