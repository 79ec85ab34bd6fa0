"""Measures the data written to a socket that its peer has not yet received."""

from __future__ import annotations

import fcntl
import struct
import termios


def unsent(fd: int) -> int:
    """Return the bytes in the kernel's send queue of a socket; 0 if unknown.

    Source: tcp(7) and unix(7), SIOCOUTQ, which is TIOCOUTQ. The kernel calls a socket writable again only when a third of its
    buffer, up to some megabytes, is free.
    """
    try:
        size: int = struct.unpack("i", fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)))[0]
    except OSError:
        return 0
    return size
