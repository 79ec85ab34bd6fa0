"""Variables that the platform gives a runner."""

from __future__ import annotations

import pytest

from fal_jupyter.domain.environments.runner_variables import (
    LocalAccess,
    RunnerIdentity,
    access_variables,
    calls_the_cloud,
    identity_variables,
    past_proxies,
)

RUNNER = RunnerIdentity(owner="me", alias="app", revision=3, runner_id="app-7")
ACCESS = LocalAccess(key="fjk_a:b", port=1, tls_port=2)


@pytest.mark.parametrize(
    ("env", "cloud"),
    [
        ({}, False),
        ({"FAL_KEY": ""}, False),
        ({"FAL_KEY": "id:secret"}, True),
        ({"FAL_KEY": "id:secret", "FAL_RUN_HOST": "127.0.0.1:9/run"}, True),
        ({"FAL_KEY": "fjk_12345678:x", "FAL_RUN_HOST": "127.0.0.1:9/run"}, False),  # of ``fal-jupyter env``
        ({"FAL_RUN_HOST": "run.staging.example"}, True),
        ({"FAL_KEY_ID": "id"}, False),
        ({"FAL_KEY_ID": "id", "FAL_KEY_SECRET": "secret"}, True),
        ({"FAL_FORCE_AUTH_BY_USER": "1"}, True),
        ({"FAL_FORCE_AUTH_BY_USER": "0"}, False),
    ],
)
def test_a_key_or_host_of_the_cloud_is_the_users_choice(env: dict[str, str], cloud: bool) -> None:
    assert calls_the_cloud(env) is cloud


def test_a_runner_gets_its_identity_in_variables() -> None:
    assert identity_variables({}, RUNNER, "/state/data", {"HF_HUB_CACHE": "/home/me/hub"}) == {
        "FAL_APP_NAME": "me/app",
        "FAL_APP_ID": "app-revision-3",
        "FAL_USER_NICKNAME": "me",
        "FAL_JOB_ID": "app-7",
        "FAL_REGION": "local",
        "HF_HOME": "/state/data/.cache/huggingface",
        "HF_HUB_CACHE": "/home/me/hub",
    }


def test_a_place_for_models_that_the_user_chose_stays() -> None:
    assert "HF_HOME" not in identity_variables({"HF_HOME": "/models"}, RUNNER, "/data", {"HF_TOKEN_PATH": "/t"})
    variables = identity_variables(
        {"HF_HUB_CACHE": "/mine"}, RUNNER, "/data", {"HF_HUB_CACHE": "/h", "HF_TOKEN_PATH": "/t"}
    )
    assert {name: value for name, value in variables.items() if name.startswith("HF_")} == {
        "HF_HOME": "/data/.cache/huggingface",
        "HF_TOKEN_PATH": "/t",
    }


def test_the_client_is_led_to_the_gateway_past_proxies() -> None:
    assert access_variables({"FAL_HOST": "api.example"}, ACCESS) == {
        "FAL_KEY": "fjk_a:b",
        "FAL_RUN_HOST": "127.0.0.1:2/run",
        "FAL_QUEUE_RUN_HOST": "127.0.0.1:2/queue",
        "FAL_WS_RUN_HOST": "127.0.0.1:2/ws",
    }
    assert access_variables({}, ACCESS)["FAL_HOST"] == "api.localhost:1"
    assert past_proxies({"no_proxy": "a"}) == {}
    loopback = "127.0.0.1,localhost,::1"
    assert past_proxies({"all_proxy": "http://p"}) == {"NO_PROXY": loopback, "no_proxy": loopback}
    assert past_proxies({"HTTP_PROXY": "p", "NO_PROXY": "a, localhost", "no_proxy": "b"})["no_proxy"] == (
        "b,a,localhost,127.0.0.1,::1"
    )
