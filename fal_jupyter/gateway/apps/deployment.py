"""A published app's data outside the fleet: payloads, fingerprints, history, log."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from fal_jupyter.domain.resources.machines import Allotment
from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.domain.text.json_forms import whole_text
from fal_jupyter.gateway.changes import Changes
from fal_jupyter.gateway.storage.logs import Log
from fal_jupyter.gateway.storage.redaction import redactor
from fal_jupyter.protocol.api import Environment, ErrorDescription, Event, ModuleSource
from fal_jupyter.protocol.feed import Failure
from fal_jupyter.secret_store import SecretStore, SecretStoreDamaged, fault_of_value

MAX_EVENTS = 2000


@dataclass
class Revision:
    """One published source. *failed* once a start of it failed and none has succeeded since; *schema* is its OpenAPI document
    once it was requested."""

    number: int
    spec: AppSpec
    kind: str
    source: dict[str, str]
    modules: dict[str, ModuleSource]
    environment: Environment
    fingerprint: dict[str, str]
    payload: bytes
    allotment: Allotment
    failed: bool = False
    setup_ms: float = 0.0
    schema: bytes = b""
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))
    event_count: int = 0  # of all events, including discarded ones
    over: bool = False
    code_since: int = 0  # the first revision with this code, 0 for this one: restarts only add a number
    errors: dict[str, ErrorDescription] = field(default_factory=dict)

    @property
    def machine_description(self) -> str:
        """Description of where its runners run: the machine, and the isolated environment if there is one."""
        isolated = self.environment["isolated"]
        return f"{self.allotment.description} (environment {isolated})" if isolated else self.allotment.description


@dataclass
class Deployment:
    """An app's current revisions: the target and the serving one.

    *overrides* are what ``%fal scale`` changed; they outlive a new revision, as in fal. *ended* is set when its last runner
    has ended. *failed* is the last failed start, while none has succeeded since; *verdict* and *verdict_reason* are the effect of the
    last publication, and its reason. *taken_from* are the processes, still running then, that it was taken from (``--take-over``).
    """

    alias: str
    lease: str
    log: Log
    revisions: dict[int, Revision] = field(default_factory=dict)
    last: int = 0
    overrides: dict[str, float] = field(default_factory=dict)
    last_error: ErrorDescription | None = None
    failed: Failure | None = None
    verdict: str = ""
    verdict_reason: str = ""
    taken_from: list[int] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _changes: Changes = field(default_factory=Changes)
    _secrets: set[tuple[str, str]] = field(default_factory=set)

    @property
    def newest(self) -> Revision:
        """The revision published last."""
        return self.revisions[self.last]

    def with_secrets(self, revision: Revision, secret_store: SecretStore) -> Environment:
        """Return the environment of a new runner, with the current secrets, which are redacted in the log from now on.

        Secrets of earlier runners stay redacted: those may still be printing.
        """
        names = revision.spec.secrets
        try:
            secrets = {k: v for k, v in secret_store.secrets().items() if names is None or k in names}
        except (OSError, SecretStoreDamaged) as error:
            self.log.remark("", f"no secrets: {error}")
            secrets = {}
        for name in [name for name, value in secrets.items() if fault_of_value(name + value)]:
            fault = fault_of_value(name + secrets.pop(name))
            self.log.remark("", f"the secret {whole_text(name)} {fault}: the runner starts without it; set it again")
        self._secrets |= set(secrets.items())
        self.log.redact = redactor(revision.environment["env"], self._secrets)
        return {**revision.environment, "env": {**revision.environment["env"], **secrets}}

    def add_event(self, number: int, event: Event) -> None:
        """Add to a revision's history and wake its followers."""
        revision = self.revisions.get(number)
        if revision is None:
            return
        revision.events.append(event)
        revision.event_count += 1
        if event["event"] in ("ready", "failed", "gone"):
            revision.over = True
        self._changes.notify()

    def next_change(self) -> asyncio.Event:
        """Set at the next event; get it before reading the history, so that none is missed."""
        return self._changes.next()

    def environments(self) -> set[str]:
        """The isolated environments that its new runners may get."""
        return {r.environment["isolated"] for r in self.revisions.values() if r.environment["isolated"]}

    def forget_before(self, revision: int) -> None:
        """Drop the payloads of revisions older than the serving one."""
        for number in [n for n in self.revisions if n < revision]:
            del self.revisions[number]
