"""The only reader of the environment: where the state lives, who the owner is, how large a body may be.

Every other module receives these values as arguments, so a test (or a second state directory on one
machine) never has to patch a global.
"""

from __future__ import annotations

import getpass
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args

from fal_jupyter.domain.environments.literal_data import MOUNT_DATA, MountData
from fal_jupyter.domain.errors import BadSetting
from fal_jupyter.domain.text.json_forms import whole_text
from fal_jupyter.domain.text.nearest import hint_for

STATE_VARIABLE = "FAL_JUPYTER_STATE"
OWNER_VARIABLE = "FAL_JUPYTER_OWNER"
MAX_BODY_VARIABLE = "FAL_JUPYTER_MAX_BODY"
MAX_FILE_VARIABLE = "FAL_JUPYTER_MAX_FILE"
READ_TIMEOUT_VARIABLE = "FAL_JUPYTER_READ_TIMEOUT"
SEND_TIMEOUT_VARIABLE = "FAL_JUPYTER_SEND_TIMEOUT"
CDN_BYTES_VARIABLE = "FAL_JUPYTER_CDN_BYTES"
FILE_LIFETIME_VARIABLE = "FAL_JUPYTER_FILE_LIFETIME"
QUEUE_BYTES_VARIABLE = "FAL_JUPYTER_QUEUE_BYTES"
QUEUE_LENGTH_VARIABLE = "FAL_JUPYTER_QUEUE_LENGTH"
IDLE_TIMEOUT_VARIABLE = "FAL_JUPYTER_IDLE_TIMEOUT"
FAKE_GPUS_VARIABLE = "FAL_JUPYTER_FAKE_GPUS"
ALLOW_PRIVATE_VARIABLE = "FAL_JUPYTER_ALLOW_PRIVATE_URLS"
CDN_VARIABLE = "FAL_JUPYTER_CDN"
LOOP_VARIABLE = "FAL_JUPYTER_LOOP"
MOUNT_DATA_VARIABLE = "FAL_JUPYTER_MOUNT_DATA"
LOG_LEVEL_VARIABLE = "FAL_JUPYTER_LOG_LEVEL"
RECORD_VARIABLE = "FAL_JUPYTER_RECORD"
DEFAULT_MAX_BODY = 256 * 1024 * 1024
DEFAULT_MAX_FILE = 16 * 1024 * 1024 * 1024
DEFAULT_CDN_BYTES = 64 * 1024 * 1024 * 1024
DEFAULT_FILE_LIFETIME = 30 * 24 * 3600.0
NEVER = "never"
DEFAULT_QUEUE_BYTES = 512 * 1024 * 1024
DEFAULT_QUEUE_LENGTH = 10_000
DEFAULT_READ_TIMEOUT = 30.0
DEFAULT_SEND_TIMEOUT = 60.0
DEFAULT_IDLE_TIMEOUT = 300.0
Loop = Literal["auto", "asyncio", "uvloop"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
LOOPS: tuple[Loop, ...] = get_args(Loop)
LOG_LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)
Word = TypeVar("Word", bound=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of one user and one state directory.

    Attributes:
        state: absolute path of the state directory (socket, store, locks, logs); mode 0700.
        owner: first half of ``owner/alias``; matches ``[a-z0-9-]+``.
        max_body: largest request body that is accepted, in bytes.
        max_file: largest file that may be uploaded to the local CDN, in bytes.
        cdn_bytes: total size limit of the local CDN's files, in bytes.
        file_lifetime: default lifetime of a file of the local CDN in seconds; None: unlimited.
        queue_bytes: memory limit of the queue in bytes: for all open requests, and as much again for answers and logs.
        queue_length: maximum number of open requests in the queue.
        read_timeout: seconds to complete a request's head, and between two pieces of its body.
        send_timeout: seconds in which a caller must read some of its answer.
        idle_timeout: seconds that a connection may be open without a request.
        runtime: directories for files shared by all gateways of the user (device locks), best first; the last one is world-writable.
        fake_gpus: simulated GPUs for tests (``2x24GiB:H100``), or ``""``.
        cdn: base URL of the local CDN, set for runners; ``""`` elsewhere.
        loop: the event loop of a runner; ``auto`` is uvloop unless the app uses ``nest_asyncio``.
        mount_data: runners see the persistent folder at ``/data``; ``auto``: if their code names that path.
        log_level: minimum level of log messages (:mod:`fal_jupyter.process_logging`); None: not set.
        record: directory into which the gateway writes its fleet's events and its runners' frames, for debugging; None: disabled.
        allow_private: callers' URLs (inputs, webhooks) may lead to private networks and this machine.
    """

    state: Path
    owner: str
    max_body: int
    max_file: int = DEFAULT_MAX_FILE
    cdn_bytes: int = DEFAULT_CDN_BYTES
    file_lifetime: float | None = DEFAULT_FILE_LIFETIME
    queue_bytes: int = DEFAULT_QUEUE_BYTES
    queue_length: int = DEFAULT_QUEUE_LENGTH
    read_timeout: float = DEFAULT_READ_TIMEOUT
    send_timeout: float = DEFAULT_SEND_TIMEOUT
    idle_timeout: float = DEFAULT_IDLE_TIMEOUT
    runtime: tuple[Path, ...] = (Path("/nonexistent"),)
    fake_gpus: str = ""
    allow_private: bool = False
    cdn: str = ""
    loop: Loop = "auto"
    mount_data: MountData = "auto"
    log_level: LogLevel | None = None
    record: Path | None = None

    @property
    def socket(self) -> Path:
        """The gateway's Unix socket."""
        return self.state / "gateway.sock"

    @property
    def life_lock(self) -> Path:
        """Locked by the running gateway; only its holder may unlink a stale socket."""
        return self.state / "gateway.lock"

    @property
    def start_lock(self) -> Path:
        """Locked by a process that is starting a gateway."""
        return self.state / "start.lock"

    @property
    def store(self) -> Path:
        """The gateway's SQLite file."""
        return self.state / "store.sqlite"

    @property
    def files(self) -> Path:
        """The files of the local CDN."""
        return self.state / "files"

    @property
    def data(self) -> Path:
        """The counterpart of the cloud's ``/data``: a folder that outlives apps and gateways."""
        return self.state / "data"

    @property
    def environments(self) -> Path:
        """The isolated environments of apps."""
        return self.state / "envs"

    @property
    def webhook_key(self) -> Path:
        """The key that signs webhook deliveries; mode 0600."""
        return self.state / "webhook.key"

    @property
    def logs(self) -> Path:
        """Directory of gateway.log; the apps' logs are in a subdirectory."""
        return self.state / "logs"

    @property
    def app_logs(self) -> Path:
        """Directory of one log per app."""
        return self.logs / "apps"

    def environment(self) -> dict[str, str]:
        """The variables passed to every process that we start, so that all use the same settings."""
        carried = {
            STATE_VARIABLE: str(self.state),
            OWNER_VARIABLE: self.owner,
            MAX_BODY_VARIABLE: str(self.max_body),
            MAX_FILE_VARIABLE: str(self.max_file),
            CDN_BYTES_VARIABLE: str(self.cdn_bytes),
            FILE_LIFETIME_VARIABLE: NEVER if self.file_lifetime is None else f"{self.file_lifetime:.17g}",
            QUEUE_BYTES_VARIABLE: str(self.queue_bytes),
            QUEUE_LENGTH_VARIABLE: str(self.queue_length),
            READ_TIMEOUT_VARIABLE: f"{self.read_timeout:g}",
            SEND_TIMEOUT_VARIABLE: f"{self.send_timeout:g}",
            IDLE_TIMEOUT_VARIABLE: f"{self.idle_timeout:g}",
        }
        if self.allow_private:
            carried[ALLOW_PRIVATE_VARIABLE] = "1"
        if self.record is not None:
            carried[RECORD_VARIABLE] = str(self.record)
        if self.cdn:
            carried[CDN_VARIABLE] = self.cdn
        if self.log_level:
            carried[LOG_LEVEL_VARIABLE] = self.log_level
        return carried | ({FAKE_GPUS_VARIABLE: self.fake_gpus} if self.fake_gpus else {})


def read(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from *environment* (default: this process's own).

    Raises:
        BadSetting: a variable has a value that cannot be used; the message names it and what to type.
    """
    env = os.environ if environment is None else environment
    state = env.get(STATE_VARIABLE) or _default_state()
    return Settings(
        state=_state(state),
        owner=_owner(env.get(OWNER_VARIABLE)),
        max_body=_whole(env, MAX_BODY_VARIABLE, DEFAULT_MAX_BODY),
        max_file=_whole(env, MAX_FILE_VARIABLE, DEFAULT_MAX_FILE),
        cdn_bytes=_whole(env, CDN_BYTES_VARIABLE, DEFAULT_CDN_BYTES),
        file_lifetime=_lifetime(env),
        queue_bytes=_whole(env, QUEUE_BYTES_VARIABLE, DEFAULT_QUEUE_BYTES),
        queue_length=_whole(env, QUEUE_LENGTH_VARIABLE, DEFAULT_QUEUE_LENGTH, "requests"),
        read_timeout=_seconds(env, READ_TIMEOUT_VARIABLE, DEFAULT_READ_TIMEOUT),
        send_timeout=_seconds(env, SEND_TIMEOUT_VARIABLE, DEFAULT_SEND_TIMEOUT),
        idle_timeout=_seconds(env, IDLE_TIMEOUT_VARIABLE, DEFAULT_IDLE_TIMEOUT),
        runtime=_runtime(env),
        fake_gpus=env.get(FAKE_GPUS_VARIABLE, ""),
        cdn=env.get(CDN_VARIABLE, ""),
        loop=_one_of(env, LOOP_VARIABLE, LOOPS),
        mount_data=mount_data(env),
        log_level=_log_level(env),
        record=Path(env[RECORD_VARIABLE]).expanduser().absolute() if env.get(RECORD_VARIABLE) else None,
        allow_private=env.get(ALLOW_PRIVATE_VARIABLE, "").lower() not in ("", "0", "false"),
    )


def _runtime(env: Mapping[str, str]) -> tuple[Path, ...]:
    private = [env.get("XDG_RUNTIME_DIR", ""), f"/run/user/{os.getuid()}"]  # a cron job has the second, too
    folders = [path for path in dict.fromkeys(private) if path.startswith("/")]
    if os.access("/tmp", os.W_OK):  # not TMPDIR, which may differ between gateways
        return (*map(Path, folders), Path("/tmp"))
    import tempfile  # start-up

    return (*map(Path, folders), Path(tempfile.gettempdir()))


def _default_state() -> str:
    import platformdirs  # 30 ms, not needed if FAL_JUPYTER_STATE is set; start-up

    try:
        return platformdirs.user_state_dir("fal_jupyter", appauthor=False)
    except RuntimeError:
        raise BadSetting(
            f"there is no home directory: HOME is unset, and user {os.getuid()} has no entry in the user database",
            hint=f"set HOME, or {STATE_VARIABLE}, to a folder of your own",
        ) from None


def working_directory() -> Path:
    """Return the working directory.

    Raises:
        BadSetting: it was removed.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        hint = "change to one that exists: cd ~ in a shell, os.chdir(…) in a notebook"
        raise BadSetting("the working directory of this process was removed", hint=hint) from None


def utf8_path(path: str, what: str, hint: str = "rename the folder whose name is not UTF-8") -> str:
    """Return *path*, which the gateway receives as JSON.

    Raises:
        BadSetting: it is not UTF-8 text.
    """
    if (text := whole_text(path)) != path:
        raise BadSetting(f"the path of {what} is not UTF-8 text: {text}", hint=hint)
    return path


def _state(value: str) -> Path:
    try:
        path = Path(value).expanduser().absolute()
    except RuntimeError:
        raise BadSetting(
            f"{STATE_VARIABLE} is {value!r}, but there is no user of that name",
            hint=f"write {STATE_VARIABLE} as a path",
        ) from None
    return Path(
        utf8_path(str(path), "the state directory", f"set {STATE_VARIABLE} to a folder whose path is UTF-8 text")
    )


def _owner(value: str | None) -> str:
    if value:
        if not re.fullmatch(r"[a-z0-9-]+", value):
            raise BadSetting(
                f"{OWNER_VARIABLE} is {value!r}, but an owner has only a-z, 0-9 and '-'",
                hint=f"set {OWNER_VARIABLE}={_slug(value) or 'local'}",
            )
        return value
    try:
        login = getpass.getuser()
    except (KeyError, OSError):  # a container's uid without a passwd entry
        return "local"
    return _slug(login) or "local"


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")


def mount_data(env: Mapping[str, str]) -> MountData:
    """Read the one setting that each app may override.

    Raises:
        BadSetting: it is not one of the three.
    """
    return _one_of(env, MOUNT_DATA_VARIABLE, MOUNT_DATA)


def _log_level(env: Mapping[str, str]) -> LogLevel | None:
    value = env.get(LOG_LEVEL_VARIABLE)
    if not value:
        return None
    in_any_case = {LOG_LEVEL_VARIABLE: value.upper() if value.upper() in LOG_LEVELS else value}
    return _one_of(in_any_case, LOG_LEVEL_VARIABLE, LOG_LEVELS)


def _one_of(env: Mapping[str, str], variable: str, allowed: tuple[Word, ...]) -> Word:
    """Return one of *allowed*; the first if nothing is set."""
    value = env.get(variable) or allowed[0]
    for word in allowed:
        if value == word:
            return word
    hint = hint_for(value, allowed, f"set {variable}={allowed[1]}, or leave it unset")
    raise BadSetting(f"{variable} is {value!r}, but it is one of {', '.join(allowed)}", hint=hint)


def _whole(env: Mapping[str, str], variable: str, otherwise: int, what: str = "bytes") -> int:
    value = env.get(variable)
    if not value:
        return otherwise
    if not value.isascii() or not value.isdigit() or len(value) > 18 or int(value) < 1:
        raise BadSetting(
            f"{variable} is {value!r}, but it is a number of {what}, 1 or more",
            hint=f"set {variable}={otherwise} or leave it unset",
        )
    return int(value)


def _lifetime(env: Mapping[str, str]) -> float | None:
    value = env.get(FILE_LIFETIME_VARIABLE, "").strip().lower()
    if value == NEVER:
        return None
    try:
        return _seconds(env, FILE_LIFETIME_VARIABLE, DEFAULT_FILE_LIFETIME)
    except BadSetting as error:
        raise BadSetting(error.message, hint=f"{error.hint}; {NEVER} keeps files until they are removed") from None


def _seconds(env: Mapping[str, str], variable: str, otherwise: float) -> float:
    value = env.get(variable)
    if not value:
        return otherwise
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise BadSetting(
            f"{variable} is {value!r}, but it is a number of seconds above 0",
            hint=f"set {variable}={otherwise:.17g} or leave it unset",
        )
    return seconds
