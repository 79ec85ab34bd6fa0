"""``fal.app.AppClient``: an app's endpoints as functions that post to its address (docs/contract.md, C153)."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fal_jupyter import gateway_offer
from fal_jupyter.domain.environments.runner_variables import LOCAL_KEY
from fal_jupyter.domain.errors import UserError
from fal_jupyter.fal.classes.remote import handle_of
from fal_jupyter.fal.classes.routes import endpoints_of
from fal_jupyter.fal.destinations import authorization_of_environment, http_client
from fal_jupyter.fal.exceptions import FalServerlessException
from fal_jupyter.outbound_http import is_loopback_url

_NAME = "fal.app.AppClient"


@dataclass
class AppClientError(FalServerlessException):
    """A call of ``fal.app.AppClient`` failed."""

    message: str
    status_code: int
    headers: dict[str, str] = field(default_factory=dict)


class EndpointClient:
    """One endpoint: call it with a model, or with a dict."""

    def __init__(
        self, url: str, method: Callable[..., Any], path: str, timeout: float | None, headers: Mapping[str, str]
    ) -> None:
        self.url, self.timeout, self.headers = url + path, timeout, dict(headers)
        try:
            self.return_type = typing.get_type_hints(method).get("return")
        except Exception:  # names that are there in the runner only: the answer is given as it is
            self.return_type = None

    def __call__(self, data: Any) -> Any:
        """Post *data*, and give the answer: as the class that the method is said to return, else from JSON.

        Raises:
            AppClientError: the app answers with a failure.
            httpx.HTTPError: there is no answer.
        """
        body = data.model_dump(mode="json") if hasattr(data, "model_dump") else dict(data)
        answer = http_client(_NAME).post(self.url, json=body, timeout=self.timeout, headers=self.headers)
        if not answer.is_success:
            raise AppClientError(
                f"Failed to POST {self.url}: {answer.status_code} {answer.text}",
                answer.status_code,
                dict(answer.headers),
            )
        value = answer.json()
        kind = self.return_type
        return kind(**value) if isinstance(kind, type) and isinstance(value, dict) else value


class AppClient:
    """The endpoints of *cls* as functions that post to *url*.

    Args:
        url: ``http://127.0.0.1:PORT/run/owner/alias``, as :attr:`Hello.local_url` gives it.
        timeout: seconds for one answer; None: no limit.
    """

    def __init__(self, cls: type, url: str, timeout: float | None = None) -> None:
        self.cls, self.url = cls, url.rstrip("/")
        self.application = "/".join(self.url.split("/")[-2:])
        self._headers = _headers_for(cls, self.url)
        for name, endpoint in endpoints_of(cls).items():
            path = endpoint.route_signature.path
            setattr(self, name, EndpointClient(self.url, endpoint.__wrapped__, path, timeout, self._headers))

    @classmethod
    @contextmanager
    def connect(
        cls,
        app_cls: type,
        *,
        health_request_timeout: int = 30,
        startup_timeout: int = 60,
        health_check_interval: float = 0.5,
    ) -> Iterator[AppClient]:
        """Serve *app_cls* on this machine for the ``with`` block; a class that is served already stays served.

        The limits are taken for compatibility: the class's own ``startup_timeout`` counts, and a runner says itself when it is ready.

        Raises:
            UserError: this is a runner.
            SetupFailed: the first runner could not start.
        """
        handle, own = handle_of(app_cls), False
        if handle is None:
            offer = gateway_offer.offered()
            if offer is None:
                raise UserError(
                    f"AppClient.connect({app_cls.__name__}) cannot serve an app from within a runner",
                    hint="call it in a notebook or in a script",
                )
            handle, own = offer.serve(app_cls), True
        try:
            yield cls(app_cls, handle.local_url)
        finally:
            if own:
                handle.stop()

    def health(self) -> Any:
        """Ask for the app's health.

        Raises:
            httpx.HTTPError: it is not healthy, or does not answer.
        """
        return http_client(_NAME).get(f"{self.url}/health", headers=self._headers).raise_for_status().json()


def _headers_for(cls: type, url: str) -> dict[str, str]:
    """Return the header with the key for *url*: that of this process's gateway, or the environment's.

    A gateway's key in the environment is sent to this machine only, and any other key (fal's cloud's) never to it.
    """
    handle, offer = handle_of(cls), gateway_offer.offered()
    if handle is not None and url == handle.local_url:
        return {"Authorization": f"Key {handle.key}"}
    if offer is not None and is_loopback_url(url):
        base, key = offer.reach()
        if url.startswith(f"{base}/"):
            return {"Authorization": f"Key {key}"}
    authorization = authorization_of_environment()
    fits = authorization.startswith(f"Key {LOCAL_KEY}") == is_loopback_url(url)
    return {"Authorization": authorization} if authorization and fits else {}
