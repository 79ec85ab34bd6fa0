"""Finds what would be different in the cloud: compares an app's class, its code and its surroundings with what fal does.

:func:`examine` reads a class in a notebook or in a file (:mod:`.files`), and returns findings. It starts and changes
nothing, and a rule that cannot be certain reports nothing.
"""

from fal_jupyter.portability.examine import examine
from fal_jupyter.portability.findings import Finding, as_data, as_text
from fal_jupyter.portability.surroundings import Surroundings

__all__ = ["Finding", "Surroundings", "as_data", "as_text", "examine"]
