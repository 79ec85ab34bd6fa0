"""Findings: what would be different, where, and what to type instead; their order, and their formats for programs and people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

Severity = Literal["fails", "differs", "note"]
SEVERITIES: dict[Severity, str] = {"fails": "fails in the cloud", "differs": "differs", "note": "note"}

CODES: dict[str, str] = {
    "cannot-serve": "the class breaks a rule of fal.App, here and there",
    "cannot-deploy": "what fal refuses when the class is deployed",
    "app-file-missing": "a name in app_files that nothing is there by",
    "requirement-missing": "a folder or file that requirements name and that is not there",
    "captured-name": "a name of another cell that the class uses",
    "captured-heavy": "a value of a megabyte or more that travels with the class",
    "not-picklable": "a value that cannot travel with the class",
    "computed-once": "a global of a file that depends on the machine or the moment, and is pickled when deploying",
    "global-state": "a global that the class changes: each runner has its own",
    "local-module": "a module of this machine that does not go along",
    "module-missing": "a name in local_python_modules that nothing can be imported by",
    "local-import": "an import inside a function, of a module that goes along by value only",
    "import-missing": "a package that the class imports and no requirement brings",
    "requirement-unmet": "a requirement that this environment does not meet: runners get one of their own",
    "requirement-unpinned": "a requirement without a version",
    "python-version": "another Python than the one that runs here",
    "absolute-path": "a path of this machine",
    "data-path": "a path below /data as text: this machine's own /data here",
    "home-path": "the home directory of whoever runs it",
    "missing-file": "a file of this folder that is not in app_files",
    "own-file": "__file__, which is where the file was when it was deployed",
    "local-address": "an address of this machine or its network",
    "environment-missing": "a variable that is set here and not in the cloud",
    "environment-set": "a variable that the notebook set for its runners",
    "secret-missing": "a secret of the class that is not set here",
    "notebook-only": "something that only a notebook has",
    "own-package": "fal_jupyter, which is not in the cloud",
    "relative-import": "an import that needs a package around the file",
    "plain-parameters": "plain parameters, which fal reads from the query only",
    "picture-returned": "a PIL picture as an answer, which fal does not take",
    "async-handle-exit": "an async handle_exit, which fal never awaits",
    "self-logger": "self.logger, which fal.App does not have",
    "machine-default": "no machine type: all of this machine here, S in the cloud",
    "machine-local": "a machine type that only we have",
    "run-option": "an option of this run only, which the class does not say",
    "stream-order": "answers that may overtake each other in the cloud",
    "warm-runner": "a runner that is kept warm here only",
    "many-threads": "more requests at once than fal gives threads to sync endpoints",
    "auth-default": "no app_auth: private here, the deploy command's in the cloud",
    "open-cors": "any web page may call a public app in the cloud",
    "no-local-effect": "options that only fal's platform acts on",
    "ugly-name": "a derived name that reads badly",
}
"""Every code that a finding may have, with its meaning."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that would be different.

    Attributes:
        code: a word of :data:`CODES`; stable across versions.
        severity: ``fails`` (it does not deploy, or raises there), ``differs``, or ``note``.
        where: ``hello.py:12`` or ``cell [3], line 5``; ``""`` if it is about the class as a whole.
        message: one sentence. instead: what to type, or ``""``.
        place: file and line, for sorting.
    """

    code: str
    severity: Severity
    where: str
    message: str
    instead: str = ""
    place: tuple[str, int] = ("", 0)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Return each finding once: the worst first, then by place. Of equal findings at several places the first one is kept."""
    ranks = {severity: rank for rank, severity in enumerate(SEVERITIES)}
    ranked = sorted(findings, key=lambda f: (ranks[f.severity], f.place, f.code, f.message))
    once: dict[tuple[str, str], Finding] = {}
    for finding in ranked:
        once.setdefault((finding.code, finding.message), finding)
    return list(once.values())


def as_data(name: str, findings: Sequence[Finding]) -> dict[str, object]:
    """Return one app's findings as plain JSON."""
    rows = [asdict(finding) for finding in findings]
    for row in rows:
        del row["place"]
    return {"app": name, "findings": rows}


def as_text(name: str, findings: Sequence[Finding]) -> str:
    """Format one app's findings as text."""
    if not findings:
        return f"{name}: nothing that would be different in the cloud was found."
    counts = {severity: sum(f.severity == severity for f in findings) for severity in SEVERITIES}
    parts = [
        f"{number} {word if severity != 'note' else 'notes' if number != 1 else 'note'}"
        for (severity, number), word in zip(counts.items(), ("would fail", "would differ", ""), strict=True)
        if number
    ]
    lines = [f"{name} in the cloud: {', '.join(parts)}"]
    for finding in findings:
        head = "  ".join(filter(None, (SEVERITIES[finding.severity], finding.code, finding.where)))
        lines += ["", f"  {head}", *_wrapped(finding.message, "    ", "    ")]
        if finding.instead:
            lines += _wrapped(finding.instead, "    → ", "      ")
    return "\n".join(lines)


def _wrapped(text: str, first: str, then: str) -> list[str]:
    return textwrap.wrap(
        text, 100, initial_indent=first, subsequent_indent=then, break_long_words=False, break_on_hyphens=False
    )
