"""Tokens for browsers and WebSockets: they allow calls to some apps for a while, and are issued for a key.

They are JWTs (HS256), since clients may inspect them; only the gateway verifies them. Each gateway creates a new signing key:
a token is valid for minutes, and a gateway's apps end with it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import math
import os
from collections.abc import Callable, Iterable

import msgspec

LONGEST = 24 * 3600.0  # seconds; longer requests get this
_HEAD = {"alg": "HS256", "typ": "JWT"}


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _data(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


class _Claims(msgspec.Struct):
    """A token's claims: the apps it is valid for, the id of the key that it was issued for, and its expiry (Unix seconds)."""

    apps: list[str]
    key: str
    exp: float


class AccessTokens:
    """Signs and verifies; *secret* is private random bytes, *lives* returns whether a key is still valid."""

    def __init__(self, secret: bytes | None = None, lives: Callable[[str], bool] = lambda _: True) -> None:
        self._lives = lives
        self._secret = secret or os.urandom(32)

    def sign(self, aliases: Iterable[str], seconds: float, now: float, key: str = "") -> str:
        """Return a token for the apps of those aliases, valid for *seconds* from *now* (wall clock), while the key of id *key* is valid."""
        until = now + min(
            max(seconds, 0.0), LONGEST
        )  # with its fraction, which RFC 7519 allows: half a second is not 0
        claims = {"apps": sorted(set(aliases)), "key": key, "iat": math.floor(now), "exp": until}
        parts = [_text(json.dumps(part, separators=(",", ":")).encode()) for part in (_HEAD, claims)]
        return f"{parts[0]}.{parts[1]}.{_text(self._signature('.'.join(parts)))}"

    def _signature(self, signed: str) -> bytes:
        return hmac.digest(self._secret, signed.encode(), hashlib.sha256)

    def admits(self, token: str, alias: str, now: float) -> bool:
        """True when the token is one of ours, has not expired, and names that app."""
        claims = self._claims(token)
        if claims is None:
            return False
        return now < claims.exp and alias in claims.apps and (not claims.key or self._lives(claims.key))

    def key_of(self, token: str) -> str:
        """Return the id of the key that the token was issued for; ``""`` if there was none, or if it is not our token."""
        claims = self._claims(token)
        return claims.key if claims is not None else ""

    def _claims(self, token: str) -> _Claims | None:
        signed, _, signature = token.rpartition(".")
        try:
            if not token.isascii() or not hmac.compare_digest(_data(signature), self._signature(signed)):
                return None
            return msgspec.json.decode(_data(signed.partition(".")[2]), type=_Claims)
        except (binascii.Error, ValueError, msgspec.MsgspecError):
            return None
