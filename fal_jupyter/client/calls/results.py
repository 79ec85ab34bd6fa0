"""Converts an answer to the value of a call: the annotated model if there is one, plain JSON values otherwise."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fal_jupyter.client.calls import hints
from fal_jupyter.client.calls.arguments.annotations import hints_of
from fal_jupyter.client.connection.answer import Answer
from fal_jupyter.domain.errors import RequestError
from fal_jupyter.protocol.api import ERROR_STATUS

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class Results:
    """How one endpoint's answers are read.

    Attributes:
        notice: why an answer of this endpoint was returned as a plain value; ``""`` if none was.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        self.notice = ""
        self._name = getattr(function, "__name__", "the endpoint")
        self._hint: object = hints_of(function).get("return")
        self._adapter = _adapter_of(self._hint) if _holds_model(self._hint) else None

    def value(self, answer: Answer) -> object:
        """Return the answer's value; the plain value if the annotated type does not accept it.

        Raises:
            RequestError: the body does not match its content type, or is nested too deeply.
        """
        kind = answer.header("content-type").split(";")[0].strip().lower()
        if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
            if not answer.body and self._adapter is None:
                return None
            if self._adapter is None or kind != "application/json":
                return self._json(answer, answer.body)
            return self._model(answer)
        if kind == "application/jsonl":
            return [self._json(answer, line) for line in answer.body.splitlines()]
        if kind.startswith("text/"):
            return answer.body.decode("utf-8", "replace")
        return answer.body

    def _json(self, answer: Answer, text: bytes) -> object:
        try:
            return json.loads(text)
        except ValueError as error:
            excerpt = text[:60].decode("utf-8", "replace")
            raise self._unreadable(answer, f"invalid JSON: {excerpt!r} ({error})") from None
        except RecursionError:
            raise self._unreadable(answer, "JSON that is nested too deeply to be read") from None

    def _model(self, answer: Answer) -> object:
        from pydantic import ValidationError  # start-up

        try:
            return self._validate(answer.body)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_context=False)
        decoded = self._json(answer, answer.body)
        computed = [error["loc"] for error in wrong if error["type"] == "extra_forbidden"]
        if len(computed) == len(wrong) and all(_dropped(decoded, location) for location in computed):
            try:
                return self._validate(json.dumps(decoded))
            except (ValidationError, RecursionError):
                pass  # the first errors are more specific
        if not self.notice:
            wrong_places = _readable([{**error, "loc": ("answer", *error["loc"])} for error in wrong])
            self.notice = (
                f"{self._name}'s answer does not fit its annotation {_name_of(self._hint)}, so the plain value is given "
                f"({wrong_places}); annotate it -> dict to get plain values without this message"
            )
        return self._json(answer, answer.body)

    def _validate(self, text: bytes | str) -> object:
        assert self._adapter is not None
        return self._adapter.validate_json(text)

    def _unreadable(self, answer: Answer, problem: str) -> RequestError:
        request_id = answer.end["request_id"] if answer.end else answer.header("x-fal-request-id")
        return RequestError(
            f"{self._name} answered {problem}", status=answer.status, request_id=request_id, detail=problem
        )


def _adapter_of(hint: Any) -> TypeAdapter[object] | None:
    """Return a parser of JSON as *hint*, or None if pydantic has none (a Response, an iterator)."""
    from pydantic import TypeAdapter  # start-up

    try:
        return TypeAdapter[object](hint)
    except Exception:
        return None


def _name_of(hint: object) -> str:
    return getattr(hint, "__name__", "") if isinstance(hint, type) else str(hint)


def _dropped(decoded: Any, location: tuple[int | str, ...]) -> bool:
    """Remove a key that the model computes and does not accept."""
    try:
        for step in location[:-1]:
            decoded = decoded[step]
        del decoded[location[-1]]
    except (LookupError, TypeError):
        return False
    return True


def _holds_model(hint: object) -> bool:
    if isinstance(hint, type) and (hasattr(hint, "model_fields") or dataclasses.is_dataclass(hint)):
        return True
    return any(_holds_model(part) for part in typing.get_args(hint))


_BROKE_OFF = "the answer broke off before its end"


def failure(answer: Answer, endpoint: str) -> RequestError:
    """Return the error that a failed call raises."""
    error_type = answer.header("x-fal-error-type")
    request_id = answer.end["request_id"] if answer.end else answer.header("x-fal-request-id")
    try:
        detail = _BROKE_OFF if answer.aborted else json.loads(answer.body)["detail"]
    except (ValueError, KeyError, TypeError, RecursionError):
        detail = answer.body.decode("utf-8", "replace")[:500]
    if answer.error is not None:
        described = answer.error
        where = "setup() raised " if described["phase"] == "setup" else ""
        message = (
            f"{where}{described['type']}: {described['message']}"
            if where
            else (f"{described['type']}: {described['message']}" if described["message"] else described["type"])
        )
        return RequestError(
            message,
            status=answer.status,
            error_type=error_type or ("runner_server_error" if answer.status in ERROR_STATUS.values() else ""),
            detail=detail,
            request_id=request_id,
            traceback=described["text"],
            error=dict(described),
        )
    return RequestError(
        f"{endpoint} answered {answer.status}: {_readable(detail)}",
        status=answer.status,
        error_type=error_type,
        detail=detail,
        request_id=request_id,
        hint=hints.for_absent_app(detail)
        if answer.end is None and answer.status == 404
        else (hints.for_invalid_input(detail) if answer.status == 422 else ""),
    )


def _readable(detail: object) -> str:
    if not isinstance(detail, list):
        return str(detail)
    parts = [_readable_part(item) for item in detail[:5]]
    return "; ".join(parts) + (f" and {len(detail) - 5} more" if len(detail) > 5 else "")


def _readable_part(item: object) -> str:
    """FastAPI's description of one invalid value; any other ``detail`` that users set, unchanged."""
    if not isinstance(item, dict) or not isinstance(item.get("loc"), list | tuple):
        return str(item)
    location = ".".join(str(p) for p in item["loc"][1:]) or ".".join(map(str, item["loc"]))
    received = "" if item.get("type") == "missing" else f" (got {item.get('input')!r:.60})"
    return f"{location}: {item.get('msg', '')}{received}"
