"""Every path, header and field that two of our processes (or a caller) share: the one list.

Two planes. **Data**: ``/run/{owner}/{alias}/{path}``, by key on the loopback port, by peer uid on the Unix
socket. **Control**: ``/admin/…``, on the Unix socket only, by peer uid only; a key never opens it.
"""

from __future__ import annotations

from typing import Final, TypedDict

Number = int | float
"""A number of JSON: a whole one stays whole where it is decoded, so that nobody reads 300.0 for 300."""

PROTOCOL: Final = 2
"""Raised by every change after which a process of the former version cannot work with one of this version."""

# --- data plane -------------------------------------------------------------------------------------------------
RUN: Final = "/run/"
SPEAK: Final = "/ws/"  # HTTP over a websocket, which fal has on a host of its own
QUEUE: Final = "/queue/"
REST: Final = "/rest/"
CDN: Final = "/cdn/"
CDN_UPLOAD: Final = "cdn/upload"  # what a token for uploads names in place of an app; no alias has a slash
WEBSOCKET: Final = "WEBSOCKET"  # "method" of a REQUEST frame whose bodies, both ways, are a websocket's bytes

BODILESS: Final = frozenset({204, 304})  # statuses whose responses have no body (RFC 9110, 6.4.1)
H_REQUEST_ID: Final = "x-fal-request-id"  # on every answer to a parsed request; a caller's own value is replaced
H_ENDPOINT: Final = "x-fal-endpoint"  # gateway → runner: the path below the app (fal's RequestContext.endpoint)
H_ERROR_TYPE: Final = "x-fal-error-type"
H_START_WITHIN: Final = "x-fal-request-timeout"  # of a request: seconds in which it has to be with a runner
H_TIMEOUT_TYPE: Final = "x-fal-request-timeout-type"  # of a 504: "user" where the caller's own limit passed
H_PRIORITY: Final = "x-fal-queue-priority"  # of a submission: normal, or low
H_HINT: Final = "x-fal-runner-hint"  # of a request: prefer a runner that gave this hint
H_CHECK: Final = "x-fal-runner-health-check"  # of an answer: check the health of its runner now
H_STOP_RUNNER: Final = (
    "x-fal-stop-runner"  # of an answer: end its runner whatever the status, or keep it; for the gateway alone
)
H_NEEDS_RETRY: Final = "x-fal-needs-retry"  # of an answer: retry a queued request, or do not; for the gateway alone
H_NO_RETRY: Final = "x-fal-no-retry"  # of a submission: 1, true, yes: one attempt only
H_RETRY_CONFIG: Final = "x-fal-retry-config"  # of a submission of the owner's: retries for each condition, as JSON
H_HINTS: Final = "x-fal-runner-hints"  # of an answer: the runner's hints, comma by comma
Q_TOKEN: Final = "fal_jwt_token"  # of a query: what POST /rest/tokens/ gave
Q_FORCE: Final = "force"  # of a cancellation's query: end the request whatever the app does; an addition of ours
Q_MOST_WAITING: Final = "fal_max_queue_length"  # of a submission's query: refuse it with 429 where more wait
Q_WEBHOOK: Final = "fal_webhook"  # of a submission's query: where the result is posted
H_STATUS: Final = "x-fal-status"  # the app's own status, where its answer is handed on with 200 (A_ANSWER)
H_REVISION: Final = "x-fal-jupyter-revision"
H_RUNNER: Final = "x-fal-jupyter-runner"
H_OWNER: Final = "x-fal-jupyter-owner"  # owner's kernel, Unix socket only: "frames" asks for the framed answer
H_CELL: Final = "x-fal-jupyter-cell"  # owner's kernel, Unix socket only: number and id of the cell that calls
# Jupyter server extension → gateway, Unix socket only: prefix of the addresses in a response to a client of that server
H_BASE: Final = "x-fal-jupyter-base"
# Jupyter server extension → gateway, Unix socket only, in each head that it builds for a browser: "data", or "panel". The first head of a
# connection decides for the whole connection: "data" has no control plane and
# "panel" only the requests of panels (``protocol/panels``), whatever is parsed on it.
H_ROLE: Final = "x-fal-jupyter-role"
FRAMES_TYPE: Final = "application/vnd.fal-jupyter.frames"

# A RESPONSE frame's head is {"status", "headers", "began"}: *began* is when the runner had the whole request (monotonic seconds,
# one clock for all processes of a machine; 0 where it answered before).
#
# The framed answer (status 200, body = frames.py frames, all with stream 0):
#   OUTPUT*  RESPONSE  BODY*  END_BODY      in that order, OUTPUT also between them; ERROR before RESPONSE where user
#   code raised or a start failed. END_BODY carries EndRecord. The real status is in RESPONSE's head.

ERROR_STATUS: Final = {
    "bad_request": 400,
    "client_disconnected": 499,
    "internal_error": 500,
    "runner_server_error": 500,
    "runner_incomplete_response": 502,
    "runner_scheduling_failure": 503,
    "runner_disconnected": 503,
    "runner_connection_error": 503,
    "request_timeout": 504,
    "startup_timeout": 504,
}
"""fal's failure names and their statuses; the body is ``{"detail", "error_type", "request_id"}``."""


class Timing(TypedDict):
    """Where a request's time went, in milliseconds, as the gateway saw it.

    ``queue_ms`` waiting for a free runner, ``start_ms`` waiting for one to start, ``transfer_ms`` for the body to come and to reach
    the runner, ``run_ms`` in the runner until its first byte, ``stream_ms`` from that to its last one, ``total_ms`` from the
    request's head to the answer's last byte; the first five sum to it.
    """

    queue_ms: Number
    start_ms: Number
    transfer_ms: Number
    run_ms: Number
    stream_ms: Number
    total_ms: Number


class EndRecord(TypedDict):
    """Payload of END_BODY in a framed answer."""

    request_id: str
    status: int
    revision: int
    runner: str
    timing: Timing


class ErrorFrame(TypedDict):
    """One frame of a user's traceback; *lines* are the source lines around it, the failing one among them."""

    filename: str
    lineno: int
    function: str
    line: str


class ErrorDescription(TypedDict):
    """An exception of user code, as strings only: nothing of it is ever unpickled.

    ``type`` is the qualified name (``ValueError``, ``json.decoder.JSONDecodeError``), ``text`` the whole
    traceback as Python would print it, without our frames, with the cell's lines; causes and contexts included.
    ``phase`` is ``load``, ``setup`` or ``request``.
    """

    type: str
    message: str
    text: str
    frames: list[ErrorFrame]
    phase: str


# --- control plane ----------------------------------------------------------------------------------------------
ADMIN: Final = "/admin/"
A_HELLO: Final = "/admin/hello"  # GET → Hello
ENDING: Final = (
    "gateway_ending"  # error type of the 503 that a draining gateway answers; nothing of the request has begun
)
ENDING_SENTENCE: Final = "the gateway is ending; try again in a moment"
A_LEASE: Final = "/admin/leases/{id}"  # DELETE → {"ending": true where the gateway ends with this lease}
A_LEASES: Final = "/admin/leases"  # POST LeaseAsked → JSON lines: first LeaseGranted, then notices; open = alive
A_APPS: Final = "/admin/apps"  # GET → [AppRecord]
A_APP: Final = (
    "/admin/apps/{alias}"  # PUT Publish body → Published · DELETE[?kill=1] → {"stopped": alias} · GET → AppRecord
)
A_EVENTS: Final = "/admin/apps/{alias}/events"  # GET ?revision=N → JSON lines, Event; ends after ready or failed
A_SCALING: Final = (
    "/admin/apps/{alias}/scaling"  # GET → ScalingRecord · POST {"set": {…}} or {"reset": true} → ScalingRecord
)
A_LOGS: Final = "/admin/apps/{alias}/logs"  # GET ?lines=100&request=ID&runner=ID[&unfinished=1] → [LogRecord]
A_RUNNERS: Final = "/admin/runners"  # GET → [RunnerRecord]
A_RUNNER: Final = "/admin/runners/{id}"  # DELETE[?kill=1] → {"stopped": id}
A_DOCTOR: Final = "/admin/doctor"  # GET → DoctorRecord
A_FEED: Final = "/admin/feed"  # GET → JSON lines, feed.FeedLine, until the listener leaves
A_SNAPSHOT: Final = "/admin/snapshot"  # GET → feed.FeedLine of kind "snapshot"
A_PICTURE: Final = "/admin/apps/{alias}/picture"  # GET → feed.Picture, for a notebook that is saved
A_SCHEMA: Final = (
    "/admin/apps/{alias}/schema"  # GET → OpenAPI of the newest revision · 409 while none of its runners is ready
)
A_RESTART: Final = "/admin/apps/{alias}/restart"  # POST → {"revision": N}: new runners come up, then the old ones leave
A_START: Final = (
    "/admin/apps/{alias}/start"  # POST → {"revision": N}: an app that was stopped, as long as its owner lives
)
A_UNLOAD: Final = "/admin/apps/{alias}/unload"  # POST → {"unloaded": alias}: no runner until the next request
A_CALLS: Final = (
    "/admin/apps/{alias}/calls"  # POST ?path=/… [&method=POST], the body is the endpoint's → 202 {"request_id"}
)
A_APP_KEYS: Final = "/admin/apps/{alias}/keys"  # POST → {"key"}, shown once; it ends with the app's owner
A_REQUEST: Final = "/admin/requests/{id}"  # GET → feed.RequestDetail · DELETE → {"cancelled": id}
A_ANSWER: Final = "/admin/requests/{id}/answer"  # GET → the held answer with its own content-type and x-fal-status, followed to its end
A_PRINTED: Final = (
    "/admin/requests/{id}/printed"  # GET → OUTPUT frames of what it prints, until it ends · 409 where somebody follows
)
# GET → [feed.KeyRecord] · POST: lasting keys changed on disk, read them · DELETE /admin/keys/{id} → {"revoked": id}
A_KEYS: Final = "/admin/keys"
A_CLIENT_ENV: Final = (
    "/admin/client-env"  # POST → ClientEnv: opens the TLS port, makes a key that ends with the last owner
)
A_SHUTDOWN: Final = "/admin/shutdown"  # POST[?unused=1] → {"stopping": bool}: drain everything, then exit; unused: as soon as no owner is left


class TlsOpened(TypedDict):
    """The TLS port of 127.0.0.1, and the files with the authority to trust: alone, and with this machine's public ones."""

    port: int
    authority: str
    bundle: str


class ClientEnv(TypedDict):
    """Environment variables that point fal's Python client to this gateway."""

    tls: TlsOpened
    key: str


class Hello(TypedDict):
    """The gateway on the socket. ``port`` is 0 while no lease needs one."""

    protocol: int
    version: str
    pid: int
    start_time: int
    socket: str
    port: int
    state: str
    owner: str


class LeaseAsked(TypedDict):
    """Body of POST /admin/leases. The client makes the key; the gateway sees its id and SHA-256 only.

    ``kind`` is ``kernel``, ``serve`` or ``script``; ``name`` is how the owner is called in sentences
    (``search.ipynb``, ``app.py``); ``port`` is the loopback port wanted, 0 for any. ``pid`` is informative:
    the authority is the socket's peer.
    """

    protocol: int
    kind: str
    name: str
    pid: int
    port: int
    key_id: str
    key_hash: str


class LeaseGranted(TypedDict):
    """First line of the lease's answer. ``base`` is ``http://127.0.0.1:PORT``."""

    lease: str
    base: str
    port: int
    owner: str
    gateway_pid: int


# Publish body: u32 head length | JSON PublishHead | opaque payload (frames.encode_load's layout without frame head).
class Environment(TypedDict):
    """Where a runner of this app lives: as the kernel was when the cell ran.

    ``python`` is the interpreter, ``env`` the whole environment to have, ``preload`` the modules out of the
    template's fixed list that the app wants (``torch``, ``numpy``). ``isolated`` is the name of the app's isolated
    environment, ``""`` in the kernel's own.
    """

    python: str
    env: dict[str, str]
    cwd: str
    sys_path: list[str]
    preload: list[str]
    isolated: str


class ModuleSource(TypedDict):
    """A module of ``local_python_modules``: its file and text, and of a package the folders that its modules are in.

    A package without a module of its own (a namespace) has ``""`` for both.
    """

    path: str
    text: str
    folders: list[str] | None


class PublishHead(TypedDict):
    """``fingerprint`` maps a part's name (``class``, ``option keep_alive``, ``variable model``, ``%env X``) to its hash;
    ``kind`` is how the runner reads the payload: ``pickle`` or ``file``."""

    lease: str
    spec: dict[str, object]
    environment: Environment
    fingerprint: dict[str, str]
    kind: str
    take_over: bool
    source: dict[str, str]
    modules: dict[str, ModuleSource]


class Published(TypedDict):
    """Answer to PUT. ``verdict`` is ``new``, ``nothing``, ``scaled`` or ``rebuild``; ``reason`` names the parts that changed.

    409 with ``{"detail", "error_type": "app_taken", "holder": {"name", "pid", "kind"}}`` where another live owner holds it.
    """

    app: str
    alias: str
    revision: int
    verdict: str
    reason: str
    url: str
    serving: int
    machine: str
    overrides: dict[str, Number]


class Machine(TypedDict):
    """What a runner has of this machine. ``type`` is ``""`` where nothing was declared; ``cores`` and ``memory`` (bytes) are 0
    where they are not limited; ``turn`` spreads runners over the cores."""

    type: str
    devices: list[str]
    cores: int
    memory: int
    turn: int


class LoadHead(TypedDict):
    """JSON head of a LOAD frame: what the runner needs besides the opaque payload. *cdn*: base of the CDN's addresses.
    *authority*: file with the certificate authority of the gateway's TLS port, ``""`` where the app does not call it."""

    app: str
    alias: str
    runner_id: str
    revision: int
    kind: str
    class_name: str
    source: dict[str, str]
    modules: dict[str, ModuleSource]
    environment: Environment
    multiplex: int
    request_timeout: Number
    cdn: str
    authority: str
    machine: Machine


class Event(TypedDict, total=False):
    """One line of A_EVENTS. ``event``: ``state`` (runner, state) · ``output`` (runner, stream, text) ·
    ``ready`` (runner, setup_ms, load_ms, spawn_ms) · ``failed`` (runner, error: ErrorDescription or None, detail, retry_in) ·
    ``waiting`` (detail: who holds the device that the first runner needs) · ``gone`` (detail: the app was stopped or replaced meanwhile)."""

    event: str
    runner: str
    state: str
    stream: int
    text: str
    setup_ms: Number
    load_ms: Number
    spawn_ms: Number
    error: ErrorDescription | None
    detail: str
    retry_in: Number


class RunnerRecord(TypedDict):
    """``state``: PENDING SETUP IDLE RUNNING DRAINING TERMINATING CRASH_BACKOFF; ``pid`` 0 while there is none."""

    app: str
    runner_id: str
    pid: int
    state: str
    devices: list[str]
    served: int
    in_flight: int
    revision: int


class EndpointState(TypedDict):
    """One endpoint of a class; ``protocol`` is ``http``, ``realtime`` or ``websocket``; ``yields``: a generator."""

    name: str
    path: str
    signature: str
    doc: str
    protocol: str
    yields: bool


class AppRecord(TypedDict):
    """``reason`` is the last decision's sentence; ``environments`` are the isolated
    ones that its runners have or may get."""

    app: str
    alias: str
    class_name: str
    owner_kind: str
    owner_name: str
    owner_pid: int
    auth: str
    revision: int
    serving: int
    endpoints: list[EndpointState]
    runners: dict[str, int]
    waiting: int
    in_flight: int
    served: int
    url: str
    scaling: dict[str, Number]
    reason: str
    setup_ms: Number
    machine: str
    environments: list[str]


class DecisionRecord(TypedDict):
    """One decision of an app's scaling: what was there, and what was done by which rule."""

    seconds_ago: Number
    seen: str
    decided: str


class ScalingRecord(TypedDict):
    """``scaling`` is in force; ``by_class`` is what the class (and its cell's options) says, ``overrides`` what was changed since."""

    app: str
    scaling: dict[str, Number]
    by_class: dict[str, Number]
    overrides: dict[str, Number]
    seen: str
    decisions: list[DecisionRecord]


class LogRecord(TypedDict):
    """One line of output. ``stream``: 1 stdout, 2 stderr, 0 the gateway's own remark."""

    time: Number
    runner: str
    request: str
    stream: int
    text: str


class ProcessRecord(TypedDict):
    """``role``: gateway, template, runner, serve, kernel."""

    pid: int
    role: str
    app: str


class DoctorRecord(TypedDict):
    """The gateway, and every process that it knows."""

    gateway: Hello
    processes: list[ProcessRecord]
