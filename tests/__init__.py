"""All tests. The assertions of 200 modules, ours and those of Hypothesis, are rewritten once, not by each worker of each run."""

import sys

sys.dont_write_bytecode = False  # before conftest.py imports Hypothesis
