"""Issues the certificates of the TLS port. Only a process of its own, or a test, imports this: ``cryptography`` takes 60 ms and 13 MB.

``python -m fal_jupyter.gateway.http.certificate_issuer FOLDER NOW [--authority]``: *NOW* in seconds since 1970; with ``--authority`` the
authority is replaced, too.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fal_jupyter.atomic_write import write_whole
from fal_jupyter.gateway.http.certificates import AUTHORITY, AUTHORITY_KEY, ISSUED, LEAF

AUTHORITY_LIFE = datetime.timedelta(days=3650)
LEAF_LIFE = datetime.timedelta(days=90)
_EARLIER = datetime.timedelta(hours=1)  # clocks differ
_LOOPBACK = (ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("::1/128"))
_Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def issue(folder: Path, now: datetime.datetime, replaces_authority: bool) -> None:
    """Write a new certificate of the port to *folder*, and before that a new authority if that is to be replaced.

    Raises:
        OSError: a file cannot be written.
    """
    authority = None if replaces_authority else _read_authority(folder)
    if authority is None:
        authority = _new_authority(now)
        write_whole(folder / AUTHORITY_KEY, _pem(authority[1]), 0o600)
        write_whole(folder / AUTHORITY, authority[0].public_bytes(serialization.Encoding.PEM), 0o644)
    certificate, key = _new_leaf(authority, now)
    write_whole(folder / LEAF, _pem(key) + certificate.public_bytes(serialization.Encoding.PEM), 0o600)


def _read_authority(folder: Path) -> _Pair | None:
    """None if its key is not one of ours."""
    certificate = x509.load_pem_x509_certificate((folder / AUTHORITY).read_bytes())
    key = serialization.load_pem_private_key((folder / AUTHORITY_KEY).read_bytes(), None)
    return (certificate, key) if isinstance(key, ec.EllipticCurvePrivateKey) else None


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


def main(arguments: list[str]) -> int:
    """Issue; prints :data:`~fal_jupyter.gateway.http.certificates.ISSUED` when all is written, or one line of error."""
    folder, now, *options = arguments
    try:
        issue(Path(folder), datetime.datetime.fromtimestamp(float(now), datetime.UTC), "--authority" in options)
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    print(ISSUED)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
