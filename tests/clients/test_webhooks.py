"""Webhooks of jobs that fal's client submits: delivered once, to exactly that address, with a signature that verifies."""

from __future__ import annotations

import base64
import hashlib
import json

import fal_client
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.support.serve import Served
from tests.support.webhook_receiver import Delivery, WebhookReceiver


def check_signature(base: str, delivery: Delivery) -> None:
    """Verify as fal's documentation tells receivers to: four lines, Ed25519, a key of the JWKS (W115 to W117)."""
    headers = delivery.headers
    lines = [headers[f"x-fal-webhook-{name}"] for name in ("request-id", "user-id", "timestamp")]
    message = "\n".join([*lines, hashlib.sha256(delivery.body).hexdigest()]).encode()
    (key,) = httpx.get(f"{base}/rest/.well-known/jwks.json").json()["keys"]
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "="))
    public.verify(bytes.fromhex(headers["x-fal-webhook-signature"]), message)


def test_a_result_is_delivered_signed_to_exactly_the_address(
    client: fal_client.SyncClient, many: Served, app: str, receiver: WebhookReceiver
) -> None:
    job = client.submit(app, {"prompt": "a cat"}, path="/valid", webhook_url=f"{receiver.url}/done?a=1&b=%C3%A9&c=é")
    delivery = receiver.next()

    assert delivery.path == "/done?a=1&b=%C3%A9&c=%C3%A9"
    assert delivery.headers["x-fal-webhook-request-id"] == job.request_id
    assert json.loads(delivery.body) == {
        "request_id": job.request_id,
        "gateway_request_id": job.request_id,
        "status": "OK",
        "error": None,
        "payload": {"prompt": "a cat", "steps": 1},
    }
    check_signature(many.ready["base"], delivery)
    assert job.get() == {"prompt": "a cat", "steps": 1}


def test_a_failure_is_delivered_with_its_status_and_body(
    client: fal_client.SyncClient, many: Served, app: str, receiver: WebhookReceiver
) -> None:
    client.submit(app, {}, path="/valid", webhook_url=receiver.url)
    delivery = receiver.next()
    payload = json.loads(delivery.body)

    assert (payload["status"], payload["error"]) == ("ERROR", "Invalid status code: 422")
    assert payload["payload"]["detail"][0]["loc"][-1] == "prompt"
    check_signature(many.ready["base"], delivery)


def test_a_failed_delivery_is_retried_with_a_new_signature(
    client: fal_client.SyncClient, many: Served, app: str, receiver: WebhookReceiver
) -> None:
    receiver.failures = 1
    client.submit(app, {"prompt": "x"}, path="/valid", webhook_url=receiver.url)
    first, second = receiver.next(), receiver.next()

    assert first.body == second.body
    for delivery in (first, second):
        check_signature(many.ready["base"], delivery)


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/x", "http://169.254.169.254/latest", "no address"])
def test_a_forbidden_webhook_address_is_refused_immediately(
    client: fal_client.SyncClient, app: str, address: str
) -> None:
    with pytest.raises(fal_client.FalClientHTTPError) as raised:
        client.submit(app, {}, webhook_url=address)

    assert raised.value.status_code == 400
