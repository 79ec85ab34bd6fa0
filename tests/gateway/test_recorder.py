"""A gateway's fleet is recorded and replayed: the same events at the same moments give the same commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from fal_jupyter.domain import events as m
from fal_jupyter.domain.fleet.fleet import Fleet
from fal_jupyter.domain.queue.retries import RetryRules
from fal_jupyter.domain.resources.machines import Allotment
from fal_jupyter.domain.runners.health import HealthRules
from fal_jupyter.domain.spec import AppSpec, EndpointSpec, Scaling
from fal_jupyter.gateway.engine.recorder import FleetRecorder, events_of, replay
from tests.support.fixtures import state_fixture
from tests.support.serve import served

SPEC = AppSpec(
    class_name="A",
    alias="a",
    endpoints=(EndpointSpec(name="hi", path="/"),),
    scaling=Scaling(max_multiplexing=2, keep_alive=0.5),
    secrets=("KEY",),
    health=HealthRules(path="/health"),
    retry=RetryRules(skip=("timeout",), budgets={"server_error": 2}),
)
SECOND = 1_000_000_000
EVENTS: tuple[m.FleetEvent, ...] = (
    m.AppPublished("a", SPEC, 1, "l-1", Allotment(count=1, eligible=("gpu-0",), names=("GPU 0",)), "a notebook"),
    m.StartRefused("a-1", "GPU 0 is held by another gateway", ("gpu-0",)),
    m.DeviceReleased("gpu-0"),
    m.RequestArrived("a", "q-1", hint="model", start_within=5.5),
    m.RunnerSpawned("a-2"),
    m.RunnerReady("a-2"),
    m.RunnerHintsChanged("a-2", frozenset({"model", "other"})),
    m.RequestArrived("a", "q-2", queued=True, low=True),
    m.HealthCheckRequested("a-2"),
    m.HealthCheckCompleted("a-2", healthy=False, detail="answered 500"),
    m.RunnerPingAnswered("a-2"),
    m.RequestAborted("q-1", insist=True),
    m.TimerFired(),
    m.RequestFinished("q-1"),
    m.RequestFinished("q-2", replace=True),
    m.AppScaled("a", Scaling(min_concurrency=1)),
    m.RunnerExited("a-2", "exited with status 3", lost=True),
    m.RunnerFailed("a-3", "ValueError: no"),
    m.AppAdopted("a", "l-2", "another notebook"),
    m.AppUnloaded("a"),
    m.RunnerStopRequested("a-3", kill=True),
    m.LeaseEnded("l-1"),
    m.AppStopped("a", kill=True),
)


def record(directory: Path) -> Path:
    recorder, fleet = FleetRecorder(directory, "0.2.0"), Fleet()
    for number, event in enumerate(EVENTS):
        recorder.record(number * SECOND, event, fleet.handle(event, number * SECOND))
    recorder.close()
    (path,) = directory.glob("fleet-*.jsonl")
    return path


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_every_event_is_read_back_as_it_was_and_replays_to_the_same_commands(tmp_path: Path) -> None:
    assert {type(event) for event in EVENTS} == set(get_args(m.FleetEvent))
    path = record(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [event for _, event, _ in events_of(lines_of(path))] == list(EVENTS)
    assert replay(lines_of(path)) == []


def test_a_replay_shows_which_event_got_other_commands(tmp_path: Path) -> None:
    lines = lines_of(record(tmp_path))
    lines[6] = lines[6].replace(
        b'"DispatchRequest","fields":{"request_id":"q-1"', b'"DispatchRequest","fields":{"request_id":"q-9"'
    )
    (divergence,) = replay(lines)
    assert (divergence.line, divergence.event) == (7, "RunnerReady(runner_id='a-2')")
    assert "request_id='q-9'" in str(divergence)
    assert "request_id='q-1'" in str(divergence)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "not a record"),
        ([b'{"format":2,"version":"9","pid":1}'], "format 2"),
        (
            [b'{"format":1,"version":"9","pid":1}', b'{"at":1,"event":{"type":"X","fields":{}},"commands":[]}'],
            "no event X",
        ),
        ([b'{"format":1,"version":"9","pid":1}', b"{"], "not a record"),
    ],
)
def test_what_is_no_record_of_this_version_is_refused(lines: list[bytes], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        replay(lines)


def test_a_full_disk_ends_the_record_only(tmp_path: Path) -> None:
    recorder = FleetRecorder(tmp_path, "0.2.0")
    recorder.close()
    recorder.record(1, m.TimerFired(), [])
    recorder.close()


state = state_fixture()  # a gateway of its own: it records


def test_what_a_gateway_did_is_replayed(state: Path, app_file: str, tmp_path: Path) -> None:
    """The example of CONTRIBUTING: record a gateway, then replay its fleet."""
    with served(state, f"{app_file}::Wide", env={"FAL_JUPYTER_RECORD": str(tmp_path)}) as wide:
        assert wide.request("/", {"name": "Ada"}).status == 200
        assert wide.request("/status?code=503").status == 503  # its runner is replaced
        assert wide.request("/", {"name": "Eve"}).status == 200
        wide.stop()
    (path,) = tmp_path.glob("fleet-*.jsonl")
    command = [sys.executable, "-m", "fal_jupyter.gateway.engine.recorder", str(path)]
    replayed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (replayed.returncode, replayed.stdout) == (0, "")
    kinds = [type(event).__name__ for _, event, _ in events_of(lines_of(path))]
    assert kinds[0] == "AppPublished"
    assert kinds.count("RequestFinished") == 3
    assert "LeaseEnded" in kinds
    assert "0 with other commands" in replayed.stderr
    (dump,) = tmp_path.glob("frames-*.jsonl")
    frames = [json.loads(line) for line in dump.read_text().splitlines()]
    sent = [(frame["to"], frame["kind"]) for frame in frames]
    assert ("runner", "LOAD") in sent
    assert ("gateway", "READY") in sent
    assert all(frame["payload"] == "" for frame in frames if frame["kind"] == "LOAD")
    assert any(frame["kind"] == "REQUEST" and "Ada" in frame["payload"] for frame in frames)


@pytest.mark.long
def test_a_directory_that_cannot_be_written_is_no_reason_not_to_serve(state: Path, app_file: str) -> None:
    with served(state, f"{app_file}::Open", env={"FAL_JUPYTER_RECORD": "/proc/nothing"}) as app:
        assert app.request("/", {}).json == {"public": True}
    assert "nothing is recorded" in (state / "logs" / "gateway.log").read_text()
