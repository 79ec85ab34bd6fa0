"""The runner's loop goes on after what asyncio lets out of it."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest

from fal_jupyter.runner.process.loops import LoopRunner


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("wanted", ["asyncio", "uvloop"])
@pytest.mark.parametrize("turns", [0, 1, 5])
def test_an_exception_of_a_task_that_leaves_the_loop_ends_that_task_only(
    wanted: Literal["asyncio", "uvloop"], kind: type[BaseException], turns: int
) -> None:
    async def fail() -> None:
        raise kind("of a task")

    async def main() -> int:
        task = asyncio.get_running_loop().create_task(fail())
        for _ in range(turns):
            await asyncio.sleep(0)
        with pytest.raises(kind):
            await task
        await asyncio.sleep(0.01)
        return 5

    runner, escaped = LoopRunner(wanted, []), list[BaseException]()
    with runner.get():
        assert runner.run(main(), escaped.append) == 5
    assert [type(error) for error in escaped] == [kind]


def test_an_exception_of_the_main_task_is_raised() -> None:
    async def main() -> int:
        raise RuntimeError("of main")

    runner = LoopRunner("uvloop", [])
    with runner.get(), pytest.raises(RuntimeError, match="of main"):
        runner.run(main(), lambda error: None)
