"""Delivery of results to webhooks: when to retry, and what is signed."""

from __future__ import annotations

import hashlib
import json
import math

from fal_jupyter.domain.text.json_forms import encode_json, whole_json

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
    """Return the body of a delivery: the app's output or the error, as JSON that every parser reads.

    ``payload`` is the app's own text. Where it is not such JSON, ``payload_error`` says why it is null.
    """
    message = {
        "request_id": request_id,
        "gateway_request_id": request_id,
        "status": "OK" if status < 400 else "ERROR",
        "error": None if status < 400 else f"Invalid status code: {status}",
    }
    try:
        payload = _payload(body) if body else b"null"
    except ValueError:
        reason = f"the answer is {content_type or 'of no stated type'}, not JSON"
    except OverflowError:
        reason = "the answer has NaN, Infinity or a number too large for a double"
    except RecursionError:
        reason = "the answer is nested too deeply"
    else:
        return encode_json(message)[:-1] + b',"payload":' + payload + b"}"
    return encode_json({**message, "payload": None, "payload_error": reason})


def _payload(body: bytes) -> bytes:
    """Return the JSON text *body* in UTF-8.

    It is not decoded to values, which saves time and memory. Parsing calls Python functions, between which other threads run:
    it is done in a thread, and without them would hold the interpreter's lock to its end.

    Raises:
        ValueError: it is not JSON.
        OverflowError: it has a number that is not finite as a double.
        RecursionError: it is nested too deeply.
    """
    text = body.decode(json.detect_encoding(body), "surrogatepass")
    json.loads(
        text,
        object_pairs_hook=_forget,
        parse_int=_check_number,
        parse_float=_check_number,
        parse_constant=_check_number,
    )
    return whole_json(text).encode()


def _forget(members: object) -> None:
    """Take the place of an object."""


def _check_number(text: str) -> None:
    if not math.isfinite(float(text)):
        raise OverflowError(text)
