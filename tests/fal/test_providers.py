"""``fal.toolkit.file.providers``: the names that apps import."""

from __future__ import annotations

import importlib

import pytest

from fal_jupyter import fal


def test_repositories_are_where_apps_import_them_from() -> None:
    fal.install()
    try:
        of_fal = importlib.import_module("fal.toolkit.file.providers.fal")
        assert of_fal.FalFileRepositoryV3().save(importlib.import_module("fal.toolkit.file.types").FileData(b"a")) == (
            "data:application/octet-stream;base64,YQ=="
        )
        for module, name in (("gcp", "GoogleStorageRepository"), ("r2", "R2Repository"), ("s3", "S3Repository")):
            made = getattr(importlib.import_module(f"fal.toolkit.file.providers.{module}"), name)(bucket_name="b")
            with pytest.raises(Exception, match="storage is not used here"):
                made.save(None)
        with pytest.raises(ImportError, match=r"does not have MultipartUploadV3 of fal\.toolkit\.file\.providers\.fal"):
            exec("from fal.toolkit.file.providers.fal import MultipartUploadV3")
    finally:
        fal.uninstall()
