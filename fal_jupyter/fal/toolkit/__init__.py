"""``fal.toolkit``: files, pictures, downloads and what else apps use beside their model (docs/contract.md, Toolkit)."""

from __future__ import annotations

from fal_jupyter.fal.toolkit.audio import Audio, AudioField
from fal_jupyter.fal.toolkit.compilation import (
    get_gpu_type,
    load_inductor_cache,
    sync_inductor_cache,
    synchronized_inductor_cache,
)
from fal_jupyter.fal.toolkit.constraints import (
    ImageSizeConstraints,
    ImageValidationConfig,
    ImageValidationOptions,
    VideoNormalizationConfig,
    VideoValidationConfig,
    VideoValidationOptions,
    to_xfal,
)
from fal_jupyter.fal.toolkit.exceptions import FalTookitException, FileUploadException, KVStoreException
from fal_jupyter.fal.toolkit.file import CompressedFile, File, FileField
from fal_jupyter.fal.toolkit.image import Image, ImageField, ImageSizeField, ImageSizeInput, get_image_size
from fal_jupyter.fal.toolkit.kv import KVStore
from fal_jupyter.fal.toolkit.pydantic import FalBaseModel, Field, Hidden
from fal_jupyter.fal.toolkit.utils import (
    FAL_MODEL_WEIGHTS_DIR,
    FAL_PERSISTENT_DIR,
    FAL_REPOSITORY_DIR,
    DownloadError,
    clone_repository,
    download_file,
    download_model_weights,
)
from fal_jupyter.fal.toolkit.video import Video, VideoField

__all__ = [
    "FAL_MODEL_WEIGHTS_DIR",
    "FAL_PERSISTENT_DIR",
    "FAL_REPOSITORY_DIR",
    "Audio",
    "AudioField",
    "CompressedFile",
    "DownloadError",
    "FalBaseModel",
    "FalTookitException",
    "Field",
    "File",
    "FileField",
    "FileUploadException",
    "Hidden",
    "Image",
    "ImageField",
    "ImageSizeConstraints",
    "ImageSizeField",
    "ImageSizeInput",
    "ImageValidationConfig",
    "ImageValidationOptions",
    "KVStore",
    "KVStoreException",
    "Video",
    "VideoField",
    "VideoNormalizationConfig",
    "VideoValidationConfig",
    "VideoValidationOptions",
    "clone_repository",
    "download_file",
    "download_model_weights",
    "get_gpu_type",
    "get_image_size",
    "load_inductor_cache",
    "sync_inductor_cache",
    "synchronized_inductor_cache",
    "to_xfal",
]
