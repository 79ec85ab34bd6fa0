"""Classifies random generators of the notebook: shared ones of a library, and those that are sent with their state.

``from random import randint`` binds a method of the module's shared generator. Pickled by value it would include that
generator's state, so every runner would draw the same numbers; it is replaced by the generator of the runner's own module. A
generator created by user code is an ordinary value and is sent with its state.
"""

from __future__ import annotations

import random
import sys
import types

_OF_LIBRARIES = (
    ("random", "_inst"),
    ("secrets", "_sysrand"),
    ("numpy.random.mtrand", "_rand"),
    ("torch", "default_generator"),
)
_METHODS = (types.MethodType, types.BuiltinMethodType)
_CHOSEN = 64  # bits of a seed written by a person; the operating system's are longer


def home_of_generator(value: object) -> tuple[str, str] | None:
    """Return module and name of a library's shared generator, or None."""
    for module, name in _OF_LIBRARIES:
        if value is not None and value is getattr(sys.modules.get(module), name, None):
            return module, name
    return None


def is_shared(value: object) -> bool:
    """True for such a generator and for its methods, which libraries offer as functions."""
    owner = value.__self__ if isinstance(value, _METHODS) else value
    return home_of_generator(owner) is not None


def travels_with_its_state(value: object) -> bool:
    """True for a generator of user code without an explicit seed, as far as can be detected."""
    if isinstance(value, random.SystemRandom) or home_of_generator(value) is not None:
        return False
    if isinstance(value, random.Random):
        return True
    numpy: object = sys.modules.get("numpy.random")
    kinds = tuple(getattr(numpy, name) for name in ("Generator", "RandomState", "BitGenerator") if hasattr(numpy, name))
    if isinstance(value, kinds):
        bits = getattr(value, "_bit_generator", value)
        sequence = getattr(bits, "seed_seq", None)
        entropy = getattr(sequence, "entropy", 0)
        return isinstance(entropy, int) and entropy.bit_length() > _CHOSEN
    torch: object = sys.modules.get("torch")
    if hasattr(torch, "Generator") and isinstance(value, torch.Generator):
        return bool(value.initial_seed().bit_length() > 32)
    return False
