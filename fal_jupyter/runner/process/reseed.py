"""Reseeds random generators after a fork, so that every runner draws its own numbers, as a new process would.

Python's own ``random`` module, ``uuid``, ``secrets``, ``tempfile`` and OpenSSL already reseed or detect the fork themselves. NumPy's legacy
state and PyTorch's CPU generator do not, nor do generators that a module made when the template imported it (``sitecustomize``, ``.pth``
files). PyTorch makes its CUDA generators when CUDA is first used, which is after the fork, and seeds them at random.

Seeds that user code sets (at import, in ``setup()``) are applied later and take effect. The hash seed of ``str`` stays that of the template: Python
fixes it when a process starts.
"""

from __future__ import annotations

import gc
import random
import sys
from typing import Any

_NUMPY = "numpy.random"


class CopiedGenerators:
    """The generators that exist in this process before it forks."""

    def __init__(self) -> None:
        self._generators: list[object] = []
        self._modules = 0

    def look(self) -> None:
        """Find them; called before a fork, and cheap if no module was imported since."""
        if len(sys.modules) == self._modules:
            return
        self._modules = len(sys.modules)
        kinds: tuple[type, ...] = (random.Random,)
        if (numpy := sys.modules.get(_NUMPY)) is not None:
            kinds += (numpy.BitGenerator, numpy.RandomState)
        self._generators = [value for value in gc.get_objects() if isinstance(value, kinds)]

    def reseed(self) -> None:
        """Seed each of them from the operating system; called in the forked child."""
        for generator in self._generators:
            if not isinstance(generator, random.SystemRandom):
                _reseed(generator)
        if (numpy := sys.modules.get(_NUMPY)) is not None:
            numpy.seed()
        torch: Any = sys.modules.get("torch")
        if hasattr(torch, "default_generator"):  # a module of that name need not be PyTorch
            torch.default_generator.seed()


def _reseed(generator: Any) -> None:
    if isinstance(generator, random.Random):
        generator.seed()
    elif hasattr(generator, "state"):  # of NumPy, a BitGenerator
        generator.state = type(generator)().state
    else:
        generator.seed()
