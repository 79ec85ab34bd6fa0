"""Events, in the past tense, and commands, in the imperative: all that passes between the world and the fleet.

The engine stamps each event with the monotonic clock (integer nanoseconds) and hands it to
:meth:`fal_jupyter.domain.fleet.fleet.Fleet.handle`; what comes back are commands, to be carried out in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fal_jupyter.domain.cancellation import How
from fal_jupyter.domain.resources.machines import Allotment
from fal_jupyter.domain.runners.health import HealthRules
from fal_jupyter.domain.spec import AppSpec, Scaling


@dataclass(frozen=True, slots=True)
class AppPublished:
    """A class was published. *revision* is 1 for the first source, one higher for each changed one.

    The engine has already compared the fingerprints (:mod:`fal_jupyter.domain.revisions`): this event is only
    sent for a new app or a new revision, and for one without runners whose user wants one. *lease* is the owner whose end ends the app, *owner* what people call it.
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
    """Another lease took the app over (``--take-over``, or its own kernel came back); runners are untouched."""

    alias: str
    lease: str
    owner: str = ""


@dataclass(frozen=True, slots=True)
class AppStopped:
    """The user stopped the app: it is forgotten, its runners end (with *kill*: at once, without teardown)."""

    alias: str
    kill: bool = False


@dataclass(frozen=True, slots=True)
class AppUnloaded:
    """The user wants the app's memory back: its runners end, and none starts until the next request."""

    alias: str


@dataclass(frozen=True, slots=True)
class LeaseEnded:
    """An owner is gone; its apps go with it."""

    lease: str


@dataclass(frozen=True, slots=True)
class RequestArrived:
    """A request with a valid key is here, and small bodies are complete. *request_id* is unique for ever.

    *long_lived*: it is a websocket, which ends when its two ends want it to, and not by request_timeout. *queued*: nobody waits on a
    connection, so it may wait as long as it must, beside as many as there are. *low*: it comes after all that are not.
    *start_within*: the seconds that its caller gives it to be with a runner, 0: as the app says. *hint*: a runner that has said this
    of itself is the better one.
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
    """The caller hung up before the answer was complete.

    *insist*: he wants the request's end, not only to be rid of it; *force*: at once (the owner interrupted his cell).
    """

    request_id: str
    insist: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class RequestFinished:
    """The last byte of the answer came from the runner. *replace* asks for a new runner (fal: a 503 ends it)."""

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
    """The process is gone. *reason* is one sentence: ``"killed by SIGKILL"``, ``"exited with status 3"``.

    *lost*: it went with its template, which is no failure of the app's.
    """

    runner_id: str
    reason: str
    lost: bool = False


@dataclass(frozen=True, slots=True)
class StartRefused:
    """The machine could not start the runner (fork failed): no failure of the app's (fal: 20 s, no escalation).

    *taken* are devices that another gateway holds: the start is tried again elsewhere, or later.
    """

    runner_id: str
    reason: str
    taken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceFreed:
    """Another gateway gave a device back."""

    device: str


@dataclass(frozen=True, slots=True)
class RunnerStopAsked:
    """The user asked for one runner's end (``%fal kill RUNNER``)."""

    runner_id: str
    kill: bool = False


@dataclass(frozen=True, slots=True)
class RunnerAnswered:
    """The runner's event loop has answered a ping."""

    runner_id: str


@dataclass(frozen=True, slots=True)
class RunnerHinted:
    """The runner has said what it is good for (``provide_hints()``), and it is another thing than before."""

    runner_id: str
    hints: frozenset[str]


@dataclass(frozen=True, slots=True)
class RunnerCheckAsked:
    """The app wants this runner's health checked now (``x-fal-runner-health-check`` in an answer)."""

    runner_id: str


@dataclass(frozen=True, slots=True)
class RunnerChecked:
    """A health check has been answered, or not in time. *told* is one sentence of how."""

    runner_id: str
    healthy: bool
    told: str = ""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The engine's timer reached the fleet's ``wake_at``."""


AppEvent = AppScaled | AppAdopted | AppStopped | AppUnloaded
"""What happens to a published app as a whole."""
RequestEvent = RequestArrived | RequestAborted | RequestFinished
"""What happens to a request."""
RunnerEvent = (
    RunnerSpawned
    | RunnerReady
    | RunnerFailed
    | RunnerExited
    | StartRefused
    | RunnerStopAsked
    | RunnerAnswered
    | RunnerHinted
    | RunnerCheckAsked
    | RunnerChecked
)
"""What happens to a runner."""
FleetEvent = AppPublished | AppEvent | LeaseEnded | RequestEvent | RunnerEvent | DeviceFreed | TimerFired


@dataclass(frozen=True, slots=True)
class StartRunner:
    """Fork a runner for this revision, pinned to its *devices*."""

    runner_id: str
    alias: str
    revision: int
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DispatchRequest:
    """Send the request's bytes to the runner."""

    request_id: str
    runner_id: str


@dataclass(frozen=True, slots=True)
class FailRequest:
    """Answer the caller with a failure made by us. *retry_after* is in seconds, 0 for none; *by_caller*: it is the caller's own
    time limit that passed."""

    request_id: str
    status: int
    error_type: str
    detail: str
    retry_after: int = 0
    by_caller: bool = False


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Tell the runner of a request's end, see :data:`fal_jupyter.domain.cancellation.How`."""

    request_id: str
    runner_id: str
    how: How = "tell"


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """Answer the caller with a failure while the request is still with its runner, which is to end it."""

    request_id: str
    status: int
    error_type: str
    detail: str


@dataclass(frozen=True, slots=True)
class PingRunner:
    """Ask the runner's event loop for a sign of life (:class:`RunnerAnswered`)."""

    runner_id: str


@dataclass(frozen=True, slots=True)
class CheckRunner:
    """Ask the runner's health check (:class:`RunnerChecked`)."""

    runner_id: str
    rules: HealthRules


@dataclass(frozen=True, slots=True)
class RemarkRunner:
    """Write into the app's log what was decided of a runner."""

    runner_id: str
    text: str


@dataclass(frozen=True, slots=True)
class StopRunner:
    """End the runner as fal does: handle_exit, in-flight work, teardown, exit. The fleet kills it when grace is over."""

    runner_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class KillRunner:
    """End the runner's whole process tree now. With *stacks*: SIGABRT first, so that the owner's log shows where it hung."""

    runner_id: str
    reason: str
    stacks: bool = False


@dataclass(frozen=True, slots=True)
class AnnounceRevision:
    """From now on *revision* answers the app's requests."""

    alias: str
    revision: int


@dataclass(frozen=True, slots=True)
class AnnounceFailure:
    """A start of this revision failed: tell whoever waits for the app. *retry_in* in seconds."""

    alias: str
    revision: int
    runner_id: str
    error: str
    retry_in: float


@dataclass(frozen=True, slots=True)
class AnnounceWaiting:
    """The first runner of this revision waits for a device: tell whoever waits for the app who holds it."""

    alias: str
    revision: int
    reason: str


@dataclass(frozen=True, slots=True)
class ForgetApp:
    """The app is over: its last runner is gone and nothing waits for it."""

    alias: str


FleetCommand = (
    StartRunner
    | DispatchRequest
    | FailRequest
    | AnswerRequest
    | CancelRequest
    | PingRunner
    | CheckRunner
    | RemarkRunner
    | StopRunner
    | KillRunner
    | AnnounceRevision
    | AnnounceFailure
    | AnnounceWaiting
    | ForgetApp
)
