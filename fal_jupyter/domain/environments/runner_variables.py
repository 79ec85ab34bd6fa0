"""The environment variables that fal's platform sets for a runner, for runners on this machine.

``fal_client`` reads hosts and key from the environment. An app whose environment has a key of fal's cloud keeps calling the cloud: its
key and hosts are one set, so no cloud key reaches a gateway and no local key reaches the cloud. All other apps get their own
key, which is valid for the apps that are served here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LOCAL_KEY = "fjk_"  # prefix of a gateway's keys
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerIdentity:
    """Identity of a runner: ``owner/alias``, the number of its revision, and its own id."""

    owner: str
    alias: str
    revision: int
    runner_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAccess:
    """How an app's code reaches the gateway: its own key, and the ports on 127.0.0.1 (0: closed)."""

    key: str
    port: int
    tls_port: int


def calls_the_cloud(env: Mapping[str, str]) -> bool:
    """True if *env* names the cloud's key or host for ``fal_client``. Variables of a gateway (``fal-jupyter env``) do not count."""
    key = env.get("FAL_KEY", "")
    if key:
        return not key.startswith(LOCAL_KEY)
    chosen = "FAL_RUN_HOST" in env or env.get("FAL_FORCE_AUTH_BY_USER") == "1"
    return chosen or bool(env.get("FAL_KEY_ID") and env.get("FAL_KEY_SECRET"))


def identity_variables(
    env: Mapping[str, str], runner: RunnerIdentity, data: str, hugging_face: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables that identify a runner, and the folders of its models: below *data*, the persistent folder, unless the user set one.

    Args:
        hugging_face: variables of the user's default folder, so that its models and login stay in use.
    """
    variables = {
        "FAL_APP_NAME": f"{runner.owner}/{runner.alias}",
        "FAL_APP_ID": f"{runner.alias}-revision-{runner.revision}",
        "FAL_USER_NICKNAME": runner.owner,
        "FAL_JOB_ID": runner.runner_id,
        "FAL_REGION": "local",
    }
    if not env.get("HF_HOME"):
        variables["HF_HOME"] = f"{data}/.cache/huggingface"
        variables |= {name: value for name, value in hugging_face.items() if not env.get(name)}
    return variables


def access_variables(env: Mapping[str, str], access: LocalAccess) -> dict[str, str]:
    """Return the variables that connect ``fal_client`` to the gateway, bypassing any proxy.

    ``FAL_HOST`` is the control plane's, which is not served here; fal's SDK requires that it begins with ``api``.
    """
    variables = {"FAL_KEY": access.key, **client_hosts(access.tls_port)}
    if not env.get("FAL_HOST"):
        variables["FAL_HOST"] = f"api.localhost:{access.port}"
    return variables | past_proxies(env)


def client_hosts(tls_port: int) -> dict[str, str]:
    """The hosts as fal's Python clients read them: without a scheme, which is always TLS."""
    authority = f"127.0.0.1:{tls_port}"
    return {
        "FAL_RUN_HOST": f"{authority}/run",
        "FAL_QUEUE_RUN_HOST": f"{authority}/queue",
        "FAL_WS_RUN_HOST": f"{authority}/ws",
    }


def past_proxies(env: Mapping[str, str]) -> dict[str, str]:
    """``NO_PROXY`` with the loopback addresses, if *env* names a proxy."""
    if not any(env.get(name) or env.get(name.lower()) for name in _PROXIES):
        return {}
    named = ",".join(filter(None, (env.get("no_proxy"), env.get("NO_PROXY"))))
    excepted = [part.strip() for part in named.split(",") if part.strip()]
    text = ",".join(dict.fromkeys([*excepted, *LOOPBACK]))
    return {"NO_PROXY": text, "no_proxy": text}
