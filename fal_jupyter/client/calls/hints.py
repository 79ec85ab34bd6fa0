"""Hints for calls whose arguments do not fit: the intended name, or the form of a value."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterable, Mapping

from fal_jupyter.domain.text.json_forms import PICTURE, json_form
from fal_jupyter.domain.text.nearest import nearest

_CLOSE = 0.75  # names of one endpoint's parameters are often similar


def for_arguments(
    positional: int, names: Iterable[str], signature: inspect.Signature, error: TypeError
) -> tuple[str, str]:
    """Return the message about arguments that cannot be bound, and ``did you mean fruit?`` or ``""``.

    Args:
        given: how many arguments the call has by position. names: those that it has by name.
        error: of ``Signature.bind``, which reports a missing argument before a misspelt one.
    """
    names = list(names)
    remaining = [name for name in list(signature.parameters)[positional:] if name not in names]
    for name in names:
        if name not in signature.parameters and (near := nearest(name, remaining)):
            return f"got an unexpected keyword argument {name!r}", f"did you mean {near}?"
    return str(error), ""


def for_invalid_input(detail: object) -> str:
    """Return the hint for a 422 of FastAPI: a name that is missing, where a similar one was given, a path in place of a file, or an
    array, which is sent as a list, where something else is taken; ``""`` where there is none."""
    if not isinstance(detail, list):
        return ""
    for item in detail:
        if isinstance(item, dict) and (
            hint := _for_path(item.get("input"), str(item.get("msg", ""))) or _for_numbers(item)
        ):
            return hint
        if not isinstance(item, dict) or item.get("type") != "missing" or not isinstance(item.get("input"), Mapping):
            continue
        location = item.get("loc")
        if not isinstance(location, list | tuple) or not location or not isinstance(location[-1], str):
            continue
        near = nearest(location[-1], map(str, item["input"]), cutoff=_CLOSE)
        if near:
            return f"did you mean {location[-1]} where the input has {near}?"
    return ""


def for_value(value: object) -> str:
    """Describe how to convert *value*, which is not JSON serializable."""
    form = json_form(type(value))
    if form == PICTURE:
        return f"send {form}, and declare the endpoint's parameter as fal.toolkit.Image"
    return f"send {form}" if form else "send text, numbers, lists or dicts"


def for_field(fields: Mapping[str, object]) -> str:
    """Describe how to convert the first value among a model's *fields* that JSON cannot hold; ``""`` if none is known."""
    forms = ((name, json_form(type(value))) for name, value in fields.items())
    return next((f"give the field {name} {form}" for name, form in forms if form), "")


def is_file(model: object) -> bool:
    """True for a class like :class:`fal.toolkit.File`, which is never filled field by field."""
    return {"url", "content_type", "file_name"} <= getattr(model, "model_fields", {}).keys()


def for_array(hint: object) -> str:
    """Describe what the endpoint takes instead of an array; ``""`` if a list may be right. *hint* is the parameter's annotation."""
    if not isinstance(hint, type):
        return ""
    if issubclass(hint, str | bytes):
        return "declare the parameter as list to get its numbers; .tolist() is then called automatically"
    fields = getattr(hint, "model_fields", None)
    if fields is None or getattr(hint, "__pydantic_root_model__", False):
        return ""
    if is_file(hint):
        if "width" in fields:
            return "send fal.toolkit.Image.from_pil(PIL.Image.fromarray(array))"
        return "send fal.toolkit.File.from_bytes(data)"
    lists = [name for name, field in fields.items() if _takes_list(field.annotation)]
    name = next(iter(lists or fields), "")
    return f"give it to a field by name: {name}=….tolist()" if name else ""


def _takes_list(hint: object) -> bool:
    kind = typing.get_origin(hint) or hint
    if isinstance(kind, type) and issubclass(kind, list | tuple | set | frozenset):
        return True
    return any(map(_takes_list, typing.get_args(hint)))


_LISTS = {"int_type": "list[int]", "float_type": "list[float]", "bool_type": "list[bool]"}
_DICTS = frozenset({"dict_type", "model_type", "model_attributes_type", "dataclass_type"})


def _for_numbers(item: Mapping[str, object]) -> str:
    """Describe what to send instead of numbers: those of an array arrive as a list, so that only the error's kind says what is taken."""
    kind, given, location = item.get("type"), item.get("input"), item.get("loc")
    in_list = isinstance(location, list | tuple) and bool(location) and isinstance(location[-1], int)
    if isinstance(given, list) and given and all(isinstance(one, int | float | list) for one in given):
        if kind in _LISTS or kind == "string_type":
            if in_list:
                return "send one flat list: of an array, its .ravel().tolist()"
            one = "str(…) of it" if kind == "string_type" else "one item of it"
            return f"an array is sent as its .tolist(): send {one}, or declare the parameter as {_LISTS.get(str(kind), 'list')}"
        if kind in _DICTS:
            return "an array is sent as its .tolist(): send it under a name, {'values': ….tolist()}"
    if in_list and isinstance(given, int | float):
        if kind == "int_from_float":
            return "send whole numbers: of an array, its .round().astype(int).tolist()"
        if kind == "string_type":
            return "send text: of an array, its .astype(str).tolist()"
    return ""


_PICTURES = ("png", "jpg", "jpeg", "gif", "webp", "bmp", "avif", "tif", "tiff")


def _for_path(value: object, message: str) -> str:
    """Describe how to send a local file whose path was given as text; *message* is the error of :class:`fal.toolkit.File` for text that is not a URL."""
    if not isinstance(value, str) or "valid URL" not in message or "://" in value:
        return ""
    _, dot, ending = value.rpartition(".")
    if not (dot and ending.isalnum()) and "/" not in value and "\\" not in value:
        return ""
    kind = "Image" if ending.lower() in _PICTURES else "File"
    return f"a file of this machine is sent as {kind}.from_path({value!r}), after: from fal.toolkit import {kind}"


def for_absent_app(detail: object) -> str:
    """How to get an app back that the gateway does not serve; it remembers stopped apps."""
    stopped = re.match(r"the app \S+/([^/\s]+) is stopped;", str(detail))
    return f"%fal start {stopped[1]}, or Start on its card" if stopped else "run the cell that defines it again"
