"""What a request that fails is answered with, and when it is queued again instead."""

from __future__ import annotations

from fal_jupyter.domain.errors import AppTaken
from fal_jupyter.domain.events import FailRequest
from fal_jupyter.domain.requests.failures import Ending, failure_to_send, is_caused_by_last_start

ENDING = Ending("gateway_ending", "the gateway is ending")
NOT_STARTED = FailRequest("q", 503, "runner_scheduling_failure", "it did not start", 20)
LOST = FailRequest("q", 503, "runner_disconnected", "the runner ended")


def test_a_request_that_waited_when_the_gateway_ended_is_answered_so_and_may_come_again_at_once() -> None:
    assert failure_to_send(NOT_STARTED, dispatched=False, undelivered=False, ending=ENDING) == FailRequest(
        "q", 503, "gateway_ending", "the gateway is ending", 1
    )
    for dispatched, ending, command in ((True, ENDING, NOT_STARTED), (False, None, NOT_STARTED), (False, ENDING, LOST)):
        assert failure_to_send(command, dispatched=dispatched, undelivered=False, ending=ending) == command


def test_an_undelivered_request_is_requeued() -> None:
    assert failure_to_send(LOST, dispatched=False, undelivered=True, ending=None) is None
    assert failure_to_send(LOST, dispatched=False, undelivered=True, ending=ENDING) is None
    assert failure_to_send(LOST, dispatched=True, undelivered=False, ending=None) == LOST
    assert failure_to_send(NOT_STARTED, dispatched=False, undelivered=True, ending=None) == NOT_STARTED


def test_the_last_start_explains_only_a_request_that_waited_for_one() -> None:
    assert is_caused_by_last_start(NOT_STARTED, dispatched=False)
    assert not is_caused_by_last_start(NOT_STARTED, dispatched=True)
    assert not is_caused_by_last_start(LOST, dispatched=False)


def test_a_name_that_is_taken_says_who_has_it() -> None:
    taken = AppTaken("hello is taken", hint="stop it", holder="a.ipynb (process 12)")
    assert (str(taken).splitlines()[0], taken.status, taken.holder) == ("hello is taken", 409, "a.ipynb (process 12)")
    assert AppTaken("hello is taken").holder == ""
