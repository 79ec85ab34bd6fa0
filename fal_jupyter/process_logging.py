"""What the processes of the package log of their own work, and where: one variable, ``FAL_JUPYTER_LOG_LEVEL``, for all of them.

=========================== =============================================
process                     destination
=========================== =============================================
gateway                     ``logs/gateway.log``; in the foreground standard error, too
template                    standard error of its gateway: ``logs/gateway.err``
runner                      the log of its app, as what the app prints
Jupyter server extension    the log of the Jupyter server
kernel, script, command line standard error
=========================== =============================================

Loggers are below ``fal_jupyter``. A gateway logs from INFO on; the other processes log only where the variable is set, since their
standard error is the user's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from fal_jupyter.settings import Settings

DEFAULT_LEVEL = logging.INFO
_PACKAGE = logging.getLogger("fal_jupyter")
_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def log_to_stderr(settings: Settings) -> None:
    """Write the package's log to standard error where a level is set. A second call changes nothing."""
    if settings.log_level and not _PACKAGE.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(_FORMAT))
        log_to(settings, [handler])


def log_to(settings: Settings, handlers: Iterable[logging.Handler]) -> None:
    """Write the package's log to another program's *handlers* where a level is set."""
    if settings.log_level:
        _PACKAGE.setLevel(settings.log_level)
        _PACKAGE.propagate = False
        for handler in handlers:
            _PACKAGE.addHandler(handler)


def log_of_process(settings: Settings, handlers: Iterable[logging.Handler]) -> None:
    """Make *handlers* those of everything that this process logs, also in libraries."""
    level = logging.getLevelName(settings.log_level) if settings.log_level else DEFAULT_LEVEL
    root = logging.getLogger()
    for handler in handlers:
        handler.setFormatter(logging.Formatter(_FORMAT))
        root.addHandler(handler)
    root.setLevel(max(level, DEFAULT_LEVEL))
    _PACKAGE.setLevel(level)
