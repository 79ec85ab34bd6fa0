"""A literal /data in an app's code is the persistent folder, where the kernel allows it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from fal_jupyter.data_mount import why_not
from tests.support.serve import command, served
from tests.support.state import processes_of, state_directory

APP = """
import os, multiprocessing as mp, subprocess
import fal
class Literal(fal.App):
    keep_alive = 300
    def setup(self):
        os.makedirs("/data/models", exist_ok=True)
    @fal.endpoint("/")
    def keep(self, text: str) -> list:
        with open("/data/models/text", "w") as file:
            file.write(text)
        with mp.get_context("spawn").Pool(1) as pool:
            spawned = pool.map(os.path.exists, ["/data/models/text"])
        top = subprocess.run(["ls", "-A", "/"], capture_output=True, text=True).stdout.split()
        return [open(fal.toolkit.FAL_PERSISTENT_DIR / "models" / "text").read(), *spawned, sorted(top), os.getuid()]
"""
OTHER = """
import os
import fal
class Other(fal.App):
    @fal.endpoint("/")
    def there(self) -> bool:
        return os.path.exists("/" + "data")
"""
UNPRIVILEGED = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]


@pytest.mark.skipif(bool(why_not()), reason=f"/data cannot be mounted here: {why_not()}")
@pytest.mark.parametrize(
    "prefix",
    [pytest.param((), id="as we are", marks=pytest.mark.long), pytest.param(UNPRIVILEGED, id="in a user namespace")],
)
def test_an_app_that_names_data_finds_the_persistent_folder_there(tmp_path: Path, prefix: Sequence[str]) -> None:
    if prefix and (os.getuid() or shutil.which(prefix[0]) is None):
        pytest.skip("an ordinary user is in a user namespace anyway")
    path = tmp_path / "app.py"
    path.write_text(APP + OTHER)
    other = tmp_path / "other.py"
    other.write_text(OTHER)
    with state_directory() as state, served(state, f"{path}::Literal", prefix=prefix) as app:
        text, spawned, top, uid = app.request("/", {"text": "kept"}).json
        assert (text, spawned, uid) == ("kept", True, os.getuid())
        assert top == sorted([*os.listdir("/"), "data"])
        assert (state / "data" / "models" / "text").read_text() == "kept"
        assert not os.path.exists("/data")
        with served(state, f"{other}::Other", env={"FAL_JUPYTER_MOUNT_DATA": "on"}) as asked:
            assert asked.request("/", {}).json is True
        with served(state, f"{other}::Other", "--name", "without") as without:
            assert without.request("/", {}).json is False
        (gateway,) = [pid for pid, line in processes_of(state).items() if "fal_jupyter.gateway" in line]
        assert os.readlink(f"/proc/{gateway}/ns/mnt") == os.readlink("/proc/self/ns/mnt")


@pytest.mark.skipif(bool(why_not()), reason=f"/data cannot be mounted here: {why_not()}")
def test_the_doctor_mentions_data_only_if_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "app.py"
    path.write_text(APP)
    with state_directory() as state:
        assert "own /data" not in command(state, "doctor", str(path)).stdout
        monkeypatch.setenv("FAL_JUPYTER_MOUNT_DATA", "off")
        assert "own /data" in command(state, "doctor", str(path)).stdout


def test_if_it_cannot_be_mounted_the_error_says_why_and_what_to_write(tmp_path: Path) -> None:
    if os.path.lexists("/data") or shutil.which("unshare") is None:
        pytest.skip("needs util-linux and no /data")
    path = tmp_path / "app.py"
    path.write_text(APP.replace('os.makedirs("/data/models", exist_ok=True)', "pass"))
    forbidden = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        'echo 0 > /proc/sys/user/max_mnt_namespaces; exec "$0" "$@"',
    ]
    with state_directory() as state, served(state, f"{path}::Literal", prefix=forbidden) as app:
        assert app.request("/", {"text": "lost"}).status == 500
        output = command(state, "logs", "literal").stdout
    assert "/data is not the persistent folder here: [Errno" in output
    assert "use fal.toolkit.FAL_PERSISTENT_DIR" in output
