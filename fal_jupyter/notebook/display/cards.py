"""Collects the contents of a static card: from the handle of a running app, or from a dry run."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from types import UnionType
from typing import TYPE_CHECKING, Final, Union, get_args, get_origin, get_type_hints

from fal_jupyter import shipping
from fal_jupyter.commands.numbers import size
from fal_jupyter.domain.spec import AppSpec, Scaling
from fal_jupyter.environments.lines import masked
from fal_jupyter.fal.app import describe
from fal_jupyter.notebook.display.static_card import CaptureLine, EndpointLine, State, StaticCard

if TYPE_CHECKING:
    from fal_jupyter.client.handle import AppHandle
    from fal_jupyter.shipping.captures import Capture

MAX_NESTING: Final = 3  # depth of nested models whose fields are counted
_LONG_TEXT: Final = re.compile("prompt|text|body|query", re.IGNORECASE)  # as form/form.mjs has it
_TEXT_ROWS: Final = 1.6
_FILE_ROWS: Final = 2.4
_DESCRIPTION_ROWS: Final = 0.7
_WORDS = {"IDLE": "ready", "RUNNING": "ready", "PENDING": "starting", "SETUP": "starting"}


def of_app(handle: AppHandle, *, cell: str) -> StaticCard:
    """Return the card of a published app in its current state."""
    published = handle.published
    states = [r["state"] for r in handle.runners() if r["revision"] == handle.revision]
    shipment = handle.shipment
    revision_text = {
        "new": f"r{handle.revision}",
        "nothing": f"r{handle.revision}, nothing changed",
        "scaled": f"r{handle.revision}, scaling changed: {published['reason']}",
        "rebuild": f"r{handle.revision}, rebuilt: {published['reason']}",
    }
    return StaticCard(
        state=state_of(states),
        class_name=handle.spec.class_name,
        app=handle.app,
        endpoints=endpoints_of(handle.spec),
        place=published["machine"],
        runners=runners_of(states),
        revision=revision_text[published["verdict"]],
        setup_ms=handle.ready["setup_ms"] if handle.ready is not None else None,
        url=handle.url,
        cell=cell,
        captures=captures_of(shipment.captures) if shipment is not None else (),
        options=changes_of(handle.spec.class_name, published["overrides"], asdict(handle.spec.scaling)),
        warnings=tuple(shipment.warnings) if shipment is not None else (),
    )


def set_by_hand(overrides: Mapping[str, float], by_class: Mapping[str, float]) -> dict[str, float]:
    """Return the values of *overrides* that the class does not say itself: after *Write to cell* both say the same."""
    return {name: value for name, value in overrides.items() if value != by_class.get(name)}


def changes_of(class_name: str, overrides: Mapping[str, float], by_class: Mapping[str, float]) -> tuple[str, ...]:
    """Describe manual scaling, which as in fal stays in effect when the cell is run again."""
    changed = set_by_hand(overrides, by_class)
    if not changed:
        return ()
    revision_text = ", ".join(f"{name} {value:g}" for name, value in changed.items())
    return (f"scaled by hand: {revision_text} (back to the class: %fal scale {class_name} --reset)",)


def of_dry_run(
    cls: type,
    overrides: Mapping[str, object],
    namespace: Mapping[str, object],
    cell_of: Callable[[str], str],
    cell: str,
    env: str = "auto",
) -> StaticCard:
    """Describe what would be shipped and how it would run, without starting or contacting anything.

    Raises:
        UserError: the class cannot be served.
    """
    from fal_jupyter.client.runtime_environment import needs_its_own  # start-up
    from fal_jupyter.client.serving import folder_of  # start-up

    spec = describe(cls, overrides)
    isolated = needs_its_own(cls, spec, mode=env, base=folder_of(cls), by_value=True)
    environment = (
        f"an environment of its own: {masked(', '.join(spec.requirements)) or 'nothing required'}" if isolated else ""
    )
    shipment = shipping.pack(cls, namespace=namespace, cell_of=cell_of)
    return StaticCard(
        state="Dry run",
        class_name=spec.class_name,
        app=spec.alias,
        endpoints=endpoints_of(spec),
        place=place_of(spec),
        runners="none started",
        revision="not published",
        cell=cell,
        captures=captures_of(shipment.captures),
        options=(
            f"would ship {size(len(shipment.payload))}",
            scaling_of(spec.scaling),
            f"auth {spec.auth}",
            *([environment] if environment else []),
        ),
        warnings=tuple(shipment.warnings),
    )


def rows_of(methods: Mapping[str, Callable[..., object]], spec: AppSpec) -> int:
    """Return the rows in the form of the first endpoint, to reserve the card's height; 0 without a form.

    A row is as high as a number's: other fields count for as many as they need.
    """
    first = next((item.name for item in spec.endpoints if item.protocol == "http"), "")
    method = methods.get(first)
    if method is None:
        return 0
    try:
        hints = get_type_hints(method, include_extras=False)
        parameters = [one for one in inspect.signature(method).parameters.values() if one.name != "self"]
        return round(sum(_rows(one.name, hints.get(one.name), one.default, MAX_NESTING) for one in parameters))
    except Exception:  # unreadable annotations are reported where they matter
        return 0


def _rows(name: str, annotation: object, field: object, depth_left: int) -> float:
    """Return the rows of one value: those of a model's fields, none for values that FastAPI injects."""
    described = _DESCRIPTION_ROWS if getattr(field, "description", None) else 0
    members = [item for item in get_args(annotation) if item is not type(None)]
    if get_origin(annotation) in (Union, UnionType) and len(members) < len(get_args(annotation)):
        return 1 + described  # an optional model is collapsed
    if _is_file(annotation):
        return _FILE_ROWS + described
    fields = getattr(annotation, "model_fields", None)
    if isinstance(fields, dict) and depth_left:
        nested = depth_left < MAX_NESTING
        return sum(_rows(key, item.annotation, item, depth_left - 1) for key, item in fields.items()) + nested
    if getattr(annotation, "__module__", "").startswith(("starlette.", "fastapi.")):
        return 0
    return (_TEXT_ROWS if annotation is str and _LONG_TEXT.search(name) else 1) + described


def _is_file(annotation: object) -> bool:
    return getattr(annotation, "__module__", "").startswith(("fal_jupyter.", "fal."))


def endpoints_of(spec: AppSpec) -> tuple[EndpointLine, ...]:
    return tuple(EndpointLine(name=e.name, path=e.path, signature=e.signature) for e in spec.endpoints)


def captures_of(captures: Iterable[Capture]) -> tuple[CaptureLine, ...]:
    """Return the captures, largest first."""
    lines = [CaptureLine(name=c.name, kind=c.kind, size=c.size, cell=c.cell) for c in captures]
    return tuple(sorted(lines, key=lambda line: -line.size))


def place_of(spec: AppSpec) -> str:
    """Describe the machine that the app requests; the actual one is chosen when it is published."""
    machines = " or ".join(spec.machine_type or (("GPU",) if spec.num_gpus else ()))
    return f"{f'{spec.num_gpus} × ' if spec.num_gpus else ''}{machines}" if machines else "the whole machine"


def scaling_of(scaling: Scaling) -> str:
    """Format the options that control the number of runners, by fal's names."""
    return (
        f"min_concurrency {scaling.min_concurrency}, max_concurrency {scaling.max_concurrency}, "
        f"max_multiplexing {scaling.max_multiplexing}, keep_alive {scaling.keep_alive:g} s, warm {scaling.warm}"
    )


def state_of(states: Sequence[str]) -> State:
    """Return the state of an app whose runners have these states."""
    words = {_WORDS.get(state, "") for state in states}
    if "ready" in words:
        return "Ready"
    if "CRASH_BACKOFF" in states:
        return "Failing"
    return "Starting" if "starting" in words else "Zero"


def runners_of(states: Iterable[str]) -> str:
    """Count runners by state: ``1 ready, 1 starting``."""
    by_word = Counter(_WORDS.get(state, state.lower().replace("_", " ")) for state in states)
    return ", ".join(f"{number} {word}" for word, number in by_word.items()) or "none"
