"""The phases of a published app, and all transitions between them.

The next phase is ``APP_MOVES[phase][event]``; a pair that is not in the table raises :class:`IllegalAppTransition` and changes
nothing. Whether an app's runners are ready is not part of its phase: each runner has a state of its own.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from fal_jupyter.domain.transitions import IllegalTransition, transition_table


class AppPhase(StrEnum):
    """The phase of an app: it determines whether runners start."""

    LAUNCHING = "launching"  # a publication waits for its first runner, whatever the demand
    ACTIVE = "active"  # demand and the app's options determine the runners
    UNLOADED = "unloaded"  # the user unloaded it: no runner until the next request
    STOPPING = "stopping"  # removed; waits for its runners to end, each with its grace period
    ORPHANED = "orphaned"  # stopping, and its owner has ended: runners get a short grace period


class AppEvent(StrEnum):
    """What moves an app from one phase to another."""

    PUBLISHED = "published"
    FIRST_RUNNER_READY = "first runner ready"
    START_FAILED = "start failed"
    UNLOADED = "unloaded"
    NEEDED = "needed"  # by a request, or by a user who changed its scaling
    STOPPED = "stopped"
    OWNER_ENDED = "owner ended"


class IllegalAppTransition(IllegalTransition):
    """An event arrived in a phase that has no transition for it: an internal error."""

    sentence = "{event} cannot happen to an app that is {state}"


_TABLE: Final = {
    AppPhase.LAUNCHING: {
        AppEvent.PUBLISHED: AppPhase.LAUNCHING,
        AppEvent.FIRST_RUNNER_READY: AppPhase.ACTIVE,
        AppEvent.START_FAILED: AppPhase.ACTIVE,
        AppEvent.UNLOADED: AppPhase.UNLOADED,
        AppEvent.NEEDED: AppPhase.LAUNCHING,
        AppEvent.STOPPED: AppPhase.STOPPING,
        AppEvent.OWNER_ENDED: AppPhase.ORPHANED,
    },
    AppPhase.ACTIVE: {
        AppEvent.PUBLISHED: AppPhase.LAUNCHING,
        AppEvent.FIRST_RUNNER_READY: AppPhase.ACTIVE,
        AppEvent.START_FAILED: AppPhase.ACTIVE,
        AppEvent.UNLOADED: AppPhase.UNLOADED,
        AppEvent.NEEDED: AppPhase.ACTIVE,
        AppEvent.STOPPED: AppPhase.STOPPING,
        AppEvent.OWNER_ENDED: AppPhase.ORPHANED,
    },
    AppPhase.UNLOADED: {
        AppEvent.PUBLISHED: AppPhase.LAUNCHING,
        AppEvent.FIRST_RUNNER_READY: AppPhase.UNLOADED,  # a start that a request waited for
        AppEvent.START_FAILED: AppPhase.UNLOADED,
        AppEvent.UNLOADED: AppPhase.UNLOADED,
        AppEvent.NEEDED: AppPhase.ACTIVE,
        AppEvent.STOPPED: AppPhase.STOPPING,
        AppEvent.OWNER_ENDED: AppPhase.ORPHANED,
    },
    AppPhase.STOPPING: {AppEvent.OWNER_ENDED: AppPhase.ORPHANED},
    AppPhase.ORPHANED: {AppEvent.OWNER_ENDED: AppPhase.ORPHANED},
}
APP_MOVES: Final = transition_table(_TABLE, IllegalAppTransition)
