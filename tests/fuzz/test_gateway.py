"""Requests that nobody would write by hand, at a served app: each is answered, and nobody's fault becomes ours.

After each: an answer within a guard; no 5xx but of user code; a request id, never twice; errors in fal's shape. After all: the same
runner, nothing in flight, no traceback in the gateway's log.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.calls import Call, by_document, cdn_call, queue_call, rest_call
from tests.fuzz.world import World

SHARES = {"run": 10, "queue": 4, "rest": 2, "cdn": 4}  # of all requests
SHORT = 600
LONG = 12_000


def strategy(world: World, part: str) -> st.SearchStrategy[Call]:
    """The requests of one part of the gateway."""
    made: dict[str, Callable[[], st.SearchStrategy[Call]]] = {
        "run": lambda: by_document(world.document(), f"/run/{world.name}", world.key),
        "queue": lambda: queue_call(world.name, world.key),
        "rest": lambda: rest_call(world.key),
        "cdn": lambda: cdn_call(world.key),
    }
    return made[part]()


def send(world: World, part: str, total: int, start: int | None) -> None:
    """Send the part's share of *total* requests; *start* seeds them, None: the same ones each time."""
    count, before = -(-total * SHARES[part] // sum(SHARES.values())), world.sent

    @settings(
        max_examples=count, derandomize=start is None, database=None, suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    @given(strategy(world, part))
    def each(call: Call) -> None:
        world.send(call)

    (each if start is None else seed(start)(each))()
    assert world.sent - before >= count


@pytest.mark.parametrize("part", SHARES)
def test_some_hundred_requests_are_each_answered(world: World, part: str) -> None:
    send(world, part, SHORT, None)


def test_many_requests_were_sent_with_many_kinds_of_answers(world: World) -> None:
    assert world.sent >= SHORT
    assert {200, 400, 401, 404, 405, 422} <= set(world.statuses), world.statuses
    assert world.statuses[200] > world.sent / 5, world.statuses


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_ten_thousand_requests_are_each_answered(world: World) -> None:
    before, start = world.sent, int(os.environ.get("FUZZ_SEED") or secrets.randbits(32))
    for part in SHARES:
        print(f"FUZZ_SEED={start} {part}, before it {world.statuses}")
        send(world, part, LONG, start)
    assert world.sent - before >= LONG
