"""``fal.distributed``: its names, so that files that import them can be read."""

from __future__ import annotations

from fal_jupyter.fal.distributed.worker import DistributedRunner, DistributedWorker

__all__ = ["DistributedRunner", "DistributedWorker"]
