"""The arguments of an endpoint with FastAPI's ``Form``, ``File`` and ``UploadFile`` as the form that it takes."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from fal_jupyter.client.calls.multipart import FormPart, Multipart, contents_of, type_of
from fal_jupyter.client.calls.plain_values import first, is_array, is_model, taken_name, text_of
from fal_jupyter.client.calls.type_aliases import unaliased
from fal_jupyter.client.json_object import JsonObject
from fal_jupyter.domain.errors import BadArguments
from fal_jupyter.fal.classes.signatures import FACTORY

if TYPE_CHECKING:
    from pydantic import BaseModel

URLENCODED = "application/x-www-form-urlencoded"
_FILE_FORMS = "bytes, a pathlib.Path, a file opened with 'rb', or (name, bytes, content type)"
NO_DEFAULT = object()


@dataclasses.dataclass(frozen=True, slots=True)
class FormField:
    """How one field of a form is filled. *many*: it may be repeated; *as_json*: the endpoint reads JSON text."""

    key: str
    is_file: bool
    is_text: bool
    many: bool
    as_json: bool
    default: object

    @classmethod
    def of(cls, key: str, hint: object, info: object, default: object) -> FormField:
        """Read an annotation. *info* is FastAPI's or pydantic's field."""
        parts = list(_parts(hint))
        is_file = any(map(is_upload_class, parts)) or (bytes in parts and type(info).__name__ == "File")
        as_json = any(_is_json(mark) for mark in getattr(info, "metadata", ()) or ())
        return cls(key, is_file, not is_file or str in parts, not as_json and _is_many(hint), as_json, default)

    @classmethod
    def of_schema(cls, key: str, schema: JsonObject, *, needed: bool) -> FormField:
        """Read a field of an OpenAPI document."""
        choices = [schema, *schema.objects("anyOf")]
        many = any(part.text("type") == "array" for part in choices)
        leaves = [part.at("items") if part.text("type") == "array" else part for part in choices]
        leaves += [part for leaf in leaves for part in leaf.objects("anyOf")]
        is_file = any(map(_is_file_schema, leaves))
        is_text = not is_file or any(part.text("type") == "string" and not _is_file_schema(part) for part in leaves)
        as_json = any("contentMediaType" in part.fields and not _is_file_schema(part) for part in choices)
        default = NO_DEFAULT if needed else schema.fields.get("default")
        return cls(key, is_file, is_text, many and not as_json, as_json, default)

    @classmethod
    def unknown(cls, key: str, value: object) -> FormField:
        """A field without a description: its kind follows from the given value."""
        is_file = not isinstance(value, str | int | float | dict | list) and value is not None
        return cls(key, is_file, not is_file, isinstance(value, list), False, None)


def _is_file_schema(schema: JsonObject) -> bool:
    return schema.text("format") == "binary" or schema.text("contentMediaType") == "application/octet-stream"


def fields_of_model(kind: type[BaseModel]) -> dict[str, FormField]:
    """Return the fields of a model that is sent as separate form fields."""
    form_fields = {}
    for name, field in kind.model_fields.items():
        key = taken_name(kind, name)
        default = NO_DEFAULT if field.is_required() else field.get_default(call_default_factory=False)
        form_fields[name] = FormField.of(key if isinstance(key, str) else name, field.annotation, field, default)
    return form_fields


def values_of_model(kind: type[BaseModel], value: object, where: str) -> dict[str, object]:
    """Return the given values of a form model by form field name; *value* is an instance or a dict of fields.

    Raises:
        BadArguments: it is neither.
    """
    if isinstance(value, dict):
        return value
    if not is_model(value):
        raise BadArguments(f"{where} is sent as separate form fields, so it must be a {kind.__name__} or a dict")
    values: dict[str, object] = {_key(type(value), name): getattr(value, name) for name in type(value).model_fields}
    return values | (getattr(value, "model_extra", None) or {})


def parts_of_model(kind: type[BaseModel], value: object, where: str) -> Iterator[FormPart]:
    """Yield the parts of a form model: each field that was given, and extra fields where the model allows them.

    Raises:
        BadArguments: as :func:`parts_of`, or *value* is not such a model.
    """
    fields = {field.key: field for field in fields_of_model(kind).values()}
    for key, item in values_of_model(kind, value, where).items():
        field = fields.get(key) or FormField.unknown(key, item)
        yield from parts_of(field, item, f"{where}[{key!r}]")


def _key(kind: type[BaseModel], name: str) -> str:
    key = taken_name(kind, name)
    return key if isinstance(key, str) else name


def parts_of(field: FormField, value: object, where: str) -> Iterator[FormPart]:
    """Yield the parts of one field: none if the endpoint's default applies, several for a list.

    Raises:
        BadArguments: a file is required and it is not one, or a form cannot hold it.
    """
    if value is None:
        if field.default is not None:
            hint = "" if field.default is NO_DEFAULT else "leave it out"
            raise BadArguments(f"{where} is sent in a form, which cannot hold None", hint=hint)
        return
    if field.is_file:
        yield from _files(field, value, where)
        return
    plain_value = value if field.as_json and isinstance(value, str) else first(value, where)
    if field.as_json and not isinstance(value, str):
        texts = [_json(plain_value, where)]
    elif isinstance(plain_value, list) and field.many:
        if not plain_value:
            _check_empty(field, where, "list")
        texts = [_text(item, f"{where}[{at}]") for at, item in enumerate(plain_value)]
    else:
        texts = [_text(plain_value, where)]
    for text in texts:
        if not text:
            _check_empty(field, where, "text")
        yield FormPart.text(field.key, text, where)


def encoded(parts: Iterable[FormPart]) -> tuple[bytes | Multipart, str]:
    """Return the body of a form and its content type: multipart if it has a file, URL-encoded otherwise.

    Raises:
        BadArguments: a name has characters that a header cannot hold.
    """
    parts = list(parts)
    if any(part.filename is not None for part in parts):
        body = Multipart(parts)
        return body, body.content_type
    return urlencode([(part.name, bytes(part.contents.data)) for part in parts]).encode(), URLENCODED


def _check_empty(field: FormField, where: str, what: str) -> None:
    """Refuse an empty text or list: FastAPI treats it as a field that was not given.

    Raises:
        BadArguments: the endpoint would receive another value.
    """
    is_empty = isinstance(field.default, str | list | tuple | set | frozenset) and not field.default
    if is_empty or field.default is FACTORY or (field.many and what == "text"):
        return
    if field.default is NO_DEFAULT:
        raise BadArguments(f"{where} is empty, which in a form is the same as not given, and the endpoint needs it")
    if field.default is not None:
        raise BadArguments(
            f"{where} is an empty {what}, which in a form is the same as not given: the endpoint would get its default, {field.default!r:.60}",
            hint="leave it out, or declare the parameter outside the form",
        )


def _text(value: object, where: str) -> str:
    if value is None:
        raise BadArguments(f"{where} is sent in a form, which cannot hold None")
    return _json(value, where) if isinstance(value, dict | list) else text_of(value)


def _json(value: object, where: str) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise BadArguments(f"{where} cannot be written as JSON: {error}") from None


# --- files ------------------------------------------------------------------------------------------------------------
def _files(field: FormField, value: object, where: str) -> Iterator[FormPart]:
    if field.many and not _is_one(value):
        items = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
        if not items:
            _check_empty(field, where, "list")
        for at, item in enumerate(items):
            yield _file(field, item, f"{where}[{at}]")
    else:
        yield _file(field, value, where)


def _is_one(value: object) -> bool:
    """True for one file, which may be iterable: an open file, or a tuple with its name."""
    if isinstance(value, tuple):
        return bool(value) and isinstance(value[0], str)
    return isinstance(value, bytes | bytearray | memoryview) or callable(getattr(value, "read", None))


def _file(field: FormField, value: object, where: str) -> FormPart:
    name, kind = None, None
    if isinstance(value, tuple) and len(value) in (2, 3) and isinstance(value[0], str):
        name, inner, kind = (*value, None)[:3]
        if kind is not None and not isinstance(kind, str):
            raise BadArguments(f"{where}[2] is a content type, such as 'image/png', not {kind!r:.60}")
        if isinstance(inner, str):
            hint = f"the second item is what the file has: {inner[:40]!r}.encode(), or pathlib.Path({inner[:40]!r})"
            raise BadArguments(f"{where} is a tuple with text for the file's bytes", hint=hint)
    elif hasattr(value, "file") and hasattr(value, "filename"):  # an UploadFile, or the like
        name, inner, kind = value.filename, value.file, getattr(value, "content_type", None)
    else:
        inner = value
    opened = contents_of(inner, where)
    if opened is None:
        if field.is_text and isinstance(value, str):
            return FormPart.text(field.key, value, where)
        raise _no_file(field, value, where)
    contents, own = opened
    name = name or own or "file"
    return FormPart(field.key, contents, where, name, kind or type_of(name))


def _no_file(field: FormField, value: object, where: str) -> BadArguments:
    if isinstance(value, str):
        text = value if len(value) <= 200 else f"{value[:40]}…"
        hint = f"give pathlib.Path({text!r}), or {text!r}.encode() for a file that has this text"
        if value.startswith(("http://", "https://")):
            hint = "download it first: urllib.request.urlopen(…) may be given as the file"
        return BadArguments(f"{where} is text, but the endpoint takes a file", hint=hint)
    if isinstance(value, list | tuple) and not field.many:
        return BadArguments(
            f"{where} takes one file, not a {type(value).__name__} of {len(value)}", hint=f"give {_FILE_FORMS}"
        )
    kind = type(value)
    type_name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    hint = f"give {_FILE_FORMS}"
    if hasattr(value, "save") and hasattr(value, "getbands"):
        hint = "save it: b = io.BytesIO(); image.save(b, 'PNG'); then give ('image.png', b, 'image/png')"
    elif is_array(value):
        hint = "give ('array.npy', bytes, None) of what numpy.save wrote, or .tobytes()"
    return BadArguments(f"{where} is a {type_name}, but the endpoint takes a file", hint=hint)


# --- annotations --------------------------------------------------------------------------------------------------------
def _parts(hint: object) -> Iterator[object]:
    """Yield the classes that an annotation consists of."""
    hint = unaliased(hint)
    args = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Annotated:
        args = args[:1]
    if not args:
        yield hint
    for part in args:
        yield from _parts(part)


def is_upload_class(hint: object) -> bool:
    """True for ``UploadFile`` of FastAPI or Starlette, and its subclasses."""
    return isinstance(hint, type) and any(
        base.__name__ == "UploadFile" and base.__module__.startswith(("fastapi", "starlette")) for base in hint.__mro__
    )


def _is_json(mark: object) -> bool:
    kind = mark if isinstance(mark, type) else type(mark)
    return kind.__name__ == "Json" and kind.__module__.startswith("pydantic")


def _is_many(hint: object) -> bool:
    hint = unaliased(hint)
    origin = typing.get_origin(hint)
    if origin is typing.Annotated or origin in (typing.Union, types.UnionType):
        return any(map(_is_many, typing.get_args(hint)))
    kind = origin or hint
    return isinstance(kind, type) and issubclass(kind, list | tuple | set | frozenset)
