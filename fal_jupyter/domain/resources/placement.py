"""Assigns devices to runners: at most one runner per device, as with a machine in fal's cloud."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fal_jupyter.domain.resources.machines import Allotment


class Placement:
    """The devices of one machine, as this gateway assigns them.

    A device may also be held by another user's gateway: it is then unavailable until a given time, and tried again.
    """

    def __init__(self) -> None:
        self._holders: dict[str, str] = {}
        self._elsewhere: dict[str, tuple[int, str]] = {}

    def room(self, allotment: Allotment, now: int) -> int | None:
        """How many more runners of this allotment fit; None if they need no device."""
        if not allotment.count:
            return None
        return len(self._free(allotment, now)) // allotment.count

    def take(self, runner_id: str, allotment: Allotment, now: int) -> tuple[str, ...]:
        """Assign devices to the runner, lowest index first; there must be room."""
        devices = tuple(self._free(allotment, now)[: allotment.count])
        assert len(devices) == allotment.count
        for device in devices:
            self._holders[device] = runner_id
        return devices

    def release(self, runner_id: str) -> bool:
        """Release the runner's devices; True if it had any."""
        mine = [device for device, holder in self._holders.items() if holder == runner_id]
        for device in mine:
            del self._holders[device]
        return bool(mine)

    def out_of_reach(self, device: str, until: int, why: str) -> None:
        """Another user's gateway holds the device: do not try it again before *until*."""
        self._elsewhere[device] = (until, why)

    def in_reach(self, device: str) -> None:
        """The device is no longer held by another gateway."""
        self._elsewhere.pop(device, None)

    def holder(self, device: str) -> str:
        """Our runner that holds the device, or ``""``."""
        return self._holders.get(device, "")

    def why_out_of_reach(self, device: str, now: int) -> str:
        """The other holder of the device, or ``""``."""
        until, why = self._elsewhere.get(device, (0, ""))
        return why if now < until else ""

    def holder_sentences(self, allotment: Allotment, app_of: Callable[[str], str], now: int) -> Iterator[str]:
        """Describe who holds each device of an allotment; *app_of* returns the app of one of our runners."""
        for device, name in zip(allotment.eligible, allotment.names, strict=True):
            if app := app_of(self.holder(device)):
                yield f"{name} is held by {app}"
            else:
                yield self.why_out_of_reach(device, now) or f"{name} alone is not enough"

    def look_again_at(self, allotment: Allotment, now: int) -> int | None:
        """When an unavailable device may be tried again."""
        return min(
            (until for device, (until, _) in self._elsewhere.items() if device in allotment.eligible and until > now),
            default=None,
        )

    def check(self, runners: set[str]) -> None:
        """Assert that only existing runners hold devices."""
        assert set(self._holders.values()) <= runners

    def _free(self, allotment: Allotment, now: int) -> list[str]:
        return [d for d in allotment.eligible if d not in self._holders and not self.why_out_of_reach(d, now)]
