"""When a gateway ends: its timers and hooks alone, on a virtual clock."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from fal_jupyter.gateway.auth.leases import Leases, OwnerLease
from fal_jupyter.gateway.lifetime import LINGER, UNUSED_EXIT, Lifetime
from tests.support.virtual_loop import VirtualLoop, virtual_loop


class World:
    """A lifetime with owners that have no process, and requests that are a number."""

    def __init__(self, loop: VirtualLoop, idle_exit: float) -> None:
        self.loop, self.requests, self.stops = loop, 0, 0
        self.leases = Leases(lambda lease: self.lifetime.reconsider())
        self.lifetime = Lifetime(self.leases, lambda: self.requests > 0, self._stopped, idle_exit)

    def _stopped(self) -> None:
        self.stops += 1

    def owner(self) -> OwnerLease:
        lease = OwnerLease("kernel", "a notebook", os.getpid())  # without a pidfd, which a virtual loop cannot watch
        self.leases.living[lease.id] = lease
        self.leases.total += 1
        return lease


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    with virtual_loop() as loop:
        yield loop


def test_a_gateway_without_a_first_owner_ends_after_a_while(loop: VirtualLoop) -> None:
    world = World(loop, idle_exit=0.0)
    world.lifetime.reconsider()
    loop.advance(UNUSED_EXIT - 1)
    assert world.stops == 0
    loop.advance(1)
    assert world.stops == 1
    assert world.lifetime.stopping.is_set()


def test_it_ends_with_its_last_owner_and_its_last_request(loop: VirtualLoop) -> None:
    world = World(loop, idle_exit=0.0)
    lease = world.owner()
    world.requests = 1
    world.leases.end(lease)
    assert (world.stops, world.lifetime.is_ending) == (0, True)
    world.requests = 0
    world.lifetime.reconsider()
    assert world.stops == 1
    world.lifetime.stop()
    assert world.stops == 1


def test_it_waits_for_another_owner_where_a_time_is_set(loop: VirtualLoop) -> None:
    world = World(loop, idle_exit=600.0)
    world.leases.end(world.owner())
    loop.advance(599)
    second = world.owner()
    world.lifetime.reconsider()
    loop.advance(1000)
    assert (world.stops, world.lifetime.is_ending) == (0, False)
    world.leases.end(second)
    loop.advance(600)
    assert world.stops == 1


def test_an_unused_one_ends_soon_unless_an_owner_comes(loop: VirtualLoop) -> None:
    world = World(loop, idle_exit=600.0)
    lease = world.owner()
    world.lifetime.stop_when_unused()
    assert world.stops == 0
    world.leases.end(lease)
    loop.advance(LINGER)
    assert world.stops == 1
    world = World(loop, idle_exit=600.0)
    world.lifetime.stop_when_unused()
    world.leases.end(world.owner())  # it came after that, and left
    loop.advance(LINGER)
    assert world.stops == 0
