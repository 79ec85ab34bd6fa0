"""Lets TLS clients in a runner, and in the processes that it starts, trust the gateway's TLS port besides what they trusted before."""

from __future__ import annotations

import importlib.util
import os
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

VARIABLE = "SSL_CERT_FILE"  # read by OpenSSL, and by httpx instead of its own authorities
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def trust(authority: str) -> None:
    """Name one file with all authorities in ``SSL_CERT_FILE``. It is memory of this process: nothing is left when it ends.

    Args:
        authority: file of the gateway's authority; one that cannot be read changes nothing.
    """
    try:
        ours = Path(authority).read_bytes()
    except OSError:
        return
    texts = [ours]
    for file in _trusted_now():
        try:
            texts.append(Path(file).read_bytes())
        except OSError:
            continue
    certificates = dict.fromkeys(found for text in texts for found in _CERTIFICATE.findall(text))
    fd = os.memfd_create("fal_jupyter_authorities")
    with os.fdopen(os.dup(fd), "wb") as file_object:
        file_object.write(b"\n".join([*certificates, b""]))
    os.environ[VARIABLE] = f"/proc/{os.getpid()}/fd/{fd}"


def _trusted_now() -> Iterator[str]:
    """The files that clients read: the user's choice, or OpenSSL's and certifi's."""
    if chosen := os.environ.get(VARIABLE):
        yield chosen
        return
    if of_openssl := ssl.get_default_verify_paths().openssl_cafile:
        yield of_openssl
    found = importlib.util.find_spec("certifi")
    if found is not None and found.origin:
        yield os.path.join(os.path.dirname(found.origin), "cacert.pem")
