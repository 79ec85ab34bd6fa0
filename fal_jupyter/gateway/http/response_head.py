"""The head of an app's answer: separates headers for the caller and for the gateway."""

from __future__ import annotations

import msgspec

from fal_jupyter.protocol.api import (
    H_CHECK,
    H_HINTS,
    H_NEEDS_RETRY,
    H_REQUEST_ID,
    H_REVISION,
    H_RUNNER,
    H_STOP_RUNNER,
)

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
ABOUT_RUNNER = frozenset({H_CHECK, H_HINTS})
_NOT_FOR_CALLERS = _HOP_BY_HOP | FOR_GATEWAY | {H_REQUEST_ID, H_REVISION, H_RUNNER}
_GATEWAY_READS = FOR_GATEWAY | ABOUT_RUNNER | {"content-type", "set-cookie"}
_SPECIAL = _NOT_FOR_CALLERS | _GATEWAY_READS | {"content-length"}


class SortedHeaders(msgspec.Struct, gc=False):
    """The headers of an app's answer by recipient; names are in lower case.

    Attributes:
        for_caller: headers for an HTTP caller.
        for_gateway: headers for the gateway; callers get some of these too.
        lengths: values of content-length; at most one is valid.
    """

    for_caller: list[tuple[str, str]]
    for_gateway: list[tuple[str, str]]
    lengths: list[str]


class ResponseHead(msgspec.Struct):
    """Head of a RESPONSE frame."""

    status: int
    headers: list[tuple[str, str]]
    began: float = 0.0

    def without_gateways(self) -> bytes:
        """Return the head as JSON, without headers that are only for the gateway."""
        headers = [pair for pair in self.headers if pair[0].lower() not in FOR_GATEWAY]
        return msgspec.json.encode(ResponseHead(self.status, headers, self.began))

    def sorted(self) -> SortedHeaders:
        """Return the headers by recipient."""
        for_caller: list[tuple[str, str]] = []
        for_gateway: list[tuple[str, str]] = []
        lengths: list[str] = []
        for name, value in self.headers:
            pair = (name.lower(), value)
            lower = pair[0]
            if lower in _SPECIAL:
                if lower in _GATEWAY_READS:
                    for_gateway.append(pair)
                elif lower == "content-length":
                    lengths.append(value)
                if lower in _NOT_FOR_CALLERS:
                    continue
            for_caller.append(pair)
        return SortedHeaders(for_caller, for_gateway, lengths)


decode_head = msgspec.json.Decoder(ResponseHead).decode
