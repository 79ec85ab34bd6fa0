"""Where the Python with the real ``fal`` is: ``make`` creates an environment of its own for it, since it holds FastAPI back."""

from __future__ import annotations

import os
from pathlib import Path

PYTHON = Path(os.environ.get("FAL_JUPYTER_REAL_FAL", Path(__file__).parents[2] / ".venv-fal/bin/python"))
