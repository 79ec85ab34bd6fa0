"""The record by which a kernel finds its server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fal_jupyter import server_record
from fal_jupyter.processes import start_time
from fal_jupyter.server_record import ServerRecord


def own() -> ServerRecord:
    return ServerRecord(os.getpid(), start_time(os.getpid()), "/user/a%20b/", "http://localhost:8888", True)


def test_what_was_written_is_found_and_is_its_owners_alone(tmp_path: Path) -> None:
    server_record.write(tmp_path, own())
    assert server_record.find(tmp_path, os.getpid()) == own()
    path = server_record.record_path(tmp_path, os.getpid())
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    server_record.write(tmp_path, replace(own(), origin="https://hub"))
    assert server_record.find(tmp_path, os.getpid()) == replace(own(), origin="https://hub")
    server_record.remove(tmp_path, os.getpid())
    assert server_record.find(tmp_path, os.getpid()) is None
    server_record.remove(tmp_path, os.getpid())


def test_the_record_of_a_process_that_ended_is_not_believed(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    record = replace(own(), pid=child.pid, start_time=start_time(child.pid))
    server_record.write(tmp_path, record)
    assert server_record.find(tmp_path, child.pid) == record
    child.communicate(b"\n")
    assert server_record.find(tmp_path, child.pid) is None


def test_another_process_of_the_same_number_is_not_believed(tmp_path: Path) -> None:
    server_record.write(tmp_path, replace(own(), start_time=own().start_time - 1))
    assert server_record.find(tmp_path, os.getpid()) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", '{"pid": "1"}', "null"])
def test_nonsense_is_no_record(tmp_path: Path, text: str) -> None:
    server_record.record_path(tmp_path, os.getpid()).write_text(text)
    assert server_record.find(tmp_path, os.getpid()) is None


def test_a_field_of_another_type_is_no_record(tmp_path: Path) -> None:
    server_record.write(tmp_path, own())
    path = server_record.record_path(tmp_path, os.getpid())
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_url": 7}))
    assert server_record.find(tmp_path, os.getpid()) is None


def test_an_address_begins_with_origin_and_base_url() -> None:
    assert own().url("fal/run/me/app/") == "http://localhost:8888/user/a%20b/fal/run/me/app/"
    assert replace(own(), origin="").url("/fal/run/me/app/") == "/user/a%20b/fal/run/me/app/"


def test_reading_a_record_loads_no_server() -> None:
    code = "import sys, fal_jupyter.server_record; print([m for m in ('tornado', 'jupyter_server', 'traitlets') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.strip() == "[]"
