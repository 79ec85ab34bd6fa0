"""The certificates of the TLS port: whom they are good for, who may read them, when they are made anew."""

from __future__ import annotations

import datetime
import http.client
import ipaddress
import socket
import ssl
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fal_jupyter.client.client import Client
from fal_jupyter.gateway.http.certificate_issuer import LEAF_LIFE, issue
from fal_jupyter.gateway.http.certificates import RENEW_LEFT, Certificates
from fal_jupyter.protocol.api import ClientEnv
from fal_jupyter.settings import read
from tests.support.serve import doctor, served
from tests.support.state import state_directory

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path / "tls", issue)  # in this process: one of its own takes a fifth of a second


def shake_hands(server: ssl.SSLContext, authority: Path, name: str) -> str:
    """Shake hands as a strict client would; gives ``ok`` or why not."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with ours, server.wrap_socket(ours, server_side=True) as wrapped:
                wrapped.recv(1)
        except OSError:
            pass  # the client has said why

    thread = threading.Thread(target=serve)
    thread.start()
    client = ssl.create_default_context(cafile=str(authority))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        with theirs, client.wrap_socket(theirs, server_hostname=name):
            return "ok"
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    finally:
        thread.join(10)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "::1"])
def test_loopback_names_are_certified(certificates: Certificates, name: str) -> None:
    context = certificates.context()

    assert shake_hands(context, certificates.authority, name) == "ok"
    assert shake_hands(context, certificates.bundle, name) == "ok"


@pytest.mark.parametrize("name", ["fal.run", "queue.fal.run", "127.0.0.2", "localhost.example.com"])
def test_no_other_name_is(certificates: Certificates, name: str) -> None:
    assert "certificate is not valid for" in shake_hands(certificates.context(), certificates.authority, name)


@pytest.mark.parametrize(
    "foreign", [x509.DNSName("fal.run"), x509.DNSName("example.com"), x509.IPAddress(ipaddress.ip_address("10.0.0.1"))]
)
def test_even_the_authoritys_own_key_cannot_certify_another_name(
    certificates: Certificates, tmp_path: Path, foreign: x509.GeneralName
) -> None:
    certificates.renew()
    folder = certificates.authority.parent
    authority = x509.load_pem_x509_certificate(certificates.authority.read_bytes())
    signer = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    forged = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "forged")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.SubjectAlternativeName([foreign]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    pem = tmp_path / "forged.pem"
    plain = serialization.NoEncryption()
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + forged.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    assert "permitted subtree violation" in shake_hands(context, certificates.authority, str(foreign.value))


def test_private_keys_are_the_owners_alone(certificates: Certificates) -> None:
    certificates.context()
    folder = certificates.authority.parent

    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.iterdir():
        assert (path.stat().st_mode & 0o777 == 0o600) == (b"PRIVATE KEY" in path.read_bytes()), path


def test_valid_certificates_are_not_replaced(certificates: Certificates) -> None:
    assert certificates.renew()
    before = {path.name: path.read_bytes() for path in certificates.authority.parent.iterdir()}

    assert not certificates.renew()
    assert {path.name: path.read_bytes() for path in certificates.authority.parent.iterdir()} == before


def test_the_leaf_is_made_anew_a_month_before_its_end_and_the_authority_stays(certificates: Certificates) -> None:
    certificates.renew(NOW)
    authority, leaf = certificates.authority.read_bytes(), (certificates.authority.parent / "leaf.pem").read_bytes()
    late = NOW + LEAF_LIFE - RENEW_LEFT

    assert certificates.seconds_left(NOW) == pytest.approx((late - NOW).total_seconds(), abs=1)
    assert not certificates.renew(late - DAY)
    assert certificates.renew(late)
    assert certificates.authority.read_bytes() == authority
    assert (certificates.authority.parent / "leaf.pem").read_bytes() != leaf
    assert certificates.seconds_left(late) > DAY.total_seconds()


def test_both_are_made_anew_when_the_authority_ends(certificates: Certificates) -> None:
    certificates.renew(NOW)
    authority = certificates.authority.read_bytes()

    assert certificates.renew(NOW + 3650 * DAY)
    assert certificates.authority.read_bytes() != authority
    assert certificates.seconds_left(NOW + 3650 * DAY) > DAY.total_seconds()


@pytest.mark.parametrize("name", ["ca.pem", "ca.key", "leaf.pem", "bundle.pem"])
@pytest.mark.parametrize("damage", [b"", b"nonsense", None], ids=["empty", "nonsense", "gone"])
def test_what_is_damaged_is_made_anew(certificates: Certificates, name: str, damage: bytes | None) -> None:
    certificates.context()
    path = certificates.authority.parent / name
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)

    assert shake_hands(certificates.context(), certificates.authority, "127.0.0.1") == "ok"
    assert shake_hands(certificates.context(), certificates.bundle, "127.0.0.1") == "ok"


def test_a_key_that_does_not_match_its_certificate_is_replaced(certificates: Certificates, tmp_path: Path) -> None:
    certificates.context()
    other = Certificates(tmp_path / "other", issue)
    other.context()
    (certificates.authority.parent / "ca.key").write_bytes((tmp_path / "other" / "ca.key").read_bytes())

    assert shake_hands(certificates.context(), certificates.authority, "127.0.0.1") == "ok"


def test_an_open_port_shows_the_new_certificate(certificates: Certificates) -> None:
    context = certificates.context()
    (certificates.authority.parent / "leaf.pem").unlink()
    (certificates.authority.parent / "ca.pem").unlink()
    assert certificates.renew()
    certificates.load_into(context)

    assert shake_hands(context, certificates.authority, "127.0.0.1") == "ok"


def test_certificates_are_issued_by_a_process_of_its_own_which_is_started_again_where_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python, killed = tmp_path / "python", tmp_path / "killed"
    python.write_text(f'#!/bin/sh\n[ -e {killed} ] || {{ touch {killed}; kill -9 $$; }}\nexec {sys.executable} "$@"\n')
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    certificates = Certificates(tmp_path / "tls")

    assert shake_hands(certificates.context(), certificates.authority, "127.0.0.1") == "ok"
    assert killed.exists()
    assert not certificates.renew()


def test_what_keeps_the_issuer_from_writing_is_one_line(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "tls")
    (certificates.authority.parent / "leaf.pem").mkdir(parents=True)

    with pytest.raises(OSError, match=r"^\[Errno 21\] Is a directory: .*leaf.pem'$"):
        certificates.renew()


def test_a_gateway_that_has_opened_the_port_does_not_keep_cryptography(app_file: str) -> None:
    with state_directory() as state, served(state, f"{app_file}::Wide"):
        (gateway,) = (process["pid"] for process in doctor(state)["processes"] if process["role"] == "gateway")
        assert (state / "tls" / "leaf.pem").exists()  # what runners call apps through is open
        assert "cryptography" not in Path(f"/proc/{gateway}/maps").read_text()  # it has extension modules


def test_a_clients_key_and_the_port_end_with_the_last_owner() -> None:
    with state_directory() as state:
        settings = read({"FAL_JUPYTER_STATE": str(state), "FAL_JUPYTER_OWNER": "me"})
        first, second = Client(settings), Client(settings)
        first.ensure()
        before = first.control.client_env()
        gateway = first.control.hello()
        assert ask(before, before["key"]) == 404  # there is no such app; the key was good
        first.close()
        while (now := second.control.hello()) is not None and now["port"]:
            time.sleep(0.01)
        with pytest.raises(OSError, match="refused"):
            ask(before, before["key"])
        second.ensure()
        after = second.control.client_env()

        assert now is not None
        assert gateway is not None
        assert now["pid"] == gateway["pid"]
        assert (ask(after, before["key"]), ask(after, after["key"])) == (401, 404)
        assert after["tls"]["bundle"] == before["tls"]["bundle"]
        second.control.shutdown()
        second.close()


def ask(env: ClientEnv, key: str) -> int:
    """Ask for an app that is not there, by TLS; gives the status."""
    trusting = ssl.create_default_context(cafile=env["tls"]["authority"])
    connection = http.client.HTTPSConnection("127.0.0.1", env["tls"]["port"], timeout=20, context=trusting)
    with closing(connection):
        connection.request("POST", "/run/me/nobody", b"{}", {"Authorization": f"Key {key}"})
        return connection.getresponse().status
