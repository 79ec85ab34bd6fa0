"""Running workers on several GPUs: the names, so that files that import them can be read. The rest comes later."""

from __future__ import annotations

from typing import Any

from fal_jupyter.fal.unsupported import ComesLater, sentence_for

__all__ = ["DistributedRunner", "DistributedWorker"]


class DistributedWorker:
    """One process of several: to inherit from. None can be made yet."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise ComesLater(sentence_for("distributed"))


class DistributedRunner:
    """Starts workers. None can be made yet."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise ComesLater(sentence_for("distributed"))
