"""Apps that name /data."""

from __future__ import annotations

import pytest

from fal_jupyter.domain.environments.literal_data import MountData, needs_mount


@pytest.mark.parametrize(
    ("wanted", "source", "needed"),
    [
        ("auto", "open('/data/x')", True),
        ("auto", 'Path("/data") / f', True),
        ("auto", 'f"/data/{name}"', True),
        ("auto", "open('/database/x'); 'my/data/x'; '/dataset'", False),
        ("on", "", True),
        ("off", "open('/data/x')", False),
    ],
)
def test_a_literal_path_needs_the_mount_unless_the_user_decided(wanted: MountData, source: str, needed: bool) -> None:
    assert needs_mount(wanted, ["pass", source]) is needed
