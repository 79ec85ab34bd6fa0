"""Explains why runners start and stop, in sentences that name the deciding options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from fal_jupyter.domain.durations import SECOND
from fal_jupyter.domain.spec import Scaling

_LONG_WAIT = SECOND
_NAMED = 3  # of more runners, only the number is in a sentence


@dataclass(frozen=True, slots=True)
class Demand:
    """The demand for runners: *waiting* and *in_flight* calls, the *longest* wait (nanoseconds), and existing runners (*there*).

    *need* is how many runners the calls occupy, *buffer* how many more the options keep ready, *pending_first_runner* how many a publication waits for.
    *revision* is the one that *there* counts, 0 if there are no runners of another.
    """

    waiting: int
    in_flight: int
    longest: int
    there: int
    need: int
    buffer: int
    pending_first_runner: int
    revision: int = 0

    @property
    def runners(self) -> str:
        """The existing runners: ``2 runners``, ``0 runners of r2`` while those of a former revision exist."""
        return f"{count(self.there, 'runner')}{self.of_revision}"

    @property
    def of_revision(self) -> str:
        """`` of r2``, or ``""`` if all runners are of one revision."""
        return f" of r{self.revision}" if self.revision else ""


def count(number: int, noun: str) -> str:
    """``1 call``, ``2 calls``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def why_start(rules: Scaling, demand: Demand) -> str:
    """Explain why runners start."""
    desired = max(rules.floor, demand.pending_first_runner, demand.need + demand.buffer)
    called = demand.need + demand.buffer
    if demand.waiting:
        begin = _waited(rules, demand)
    elif called == desired and demand.in_flight:
        begin = (
            f"{count(demand.in_flight, 'call')} ran on {demand.runners} with max_multiplexing {rules.max_multiplexing}"
        )
    else:
        return _without_calls(rules, demand)
    spare = f", {demand.buffer} of them as concurrency_buffer" if demand.buffer and called == desired else ""
    least = f", as min_concurrency is {rules.min_concurrency}" if called < desired == rules.min_concurrency else ""
    limit = f"; max_concurrency allows {rules.max_concurrency}" if desired > rules.max_concurrency else ""
    long = f". The longest wait was {demand.longest / SECOND:.1f} s" if demand.longest >= _LONG_WAIT else ""
    return f"{begin}, so {desired} {'was' if desired == 1 else 'were'} wanted{spare}{least}{limit}{long}"


def _waited(rules: Scaling, demand: Demand) -> str:
    calls = count(demand.waiting, "call")
    if not demand.there:
        return f"{calls} waited and no runner{demand.of_revision} was there"
    behind = f" behind {demand.in_flight} in flight" if demand.in_flight else ""
    return f"{calls} waited{behind} for {demand.runners} with max_multiplexing {rules.max_multiplexing}"


def _without_calls(rules: Scaling, demand: Demand) -> str:
    there = f"{demand.runners} {'was' if demand.there == 1 else 'were'} there"
    if demand.pending_first_runner > max(rules.floor, demand.buffer):
        return "a new revision starts its first runner"
    if rules.floor >= max(demand.buffer, 1):
        if rules.floor == min(rules.min_concurrency, rules.max_concurrency):
            return f"min_concurrency keeps {rules.floor} and {there}"
        return f"{count(rules.floor, 'runner')} {'is' if rules.floor == 1 else 'are'} kept warm while the app's owner is running, and {there}"
    return f"concurrency_buffer keeps {demand.buffer} ready and {there}"


def why_held(rules: Scaling, runners: Sequence[str], ends: int) -> str:
    """Explain why the first runner does not start although one is wanted: *ends* of *runners* must end first."""
    limit = f"as max_concurrency is {rules.max_concurrency}"
    if len(runners) > _NAMED:
        who = f"{ends} of {len(runners)} runners"
    elif ends < len(runners):
        who = f"{ends} of {', '.join(runners)}"
    else:
        who = " and ".join(filter(None, (", ".join(runners[:-1]), runners[-1])))
    return f"the next runner starts when {who} {'has' if ends == 1 else 'have'} ended, {limit}"


def why_idle(rules: Scaling, runner: str) -> str:
    """Explain why an idle runner stops."""
    floor = f"; min_concurrency keeps {rules.min_concurrency}" if rules.min_concurrency else ""
    return f"{runner} was idle for keep_alive ({rules.keep_alive:g} s){floor}"


def scaling_changes(before: Scaling, after: Scaling) -> str:
    """The options that differ, with both values: ``min_concurrency 0 → 1, max_concurrency 2 → 4``."""
    return ", ".join(
        f"{option.name} {_plain(former)} → {_plain(new)}"
        for option in fields(before)
        if (former := getattr(before, option.name)) != (new := getattr(after, option.name))
    )


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def what_is_there(waiting: int, in_flight: int, runners: dict[str, int]) -> str:
    """Requests, then runners by state: ``2 waiting, 1 in flight; 1 runner running, 1 in setup``."""
    calls = f"{waiting} waiting, {in_flight} in flight"
    states = ", ".join(f"{number} {_STATES.get(state, state.lower())}" for state, number in runners.items())
    return f"{calls}; runners: {states}" if states else f"{calls}; no runner"


_STATES = {"SETUP": "in setup", "TERMINATING": "ending", "CRASH_BACKOFF": "in crash back-off"}
