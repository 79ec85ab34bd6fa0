"""What panels see: one record of everything, sent as lines of JSON, and the record of one request.

A listener of ``/admin/feed`` first gets a *snapshot*, then a *frame* whenever something changed, at most four a second.
Frames carry the whole state of what is small (apps, runners, devices) and only the news of what grows (requests, points
of the timeline, decisions). A listener that cannot keep up gets a new snapshot instead of what it missed. The server
extension adds *off* lines while no gateway runs. ``fal_jupyter/widgets/static/types.d.ts`` has the same list for the
front end, and a test compares both.

Times are wall clock in milliseconds since 1970; durations end in ``_ms``; sizes are bytes.
"""

from __future__ import annotations

from typing import Final, Literal, NotRequired, TypedDict

from fal_jupyter.protocol.api import EndpointState, ErrorDescription, LogRecord, Number

FRAMES_PER_SECOND: Final = 4
BEAT_EVERY: Final = 15.0  # seconds after which a feed without news says that it is alive
MAX_REQUESTS: Final = 200  # of each app, with their bodies as long as those are small
FRAME_REQUESTS: Final = 60  # news of requests in one frame; under load the others are counted only
MAX_POINTS: Final = 2400  # of each app's timeline
MAX_MOVES: Final = 1600  # states of one runner
MAX_LANES: Final = 40  # runners of each app, living or not
BODY_BOUND: Final = 64 * 1024  # of a request's input or output that is kept for the inspector
DISPLAYS_BOUND: Final = 4 << 20  # of the pictures that one request displayed, as they are kept for the inspector
MAX_BUFFERED_ANSWER: Final = 64 << 20  # of an answer that is held for a panel
NAMED_PHASE_MS: Final = 0.05  # a shorter part of a request's time is not shown
CANCELLED: Final = 499  # status of a request that its caller took back, as nginx and fal have it
MIME: Final = "application/vnd.fal-jupyter.card+json"
TABS: Final = (
    "try",
    "outputs",
    "requests",
    "timeline",
    "config",
    "logs",
    "snippets",
)  # of a card, as `card/card.mjs` has them

STREAMED_TYPES: Final = frozenset(
    {
        "text/event-stream",
        "application/jsonl",
        "application/x-jsonl",
        "application/x-ndjson",
        "application/ndjson",
        "application/json-lines",
    }
)

SERIES: Final = (
    "time", "waiting", "running", "PENDING", "SETUP", "IDLE", "RUNNING", "DRAINING", "TERMINATING", "CRASH_BACKOFF",
)  # fmt: skip
"""Columns of a point of the timeline: when, requests waiting and running, then runners by state."""
MAX_USAGE_SAMPLES: Final = 600  # measurements of each app: half an hour
MAX_ENDPOINTS: Final = 32  # endpoints of each app with figures of their own
USAGE: Final = ("time", "memory", "cpu", "gpu", "gpu_memory")
"""Columns of a measurement of an app's runners: when, bytes of memory (PSS), percent of one core, percent of time in which its GPUs
were busy (-1: unknown), bytes in use on its GPUs."""


class GatewayState(TypedDict):
    """The serving gateway. ``base`` is ``http://127.0.0.1:PORT`` or ``""``; ``started`` tells two gateways of one pid apart."""

    pid: int
    started: int
    version: str
    owner: str
    base: str


class OptionRule(TypedDict):
    """One scaling option: ``low`` and ``high`` bound it (``None``: no bound), ``unit`` is ``"s"`` or ``""``."""

    name: str
    low: Number
    high: Number | None
    default: Number
    unit: str


class RunnerState(TypedDict):
    """``state`` as in :class:`fal_jupyter.protocol.api.RunnerRecord`, entered at ``since``; ``memory`` is what its processes
    hold, of shared pages their part (PSS), 0 while unknown, and ``shared`` the part of it that is shared memory (tensors that processes
    share); ``setup_ms`` what its ``setup()`` took."""

    id: str
    pid: int
    state: str
    since: Number
    devices: list[str]
    served: int
    in_flight: int
    revision: int
    memory: int
    shared: NotRequired[int]
    setup_ms: Number


class Waiting(TypedDict):
    """A request that waits for a runner."""

    id: str
    path: str
    since: Number


class Stats(TypedDict):
    """``cancelled`` are calls that their caller took back (status 499), which count as no failure; ``cold`` are calls
    that waited for the start of a runner, ``cold_starts`` are the starts that a call waited for; ``rate`` is calls a second over the last ten;
    percentiles and ``max_ms`` are of the last 512 calls that succeeded, of which there are ``sample``; ``spark`` has the calls of the last 60 spans of five seconds, the latest of which began at ``spark_time``."""

    calls: int
    failed: int
    cancelled: int
    cold: int
    cold_starts: int
    rate: Number
    sample: int
    p50_ms: Number
    p95_ms: Number
    max_ms: Number
    spark: list[int]
    spark_time: Number


class EndpointStats(TypedDict):
    """One path's figures, as in :class:`Stats`; ``failed`` and ``cancelled`` as there."""

    path: str
    calls: int
    failed: int
    cancelled: int
    sample: int
    p50_ms: Number
    p95_ms: Number
    max_ms: Number
    spark: list[int]


class Failure(TypedDict):
    """The last start that failed; ``retry_at`` is 0 if nothing is tried again by itself."""

    time: Number
    revision: int
    text: str
    error: ErrorDescription | None
    retry_at: Number


class AppState(TypedDict):
    """One app. ``state`` is one word: Ready, Starting, Failing, Zero, Stopped (it can be started again). ``owner_memory`` and ``owner_shared`` are
    the memory of its kernel or program with its children (not the gateway's), as a runner's. ``revision`` was published last, ``serving`` answers
    (0: none yet), ``code_since`` is the first revision with its code, ``verdict`` and ``verdict_reason`` say what publishing it did; ``scaling`` is in force, ``by_class`` what the class says,
    ``overrides`` what was changed since; ``endpoints`` take requests, ``sockets`` sessions; ``by_endpoint`` has figures of each path that was called; ``about`` is Markdown, of a docstring; ``log`` counts the lines of the log, so that a change calls for a look;
    ``taken_from`` are the processes that had its name and ran when it was taken over."""

    app: str
    alias: str
    class_name: str
    state: str
    owner_kind: str
    owner_name: str
    owner_pid: int
    owner_memory: NotRequired[int]
    owner_shared: NotRequired[int]
    auth: str
    machine: str
    url: str
    revision: int
    serving: int
    code_since: int
    verdict: str
    verdict_reason: str
    endpoints: list[EndpointState]
    sockets: list[EndpointState]
    about: str
    scaling: dict[str, Number]
    by_class: dict[str, Number]
    overrides: dict[str, Number]
    reason: str
    setup_ms: Number
    unloaded: bool
    runners: list[RunnerState]
    queue: list[Waiting]
    waiting: int
    in_flight: int
    stats: Stats
    by_endpoint: list[EndpointStats]
    log: int
    failure: Failure | None
    taken_from: NotRequired[list[int]]


class DeviceState(TypedDict):
    """A GPU: ``used`` is memory in use by all processes, ``busy`` percent of time; both -1 where they cannot be read.
    ``holder`` is the process that has it (``""``: none), ``alias`` and ``runner`` if it is one of this gateway's."""

    id: str
    index: int
    name: str
    memory: int
    used: int
    busy: Number
    holder: str
    alias: str
    runner: str


class HostState(TypedDict):
    """The machine: memory, cores, and the share of time (percent) in which cores were busy."""

    memory: int
    used: int
    cores: int
    busy: Number


Phase = Literal["queue_ms", "start_ms", "transfer_ms", "run_ms", "stream_ms"]
"""A part of a request's time."""


class RequestState(TypedDict):
    """One request. ``state``: ``waiting``, ``running``, ``streaming`` or ``done``; ``origin``: ``cell``, ``http``, ``panel`` or ``load``;
    ``cell`` and ``cell_number`` are the id and the execution count of the calling cell, ``""`` and 0 if that is unknown.

    The five parts sum to ``total_ms``, which is what the caller waited, but for its own connection: ``queue_ms`` for a free
    runner, ``start_ms`` for one to start, ``transfer_ms`` for bytes between caller and runner, ``run_ms`` in the endpoint until its
    first byte, ``stream_ms`` from the first to the last one. ``error`` is one line, ``""`` where all is well.
    """

    id: str
    alias: str
    method: str
    path: str
    state: str
    origin: str
    cell: str
    cell_number: int
    began: Number
    status: int
    queue_ms: Number
    start_ms: Number
    transfer_ms: Number
    run_ms: Number
    stream_ms: Number
    total_ms: Number
    revision: int
    runner: str
    cold: bool
    bytes_in: int
    bytes_out: int
    content_type: str
    error: str


class Decision(TypedDict):
    """One scaling decision: ``kind`` is ``up``, ``down``, ``retry`` or ``note``; runners ``before`` and ``after``; ``seen`` is what there was,
    ``reason`` the sentence."""

    time: Number
    kind: str
    before: int
    after: int
    seen: str
    reason: str


class Lane(TypedDict):
    """One runner's life: ``moves`` are ``[time, state]``, the last one ``GONE`` when it has ended. Pauses between two calls that are
    shorter than a pixel are closed (:mod:`fal_jupyter.domain.timeline.lanes`)."""

    id: str
    devices: list[str]
    revision: int
    moves: list[tuple[Number, str]]


class Timeline(TypedDict):
    """An app's history: ``points`` as in :data:`SERIES`, ``usage`` as in :data:`USAGE`. In a frame: what is new, of lanes too.
    ``older_runners`` counts the runners without a lane in a saved picture, living ones included."""

    points: list[list[Number]]
    decisions: list[Decision]
    lanes: list[Lane]
    usage: list[list[Number]]
    older_runners: NotRequired[int]


class FeedLine(TypedDict, total=False):
    """One line of the feed.

    ``kind``: ``snapshot`` (all fields; forget what was known) · ``frame`` (the same, with news only in ``requests`` and
    ``timelines``; ``options`` left out) · ``beat`` (``time`` only) · ``off`` (``time``, ``reason``: no gateway runs).
    ``skipped`` counts requests that ended since the last frame and are not in ``requests``.
    """

    kind: str
    time: Number
    seq: int
    reason: str
    gateway: GatewayState
    options: list[OptionRule]
    apps: list[AppState]
    devices: list[DeviceState]
    host: HostState
    requests: list[RequestState]
    skipped: int
    timelines: dict[str, Timeline]


class LeftOut(TypedDict):
    """A long text that is left out of a body: the ``text`` that stands for it there, and its size in bytes."""

    text: str
    size: int


class Body(TypedDict):
    """A body as far as it is kept: ``text`` where it is text, else ``base64``; ``size`` is that of the whole.

    Where ``left_out`` is there, ``text`` is not the beginning but all of it, with something short in place of each long text.
    ``whole`` is true while all of it is available at ``…/input``.
    """

    content_type: str
    size: int
    text: str
    base64: str
    truncated: bool
    left_out: NotRequired[list[LeftOut]]
    whole: NotRequired[bool]


class Display(TypedDict):
    """A picture that an endpoint displayed (``plt.show()``): ``base64`` is ``""`` where it is not kept, ``text`` is what a plain process prints."""

    content_type: str
    base64: str
    text: str


class RequestDetail(TypedDict):
    """Answer to GET /admin/requests/{id}. ``buffered`` is true while the whole answer is available at ``…/answer``; ``query`` is as sent."""

    request: RequestState
    query: str
    input: Body | None
    output: Body | None
    error: ErrorDescription | None
    logs: list[LogRecord]
    displays: list[Display]
    buffered: bool


class KeyRecord(TypedDict):
    """A key that opens the data plane now; ``created`` in milliseconds."""

    id: str
    holder: str
    created: Number


class SavedOutput(TypedDict):
    """What one call gave to look at: ``input`` in a line of words, ``seed`` ``""`` where there was none; ``pictures`` are thumbnails with
    their own size in words, ``others`` names what has none (sounds, films, pictures that are not kept, other files with type and size)."""

    id: str
    path: str
    began: Number
    total_ms: Number
    revision: int
    input: str
    seed: str
    pictures: list[Display]
    others: list[str]


class Picture(TypedDict):
    """The last state of one app, thin enough for a saved notebook: what a card shows where nothing is live. ``logs`` are the last lines;
    the notebook adds ``outputs``, newest first, and ``last``, the newest result, cut. Calls of a load are among the ``requests`` only: ``answers`` are
    the ids of the other ones that may have given an output, newest first, and ``newest`` is the one whose result Try shows (``""``: none); a saved
    notebook has neither. It has ``output_count``, the outputs there were, unless some of the answers were not read."""

    time: Number
    app: AppState
    requests: list[RequestState]
    timeline: Timeline
    logs: list[LogRecord]
    outputs: list[SavedOutput]
    last: RequestDetail | None
    answers: NotRequired[list[str]]
    newest: NotRequired[str]
    output_count: NotRequired[int]


class Build(TypedDict):
    """An isolated environment that a cell makes before it publishes its app. ``passed`` are milliseconds since it began, ``took`` how many it took
    (0: it goes on), ``lines`` the installer's last ones, ``error`` why there is none."""

    passed: Number
    took: Number
    lines: list[str]
    error: str


class WrittenCell(TypedDict):
    """What *Write to cell* made of an app's cell since its run: the hash of its text, and the values in it by their names."""

    source: str
    values: dict[str, Number]


class CardData(TypedDict):
    """The card in a notebook's output, under :data:`MIME`. ``cell`` is its label, ``source`` the hash of the cell's text (see
    :func:`source_hash`): the chip at the cell says whether it was edited since. ``panel`` and ``tab`` choose what is shown;
    ``prints`` is the revision whose first start its cell waits for and prints, 0 if there is none; ``fields`` is how many rows the form of
    the first endpoint will have, as far as the class says; ``captures`` is what the class takes along from the notebook, one text each."""

    version: int
    panel: str
    tab: str
    front: NotRequired[str]  # set by the page that saves: the tab that was in front then
    alias: str
    app: str
    class_name: str
    revision: int
    cell: str
    source: str
    written: NotRequired[WrittenCell]  # set by the page that saves
    prints: int
    fields: int
    captures: list[str]
    build: Build | None
    gateway: GatewayState
    options: list[OptionRule]
    picture: Picture | None


def is_streamed(content_type: str) -> bool:
    """Whether a response of this type comes in pieces. The time after the first byte of any other is part of its answer, not a stream."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind in STREAMED_TYPES or kind.partition("/")[0] in ("audio", "video")


def source_hash(text: str) -> str:
    """Return the hash by which the front end detects an edited cell: FNV-1a of UTF-8 without outer white space, 32 bits."""
    value = 0x811C9DC5
    for byte in text.strip().encode("utf-8", "surrogatepass"):
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return f"{value:08x}"
