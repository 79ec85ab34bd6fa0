"""Which address of fal's becomes which of the gateway's, and what is said where fal's client is not what it should be."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fal_jupyter
from fal_jupyter.client.fal_client_redirected import local
from fal_jupyter.domain.errors import BadSetting

BASE = "http://127.0.0.1:8000/below"


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("https://fal.run/o/a", f"{BASE}/run/o/a"),
        ("https://fal.run/o/a/stream?x=1", f"{BASE}/run/o/a/stream?x=1"),
        ("https://queue.fal.run/o/a/requests/1/status?logs=true", f"{BASE}/queue/o/a/requests/1/status?logs=true"),
        ("wss://fal.run/o/a/realtime?fal_jwt_token=t", "ws://127.0.0.1:8000/below/run/o/a/realtime?fal_jwt_token=t"),
        ("https://rest.fal.ai/tokens/", f"{BASE}/rest/tokens/"),
        ("https://v3.fal.media/files/upload", f"{BASE}/cdn/files/upload"),
        ("http://127.0.0.1:8000/queue/o/a/requests/1", "http://127.0.0.1:8000/queue/o/a/requests/1"),
        ("https://rest.fal.ai.example/tokens/", "https://rest.fal.ai.example/tokens/"),
        ("https://example.com/https://fal.run/", "https://example.com/https://fal.run/"),
    ],
)
def test_an_address_of_fals_is_the_gateways_and_no_other_is(address: str, here: str) -> None:
    assert local(address, BASE) == here


@given(st.text(alphabet="abc/?=&%-._", max_size=40))
def test_the_part_after_the_host_is_unchanged(rest: str) -> None:
    assert local(f"https://queue.fal.run/{rest}", BASE) == f"{BASE}/queue/{rest}"


MAKERS = (fal_jupyter.fal_client, fal_jupyter.fal_client_async, fal_jupyter.redirect_fal_client)


@pytest.mark.parametrize(
    "key", ["id:sécret", "id:sec ret", "id:sec\nret", "id:\0", "\ufeffid:secret", " ", 5, b"id:secret", ["k"]]
)
def test_what_is_no_key_is_refused_at_once_in_a_sentence_without_it(key: Any) -> None:
    for make in MAKERS:
        with pytest.raises(BadSetting, match="key='id:secret'") as caught:
            make("http://127.0.0.1:1", key)
        assert str(caught.value).startswith("key: ")
        assert "sec ret" not in str(caught.value)
        assert "sécret" not in str(caught.value)


def test_white_space_around_a_key_and_an_address_is_taken_off() -> None:
    found = fal_jupyter.fal_client(" http://127.0.0.1:1/\n", "id:secret\r\n")

    assert (found.key, vars(found)["base"]) == ("id:secret", "http://127.0.0.1:1")
    assert found._client.headers["authorization"] == "Key id:secret"


def test_without_a_key_fal_client_finds_one_as_it_always_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAL_KEY", "found:there")

    assert fal_jupyter.fal_client("http://127.0.0.1:1")._client.headers["authorization"] == "Key found:there"


@pytest.mark.parametrize("base", [5, b"http://127.0.0.1:1", "http://x y", "http://127.0.0.1:\n80", "http://é"])
def test_what_cannot_be_an_address_is_refused_too(base: Any) -> None:
    for make in MAKERS:
        with pytest.raises(BadSetting, match="is not the address of a gateway"):
            make(base, "k")


@pytest.mark.parametrize("base", ["", "127.0.0.1:80", "ftp://x", "http://", "http://x:y", "http://x?y", "https://[::1"])
def test_what_is_no_address_is_refused_with_what_to_type(base: str) -> None:
    for make in MAKERS:
        with pytest.raises(BadSetting, match="http://127"):
            make(base, "k")


def test_the_key_is_not_in_what_is_shown() -> None:
    assert "secret" not in repr(fal_jupyter.fal_client("http://127.0.0.1:1/", "id:secret"))


def test_threads_that_call_at_once_share_one_connection_pool() -> None:
    client = fal_jupyter.fal_client("http://127.0.0.1:9", "id:secret")
    together = threading.Barrier(8)

    def first_use(_: int) -> object:
        together.wait(30)
        return client._client

    with ThreadPoolExecutor(8) as pool:
        pools = list(pool.map(first_use, range(8)))
    client._client.close()

    assert len({id(one) for one in pools}) == 1


def stderr_of(code: str, *paths: Path) -> str:
    """Run *code* with *paths* first on ``sys.path``; returns its standard error."""
    program = f"import sys; sys.path[:0] = {[str(path) for path in paths]!r}\n{code}"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    return ran.stderr


CALL = "import fal_jupyter; fal_jupyter.fal_client('http://127.0.0.1:1', 'k')"


def test_if_it_is_not_installed_the_message_says_how(tmp_path: Path) -> None:
    hidden = "import sys; sys.meta_path.insert(0, type('No', (), {'find_spec': staticmethod(_refuse)}))"
    refuse = (
        "def _refuse(name, path=None, target=None):\n"
        "    if name == 'fal_client':\n"
        "        raise ModuleNotFoundError('No module', name='fal_client')\n"
    )

    assert "pip install fal-client==1.0.3" in stderr_of(f"{refuse}{hidden}\n{CALL}")


def test_another_build_of_it_is_named_with_the_one_that_was_measured(tmp_path: Path) -> None:
    package = tmp_path / "fal_client"
    package.mkdir()
    (package / "__init__.py").write_text("__version__ = '9.9'\n")
    output = stderr_of(CALL, tmp_path)

    assert "fal-client 9.9 differs from 1.0.3, the tested version" in output
    assert "pip install fal-client==1.0.3" in output


def test_another_version_with_the_same_internals_is_used_with_a_warning() -> None:
    output = stderr_of(f"import fal_client; fal_client.__version__ = '1.0.4'\n{CALL}")

    assert "UserWarning: fal-client 1.0.4 is not the tested version (1.0.3)" in output
    assert "Traceback" not in output


def test_importing_fal_jupyter_does_not_import_it() -> None:
    output = stderr_of("import fal_jupyter; fal_jupyter.__version__\nassert 'fal_client' not in sys.modules")

    assert output == ""
