"""Lets TLS clients in a runner, and in the processes that it starts, trust the gateway's TLS port in addition to the usual authorities."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import ssl
from pathlib import Path

VARIABLE = "SSL_CERT_FILE"  # read by OpenSSL, and by httpx instead of its own authorities
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def trust(authority: str) -> None:
    """Set ``SSL_CERT_FILE`` to one file with all authorities. It is a memory file, so nothing is left when the process ends.

    Args:
        authority: file of the gateway's authority; one that cannot be read changes nothing.
    """
    authority_pem = _read(authority)
    if not authority_pem:
        return
    chosen = os.environ.get(VARIABLE)
    fd = os.memfd_create("fal_jupyter_authorities")
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write((_read(chosen) if chosen else default_authorities()) + b"\n" + authority_pem)
    os.environ[VARIABLE] = f"/proc/{os.getpid()}/fd/{fd}"


@functools.cache
def default_authorities() -> bytes:
    """The default authorities: OpenSSL's and certifi's, without duplicates. Takes some milliseconds."""
    files = [ssl.get_default_verify_paths().openssl_cafile]
    certifi = importlib.util.find_spec("certifi")
    if certifi is not None and certifi.origin:
        files.append(os.path.join(os.path.dirname(certifi.origin), "cacert.pem"))
    return b"\n".join(dict.fromkeys(certificate for file in files for certificate in _CERTIFICATE.findall(_read(file))))


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError:
        return b""
