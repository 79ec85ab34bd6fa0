"""Leases: an owner's lease lasts until its process (watched by a pidfd of the socket's peer) or its connection ends."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple


class LeaseHolder(NamedTuple):
    """The holder of a lease: its kind (``kernel``, ``serve`` …), its display name, and its process."""

    kind: str = ""
    name: str = ""
    pid: int = 0


@dataclass
class OwnerLease:
    """The lease of an owner of apps."""

    kind: str
    name: str
    pid: int
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    pidfd: int = -1


class Leases:
    """All current leases; *on_end* is called once for each that ends."""

    def __init__(self, on_end: Callable[[OwnerLease], None]) -> None:
        self._on_end = on_end
        self.living: dict[str, OwnerLease] = {}
        self.total = 0

    def begin(self, kind: str, name: str, pid: int) -> OwnerLease:
        """Add an owner, and watch its process."""
        lease = OwnerLease(kind, name, pid)
        self.living[lease.id] = lease
        self.total += 1
        try:
            lease.pidfd = os.pidfd_open(pid)
        except OSError:
            return (
                lease  # another pid namespace, or it has already ended: then the end of the connection ends the lease
            )
        asyncio.get_running_loop().add_reader(lease.pidfd, self.end, lease)
        return lease

    def holder_of(self, lease_id: str) -> LeaseHolder:
        """The holder of a lease; all fields are empty if it has ended."""
        lease = self.living.get(lease_id)
        return LeaseHolder(lease.kind, lease.name, lease.pid) if lease is not None else LeaseHolder()

    def rename(self, lease_id: str, name: str) -> bool:
        """Change the display name of an owner; False if its lease has ended."""
        lease = self.living.get(lease_id)
        if lease is not None:
            lease.name = name
        return lease is not None

    def announce_end(self) -> None:
        """Notify every owner that its lease ends; they stay listed until they have ended."""
        for lease in self.living.values():
            lease.ended.set()

    def end(self, lease: OwnerLease) -> None:
        """The owner has ended; a second call does nothing."""
        if self.living.pop(lease.id, None) is None:
            return
        if lease.pidfd >= 0:
            asyncio.get_running_loop().remove_reader(lease.pidfd)
            os.close(lease.pidfd)
        lease.ended.set()
        self._on_end(lease)
