"""Tokens: who signs, what they open, and for how long."""

from __future__ import annotations

import base64
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.gateway.auth.access_tokens import LONGEST, AccessTokens
from tests.gateway.test_websockets import talk as talk  # the same app
from tests.support.serve import Served

OURS = AccessTokens(b"k" * 32)


@given(st.lists(st.text(max_size=20), max_size=5), st.floats(1e-3, 1e6), st.floats(0, 4e9), st.floats(-10, 2e6))
def test_a_token_opens_what_it_names_until_it_expires(
    apps: list[str], seconds: float, now: float, later: float
) -> None:
    token = OURS.sign(apps, seconds, now)
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["exp"] == now + min(seconds, LONGEST)
    assert all(OURS.admits(token, app, now) for app in apps)
    for app in (*apps, "another"):
        assert OURS.admits(token, app, now + later) == (app in apps and now + later < claims["exp"])
    assert not any(AccessTokens().admits(token, app, now) for app in apps)


@pytest.mark.parametrize("now", [1_800_000_000.0, 1_800_000_000.25, 1_800_000_000.999])
@pytest.mark.parametrize("seconds", [0.01, 0.5, 1.5])
def test_a_token_for_a_part_of_a_second_is_good_as_long_as_that(now: float, seconds: float) -> None:
    token = OURS.sign(["a"], seconds, now)

    assert OURS.admits(token, "a", now)
    assert OURS.admits(token, "a", now + seconds - 0.001)
    assert not OURS.admits(token, "a", now + seconds + 0.001)


@given(st.text(max_size=80) | st.binary(max_size=80).map(lambda b: b.decode("latin-1")))
def test_what_is_no_token_opens_nothing(text: str) -> None:
    assert not OURS.admits(text, "a", 0)
    assert not OURS.admits(f"{text}.{text}.{text}", "a", 0)


@given(st.data())
def test_a_changed_token_opens_nothing(data: st.DataObject) -> None:
    token = OURS.sign(["a"], 100, 0)
    at = data.draw(st.integers(0, len(token) - 1))
    sign = data.draw(st.sampled_from("abcXYZ019-_.= é"))
    changed = token[:at] + sign + token[at + 1 :]
    same = changed.rpartition(".")[0] == token.rpartition(".")[0] and _bytes(changed) == _bytes(token)
    assert OURS.admits(changed, "a", 0) == (changed == token or same)


def _bytes(token: str) -> bytes | None:
    """A signature's last character has bits that mean nothing."""
    last = token.rpartition(".")[2]
    try:
        return base64.b64decode(last + "=" * (-len(last) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None


def rest(app: Served, body: object, key: str | None = "own", path: str = "/rest/tokens/") -> tuple[int, object]:
    base, url = "/".join(app.ready["url"].split("/")[:3]), app.ready["url"]
    app.ready["url"] = base
    try:
        answer = app.request(path, body, key=key)
    finally:
        app.ready["url"] = url
    return answer.status, answer.json


def test_a_key_is_exchanged_for_a_token_which_opens_websockets_and_streams(talk: Served) -> None:
    import asyncio

    import msgpack
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus

    status, token = rest(talk, {"allowed_apps": ["talk"], "token_expiration": 120})
    assert status == 201
    _, other = rest(talk, {"allowed_apps": ["other"], "token_expiration": 120})
    url = talk.ready["url"].replace("http://", "ws://")

    async def main() -> None:
        async with connect(f"{url}/double?fal_jwt_token={token}", proxy=None) as ws:
            await ws.send(msgpack.packb({"x": 4}))
            assert msgpack.unpackb(await ws.recv()) == {"y": 8}
        for bad in (other, "x.y.z", ""):
            with pytest.raises(InvalidStatus) as refused:
                async with connect(f"{url}/double?fal_jwt_token={bad}", proxy=None):
                    pass
            assert refused.value.response.status_code == 401

    asyncio.run(main())
    assert talk.request(f"/left?fal_jwt_token={token}", key=None).status == 200
    assert talk.request("/left", key=None).status == 401


def test_an_expired_token_opens_nothing(talk: Served) -> None:
    _, token = rest(talk, {"allowed_apps": ["talk"], "token_expiration": 0.001})
    time.sleep(0.01)
    assert talk.request(f"/left?fal_jwt_token={token}", key=None).status == 401


@pytest.mark.parametrize(
    ("body", "key", "status"),
    [
        ({"allowed_apps": ["talk"]}, None, 401),
        ({"allowed_apps": ["talk"]}, "fjk_x:y", 401),
        ({}, "own", 422),
        ([], "own", 422),
        (b"{bad", "own", 422),
        ({"allowed_apps": "talk"}, "own", 422),
        ({"allowed_apps": [1]}, "own", 422),
        ({"allowed_apps": ["talk"], "token_expiration": -5}, "own", 422),
        ({"allowed_apps": ["talk"], "token_expiration": "x"}, "own", 422),
        ({"allowed_apps": ["talk"], "token_expiration": True}, "own", 422),
    ],
)
def test_an_invalid_request_for_a_token_is_refused(talk: Served, body: object, key: str | None, status: int) -> None:
    found, response = rest(talk, body, key)
    assert found == status
    assert response["detail"]  # type: ignore[index]


def test_what_is_nested_too_deep_is_no_body_for_a_token(talk: Served) -> None:
    status, body = rest(talk, b"[" * 200_000)
    assert status == 422
    assert "allowed_apps" in str(body)
