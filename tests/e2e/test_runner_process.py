"""A runner's process as user code finds it: its random state, child processes, ``__main__``, loop and start-time variables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.kernel import Kernel, kernel
from tests.support.state import state_directory


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with state_directory() as state, kernel(state, tmp_path_factory.mktemp("notebook")) as running:
        running.run("%load_ext fal_jupyter").ok()
        yield running


DICE = """%%fal_app
import os, random, tempfile, uuid
import numpy as np
import torch
class Dice(fal.App):
    def setup(self):
        self.seeded = np.random.RandomState(7).randint(2**31)
        if {seed}:
            torch.manual_seed(7); np.random.seed(7); random.seed(7)
    @fal.endpoint("/")
    def roll(self) -> list:
        name = os.path.basename(tempfile.mktemp())
        return [int(torch.randint(0, 2**31, (1,))), int(np.random.randint(2**31)), random.getrandbits(31), str(uuid.uuid4()), name, self.seeded]
    @fal.endpoint("/die")
    def die(self) -> int:
        os._exit(1)
"""
ROLL = """
rolled = []
while True:
    rolled.append(Dice.roll())
    if len(rolled) == 2:
        break
    try:
        Dice.die()
    except fal_jupyter.RequestError:
        pass
print([len(set(column)) for column in zip(*rolled)])
"""


def test_each_runner_draws_random_numbers_of_its_own_unless_setup_seeds_them(notebook: Kernel) -> None:
    pytest.importorskip("torch")
    notebook.run("import fal_jupyter").ok()
    notebook.run(DICE.format(seed=False)).ok()
    assert notebook.run(ROLL).ok().text == "[2, 2, 2, 2, 2, 1]\n"

    notebook.run(DICE.format(seed=True)).ok()
    assert notebook.run(ROLL).ok().text == "[1, 1, 1, 2, 2, 1]\n"
