"""Downloads, clones and small helpers."""

from __future__ import annotations

from fal_jupyter.fal.toolkit.utils.download_utils import (
    FAL_MODEL_WEIGHTS_DIR,
    FAL_PERSISTENT_DIR,
    FAL_REPOSITORY_DIR,
    DownloadError,
    clone_repository,
    download_file,
    download_model_weights,
)
from fal_jupyter.fal.toolkit.utils.setup_utils import patch_onnx_runtime

__all__ = [
    "FAL_MODEL_WEIGHTS_DIR",
    "FAL_PERSISTENT_DIR",
    "FAL_REPOSITORY_DIR",
    "DownloadError",
    "clone_repository",
    "download_file",
    "download_model_weights",
    "patch_onnx_runtime",
]
