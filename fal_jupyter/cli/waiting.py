"""Waits that no signal slips past."""

from __future__ import annotations

import select
import signal
import socket


def wait_readable(descriptor: int, timeout: float | None = None) -> bool:
    """Wait until *descriptor* can be read; False after *timeout* seconds.

    A blocking call misses a signal that comes after the interpreter's last look and before the system call, as one does that is
    sent on the first line of output. Here a signal is also a byte that the system call waits for.

    Raises:
        BaseException: what the handler of a signal raises.
    """
    woken, wake = socket.socketpair()
    with woken, wake:
        wake.setblocking(False)
        former = signal.set_wakeup_fd(wake.fileno())
        try:
            poller = select.poll()  # select(2) fails on descriptors from 1024 on
            poller.register(descriptor, select.POLLIN | select.POLLRDHUP)
            poller.register(woken, select.POLLIN)
            while ready := dict(poller.poll(None if timeout is None else 1000 * timeout)):
                if descriptor in ready:
                    return True
                woken.recv(1)  # a signal without effect: the handlers of others raise here
            return False
        finally:
            signal.set_wakeup_fd(former)
