"""Certificates of the TLS port: an authority of this state directory, created on first use, valid for loopback names only.

Its certificate restricts itself (critical name constraints) to 127.0.0.1, ::1 and localhost, so trusting it is safe
even if its private key were leaked. fal's Python client speaks TLS only where its hosts come from the environment.

Existing certificates are checked with the standard library. New ones are issued by a short process of its own
(:mod:`fal_jupyter.gateway.http.certificate_issuer`): ``cryptography`` takes 13 MB of memory for as long as its process lives.
"""

from __future__ import annotations

import contextlib
import datetime
import ssl
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from fal_jupyter.atomic_write import write_whole

RENEW_LEFT: Final = datetime.timedelta(days=30)  # a certificate with less than this left is replaced
AUTHORITY: Final = "ca.pem"
AUTHORITY_KEY: Final = "ca.key"
LEAF: Final = "leaf.pem"  # key and certificate in one file, so that they are replaced together
ISSUED: Final = "issued"  # what the issuer prints when all is written
_ISSUER: Final = "fal_jupyter.gateway.http.certificate_issuer"
_ISSUE_PATIENCE: Final = 60.0  # seconds
_MOST_TRIES: Final = 3
_NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME; the ssl module has no name for it
_ROUNDS: Final = 10  # of a handshake; TLS 1.3 takes two

Issue = Callable[[Path, datetime.datetime, bool], None]


class Validity(NamedTuple):
    """When a certificate is valid, in seconds since 1970."""

    begins: float
    ends: float

    def lasts(self, now: datetime.datetime) -> bool:
        """True if it need not be replaced at *now*."""
        return self.begins <= now.timestamp() < self.ends - RENEW_LEFT.total_seconds()


class Certificates:
    """The authority, the port's certificate, and the bundle for clients; files below *folder*.

    Args:
        issue: makes certificates: the folder, the current time, whether the authority is to be replaced, too.

    Attributes:
        authority: the authority's certificate, PEM.
        bundle: the machine's public authorities and ours, since ``SSL_CERT_FILE`` replaces the former.
    """

    def __init__(self, folder: Path, issue: Issue | None = None) -> None:
        self._folder, self._issue = folder, issue or issue_in_process
        self.authority, self.bundle = folder / AUTHORITY, folder / "bundle.pem"
        self._leaf = folder / LEAF

    def context(self) -> ssl.SSLContext:
        """The port's TLS context; creates or renews files that are missing, damaged or about to expire.

        Raises:
            OSError: the files cannot be written.
        """
        self.renew()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        self.load_into(context)
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """New connections of *context* use the certificate as it is now."""
        context.load_cert_chain(self._leaf)

    def renew(self, now: datetime.datetime | None = None) -> bool:
        """Create files that are missing, damaged or about to expire; True if something was created.

        Args:
            now: the current time; by default the clock's.

        Raises:
            OSError: the files cannot be written.
        """
        now = now or datetime.datetime.now(datetime.UTC)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        authority = self._validity_of_authority()
        stays = authority is not None and authority.lasts(now)
        leaf = self._validity_of_leaf() if stays else None
        renewed = authority is None or leaf is None or not leaf.lasts(now) or leaf.ends > authority.ends
        if renewed:
            self._issue(self._folder, now, not stays)
        write_whole(self.bundle, _public_authorities() + self.authority.read_bytes(), 0o644)
        return renewed

    def seconds_left(self, now: datetime.datetime | None = None) -> float:
        """Seconds until :meth:`renew` has something to do."""
        now = now or datetime.datetime.now(datetime.UTC)
        leaf = self._validity_of_leaf()
        return leaf.ends - RENEW_LEFT.total_seconds() - now.timestamp() if leaf is not None else 0.0

    def _validity_of_authority(self) -> Validity | None:
        """None if certificate or key are missing or damaged, or do not match."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(
                self.authority, self._folder / AUTHORITY_KEY, password=""
            )  # "": never ask a terminal
            context.load_verify_locations(self.authority)
            (certificate,) = context.get_ca_certs()
            return _validity(certificate)
        return None

    def _validity_of_leaf(self) -> Validity | None:
        """None if a client that trusts the authority would refuse it at any time, or it is missing or damaged."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            server.load_cert_chain(self._leaf, password="")
            client.load_verify_locations(self.authority)
            client.verify_flags |= _NO_CHECK_TIME  # what remains is compared with the caller's time
            return _validity(_shown_certificate(server, client, "localhost"))
        return None


def issue_in_process(folder: Path, now: datetime.datetime, replaces_authority: bool) -> None:
    """Issue certificates by a process of their own.

    Raises:
        OSError: it could not write them.
    """
    command = [sys.executable, "-P", "-m", _ISSUER, str(folder), str(now.timestamp())]
    if replaces_authority:
        command.append("--authority")
    error = "the process that issues the certificates was killed"
    for _ in range(_MOST_TRIES):  # the gateway kills children that it does not know when a template has ended
        try:
            issuer = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/", timeout=_ISSUE_PATIENCE
            )
        except subprocess.TimeoutExpired as expired:
            raise OSError(f"issuing the certificates took more than {expired.timeout:g} s") from None
        if issuer.stdout.strip() == ISSUED:
            return
        if issuer.stderr:
            error = issuer.stderr.strip().rpartition("\n")[2]
            break
    raise OSError(error)


def _shown_certificate(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> Mapping[str, object]:
    """The certificate with which *server* convinces *client*, by a handshake in memory.

    Raises:
        SSLError: it does not.
    """
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(_ROUNDS):
        try:
            ours.do_handshake()
        except ssl.SSLWantReadError:
            with contextlib.suppress(ssl.SSLWantReadError):
                theirs.do_handshake()
        else:
            return ours.getpeercert() or {}
    raise ssl.SSLError("the handshake does not end")


def _validity(certificate: Mapping[str, object]) -> Validity:
    begins, ends = (ssl.cert_time_to_seconds(str(certificate.get(name))) for name in ("notBefore", "notAfter"))
    return Validity(begins, ends)


def _public_authorities() -> bytes:
    """The authorities that this machine's OpenSSL trusts, if they are one file."""
    bundle = ssl.get_default_verify_paths().openssl_cafile
    with contextlib.suppress(OSError):
        return Path(bundle).read_bytes().rstrip(b"\n") + b"\n"
    return b""
