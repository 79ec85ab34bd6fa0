"""Variables that act when a process starts."""

from __future__ import annotations

from fal_jupyter.domain.environments.start_time import start_time_difference, template_environment

BASE = {"PATH": "/bin", "OMP_NUM_THREADS": "4", "PYTHONHOME": "/py", "LD_PRELOAD": "x.so"}


def test_only_start_time_variables_that_differ_need_a_separate_template() -> None:
    env = {
        "PATH": "/usr/bin",
        "LD_PRELOAD": "x.so",
        "PYTHONHASHSEED": "0",
        "TORCH_HOME": "/t",
        "TMPDIR": "/tmp",
        "PYTHONHOME": "/other",
    }
    assert start_time_difference(env, BASE, isolated=True) == {"OMP_NUM_THREADS": None, "PYTHONHASHSEED": "0"}
    assert start_time_difference(env, BASE, isolated=False)["PYTHONHOME"] == "/other"
    assert start_time_difference(BASE, BASE, isolated=False) == {}


def test_a_template_starts_with_what_its_apps_have_and_without_what_they_lack() -> None:
    difference = {"OMP_NUM_THREADS": None, "PYTHONHASHSEED": "0"}
    started = template_environment(BASE, difference, isolated=False)
    assert started == {"PATH": "/bin", "LD_PRELOAD": "x.so", "PYTHONHOME": "/py", "PYTHONHASHSEED": "0"}
    assert "PYTHONHOME" not in template_environment(BASE, {}, isolated=True)
