"""Why runners start and stop, as sentences."""

from __future__ import annotations

import pytest

from fal_jupyter.domain.runners.runner import State
from fal_jupyter.domain.scaling.policy import SECOND, Observation, RunnerView, decide
from fal_jupyter.domain.scaling.reasons import what_is_there
from fal_jupyter.domain.spec import Scaling


def runners(
    number: int, state: State = State.RUNNING, *, served: int = 1, requested: bool = False
) -> tuple[RunnerView, ...]:
    in_flight = 1 if state is State.RUNNING else 0
    return tuple(RunnerView(f"a-{at}", state, 0, in_flight, served, requested=requested) for at in range(1, number + 1))


def seen(*there: RunnerView, waiting: int = 0, waited: float = 0.0, **more: int) -> Observation:
    return Observation(100 * SECOND, 1, there, (int((100 - waited) * SECOND),) * waiting, **more)


SENTENCES = [
    (Scaling(max_concurrency=4), seen(*runners(2, State.SETUP), waiting=10), "10 calls waited for 2 runners with max_multiplexing 1, so 10 were wanted; max_concurrency allows 4"),
    (Scaling(max_concurrency=4), seen(*runners(2), waiting=10, waited=18.2), "10 calls waited behind 2 in flight for 2 runners with max_multiplexing 1, so 12 were wanted; max_concurrency allows 4. The longest wait was 18.2 s"),
    (Scaling(max_multiplexing=4), seen(waiting=1), "1 call waited and no runner was there, so 1 was wanted"),
    (Scaling(concurrency_buffer=2), seen(waiting=1), "1 call waited and no runner was there, so 3 were wanted, 2 of them as concurrency_buffer"),
    (Scaling(min_concurrency=5, concurrency_buffer=1), seen(*runners(1), waiting=1), "1 call waited behind 1 in flight for 1 runner with max_multiplexing 1, so 5 were wanted, as min_concurrency is 5"),
    (Scaling(concurrency_buffer=1), seen(*runners(3)), "3 calls ran on 3 runners with max_multiplexing 1, so 4 were wanted, 1 of them as concurrency_buffer"),
    (Scaling(min_concurrency=2), seen(*runners(1, State.IDLE)), "min_concurrency keeps 2 and 1 runner was there"),
    (Scaling(warm=1), seen(), "1 runner is kept warm while the app's owner is running, and 0 runners were there"),
    (Scaling(warm=1), seen(RunnerView("a-1", State.IDLE, 0, revision=0)), "1 runner is kept warm while the app's owner is running, and 0 runners of r1 were there"),
    (Scaling(), seen(RunnerView("a-1", State.IDLE, 0, revision=0), waiting=1), "1 call waited and no runner of r1 was there, so 1 was wanted"),
    (Scaling(warm=2), seen(), "2 runners are kept warm while the app's owner is running, and 0 runners were there"),
    (Scaling(concurrency_buffer=1), seen(), "concurrency_buffer keeps 1 ready and 0 runners were there"),
    (Scaling(), seen(pending_first_runner=1), "a new revision starts its first runner"),
    (Scaling(keep_alive=10), seen(*runners(1, State.IDLE)), "a-1 was idle for keep_alive (10 s)"),
    (Scaling(keep_alive=10, min_concurrency=1), seen(*runners(2, State.IDLE)), "a-1 was idle for keep_alive (10 s); min_concurrency keeps 1"),
    (Scaling(keep_alive=10), seen(*runners(1, State.IDLE, served=0)), "a-1 was not used within 10 s"),
    (Scaling(keep_alive=10), seen(*runners(1, State.IDLE, served=0, requested=True)), "a-1 was idle for keep_alive (10 s)"),
    (Scaling(max_concurrency=1), seen(*runners(2, State.IDLE)), "a-1 is over max_concurrency (1); a-2 was idle for keep_alive (10 s)"),
    (Scaling(max_concurrency=1), seen(*runners(2)), "a-1 is over max_concurrency (1)"),
    (Scaling(startup_timeout=5), seen(*runners(1, State.SETUP)), "a-1 was still in setup() after startup_timeout (5 s)"),
    (Scaling(), seen(*runners(1, State.CRASH_BACKOFF)), "no call needs a-1 any more"),
    (Scaling(), seen(waiting=1, failures=1, last_failure=100 * SECOND), "1 start failed, so one is tried at a time"),
    (Scaling(), seen(waiting=1, failures=3, last_failure=100 * SECOND), "3 starts in a row failed, so one is tried at a time"),
    (Scaling(), seen(), "0 of 0 wanted runners are there"),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "observation", "sentence"), SENTENCES)
def test_a_decision_has_its_reason(rules: Scaling, observation: Observation, sentence: str) -> None:
    assert decide(rules, observation).reason == sentence


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ({}, "2 waiting, 1 in flight; no runner"),
        ({"RUNNING": 1, "SETUP": 2, "CRASH_BACKOFF": 1}, "2 waiting, 1 in flight; runners: 1 running, 2 in setup, 1 in crash back-off"),
    ],
)  # fmt: skip
def test_the_situation_is_described_in_words(states: dict[str, int], words: str) -> None:
    assert what_is_there(2, 1, states) == words
