"""The waiting requests of one app, in order of arrival, indexed for the decisions.

A decision is made at each event: one that scanned all waiting requests took 4 ms with 10,000 of them. So nothing is scanned here:
arrival orders are ordered dictionaries, times are sorted lists (positions are found by binary search).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Iterator, MutableMapping

from fal_jupyter.domain.requests.request import FleetRequest


class WaitQueue(MutableMapping[str, FleetRequest]):
    """Waiting requests by id. A request's attributes must not change while it is in the queue.

    Attributes:
        arrivals: when they arrived (monotonic nanoseconds), ascending. The internal list: do not keep or change it. The hot path checks it
            in place of the queue's own length, which costs a call.
    """

    def __init__(self) -> None:
        self._all: OrderedDict[str, FleetRequest] = OrderedDict()
        self._normal: OrderedDict[str, FleetRequest] = OrderedDict()  # without those of low priority
        self._callers: OrderedDict[str, FleetRequest] = OrderedDict()  # those whose caller waits on a connection
        self.arrivals: list[int] = []
        self._starts: list[tuple[int, str]] = []

    @property
    def next(self) -> FleetRequest:
        """The next request to dispatch: the first of normal priority, else the first.

        Raises:
            StopIteration: no request is waiting.
        """
        return next(iter((self._normal or self._all).values()))

    @property
    def start_by(self) -> int:
        """The earliest dispatch deadline, 0 if there is none."""
        return self._starts[0][0] if self._starts else 0

    @property
    def first_caller(self) -> FleetRequest | None:
        """The request that has waited longest, apart from queued ones."""
        return next(iter(self._callers.values()), None)

    def late(self, now: int) -> list[FleetRequest]:
        """Return those whose dispatch deadline has passed, the most overdue first."""
        return [
            self._all[request_id] for at, request_id in self._starts[: bisect_right(self._starts, now, key=_moment)]
        ]

    def arrived_by(self, moment: int) -> Iterator[FleetRequest]:
        """Yield those with a caller on a connection that arrived at *moment* or before, in that order."""
        for request in self._callers.values():
            if request.arrived > moment:
                return
            yield request

    def check(self) -> None:
        """Assert that all indexes agree."""
        waiting = list(self._all.values())
        assert list(self._normal.values()) == [r for r in waiting if not r.low]
        assert list(self._callers.values()) == [r for r in waiting if not r.queued]
        assert self.arrivals == sorted(r.arrived for r in waiting)
        assert self._starts == sorted((r.start_by, r.id) for r in waiting if r.start_by)

    def __getitem__(self, request_id: str) -> FleetRequest:
        return self._all[request_id]

    def __setitem__(self, request_id: str, request: FleetRequest) -> None:
        self.pop(request_id, None)
        self._all[request_id] = request
        insort(self.arrivals, request.arrived)
        if not request.low:
            self._normal[request_id] = request
        if not request.queued:
            self._callers[request_id] = request
        if request.start_by:
            insort(self._starts, (request.start_by, request_id))

    def __delitem__(self, request_id: str) -> None:
        request = self._all.pop(request_id)
        self._normal.pop(request_id, None)
        self._callers.pop(request_id, None)
        del self.arrivals[bisect_left(self.arrivals, request.arrived)]
        if request.start_by:
            del self._starts[bisect_left(self._starts, (request.start_by, request_id))]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def _moment(start: tuple[int, str]) -> int:
    return start[0]
