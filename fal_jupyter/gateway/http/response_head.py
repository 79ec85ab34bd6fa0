"""The head of an app's answer: which of its headers the caller gets, and which are for the gateway alone."""

from __future__ import annotations

import msgspec

from fal_jupyter.protocol.api import H_NEEDS_RETRY, H_REQUEST_ID, H_REVISION, H_RUNNER, H_STOP_RUNNER

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
FOR_GATEWAY = frozenset({H_STOP_RUNNER, H_NEEDS_RETRY})
_NOT_FOR_CALLERS = _HOP_BY_HOP | FOR_GATEWAY | {H_REQUEST_ID, H_REVISION, H_RUNNER}


class ResponseHead(msgspec.Struct):
    """Head of a RESPONSE frame."""

    status: int
    headers: list[tuple[str, str]]
    began: float = 0.0

    def without_gateways(self) -> bytes:
        """Give the head as JSON, without what is for the gateway alone."""
        headers = [pair for pair in self.headers if pair[0].lower() not in FOR_GATEWAY]
        return msgspec.json.encode(ResponseHead(self.status, headers, self.began))

    def for_caller(self) -> list[tuple[str, str]]:
        """Give the app's headers that a caller by HTTP gets, with names in lower case."""
        return [(lower, value) for name, value in self.headers if (lower := name.lower()) not in _NOT_FOR_CALLERS]


decode_head = msgspec.json.Decoder(ResponseHead).decode
