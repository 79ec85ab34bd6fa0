"""What the toolkit raises."""

from __future__ import annotations


class FalTookitException(Exception):
    """Base of the toolkit's exceptions (spelt as in the real package)."""


class FileUploadException(FalTookitException):
    """A file could not be kept."""


class FileUploadFallbackException(FileUploadException):
    """A file could not be kept in any of the repositories that were tried; the text has each one's reason."""


class KVStoreException(FalTookitException):
    """The key-value store failed."""
