"""Certificates of the TLS port: an authority of this state directory, created on first use, valid for loopback names only.

Its certificate restricts itself (critical name constraints) to 127.0.0.1, ::1 and localhost, so trusting it is safe
even if its private key were leaked. fal's Python client speaks TLS only where its hosts come from the environment.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fal_jupyter.atomic_write import write_whole

AUTHORITY_LIFE = datetime.timedelta(days=3650)
LEAF_LIFE = datetime.timedelta(days=90)
RENEW_LEFT = datetime.timedelta(days=30)  # a certificate with less than this left is replaced
_EARLIER = datetime.timedelta(hours=1)  # clocks differ
_LOOPBACK = (ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("::1/128"))


class Certificates:
    """The authority, the port's certificate, and the bundle for clients; files below *folder*.

    Attributes:
        authority: the authority's certificate, PEM.
        bundle: the machine's public authorities and ours, since ``SSL_CERT_FILE`` replaces the former.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.authority, self.bundle = folder / "ca.pem", folder / "bundle.pem"
        self._authority_key = folder / "ca.key"
        self._leaf = folder / "leaf.pem"  # key and certificate in one file, so that they are replaced together

    def context(self) -> ssl.SSLContext:
        """The port's TLS context; creates or renews files that are missing, damaged or about to expire.

        Raises:
            OSError: the files cannot be written.
        """
        self.renew()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(self._leaf)
        return context

    def reload(self, context: ssl.SSLContext) -> None:
        """Renew if necessary; new connections of *context* use the new certificate."""
        if self.renew():
            context.load_cert_chain(self._leaf)

    def renew(self, now: datetime.datetime | None = None) -> bool:
        """Create files that are missing, damaged or about to expire; True if something was created.

        Args:
            now: the current time; by default the clock's.
        """
        now = now or datetime.datetime.now(datetime.UTC)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        authority = _read(self.authority, self._authority_key, now)
        renewed = authority is None
        if authority is None:
            authority = _new_authority(now)
            write_whole(self._authority_key, _pem(authority[1]), 0o600)
            write_whole(self.authority, authority[0].public_bytes(serialization.Encoding.PEM), 0o644)
        leaf = _read(self._leaf, self._leaf, now)
        if leaf is None or not _is_signed_by(leaf[0], authority[0]):
            certificate, key = _new_leaf(authority, now)
            write_whole(self._leaf, _pem(key) + certificate.public_bytes(serialization.Encoding.PEM), 0o600)
            renewed = True
        write_whole(self.bundle, _public_authorities() + self.authority.read_bytes(), 0o644)
        return renewed

    def seconds_left(self, now: datetime.datetime | None = None) -> float:
        """Seconds until :meth:`renew` has something to do."""
        now = now or datetime.datetime.now(datetime.UTC)
        certificate = x509.load_pem_x509_certificate(self._leaf.read_bytes())
        return (certificate.not_valid_after_utc - RENEW_LEFT - now).total_seconds()


_Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _read(certificate_file: Path, key_file: Path, now: datetime.datetime) -> _Pair | None:
    """Return a certificate and its key, or None if they are missing, do not match, or expire soon."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return None
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEW_LEFT:
        return None
    return certificate, key


def _is_signed_by(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return leaf.not_valid_after_utc <= authority.not_valid_after_utc


def _new_authority(now: datetime.datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"fal_jupyter on this machine ({os.urandom(4).hex()})")])
    permitted = [x509.DNSName("localhost"), *(x509.IPAddress(network) for network in _LOOPBACK)]
    builder = (
        _builder(name, name, key, now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256()), key


def _new_leaf(authority: _Pair, now: datetime.datetime) -> _Pair:
    certificate, signer = authority
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), *(x509.IPAddress(network.network_address) for network in _LOOPBACK)]
    life = min(LEAF_LIFE, certificate.not_valid_after_utc - now)
    builder = (
        _builder(name, certificate.subject, key, now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    return builder.sign(signer, hashes.SHA256()), key


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
    life: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + life)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public_authorities() -> bytes:
    """The authorities that this machine's OpenSSL trusts, if they are one file."""
    bundle = ssl.get_default_verify_paths().openssl_cafile
    with contextlib.suppress(OSError):
        return Path(bundle).read_bytes().rstrip(b"\n") + b"\n"
    return b""
