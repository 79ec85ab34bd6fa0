"""The queue's memory: what is refused, what is forgotten, and that nothing stays counted."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fal_jupyter.domain.queue.memory import MOST_OVER, QueueMemory, size_text


def memory(most_bytes: int = 100, most_jobs: int = 3) -> QueueMemory:
    return QueueMemory(most_bytes=most_bytes, most_jobs=most_jobs)


def test_requests_are_taken_until_their_number_or_their_bytes_are_too_many() -> None:
    counted = memory()
    assert counted.hold("a", 60) is None
    assert counted.hold("b", 41) == "too much"
    assert counted.hold("b", 40) is None
    assert counted.hold("b", 30) is None  # the same one, counted anew
    assert counted.hold("c", 0) is None
    assert counted.hold("d", 0) == "too many"
    assert counted.hold("e", 101) == "too large"
    assert (counted.jobs, counted.request_bytes) == (3, 90)
    counted.release("a")
    counted.release("a")
    assert counted.hold("d", 70) is None


def test_an_answer_makes_room_for_itself_among_what_is_over_and_is_refused_where_that_is_not_enough() -> None:
    counted = memory()
    assert counted.ended("a", 50) == []
    assert counted.ended("b", 30) == []
    assert counted.answer("c", 10) == ([], True)
    assert counted.answer("c", 40) == (["a"], True)
    assert counted.answer("c", 100) == (["b"], True)
    assert counted.answer("c", 101) == ([], False)
    assert counted.ended("c", 5) == []
    assert counted.answer_bytes == 5


def test_the_last_job_is_stored_even_if_its_log_exceeds_the_limit() -> None:
    counted = memory()
    assert counted.ended("a", 10) == []
    assert counted.ended("b", 500) == ["a"]


def test_the_number_of_finished_jobs_is_limited() -> None:
    counted = memory(10**9, 10)
    assert [counted.ended(str(n), 0) for n in range(MOST_OVER)] == [[]] * MOST_OVER
    assert counted.ended("next", 0) == ["0"]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (512 << 20, "512 MiB"), (1 << 50, "1024 TiB")],
)
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert size_text(size) == text


class Jobs(RuleBasedStateMachine):
    """Jobs of any sizes in any order: the sums are right at each moment, and nothing is counted after its end."""

    def __init__(self) -> None:
        super().__init__()
        self.memory, self.live, self.kept = memory(1000, 5), {}, {}  # type: ignore[var-annotated]

    @rule(job=st.integers(0, 9), size=st.integers(0, 1200))
    def hold(self, job: int, size: int) -> None:
        if str(job) not in self.kept and self.memory.hold(str(job), size) is None:
            self.live[str(job)] = size

    @rule(job=st.integers(0, 9), size=st.integers(0, 1200), answered=st.booleans())
    def end(self, job: int, size: int, answered: bool) -> None:
        name = str(job)
        if name not in self.live:
            return
        if answered:
            forgotten, fits = self.memory.answer(name, size)
            for removed in forgotten:
                del self.kept[removed]
            size = size if fits else 3
        del self.live[name]
        self.kept[name] = size
        for removed in self.memory.ended(name, size):
            del self.kept[removed]

    @rule(job=st.integers(0, 9))
    def release(self, job: int) -> None:
        self.memory.release(str(job))
        self.live.pop(str(job), None)

    @invariant()
    def sums(self) -> None:
        assert (self.memory.request_bytes, self.memory.jobs) == (sum(self.live.values()), len(self.live))
        assert self.memory.answer_bytes == sum(self.kept.values())
        assert self.memory.request_bytes <= 1000
        assert self.memory.jobs <= 5
        assert self.memory.answer_bytes <= 1000 or len(self.kept) == 1


TestJobs = Jobs.TestCase
