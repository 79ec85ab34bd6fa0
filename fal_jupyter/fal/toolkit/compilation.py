"""Caches of compiled models: kept in the persistent folder by kind of GPU, unpacked for a runner (docs/contract.md, C132)."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fal_jupyter.fal.toolkit.utils.download_utils import FAL_PERSISTENT_DIR

LOCAL_INDUCTOR_CACHE_DIR = Path(tempfile.gettempdir()) / "inductor-cache"
GLOBAL_INDUCTOR_CACHES_DIR = Path(FAL_PERSISTENT_DIR) / "inductor-caches"


def get_gpu_type() -> str:
    """Return the model of the first GPU (``H100``), ``UNKNOWN`` where there is none."""
    try:
        process = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, check=False
        )
    except OSError:
        return "UNKNOWN"
    match = re.search(r"NVIDIA ([a-zA-Z0-9]*)", process.stdout)
    return match[1] if match else "UNKNOWN"


def _names_in(directory: Path) -> str:
    names = sorted(str(path) for path in directory.rglob("*") if path.is_file())
    return hashlib.sha256("".join(names).encode()).hexdigest()


def _archive(cache_key: str) -> Path:
    return GLOBAL_INDUCTOR_CACHES_DIR / get_gpu_type() / f"{cache_key}.zip"


def load_inductor_cache(cache_key: str) -> str:
    """Unpack a kept cache and let torch use it; returns a hash of what is there now, ``""`` where nothing was kept."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(LOCAL_INDUCTOR_CACHE_DIR)
    archive = _archive(cache_key)
    if not archive.exists():
        print(f"Couldn't find compilation cache at {archive}")
        return ""
    print(f"Found compilation cache at {archive}, unpacking...")
    try:
        shutil.unpack_archive(archive, LOCAL_INDUCTOR_CACHE_DIR)
    except (OSError, shutil.ReadError) as error:
        print(f"Failed to unpack cache: {error}")
        return ""
    print("Cache unpacked successfully.")
    return _names_in(LOCAL_INDUCTOR_CACHE_DIR)


def sync_inductor_cache(cache_key: str, unpacked_dir_hash: str) -> None:
    """Keep the cache where it has changed since it was unpacked."""
    if not LOCAL_INDUCTOR_CACHE_DIR.exists():
        print(f"No cache to sync, {LOCAL_INDUCTOR_CACHE_DIR} doesn't exist.")
        return
    if _names_in(LOCAL_INDUCTOR_CACHE_DIR) == unpacked_dir_hash:
        print("No changes in the cache dir, skipping sync.")
        return
    print("Changes detected in the cache dir, syncing...")
    archive = _archive(cache_key)
    archive.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=archive.parent) as beside:
            packed = shutil.make_archive(str(Path(beside) / "cache"), "zip", LOCAL_INDUCTOR_CACHE_DIR)
            os.replace(packed, archive)
    except OSError as error:
        print(f"Failed to sync cache: {error}")


@contextmanager
def synchronized_inductor_cache(cache_key: str) -> Iterator[None]:
    """Load a cache before a block of code, and keep what it added after it."""
    before = load_inductor_cache(cache_key)
    try:
        yield
    finally:
        sync_inductor_cache(cache_key, before)
