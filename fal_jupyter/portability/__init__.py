"""What would be different in the cloud: an app's class, its code and its surroundings held against what fal does.

:func:`examine` reads a class as it stands in a notebook, or in a file (:mod:`.files`), and gives findings. Nothing is
started, nothing is changed, and a rule that cannot be certain keeps silent.
"""

from fal_jupyter.portability.examine import examine
from fal_jupyter.portability.findings import Finding, as_data, as_text
from fal_jupyter.portability.surroundings import Surroundings

__all__ = ["Finding", "Surroundings", "as_data", "as_text", "examine"]
