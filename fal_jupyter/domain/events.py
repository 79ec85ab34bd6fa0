"""Events, in the past tense, and commands, in the imperative: the interface between the engine and the fleet.

The engine passes each event with the monotonic time (integer nanoseconds) to
:meth:`fal_jupyter.domain.fleet.fleet.Fleet.handle`, which returns commands, to be carried out in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

from fal_jupyter.domain.cancellation import How
from fal_jupyter.domain.resources.machines import Allotment
from fal_jupyter.domain.runners.health import HealthRules
from fal_jupyter.domain.spec import AppSpec, Scaling

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def made_for_each_request(cls: type[T]) -> type[T]:
    """Make a dataclass that is immutable for the type checker only.

    The other events and commands are frozen at run time too, which makes creating an instance four times as slow.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)


@dataclass(frozen=True, slots=True)
class AppPublished:
    """A class was published. *revision* starts at 1 and increases by one with each changed source.

    The engine has already compared the fingerprints (:mod:`fal_jupyter.domain.revisions`): this event is only
    sent for a new app or a new revision, and for an app without runners when the user wants one. *lease* is the lease that keeps the app, *owner* its owner's display name.
    """

    alias: str
    spec: AppSpec
    revision: int
    lease: str
    allotment: Allotment = field(default_factory=Allotment)
    owner: str = ""


@dataclass(frozen=True, slots=True)
class AppScaled:
    """The scaling of an app changed without a new revision (same source, other options)."""

    alias: str
    scaling: Scaling


@dataclass(frozen=True, slots=True)
class AppAdopted:
    """The app has another lease or owner's name; runners are unaffected.

    A lease took it over (``--take-over``), its own kernel reconnected, or the owner was renamed.
    """

    alias: str
    lease: str
    owner: str = ""


@dataclass(frozen=True, slots=True)
class AppStopped:
    """The user stopped the app: its alias is free, its runners end (with *kill*: immediately, without teardown)."""

    alias: str
    kill: bool = False


@dataclass(frozen=True, slots=True)
class AppUnloaded:
    """The user unloaded the app: its runners end, and none starts until the next request."""

    alias: str


@dataclass(frozen=True, slots=True)
class LeaseEnded:
    """An owner's lease ended; its apps end too."""

    lease: str


@made_for_each_request
class RequestArrived:
    """A request with a valid key arrived; a small body is already complete.

    Attributes:
        request_id: unique.
        long_lived: a WebSocket, which is closed by either end; request_timeout does not apply.
        queued: submitted through the queue: no caller waits on a connection, and it may wait without a limit.
        low: it is dispatched after all requests of normal priority.
        start_within: the caller's limit in seconds for its dispatch to a runner; 0: the app's own limit.
        hint: a runner with this hint is preferred.
    """

    alias: str
    request_id: str
    long_lived: bool = False
    queued: bool = False
    low: bool = False
    start_within: float = 0
    hint: str = ""


@dataclass(frozen=True, slots=True)
class RequestAborted:
    """The caller disconnected before the answer was complete.

    *insist*: cancellation requested, not just a disconnect; *force*: immediately (the owner interrupted the cell).
    """

    request_id: str
    insist: bool = False
    force: bool = False


@made_for_each_request
class RequestFinished:
    """The runner sent the last byte of the response. *replace*: the runner must be replaced (fal: a 503 ends it)."""

    request_id: str
    replace: bool = False


@dataclass(frozen=True, slots=True)
class RunnerSpawned:
    """The runner's process exists and its guard is up (PENDING → SETUP)."""

    runner_id: str


@dataclass(frozen=True, slots=True)
class RunnerReady:
    """``setup()`` returned and the endpoints are built (SETUP → IDLE)."""

    runner_id: str


@dataclass(frozen=True, slots=True)
class RunnerFailed:
    """``setup()`` (or loading the class) raised; the process will exit. *error* is one sentence: ``"ValueError: x"``."""

    runner_id: str
    error: str


@dataclass(frozen=True, slots=True)
class RunnerExited:
    """The process has ended. *reason* is one sentence: ``"killed by SIGKILL"``, ``"exited with status 3"``.

    *lost*: it ended with its template, which does not count as a failure of the app.
    """

    runner_id: str
    reason: str
    lost: bool = False


@dataclass(frozen=True, slots=True)
class StartRefused:
    """The machine could not start the runner (fork failed), which does not count as a failure of the app (fal: 20 s, no escalation).

    *taken* are devices that another gateway has locked: the start is retried on others, or later.
    """

    runner_id: str
    reason: str
    taken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceReleased:
    """Another gateway released a device."""

    device: str


@dataclass(frozen=True, slots=True)
class RunnerStopRequested:
    """The user stops one runner (``%fal kill RUNNER``)."""

    runner_id: str
    kill: bool = False


@dataclass(frozen=True, slots=True)
class RunnerPingAnswered:
    """The runner's event loop answered a ping."""

    runner_id: str


@dataclass(frozen=True, slots=True)
class RunnerHintsChanged:
    """The runner's routing hints changed (``provide_hints()``)."""

    runner_id: str
    hints: frozenset[str]


@dataclass(frozen=True, slots=True)
class HealthCheckRequested:
    """The app requested a health check of this runner (``x-fal-runner-health-check`` in a response)."""

    runner_id: str


@dataclass(frozen=True, slots=True)
class HealthCheckCompleted:
    """A health check was answered, or timed out. *detail* is a short description."""

    runner_id: str
    healthy: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The engine's timer reached the fleet's ``wake_at``."""


AppEvent = AppScaled | AppAdopted | AppStopped | AppUnloaded
"""Events of a published app."""
RequestEvent = RequestArrived | RequestAborted | RequestFinished
"""Events of a request."""
RunnerEvent = (
    RunnerSpawned
    | RunnerReady
    | RunnerFailed
    | RunnerExited
    | StartRefused
    | RunnerStopRequested
    | RunnerPingAnswered
    | RunnerHintsChanged
    | HealthCheckRequested
    | HealthCheckCompleted
)
"""Events of a runner."""
FleetEvent = AppPublished | AppEvent | LeaseEnded | RequestEvent | RunnerEvent | DeviceReleased | TimerFired


@dataclass(frozen=True, slots=True)
class StartRunner:
    """Fork a runner for this revision, pinned to its *devices*."""

    runner_id: str
    alias: str
    revision: int
    devices: tuple[str, ...] = ()


@made_for_each_request
class DispatchRequest:
    """Send the request's bytes to the runner."""

    request_id: str
    runner_id: str


@dataclass(frozen=True, slots=True)
class FailRequest:
    """Answer the caller with a failure of the gateway. *retry_after* is in seconds, 0 for none; *by_caller*: the caller's own
    time limit expired."""

    request_id: str
    status: int
    error_type: str
    detail: str
    retry_after: int = 0
    by_caller: bool = False


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Cancel a request that is with its runner, see :data:`fal_jupyter.domain.cancellation.How`."""

    request_id: str
    runner_id: str
    how: How = "tell"


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """Answer the caller with a failure while the request is still with its runner; it is cancelled there separately."""

    request_id: str
    status: int
    error_type: str
    detail: str


@dataclass(frozen=True, slots=True)
class PingRunner:
    """Ping the runner's event loop (:class:`RunnerPingAnswered`)."""

    runner_id: str


@dataclass(frozen=True, slots=True)
class CheckRunnerHealth:
    """Check the runner's health (:class:`HealthCheckCompleted`)."""

    runner_id: str
    rules: HealthRules


@dataclass(frozen=True, slots=True)
class LogRunnerRemark:
    """Write a decision about a runner into the app's log."""

    runner_id: str
    text: str


@dataclass(frozen=True, slots=True)
class StopRunner:
    """End the runner as fal does: handle_exit, in-flight work, teardown, exit. The fleet kills it after its grace period."""

    runner_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class KillRunner:
    """End the runner's whole process tree now. With *stacks*: SIGABRT first, so that the owner's log shows where it was blocked."""

    runner_id: str
    reason: str
    stacks: bool = False


@dataclass(frozen=True, slots=True)
class AnnounceRevision:
    """Send the app's requests to *revision* from now on."""

    alias: str
    revision: int


@dataclass(frozen=True, slots=True)
class AnnounceFailure:
    """Notify publishers waiting for this revision that a start failed. *retry_in* is in seconds, -1: no retry."""

    alias: str
    revision: int
    runner_id: str
    error: str
    retry_in: float


@dataclass(frozen=True, slots=True)
class AnnounceWaiting:
    """Notify publishers that the first runner of this revision waits for a device; *reason* names its holder."""

    alias: str
    revision: int
    reason: str


@dataclass(frozen=True, slots=True)
class ForgetApp:
    """The app has ended with its last runner."""

    alias: str


FleetCommand = (
    StartRunner
    | DispatchRequest
    | FailRequest
    | AnswerRequest
    | CancelRequest
    | PingRunner
    | CheckRunnerHealth
    | LogRunnerRemark
    | StopRunner
    | KillRunner
    | AnnounceRevision
    | AnnounceFailure
    | AnnounceWaiting
    | ForgetApp
)
