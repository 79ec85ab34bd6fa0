"""Keys as text: made by whoever hands them out, known to the gateway by id and hash only."""

from __future__ import annotations

import binascii
import hashlib
import secrets

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def make_key() -> str:
    """Make a key: ``fjk_`` and 8 characters, a colon, 43 random ones (256 bits) and 6 of CRC-32 (for secret scanners)."""
    name = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    secret = _base62(secrets.randbits(256), 43)
    check = _base62(binascii.crc32(secret.encode()), 6)
    return f"fjk_{name}:{secret}{check}"


def id_and_hash(key: str) -> tuple[str, bytes]:
    """Return what a verifier of a key stores: its id, and the SHA-256 of its secret."""
    key_id, _, secret = key.partition(":")
    return key_id, hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
