"""Machine types against what a machine has, and which runner gets which device."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.domain.errors import BadSetting, NoSuchMachine
from fal_jupyter.domain.resources.machines import (
    GIB,
    MB,
    Allotment,
    Device,
    Hardware,
    allot,
    is_machine,
    parse_fake_gpus,
    visible,
)
from fal_jupyter.domain.resources.placement import Placement

H100 = Device(0, "GPU-aaaa", "NVIDIA H100 80GB HBM3", 80 * GIB)
A100 = Device(1, "GPU-bbbb", "NVIDIA A100-SXM4-40GB", 40 * GIB)
H200 = Device(2, "GPU-cccc", "NVIDIA H200", 141 * GIB)
NONE = Hardware(2, 24 * GIB)
MIXED = Hardware(16, 128 * GIB, (H100, A100, H200))


@pytest.mark.parametrize(
    ("types", "num_gpus", "type_", "count", "eligible"),
    [
        (["GPU-H100"], None, "GPU-H100", 1, ["GPU-aaaa"]),
        (["GPU-A100"], None, "GPU-A100", 1, ["GPU-bbbb"]),
        (["GPU-H200"], None, "GPU-H200", 1, ["GPU-cccc"]),
        (["GPU"], None, "GPU", 1, ["GPU-aaaa", "GPU-bbbb", "GPU-cccc"]),
        (["GPU"], 3, "GPU", 3, ["GPU-aaaa", "GPU-bbbb", "GPU-cccc"]),
        ([], 2, "GPU", 2, ["GPU-aaaa", "GPU-bbbb", "GPU-cccc"]),
        (["cuda:1"], None, "cuda:1", 1, ["GPU-bbbb"]),
        (["GPU-B200", "GPU-A100"], None, "GPU-A100", 1, ["GPU-bbbb"]),  # the next type that is there
        (["GPU-H100", "S"], 2, "S", 0, []),  # one H100 is not two
        (["GPU-h100"], None, "GPU-h100", 1, ["GPU-aaaa"]),
        (["S"], 1, "S", 0, []),
    ],
)
def test_the_first_type_that_is_there_is_chosen(
    types: list[str], num_gpus: int | None, type_: str, count: int, eligible: list[str]
) -> None:
    allotment = allot("Hello", types, num_gpus, MIXED)
    assert (allotment.type, allotment.count, list(allotment.eligible)) == (type_, count, eligible)
    assert len(allotment.names) == len(allotment.eligible)


@pytest.mark.parametrize(
    ("types", "num_gpus", "hardware", "words"),
    [
        (["GPU-H100"], None, NONE, ["Hello requires GPU-H100", "no GPU", "--machine S"]),
        (["GPU-H1000"], None, NONE, ["no GPU", "did you mean GPU-H100? Or type --machine S"]),
        (
            ["GPU-B200"],
            None,
            MIXED,
            ["GPU-B200", "GPU 0 (NVIDIA H100 80GB HBM3, 80 GiB)", "--machine GPU", "--machine S"],
        ),
        (["GPU-B200", "GPU-A6000"], None, MIXED, ["GPU-B200 or GPU-A6000"]),
        (["GPU-H100"], 2, MIXED, ["2 × GPU-H100", "--machine GPU"]),
        (["GPU"], 4, MIXED, ["4 × GPU", "--machine S"]),
        (["cuda:7"], None, MIXED, ["cuda:7", "GPU 0"]),
        (["XXL"], None, MIXED, ["no machine type 'XXL'", "XS, S, M, L", "GPU-H100", "cuda:0"]),
        (["S", "gpu"], None, NONE, ["no machine type 'gpu'"]),
    ],
)
def test_what_is_not_there_is_one_sentence_with_what_to_type(
    types: list[str], num_gpus: int | None, hardware: Hardware, words: list[str]
) -> None:
    with pytest.raises(NoSuchMachine) as refused:
        allot("Hello", types, num_gpus, hardware)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    ("type_", "cores", "memory", "description"),
    [
        ("XS", 1, 512 * MB, "XS: 0.5 cores, 512 MB (a whole core here)"),
        ("S", 1, 1000 * MB, "S: 1 core, 1 GB"),
        ("M", 2, 2000 * MB, "M: 2 cores, 2 GB"),
        ("L", 2, 15_000 * MB, "L: 4 cores, 15 GB (this machine has 2 cores)"),
    ],
)
def test_a_cpu_machine_is_capped_to_the_hardware_and_described_so(
    type_: str, cores: int, memory: int, description: str
) -> None:
    assert allot("Hello", [type_], None, NONE) == Allotment(type_, cores=cores, memory=memory, description=description)


def test_memory_is_capped_too_and_nothing_declared_is_the_whole_machine() -> None:
    small = allot("Hello", ["L"], None, Hardware(1, 2 * GIB))
    assert (small.cores, small.memory) == (1, 2 * GIB)
    assert "this machine has 1 core" in small.description
    assert "this machine has 2.0 GiB of memory" in small.description
    assert allot("Hello", [], None, MIXED) == Allotment(
        description="the whole machine (fal would give S: 1 core, 1 GB)"
    )


def test_several_gpus_of_several_models_are_described() -> None:
    assert (
        allot("Hello", ["GPU"], 2, MIXED).description
        == "GPU: 2 × NVIDIA H100 80GB HBM3, NVIDIA A100-SXM4-40GB, NVIDIA H200"
    )


def test_fake_gpus_are_read() -> None:
    assert parse_fake_gpus("") == ()
    assert parse_fake_gpus("2x24GiB:H100, 1x8GiB:RTX 4090") == (
        Device(0, "FAKE-GPU-0", "H100", 24 * GIB),
        Device(1, "FAKE-GPU-1", "H100", 24 * GIB),
        Device(2, "FAKE-GPU-2", "RTX 4090", 8 * GIB),
    )
    with pytest.raises(BadSetting, match="for example 2x24GiB:H100"):
        parse_fake_gpus("two")


@pytest.mark.parametrize(
    ("setting", "indices"),
    [
        (None, [0, 1, 2]), ("", []), ("1", [1]), ("2,0", [0, 2]), ("GPU-bb", [1]), ("GPU-aaaa, GPU-cccc", [0, 2]), ("-1", []),
        ("7", []),
    ],
)  # fmt: skip
def test_what_the_user_hides_stays_hidden(setting: str | None, indices: list[int]) -> None:
    assert [device.index for device in visible(MIXED.devices, setting)] == indices


@pytest.mark.parametrize("name", ["XS", "S", "M", "L", "GPU", "GPU-H100", "GPU-RTX-4090", "cuda:0", "cuda:12"])
def test_what_is_written_like_a_machine_type(name: str) -> None:
    assert is_machine(name)


@pytest.mark.parametrize("name", ["", "XL", "s", "gpu", "H100", "cuda", "cuda:", "cuda:x", "GPU-", "GPU-a b"])
def test_what_is_not(name: str) -> None:
    assert not is_machine(name)


def test_gpus_of_later_types_come_after_those_of_the_first() -> None:
    allotment = allot("Hello", ["GPU-H200", "M", "GPU-B200", "GPU-H100", "GPU-H200"], 1, MIXED)
    assert (allotment.type, allotment.names) == ("GPU-H200", ("GPU 2", "GPU 0"))
    assert allotment.description == "GPU-H200: NVIDIA H200, or GPU-H100: NVIDIA H100 80GB HBM3"
    assert allot("Hello", ["GPU", "GPU-H100"], 2, MIXED) == allot(
        "Hello", ["GPU"], 2, MIXED
    )  # never two kinds in a runner


def test_a_runner_has_the_type_of_the_device_that_it_got() -> None:
    allotment = allot("Hello", ["GPU-H200", "GPU-H100", "GPU"], 1, MIXED)
    assert allotment.names == ("GPU 2", "GPU 0", "GPU 1")
    assert [allotment.type_of([device]) for device in allotment.eligible] == ["GPU-H200", "GPU-H100", "GPU"]
    assert allot("Hello", ["GPU"], 2, MIXED).type_of([device.id for device in MIXED.devices[:2]]) == "GPU"
    assert allot("Hello", ["M"], None, MIXED).type_of([]) == "M"
    assert allot("Hello", [], None, MIXED).type_of([]) == ""


# --- placement --------------------------------------------------------------------------------------------------------
PAIRS = Allotment("GPU", 2, ("a", "b", "c"), ("GPU 0", "GPU 1", "GPU 2"))
SINGLE = Allotment("GPU", 1, ("a", "b", "c"), ("GPU 0", "GPU 1", "GPU 2"))


def test_devices_are_assigned_lowest_first_and_released() -> None:
    lent = Placement()
    assert (lent.room(Allotment(), 0), lent.room(PAIRS, 0), lent.room(SINGLE, 0)) == (None, 1, 3)
    assert lent.take("r1", PAIRS, 0) == ("a", "b")
    assert (lent.room(PAIRS, 0), lent.room(SINGLE, 0), lent.holder("b"), lent.holder("c")) == (0, 1, "r1", "")
    assert lent.take("r2", SINGLE, 0) == ("c",)
    assert lent.release("r1")
    assert not lent.release("r1")
    assert lent.take("r3", SINGLE, 0) == ("a",)


def test_a_device_held_by_another_gateway_is_tried_again_later() -> None:
    lent = Placement()
    lent.out_of_reach("a", 10, "held by another")
    assert (lent.room(SINGLE, 9), lent.room(SINGLE, 10)) == (2, 3)
    assert (lent.why_out_of_reach("a", 9), lent.why_out_of_reach("a", 10)) == ("held by another", "")
    assert (lent.look_again_at(SINGLE, 9), lent.look_again_at(SINGLE, 10)) == (10, None)
    assert lent.take("r1", SINGLE, 9) == ("b",)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(1, 3)), max_size=60))
def test_no_device_is_ever_assigned_twice(steps: list[tuple[bool, int, int]]) -> None:
    lent, taken = Placement(), {}
    for take, number, count in steps:
        name, allotment = f"r{number}", Allotment("GPU", count, ("a", "b", "c"), ("0", "1", "2"))
        if take and name not in taken and lent.room(allotment, 0):
            taken[name] = lent.take(name, allotment, 0)
        elif not take:
            assert lent.release(name) == (taken.pop(name, ()) != ())
        devices = [device for devices in taken.values() for device in devices]
        assert len(devices) == len(set(devices))
        lent.check(set(taken))
