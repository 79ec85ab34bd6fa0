"""Everything that reads text or bytes of strangers, on whatever they may send: a value, or the error that is written down for it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import ipaddress
import json
import re
from urllib.parse import unquote, urlsplit

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from fal_jupyter import net_guard
from fal_jupyter import settings as own_settings
from fal_jupyter.commands import grammar, parser
from fal_jupyter.credentials import id_and_hash, make_key
from fal_jupyter.domain.errors import BadSetting
from fal_jupyter.environments.lines import installer_lines, masked
from fal_jupyter.fal.toolkit.utils.fetching import FetchError, fetch, local_bytes
from fal_jupyter.fal.upload_policy import BadPolicy, read_policy
from fal_jupyter.gateway.auth.access_tokens import AccessTokens
from fal_jupyter.gateway.http.response_writer import is_number, new_id
from fal_jupyter.gateway.queue.webhooks import Webhooks
from fal_jupyter.gateway.requests.data_plane import is_own_host, start_limit, token_of, without_token
from fal_jupyter.gateway.storage.file_rules import lifecycle_in
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.addresses import app_address, is_hostile, job_address
from fal_jupyter.protocol.frames import Decoder, Frame, FrameError, Kind
from fal_jupyter.protocol.panels import admin_target
from fal_jupyter.server import targets
from fal_jupyter.server.headers import location
from fal_jupyter.server.origin import origin_of
from tests.fuzz.schemas import ADDRESSES, anything
from tests.support.examples import examples

latin1 = st.text(st.characters(max_codepoint=255), max_size=60)
plain = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
word = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12)
path = st.lists(
    word
    | latin1
    | st.sampled_from(["..", ".", "", "%2e%2e", "%2F", "%5c", "requests", "status", "cancel", "workflows"])
).map("/".join)


# --- frames -----------------------------------------------------------------------------------------------------------
def decoded(pieces: list[bytes]) -> tuple[list[Frame], bool, int]:
    """The frames of so many pieces, whether they ended in an error, and what was left."""
    decoder, found = Decoder(), []
    try:
        for piece in pieces:
            found += decoder.feed(piece)
    except FrameError:
        return found, True, 0
    return found, False, decoder.pending


some_frames = st.lists(st.tuples(st.sampled_from(list(Kind)), st.integers(0, 2**32 - 1), st.binary(max_size=40)))


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=20))
def test_any_bytes_are_frames_or_a_frame_error_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    cuts = sorted(cut for cut in cuts if cut <= len(data))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    whole, failed, pending = decoded([data])
    cut_up, failed_too, pending_too = decoded(pieces)
    assert (failed, pending) == (failed_too, pending_too)
    assert failed or cut_up == whole


@given(some_frames, st.data())
def test_a_changed_byte_is_other_frames_or_a_frame_error(
    sent: list[tuple[Kind, int, bytes]], data: st.DataObject
) -> None:
    whole = bytearray(b"".join(frames.encode(*frame) for frame in sent))
    assume(whole)
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    found, failed, pending = decoded([bytes(whole[:7]), bytes(whole[7:])])
    before, size = 0, 0
    for _, _, payload in sent:  # frames that end before the change are as they were
        size += frames.HEAD_SIZE + len(payload)
        before += size <= at
    assert failed or found[:before] == [Frame(*frame) for frame in sent[:before]]
    assert failed or sum(frames.HEAD_SIZE + len(frame.payload) for frame in found) + pending == len(whole)


@given(st.binary(max_size=60))
def test_any_payload_is_a_message_or_a_frame_error(payload: bytes) -> None:
    with contextlib.suppress(FrameError):
        head, body, _ = frames.decode_message(payload)
        assert payload.endswith(head + body)
    with contextlib.suppress(FrameError):
        head, body = frames.decode_load(payload)
        assert payload[4:] == head + body


# --- addresses --------------------------------------------------------------------------------------------------------
@given(path | plain, st.just("") | word)
def test_any_path_is_an_app_and_what_is_below_it(text: str, own: str) -> None:
    found = app_address(text, own)
    assert found.below.startswith("/")
    assert "/" not in found.owner + found.alias


@given(word, word, path, st.sampled_from(["", "workflows/", "comfy/"]))
def test_an_app_comes_back_from_its_address(owner: str, alias: str, below: str, namespace: str) -> None:
    assume(not re.match("[0-9]+-.", owner) and owner not in ("workflows", "comfy"))
    assert app_address(f"{namespace}{owner}/{alias}/{below}") == (owner, alias, f"/{below}")
    assert app_address(f"{owner}/{alias}") == (owner, alias, "/")


@given(path | plain)
def test_any_path_is_a_job_or_none(text: str) -> None:
    found = job_address(text, "own")
    if found is not None:
        assert re.fullmatch("[A-Za-z0-9-]{1,64}", found.request_id, re.ASCII)
        assert found.what in ("", "status", "status/stream", "cancel", "response")
        assert found.alias


@given(word, word, st.sampled_from(["", "status", "status/stream", "cancel", "response"]), st.booleans())
def test_a_job_comes_back_from_its_address(owner: str, alias: str, what: str, ends: bool) -> None:
    assume(not re.match("[0-9]+-.", owner) and owner not in ("workflows", "comfy"))
    job = new_id()
    text = f"{owner}/{alias}/requests/{job}{f'/{what}' if what else ''}{'/' * ends}"
    assert job_address(text) == (owner, alias, job, what)


@given(st.binary(max_size=30).map(lambda data: "".join(f"%{byte:02x}" for byte in data)) | path | latin1)
def test_a_path_that_climbs_is_found_at_every_door(text: str) -> None:
    parts = unquote(text).replace("\\", "/").split("/")
    assert is_hostile(text) or ".." not in parts
    assert targets.is_ambiguous(text) or (".." not in parts and "\\" not in unquote(text))


@given(path, st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]))
@example("keys/\xe9", "DELETE")
@example("keys/\u0663", "DELETE")
@example("apps/a\n", "GET")
def test_a_panel_reaches_only_plain_places(text: str, method: str) -> None:
    found = admin_target(method, text)
    if found is not None:
        assert found.isascii()
        assert found.isprintable()
        assert not targets.is_ambiguous(text)


@given(latin1, st.lists(st.tuples(latin1, latin1), max_size=4))
def test_jupyters_secrets_are_in_no_query_that_goes_on(text: str, pairs: list[tuple[str, str]]) -> None:
    query = "&".join([text, *(f"{name}={value}" for name, value in pairs), "%74oken=x", "_xsrf=y", "token"])
    kept = targets.without_secrets(query)
    assert not {unquote(part.partition("=")[0]) for part in kept.split("&")} & {"token", "_xsrf"}
    assert targets.without_secrets(kept) == kept


@given(latin1 | st.sampled_from(ADDRESSES))
def test_a_redirection_leads_below_its_own_app_or_nowhere(text: str) -> None:
    found = location(text, "/fal", "/run/own/app/here")
    assert found is None or found.startswith("/fal/run/")
    assert origin_of(text) == "" or origin_of(text).startswith(("http://", "https://"))


# --- heads ------------------------------------------------------------------------------------------------------------
@given(latin1 | st.sampled_from(["127.0.0.1:\xb2", "localhost:" + "9" * 5000, "[::1]:80", "[::1"]))
def test_any_host_is_classified(text: str) -> None:
    if is_own_host(text, {80, 8080}):
        assert text.lower().removesuffix(":80").removesuffix(":8080") in ("127.0.0.1", "localhost", "[::1]")


@given(latin1 | st.integers().map(str) | st.just("0" * 5000))
def test_a_number_is_one(text: str) -> None:
    if is_number(text):
        assert str(int(text)) == text.lstrip("0") or int(text) == 0


@given(latin1 | st.floats().map(str) | st.sampled_from(["1e400", "\xb2", "nan", "0.1", " 5 ", "1_0"]))
def test_a_time_to_start_in_is_seconds_or_a_sentence(text: str) -> None:
    try:
        seconds = start_limit(text)
    except ValueError as error:
        assert len(str(error)) <= 200  # noqa: PT017
    else:
        assert seconds == 0 or 0.1 < seconds < float("inf")


@given(latin1, latin1)
def test_a_token_in_a_query_is_found_and_never_goes_on(before: str, token: str) -> None:
    assume("fal_jwt_token" not in before)
    query = f"{before}&fal_jwt_token={token}&z=1"
    assert "fal_jwt_token" not in without_token(query).split("=")
    if "&" not in token and "%" not in token:
        assert token_of(query) == token


@given(st.lists(word, max_size=3), st.integers(1, 100), st.data())
def test_a_token_that_was_changed_opens_nothing(apps: list[str], seconds: int, data: st.DataObject) -> None:
    tokens, now = AccessTokens(b"s" * 32), 1_000_000.0
    token = tokens.sign(apps, seconds, now)
    for app in apps:
        assert tokens.admits(token, app, now)
        assert not tokens.admits(token, app, now + seconds + 1)
    at = data.draw(st.integers(0, len(token) - 2))
    other = data.draw(st.characters(max_codepoint=255))
    changed = token[:at] + other + token[at + 1 :]
    assume(changed != token)
    assert not any(tokens.admits(changed, app, now) for app in apps)


@given(latin1 | plain)
@example(".")
@example("..")
@example("\xe9.\xe9.\xe9")
def test_any_text_is_no_token(text: str) -> None:
    assert not AccessTokens(b"s" * 32).admits(text, "app", 0.0)


@given(latin1)
def test_any_text_is_a_key_that_is_not_known(text: str) -> None:
    key = make_key()
    assert id_and_hash(text)[1] != id_and_hash(key)[1]
    assert len(id_and_hash(text)[1]) == 32
    assert id_and_hash(key)[0] == key.partition(":")[0]


def test_a_thousand_request_ids_and_keys_are_valid_and_unique() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one) for one in ids)
    keys = {make_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(r"fjk_\w{8}:\w{49}", one, re.ASCII) for one in keys)


# --- addresses that are fetched or sent -------------------------------------------------------------------------------
@given(st.ip_addresses(v=4))
def test_an_address_is_as_public_in_every_form_that_ipv6_has_for_it(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    forms = [f"::ffff:{address}", str(ipaddress.IPv6Address((0x64FF9B << 96) | number))]
    forms.append(str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80))))
    for form in forms:
        assert net_guard.is_public(form) == net_guard.is_public(str(address)), form
        assert net_guard.is_loopback(form) == net_guard.is_loopback(str(address)), form


@given(st.ip_addresses(), st.booleans())
def test_what_is_not_public_is_connected_to_on_the_owners_word_only(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, loopback: bool
) -> None:
    text = str(address)
    embedded = getattr(
        address, "sixtofour", None
    )  # as public as the IPv4 address in it; 3.13 calls the whole block private
    if embedded is None and (
        address.is_private or address.is_multicast or address.is_link_local or address.is_unspecified
    ):
        assert not net_guard.is_public(text)
    assert net_guard.may_connect(text, loopback=loopback, private=True)
    if not net_guard.is_public(text):
        assert net_guard.may_connect(text, loopback=loopback, private=False) == (
            loopback and net_guard.is_loopback(text)
        )


PRIVATE = {"10.1.2.3", "169.254.169.254", "192.168.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1"}
LOOPBACK = {"127.0.0.1", "localhost", "::1", "0x7f.1", "127.1", "2130706433", "0", "::", "2002:7f00:1::"}
hosts = st.sampled_from(
    [
        "127.0.0.1", "localhost", "[::1]", "0", "0x7f.1", "127.1", "2130706433", "[::ffff:10.0.0.1]", "169.254.169.254", "10.1.2.3", "[fe80::1%lo]", "[::]", "192.168.0.1",
        "[::1", "", ".", "..", "\x00", "127.0.0.1\x00.example", "a" * 300 + ".invalid", "\u2100", "\u3002", "\xad", "[v1.a]", "user@127.0.0.1", "u:p@localhost", "8.8.8.8",
        "[64:ff9b::a00:1]", "[2002:7f00:1::]", "127.0.0.1%2e", "\u0661\u0662\u0667.1",
    ]
)  # fmt: skip
ports = st.sampled_from(["", ":", ":80", ":0", ":65536", ":-1", ":\xb2", ":" + "9" * 5000, ":a", ": 80"])
schemes = st.sampled_from(
    ["http://", "https://", "HTTP://", "ftp://", "http:", "//", "", "http:///", "ws://", "\x00http://"]
)
urls = st.builds(lambda *parts: "".join(parts), schemes, hosts, ports, st.just("/a?b=c#d") | latin1)


@settings(max_examples=examples(300))
@given(urls, st.booleans())
def test_a_webhook_is_never_delivered_to_a_forbidden_address(url: str, owner: bool) -> None:
    from pathlib import Path

    hooks = Webhooks(Path("/nowhere/key"), "me", allow_private=False, most_bytes=1 << 20)
    why = asyncio.run(hooks.refusal(url, owner=owner))
    assert len(why) < 300
    assert why.startswith("fal_webhook ") or why == ""
    if why.startswith("fal_webhook must") or "is not a valid URL" in why:
        return
    host = urlsplit(url).hostname
    if host in PRIVATE or (not owner and host in LOOPBACK):
        assert why


@settings(max_examples=examples(300))
@given(urls | plain | st.sampled_from(ADDRESSES))
@example("http://[::1")
@example("http://a\u2100b/")
@example("http://127.0.0.1:1/\r\nx: y")
@example("HTTP://\x08")
def test_nothing_private_is_fetched_and_every_refusal_is_a_fetch_error(url: str) -> None:
    assume("8.8.8.8" not in url)  # which is public
    into = io.BytesIO()
    try:
        fetch(url, into, limit=1 << 20)
    except FetchError:
        pass
    else:
        assert url.startswith("data:")


@given(
    st.text(max_size=40).map(lambda text: f"data:{text}") | st.sampled_from([a for a in ADDRESSES if a[:5] == "data:"])
)
@example("data:,\ud800")
@example("data:;base64,\ud800")
@example("data:;base64,a")
@example("data:;base64,====")
def test_any_data_uri_is_bytes_or_a_fetch_error(url: str) -> None:
    into = io.BytesIO()
    try:
        fetched = fetch(url, into, limit=1000)
    except FetchError:
        assert local_bytes(url, 1000) is None
    else:
        assert fetched.size == len(into.getvalue()) == int(fetched.headers["content-length"])
        assert local_bytes(url, 1000) == into.getvalue()


@given(st.binary(max_size=60))
def test_bytes_come_back_from_their_data_uri(data: bytes) -> None:
    import base64
    from urllib.parse import quote_from_bytes

    for url in (f"data:a/b;base64,{base64.b64encode(data).decode()}", f"data:a/b,{quote_from_bytes(data)}"):
        assert local_bytes(url, 1000) == data


# --- words of headers and of the command line -------------------------------------------------------------------------
@given(anything.map(json.dumps) | plain | st.sampled_from(["[" * 5000, '{"a":' * 5000]))
def test_a_policy_is_one_or_a_sentence(text: str) -> None:
    with contextlib.suppress(BadPolicy):
        assert read_policy(text).url.startswith("https://")
    with contextlib.suppress(ValueError):
        lifecycle_in({"x-fal-object-lifecycle": text})


words = st.lists(
    plain | word.map(lambda text: f"--{text}") | st.sampled_from(["--json", "--warm", "--auth=x", "-", "--", "--name", "serve", "apps", "-h", "--help", "'"]),
    max_size=5,
)  # fmt: skip


@given(words, st.sampled_from(["notebook", "shell"]))
def test_any_words_are_a_command_a_request_for_help_or_one_sentence(
    given_words: list[str], front: grammar.Front
) -> None:
    try:
        parser.parse_command(given_words, front)
    except parser.HelpRequested:
        pass
    except BadSetting as error:
        assert str(error)  # noqa: PT017


@given(plain | words.map(" ".join))
def test_any_line_of_the_magic_is_options_or_one_sentence(line: str) -> None:
    with contextlib.suppress(BadSetting, parser.HelpRequested):
        parser.parse_app_line(line)


VARIABLES = [
    own_settings.STATE_VARIABLE, own_settings.OWNER_VARIABLE, own_settings.MAX_BODY_VARIABLE, own_settings.MAX_FILE_VARIABLE, own_settings.QUEUE_BYTES_VARIABLE, own_settings.CDN_BYTES_VARIABLE, own_settings.FILE_LIFETIME_VARIABLE, own_settings.QUEUE_LENGTH_VARIABLE,
    own_settings.READ_TIMEOUT_VARIABLE,
    own_settings.SEND_TIMEOUT_VARIABLE, own_settings.FAKE_GPUS_VARIABLE, own_settings.CDN_VARIABLE, own_settings.ALLOW_PRIVATE_VARIABLE,
]  # fmt: skip
values = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["~nobody-of-that-name/x", "9" * 5000, "\xb2", "nan", "inf", "-1", "0", "1e400"]
)


@given(st.dictionaries(st.sampled_from(VARIABLES), values, max_size=3))
@example({own_settings.STATE_VARIABLE: "~nobody-of-that-name/x"})
@example({own_settings.MAX_BODY_VARIABLE: "9" * 5000})
def test_any_environment_is_settings_or_a_sentence_that_names_the_variable(environment: dict[str, str]) -> None:
    try:
        found = own_settings.read({own_settings.STATE_VARIABLE: "/tmp/x", **environment})
    except BadSetting as error:
        assert any(variable in str(error) for variable in environment)  # noqa: PT017
    else:
        assert found.max_body >= 1
        assert 0 < found.read_timeout < float("inf")


@given(
    st.lists(
        plain
        | st.sampled_from(
            ["-r ~nobody-of-that-name/x", "~nobody-of-that-name/x", "-e .", "./a.whl[x] ; y", "a @ file:///b"]
        ),
        max_size=4,
    )
)
def test_any_requirements_are_lines(lines: list[str]) -> None:
    from pathlib import Path

    found = installer_lines(lines, Path("/base"))
    assert len(found) <= len(lines)
    assert masked(f"https://user:secret@host/{'x'}").count("secret") == 0
