"""An answer as the value of a call: the annotated model where there is one, plain JSON values otherwise."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Callable
from typing import Any

from fal_jupyter.client.answer import Answer
from fal_jupyter.domain.errors import RequestError
from fal_jupyter.protocol.api import ERROR_STATUS


class Results:
    """How one endpoint's answers are read."""

    def __init__(self, function: Callable[..., Any]) -> None:
        try:
            hint = typing.get_type_hints(function, include_extras=True).get("return")
        except Exception:
            hint = None
        self._adapter: Any = None
        if _holds_model(hint):
            from pydantic import TypeAdapter

            annotation: Any = hint
            self._adapter = TypeAdapter(annotation)

    def value(self, answer: Answer) -> Any:
        """Give the answer's value."""
        kind = answer.header("content-type").split(";")[0].strip()
        if kind == "application/json":
            if self._adapter is not None:
                return self._adapter.validate_json(answer.body)
            return json.loads(answer.body) if answer.body else None
        if kind == "application/jsonl":
            return [json.loads(line) for line in answer.body.splitlines()]
        if kind.startswith("text/"):
            return answer.body.decode("utf-8", "replace")
        return answer.body


def _holds_model(hint: Any) -> bool:
    if isinstance(hint, type) and (hasattr(hint, "model_fields") or dataclasses.is_dataclass(hint)):
        return True
    return any(_holds_model(part) for part in typing.get_args(hint))


def failure(answer: Answer, endpoint: str) -> RequestError:
    """Give the error that a failed call raises."""
    error_type = answer.header("x-fal-error-type")
    request_id = answer.end["request_id"] if answer.end else answer.header("x-fal-request-id")
    try:
        detail = json.loads(answer.body)["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.body.decode("utf-8", "replace")[:500]
    if answer.error is not None:
        described = answer.error
        where = "setup() " if described["phase"] == "setup" else ""
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
        hint="run the cell that defines it again" if answer.end is None and answer.status == 404 else "",
    )


def _readable(detail: Any) -> str:
    if not isinstance(detail, list):
        return str(detail)
    parts = []
    for one in detail[:5]:
        place = ".".join(str(p) for p in one.get("loc", ())[1:]) or ".".join(map(str, one.get("loc", ())))
        given = "" if one.get("type") == "missing" else f" (got {one.get('input')!r:.60})"
        parts.append(f"{place}: {one.get('msg', '')}{given}")
    return "; ".join(parts) + (f" and {len(detail) - 5} more" if len(detail) > 5 else "")
