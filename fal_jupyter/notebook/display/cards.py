"""Gathers the facts of a card: from the handle of a running app, or from a dry run."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, Union, get_args, get_origin, get_type_hints

from fal_jupyter import shipping
from fal_jupyter.commands.numbers import size
from fal_jupyter.domain.spec import AppSpec, Scaling
from fal_jupyter.environments.lines import masked
from fal_jupyter.fal.app import describe
from fal_jupyter.notebook.display.static_card import CaptureLine, EndpointLine, State, StaticCard

if TYPE_CHECKING:
    from fal_jupyter.client.handle import AppHandle

MOST_NESTED: Final = 3  # models within models whose fields are counted
_WORDS = {"IDLE": "ready", "RUNNING": "ready", "PENDING": "starting", "SETUP": "starting"}


def of_app(handle: AppHandle, *, cell: str) -> StaticCard:
    """The card of a published app as it stands now."""
    published = handle.published
    states = [r["state"] for r in handle.runners() if r["revision"] == handle.revision]
    shipment = handle.shipment
    told = {
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
        revision=told[published["verdict"]],
        setup_ms=handle.ready["setup_ms"] if handle.ready is not None else None,
        url=handle.url,
        cell=cell,
        captures=captures_of(shipment.captures) if shipment is not None else (),
        options=_changes(handle.spec.class_name, published["overrides"]),
        warnings=tuple(shipment.warnings) if shipment is not None else (),
    )


def _changes(class_name: str, overrides: Mapping[str, float]) -> tuple[str, ...]:
    """Scaling that was changed by hand still holds after the cell ran again, as in fal: so it is said."""
    if not overrides:
        return ()
    told = ", ".join(f"{name} {value:g}" for name, value in overrides.items())
    return (f"scaled by hand: {told} (back to the class: %fal scale {class_name} --reset)",)


def of_dry_run(
    cls: type,
    overrides: Mapping[str, object],
    namespace: Mapping[str, Any],
    cell_of: Callable[[str], str],
    cell: str,
    env: str = "auto",
) -> StaticCard:
    """What would be shipped, and how it would be run. Nothing is started, nobody is asked.

    Raises:
        UserError: the class could not be served.
    """
    from fal_jupyter.client.runtime_environment import needs_its_own  # start-up
    from fal_jupyter.client.serving import folder_of  # start-up

    spec = describe(cls, overrides)
    isolated = needs_its_own(cls, spec, mode=env, base=folder_of(cls), by_value=True)
    where = (
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
            *([where] if where else []),
        ),
        warnings=tuple(shipment.warnings),
    )


def rows_of(methods: Mapping[str, Callable[..., Any]], spec: AppSpec) -> int:
    """How many rows the form of the first endpoint will have, for the room that its card keeps; 0 where there is none."""
    first = next((one.name for one in spec.endpoints if one.protocol == "http"), "")
    method = methods.get(first)
    if method is None:
        return 0
    try:
        hints = get_type_hints(method, include_extras=False)
        names = [name for name in inspect.signature(method).parameters if name != "self"]
        return sum(_rows(hints.get(name), MOST_NESTED) for name in names)
    except Exception:  # an annotation that cannot be read is refused or said where it counts
        return 0


def _rows(kind: Any, deeper: int) -> int:
    """The rows of one value: a model's fields, a row for everything else, none for what FastAPI fills in."""
    kinds = [one for one in get_args(kind) if one is not type(None)]
    if get_origin(kind) in (Union, UnionType) and len(kinds) < len(get_args(kind)):
        return 1  # an optional model is folded
    fields = getattr(kind, "model_fields", None)
    if isinstance(fields, dict) and deeper and not _is_file(kind):
        return sum(_rows(field.annotation, deeper - 1) for field in fields.values()) + (deeper < MOST_NESTED)
    return 0 if getattr(kind, "__module__", "").startswith(("starlette.", "fastapi.")) else 1


def _is_file(kind: Any) -> bool:
    return getattr(kind, "__module__", "").startswith(("fal_jupyter.", "fal."))


def endpoints_of(spec: AppSpec) -> tuple[EndpointLine, ...]:
    return tuple(EndpointLine(name=e.name, path=e.path, signature=e.signature) for e in spec.endpoints)


def captures_of(captures: Iterable[Any]) -> tuple[CaptureLine, ...]:
    """The captures, largest first."""
    lines = [CaptureLine(name=c.name, kind=c.kind, size=c.size, cell=c.cell) for c in captures]
    return tuple(sorted(lines, key=lambda line: -line.size))


def place_of(spec: AppSpec) -> str:
    """Which machine the app asks for; what it gets is chosen when it is published."""
    wanted = " or ".join(spec.machine_type or (("GPU",) if spec.num_gpus else ()))
    return f"{f'{spec.num_gpus} × ' if spec.num_gpus else ''}{wanted}" if wanted else "the whole machine"


def scaling_of(scaling: Scaling) -> str:
    """The options that decide how many runners there are, in fal's words."""
    return (
        f"min_concurrency {scaling.min_concurrency}, max_concurrency {scaling.max_concurrency}, "
        f"max_multiplexing {scaling.max_multiplexing}, keep_alive {scaling.keep_alive:g} s, warm {scaling.warm}"
    )


def state_of(states: Sequence[str]) -> State:
    """How an app with runners in these states stands."""
    words = {_WORDS.get(state, "") for state in states}
    if "ready" in words:
        return "Ready"
    if "CRASH_BACKOFF" in states:
        return "Failing"
    return "Starting" if "starting" in words else "Zero"


def runners_of(states: Iterable[str]) -> str:
    """Count runners in the card's words: ``1 ready, 1 starting``."""
    counted = Counter(_WORDS.get(state, state.lower().replace("_", " ")) for state in states)
    return ", ".join(f"{number} {word}" for word, number in counted.items()) or "none"
