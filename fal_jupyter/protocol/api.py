"""All paths, headers and fields shared by two of our processes (or a caller).

Two planes. **Data**: ``/run/{owner}/{alias}/{path}``, authorized by key on the loopback port, by peer uid on the Unix
socket. **Control**: ``/admin/…``, on the Unix socket only, authorized by peer uid only, never by a key.
"""

from __future__ import annotations

from typing import Final, NotRequired, TypedDict

Number = int | float
"""A JSON number: integers stay integers when decoded, so that 300 is not displayed as 300.0."""

PROTOCOL: Final = 4
"""Incremented by every incompatible change."""

# --- data plane -------------------------------------------------------------------------------------------------
RUN: Final = "/run/"
SPEAK: Final = "/ws/"  # HTTP over a WebSocket, which fal has on a separate host
QUEUE: Final = "/queue/"
REST: Final = "/rest/"
CDN: Final = "/cdn/"
CDN_UPLOAD: Final = "cdn/upload"  # the "app" in a token for uploads; no alias has a slash
WEBSOCKET: Final = "WEBSOCKET"  # "method" of a REQUEST frame whose bodies, both ways, are a websocket's bytes

BODILESS: Final = frozenset({204, 304})  # statuses whose responses have no body (RFC 9110, 6.4.1)
H_REQUEST_ID: Final = "x-fal-request-id"  # on every answer to a parsed request; a caller's own value is replaced
H_ENDPOINT: Final = "x-fal-endpoint"  # gateway → runner: the path below the app (fal's RequestContext.endpoint)
H_ERROR_TYPE: Final = "x-fal-error-type"
H_START_WITHIN: Final = "x-fal-request-timeout"  # of a request: limit in seconds for its dispatch to a runner
H_TIMEOUT_TYPE: Final = "x-fal-request-timeout-type"  # of a 504: "user" if the caller's own limit expired
H_PRIORITY: Final = "x-fal-queue-priority"  # of a submission: normal, or low
H_HINT: Final = "x-fal-runner-hint"  # of a request: prefer a runner with this hint
H_CHECK: Final = "x-fal-runner-health-check"  # of an answer: check the health of its runner now
H_STOP_RUNNER: Final = (
    "x-fal-stop-runner"  # of an answer: end its runner regardless of the status, or keep it; for the gateway only
)
H_NEEDS_RETRY: Final = "x-fal-needs-retry"  # of an answer: retry a queued request, or do not; for the gateway only
H_NO_RETRY: Final = "x-fal-no-retry"  # of a submission: 1, true, yes: one attempt only
H_RETRY_CONFIG: Final = "x-fal-retry-config"  # of a submission by the owner: retries per condition, as JSON
H_HINTS: Final = "x-fal-runner-hints"  # of an answer: the runner's hints, separated by commas
Q_TOKEN: Final = "fal_jwt_token"  # of a query: a token of POST /rest/tokens/
Q_FORCE: Final = "force"  # of a cancellation's query: end the request in any case; our extension
Q_MOST_WAITING: Final = "fal_max_queue_length"  # of a submission's query: refuse it with 429 if more are waiting
Q_WEBHOOK: Final = "fal_webhook"  # of a submission's query: where the result is posted
H_STATUS: Final = "x-fal-status"  # the app's own status, if its answer is forwarded with 200 (A_ANSWER)
H_REVISION: Final = "x-fal-jupyter-revision"
H_RUNNER: Final = "x-fal-jupyter-runner"
H_OWNER: Final = "x-fal-jupyter-owner"  # owner's kernel, Unix socket only: "frames" requests the framed answer
H_CELL: Final = "x-fal-jupyter-cell"  # owner's kernel, Unix socket only: number and id of the calling cell
# Jupyter server extension → gateway, Unix socket only: prefix of the addresses in a response to a client of that server
H_BASE: Final = "x-fal-jupyter-base"
# Jupyter server extension → gateway, Unix socket only, in each head that it builds for a browser: "data", or "panel". The first head of a
# connection decides for the whole connection: "data" has no control plane and
# "panel" only the requests of panels (``protocol/panels``), whatever is parsed on it.
H_ROLE: Final = "x-fal-jupyter-role"
FRAMES_TYPE: Final = "application/vnd.fal-jupyter.frames"

# A RESPONSE frame's head is {"status", "headers", "began"}: *began* is when the runner had the whole request (monotonic seconds,
# the same clock in all processes of a machine; 0 if it answered before).
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
    """The timings of a request in milliseconds, measured by the gateway.

    ``queue_ms`` waiting for a free runner, ``start_ms`` waiting for one to start, ``transfer_ms`` for receiving the body and sending it to
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
    """One frame of a user's traceback; *lines* are the source lines around it, including the failing one."""

    filename: str
    lineno: int
    function: str
    line: str


class ErrorDescription(TypedDict):
    """An exception of user code, as strings only: it is never unpickled.

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
A_LEASE: Final = (
    "/admin/leases/{id}"  # PATCH OwnerName → OwnerName · DELETE → {"ending": true if the gateway ends with this lease}
)
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
A_RESTART: Final = "/admin/apps/{alias}/restart"  # POST → {"revision": N}: new runners start, then the old ones stop
A_START: Final = "/admin/apps/{alias}/start"  # POST → {"revision": N}: a stopped app whose owner is running
A_UNLOAD: Final = "/admin/apps/{alias}/unload"  # POST → {"unloaded": alias}: no runner until the next request
A_CALLS: Final = (
    "/admin/apps/{alias}/calls"  # POST ?path=/… [&method=POST], the body is the endpoint's → 202 {"request_id"}
)
A_APP_KEYS: Final = "/admin/apps/{alias}/keys"  # POST → {"key"}, shown once; it ends with the app's owner
A_REQUEST: Final = "/admin/requests/{id}"  # GET → feed.RequestDetail · DELETE → {"cancelled": id}
A_ANSWER: Final = "/admin/requests/{id}/answer"  # GET → the buffered answer with its own content-type and x-fal-status, streamed to its end
A_INPUT: Final = (
    "/admin/requests/{id}/input"  # GET → the whole body that it was made with, as bytes · 404 once that was dropped
)
A_PRINTED: Final = "/admin/requests/{id}/printed"  # GET → OUTPUT frames of what it prints, until it ends · 409 if there is already a follower
# GET → [feed.KeyRecord] · POST: reload the persistent keys · DELETE /admin/keys/{id} → {"revoked": id}
A_KEYS: Final = "/admin/keys"
A_CLIENT_ENV: Final = (
    "/admin/client-env"  # POST → ClientEnv: opens the TLS port, creates a key that ends with the last owner
)
A_SHUTDOWN: Final = "/admin/shutdown"  # POST[?unused=1] → {"stopping": bool}: drain everything, then exit; unused: when the last owner has ended


class TlsOpened(TypedDict):
    """The TLS port of 127.0.0.1, and the files with the authority to trust: separately, and with this machine's public ones."""

    port: int
    authority: str
    bundle: str


class ClientEnv(TypedDict):
    """Environment variables that connect fal's Python client to this gateway."""

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
    """Body of POST /admin/leases. The client creates the key; the gateway gets only its id and SHA-256.

    ``kind`` is ``kernel``, ``serve`` or ``script``; ``name`` is the owner's name in messages
    (``search.ipynb``, ``app.py``); ``port`` is the requested loopback port, 0 for any. ``pid`` is informative:
    the authority is the socket's peer.
    """

    protocol: int
    kind: str
    name: str
    pid: int
    port: int
    key_id: str
    key_hash: str


class OwnerName(TypedDict):
    """Body of PATCH /admin/leases/{id}: the notebook that has the lease is called this now."""

    name: str


class LeaseGranted(TypedDict):
    """First line of the lease's answer. ``base`` is ``http://127.0.0.1:PORT``."""

    lease: str
    base: str
    port: int
    owner: str
    gateway_pid: int


# Publish body: u32 head length | JSON PublishHead | opaque payload (frames.encode_load's layout without frame head).
class Environment(TypedDict):
    """The environment of this app's runners: that of the kernel when the cell ran.

    ``python`` is the interpreter, ``env`` the complete environment, ``preload`` the modules of the
    template's fixed list that the app uses (``torch``, ``numpy``). ``isolated`` is the name of the app's isolated
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

    ``taken_from`` names the running owner that it was taken from, "" for none.

    409 with ``{"detail", "error_type": "app_taken", "holder": {"name", "pid", "kind"}}`` if another running owner holds it.
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
    taken_from: NotRequired[str]


class Machine(TypedDict):
    """A runner's share of the machine. ``type`` is ``""`` if none was declared; ``cores`` and ``memory`` (bytes) are 0
    if unlimited; ``turn`` spreads runners over the cores."""

    type: str
    devices: list[str]
    cores: int
    memory: int
    turn: int


class LoadHead(TypedDict):
    """JSON head of a LOAD frame: what the runner needs besides the opaque payload. *cdn*: base of the CDN's addresses.
    *authority*: file with the certificate authority of the gateway's TLS port, ``""`` if the app does not call it."""

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
    """``reason`` explains the last decision; ``environments`` are the isolated
    ones of its runners, current and future."""

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
    """One decision of an app's scaling: the state before, and what was done by which rule."""

    seconds_ago: Number
    seen: str
    decided: str


class ScalingRecord(TypedDict):
    """``scaling`` is in force; ``by_class`` has the values of the class (and its cell's options), ``overrides`` later changes."""

    app: str
    scaling: dict[str, Number]
    by_class: dict[str, Number]
    overrides: dict[str, Number]
    seen: str
    decisions: list[DecisionRecord]


class LogRecord(TypedDict):
    """One line of output. ``stream``: 1 stdout, 2 stderr, 0 the gateway's own message."""

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
    """The gateway and all its processes."""

    gateway: Hello
    processes: list[ProcessRecord]
