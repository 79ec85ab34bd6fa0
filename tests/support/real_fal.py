"""The interpreter that has the real ``fal``: ``make`` creates a separate environment for it, since it requires an older FastAPI."""

from __future__ import annotations

import os
from pathlib import Path

PYTHON = Path(os.environ.get("FAL_JUPYTER_REAL_FAL", Path(__file__).parents[2] / ".venv-fal/bin/python"))
