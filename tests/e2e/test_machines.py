"""Machine types through the interface of a user, with fake GPUs where the machine has none."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.support.kernel import Kernel, kernel
from tests.support.serve import command, served
from tests.support.state import state_directory

FAKE = {"FAL_JUPYTER_FAKE_GPUS": "2x24GiB:H100"}


@pytest.fixture(scope="module", autouse=True)
def claims(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The claims of these tests' gateways, apart from those of the machine's other users of this package."""
    place = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(place))
        yield place


@pytest.fixture(scope="module")
def with_gpus(claims: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kernel, Path]]:
    """A kernel whose gateway has two GPUs, and its state directory."""
    with state_directory() as state, kernel(state, tmp_path_factory.mktemp("gpus"), env=FAKE) as running:
        running.run("%load_ext fal_jupyter").ok()
        yield running, state


@pytest.fixture
def gpus(with_gpus: tuple[Kernel, Path]) -> Iterator[Kernel]:
    """A kernel without apps, and two GPUs that nobody has."""
    running, state = with_gpus
    yield running
    for app in json.loads(command(state, "apps", "--json").stdout):
        command(state, "kill", app["class_name"])
    while devices(state):
        Event().wait(0.02)


@pytest.fixture
def gpu_state(with_gpus: tuple[Kernel, Path]) -> Path:
    return with_gpus[1]


@pytest.fixture(scope="module")
def sized(claims: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel whose gateway has what this machine has; each test uses names of its own."""
    with state_directory() as state, kernel(state, tmp_path_factory.mktemp("sized")) as running:
        running.run("%load_ext fal_jupyter").ok()
        yield running


def cell(name: str, body: str = "", options: str = "") -> str:
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    return (
        f"%%fal_app {options}\nimport os\nAT_IMPORT = os.environ.get('CUDA_VISIBLE_DEVICES')\nclass {name}(fal.App):\n{indented}"
        "    @fal.endpoint('/')\n    def look(self) -> list:\n"
        "        return [os.environ.get('CUDA_VISIBLE_DEVICES'), sorted(os.sched_getaffinity(0)), os.environ.get('OMP_NUM_THREADS')]\n"
    )


def seen(notebook: Kernel, name: str) -> list[Any]:
    found: list[Any] = json.loads(notebook.run(f"import json\nprint(json.dumps({name}.look()))").ok().text)
    return found


def devices(state: Path) -> dict[str, list[str]]:
    return {r["runner_id"]: r["devices"] for r in json.loads(command(state, "runners", "--json").stdout)}


def test_runners_are_pinned_to_exclusive_devices(gpus: Kernel, gpu_state: Path) -> None:
    first = gpus.run(cell("First", "machine_type = 'GPU-H100'")).ok()
    assert "GPU-H100: H100" in first.shown
    gpus.run(cell("Second", "machine_type = ['GPU-B200', 'GPU']")).ok()  # the next type that is there
    assert (seen(gpus, "First")[0], seen(gpus, "Second")[0]) == ("FAKE-GPU-0", "FAKE-GPU-1")
    assert sorted(d for device_ids in devices(gpu_state).values() for d in device_ids) == ["FAKE-GPU-0", "FAKE-GPU-1"]
    assert "FAKE-GPU-1" in gpus.run("%fal runners").ok().text


def test_several_devices_for_one_runner_and_an_app_without_machine_sees_what_the_kernel_sees(
    gpus: Kernel, gpu_state: Path
) -> None:
    gpus.run(cell("Plain")).ok()
    assert seen(gpus, "Plain")[0] is None
    gpus.run(cell("Pair", "machine_type = 'GPU'\nnum_gpus = 2")).ok()
    assert seen(gpus, "Pair")[0] == "FAKE-GPU-0,FAKE-GPU-1"


def test_a_machine_that_is_not_there_is_one_sentence_and_machine_overrides_the_class(gpus: Kernel) -> None:
    wrong = gpus.run(cell("Wants", "machine_type = 'GPU-B200'"))
    assert (wrong.status, wrong.ename) == ("error", "NoSuchMachine")
    for word in ("Wants requires GPU-B200", "GPU 0 (H100, 24 GiB)", "--machine GPU", "--machine S"):
        assert word in wrong.traceback
    gpus.run(cell("Wants", "machine_type = 'GPU-B200'", "--machine cuda:1")).ok()
    assert seen(gpus, "Wants")[0] == "FAKE-GPU-1"
    gpus.run(cell("Wants", "machine_type = 'GPU-B200'", "--machine S")).ok()
    assert seen(gpus, "Wants")[0] == ""
    assert "'Q'" in gpus.run(cell("Wants", "", "--machine Q")).traceback


def test_an_app_that_waits_for_a_device_shows_its_holder_and_starts_when_it_is_free(gpus: Kernel) -> None:
    gpus.run(cell("Holder", "machine_type = 'GPU'\nnum_gpus = 2\nmax_concurrency = 1")).ok()
    message = gpus.start(cell("Waiter", "machine_type = 'GPU'"))
    waiting = gpus.finish(message, until=lambda c: "GPU 0" in c.text)
    assert "GPU 0 is held by Holder of a notebook" in waiting.text
    gpus.interrupt()
    assert gpus.finish(message).ename == "KeyboardInterrupt"
    gpus.run("%fal stop Holder").ok()
    assert seen(gpus, "Waiter")[0] == "FAKE-GPU-0"


def test_a_new_revision_gets_the_device_of_the_old_one(gpus: Kernel) -> None:
    body = "machine_type = 'cuda:0'\nflavour = {}"
    gpus.run(cell("Edited", body.format(1))).ok()
    gpus.run(cell("Edited", body.format(2))).ok()
    assert seen(gpus, "Edited")[0] == "FAKE-GPU-0"


def test_devices_come_back_from_a_killed_runner(gpus: Kernel, gpu_state: Path) -> None:
    gpus.run(cell("Killed", "machine_type = 'GPU'\nnum_gpus = 2")).ok()
    for _ in range(3):
        (runner,) = json.loads(command(gpu_state, "runners", "--json").stdout)
        os.kill(runner["pid"], signal.SIGKILL)
        while runner["runner_id"] in devices(gpu_state):
            Event().wait(0.02)
        assert seen(gpus, "Killed")[0] == "FAKE-GPU-0,FAKE-GPU-1"


APPS = """
import os
import fal

AT_IMPORT = os.environ.get("CUDA_VISIBLE_DEVICES")


class Holder(fal.App):
    machine_type = "GPU"
    num_gpus = 2
    keep_alive = 300
    min_concurrency = 1
    max_concurrency = 1

    @fal.endpoint("/")
    def look(self) -> list:
        return [AT_IMPORT, os.environ.get("CUDA_VISIBLE_DEVICES")]
"""


@pytest.mark.long
def test_two_gateways_never_share_a_device(state: Path, tmp_path: Path) -> None:
    path = tmp_path / "holder.py"
    path.write_text(APPS)
    with state_directory() as other, kernel(state, tmp_path, env=FAKE) as notebook:
        notebook.run("%load_ext fal_jupyter").ok()
        with served(other, f"{path}::Holder", env=FAKE) as holder:
            assert holder.request("/", {}).json == ["FAKE-GPU-0,FAKE-GPU-1"] * 2  # before the user's imports, too
            message = notebook.start(cell("Late", "machine_type = 'GPU'"))
            output = notebook.finish(message, until=lambda c: "held by" in c.text).text
            assert f"held by the gateway of {other}" in output
            gateway = json.loads(command(other, "doctor", "--json").stdout)["gateway"]["pid"]
            os.kill(gateway, signal.SIGKILL)  # its claims end with it
            assert notebook.finish(message, timeout=60).status == "ok"
        assert seen(notebook, "Late")[0] in ("FAKE-GPU-0", "FAKE-GPU-1")


def test_cores_and_threads_are_those_of_the_machine_type(sized: Kernel) -> None:
    here = sorted(os.sched_getaffinity(0))
    for type_, cores in (("XS", 1), ("S", 1), ("M", 2), ("L", 4)):
        shown = sized.run(cell("Sized", f"machine_type = {type_!r}")).ok().shown
        assert f"{type_}: " in shown
        have = min(cores, len(here))
        visible, affinity, threads = seen(sized, "Sized")
        assert (visible, len(affinity), threads) == ("", have, str(have))
        assert set(affinity) <= set(here)
        if cores > len(here):
            assert f"this machine has {len(here)} core" in shown


MEMORY = """%%fal_app
class NAME(fal.App):
    machine_type = "XS"
    @fal.endpoint("/bytes")
    def bytes(self, mb: int) -> int:
        return len(bytearray(mb * 1_000_000))
    @fal.endpoint("/array")
    def array(self, mb: int) -> int:
        import numpy
        return int(numpy.ones(mb * 1_000_000, dtype="u1").sum())
    @fal.endpoint("/tensor")
    def tensor(self, mb: int) -> int:
        import torch
        return int(torch.ones(mb * 1_000_000, dtype=torch.uint8).numel())
"""


@pytest.mark.parametrize("endpoints", [("bytes", "array"), pytest.param(("tensor",), marks=pytest.mark.long)])
def test_a_runner_over_its_memory_ends_with_a_sentence_that_names_limit_and_peak(
    sized: Kernel, endpoints: tuple[str, ...]
) -> None:
    if "tensor" in endpoints:
        pytest.importorskip("torch")
    for endpoint in endpoints:
        sized.run(MEMORY.replace("NAME", f"Greedy{endpoint}")).ok()
        assert sized.run(f"Greedy{endpoint}.{endpoint}(50)").ok().result == "50000000"
        failed = sized.run(f"Greedy{endpoint}.{endpoint}(900)")
        assert (failed.status, failed.ename) == ("error", "RequestError")
        for word in ("machine type XS", "limit is 512 MB", "peak was"):
            assert word in failed.traceback, failed.traceback
        result = sized.run(
            f"try:\n    Greedy{endpoint}.{endpoint}(900)\nexcept Exception as e:\n    print(e.status)"
        ).ok()
        assert result.text.startswith("503")
        assert sized.run(f"Greedy{endpoint}.{endpoint}(50)").ok().result == "50000000"


SHARED = """%%fal_app
import mmap, multiprocessing as mp, os, time
from multiprocessing.shared_memory import SharedMemory
class Sharing(fal.App):
    machine_type = "XS"
    keep_alive = 60
    @fal.endpoint("/")
    def share(self, kind: str, mb: int) -> int:
        if kind == "anonymous":
            self.kept = mmap.mmap(-1, mb * 1_000_000)
        elif kind == "memfd":
            fd = os.memfd_create("x"); os.truncate(fd, mb * 1_000_000); self.kept = mmap.mmap(fd, 0)
        elif kind == "named":
            self.named = SharedMemory(create=True, size=mb * 1_000_000); self.kept = self.named.buf
        else:
            pool = mp.get_context("fork").Pool(3)
            pool.map_async(_fill, [mb // 3 * 1_000_000] * 3).get(30)
            return mb
        for at in range(0, mb * 1_000_000, 4096):
            self.kept[at] = 1
        time.sleep(20 if mb > 512 else 0)
        return mb
def _fill(size):
    kept = bytearray(size)
    time.sleep(20 if size > 200_000_000 else 0)
"""


@pytest.mark.long
def test_shared_memory_and_that_of_children_count(sized: Kernel) -> None:
    named = ("named",) if shutil.disk_usage("/dev/shm").free > 1_000_000_000 else ()
    for kind in ("anonymous", "memfd", *named, "children"):
        sized.run(SHARED.replace("Sharing", f"Sharing{kind}")).ok()
        assert sized.run(f"Sharing{kind}.share('{kind}', 300)").ok().result == "300"
        failed = sized.run(f"Sharing{kind}.share('{kind}', 900)")
        assert "machine type XS" in failed.traceback, failed.traceback
        assert "the limit is 512 MB" in failed.traceback


def test_a_setup_over_its_memory_limit_is_reported(sized: Kernel) -> None:
    wrong = sized.run(
        "%%fal_app\nclass Fat(fal.App):\n    machine_type = 'XS'\n    def setup(self):\n        self.x = bytearray(900_000_000)\n"
        "    @fal.endpoint('/')\n    def hi(self): return 1\n"
    )
    assert wrong.status == "error"
    assert "limit is 512 MB" in wrong.traceback
    assert "line 5" in wrong.traceback


@pytest.mark.gpu
def test_torch_sees_the_runners_gpu_and_no_other(state: Path, request: pytest.FixtureRequest) -> None:
    pynvml = pytest.importorskip("pynvml")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        pytest.skip("not run: this machine has no GPU")
    notebook = request.getfixturevalue("notebook")
    notebook.run(
        "%%fal_app\nimport torch\nclass OnGpu(fal.App):\n    machine_type = 'GPU'\n"
        "    def setup(self):\n        self.x = torch.ones(1000, device='cuda')\n"
        "    @fal.endpoint('/')\n    def look(self) -> list:\n"
        "        return [torch.cuda.device_count(), float(self.x.sum()), str(torch.cuda.get_device_properties(0).uuid)]\n"
    ).ok()
    count, total, uuid = json.loads(notebook.run("import json\nprint(json.dumps(OnGpu.look()))").ok().text)
    (device_ids,) = devices(state).values()
    assert (count, total) == (1, 1000.0)
    assert device_ids == [f"GPU-{uuid}"]
