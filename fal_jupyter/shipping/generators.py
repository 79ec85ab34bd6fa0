"""Random generators of the notebook: which are a library's own, and which travel with their state.

``from random import randint`` binds a method of the generator that the module keeps for everybody. Pickled by value it would take that
generator's state along, so every runner would draw the same numbers; the generator of the runner's own module takes its place. A
generator that user code made is a value like any other and travels with its state.
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
_CHOSEN = 64  # bits of a seed that somebody wrote down; what the operating system gives is longer


def home_of_generator(value: object) -> tuple[str, str] | None:
    """Return module and name of a generator that a library keeps for everybody, or None."""
    for module, name in _OF_LIBRARIES:
        if value is not None and value is getattr(sys.modules.get(module), name, None):
            return module, name
    return None


def is_shared(value: object) -> bool:
    """True for such a generator and for its methods, which libraries offer as functions."""
    owner = value.__self__ if isinstance(value, _METHODS) else value
    return home_of_generator(owner) is not None


def travels_with_its_state(value: object) -> bool:
    """True for a generator of user code that was not given a seed, as far as that can be known."""
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
