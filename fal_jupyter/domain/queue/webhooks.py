"""Delivery of results to webhooks: when to retry, and what is signed."""

from __future__ import annotations

import hashlib
import json

from fal_jupyter.domain.text.json_forms import encode_json

ATTEMPTS = 11  # the first one and ten more
FIRST_WAIT = 5.0  # seconds
WITHIN = 2 * 3600.0


def wait_after(attempt: int) -> float | None:
    """Return the seconds between the *attempt*-th try (from 1) and the next, or None when there is no other.

    Doubling from five seconds, with the last ones equal, so that all of them fit into two hours.
    """
    if attempt >= ATTEMPTS:
        return None
    return min(FIRST_WAIT * 2.0 ** (attempt - 1), 1280.0)


def signed_message(request_id: str, user_id: str, timestamp: str, body: bytes) -> bytes:
    """Return the signed message: four lines, the last one the body's SHA-256 in hex."""
    return "\n".join((request_id, user_id, timestamp, hashlib.sha256(body).hexdigest())).encode()


def delivery(request_id: str, status: int, content_type: str, body: bytes) -> bytes:
    """Return the body of a delivery: the app's output or the error; ``payload_error`` says why it has no payload."""
    message: dict[str, object] = {
        "request_id": request_id,
        "gateway_request_id": request_id,
        "status": "OK" if status < 400 else "ERROR",
        "error": None if status < 400 else f"Invalid status code: {status}",
        "payload": None,
    }
    try:
        try:
            message["payload"] = json.loads(body) if body else None
        except ValueError:
            return _without_payload(message, f"the answer is {content_type or 'of no stated type'}, not JSON")
        return encode_json(message)
    except ValueError:
        return _without_payload(message, "the answer has NaN, Infinity or a number too large for a double")
    except RecursionError:
        return _without_payload(message, "the answer is nested too deeply")


def _without_payload(message: dict[str, object], reason: str) -> bytes:
    return encode_json({**message, "payload": None, "payload_error": reason})
