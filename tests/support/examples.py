"""How many examples a property test tries: few and always the same ones in `make test`, many and new ones in `make test-long`.

With few, a failure says that the change under test broke something, never that chance found something old. Finding that
is for the many, whose seed Hypothesis prints.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

VARIABLE = "TEST_EXAMPLES"  # the only other value is "many"


def load_profile() -> None:
    """Choose by the environment. A slow machine is no failure of a property, so there is no deadline."""
    slow = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile("few", max_examples=25, stateful_step_count=30, derandomize=True, database=None, **slow)
    settings.register_profile("many", max_examples=200, print_blob=True, **slow)
    settings.load_profile("many" if os.environ.get(VARIABLE) == "many" else "few")


def examples(usual: int) -> int:
    """Give the `max_examples` of a test that wants *usual* where others have Hypothesis's hundred."""
    return max(1, usual * settings().max_examples // 100)
