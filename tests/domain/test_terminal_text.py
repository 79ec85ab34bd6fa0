"""What a terminal may be sent of what apps print."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.domain.text.terminal_text import plain_text, safe_line, safe_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
        ("\x1b[38:2::255:0:0mred", "\x1b[38:2::255:0:0mred"),
        ("\x1b]0;a title\x07", "\\x1b]0;a title\\x07"),
        ("\x1b]52;c;cm0gLXJm\x1b\\", "\\x1b]52;c;cm0gLXJm\\x1b\\"),
        ("\x1b]8;;http://evil\x1b\\link", "\\x1b]8;;http://evil\\x1b\\link"),
        ("\x1b[2J\x1b[H", "\\x1b[2J\\x1b[H"),
        ("\x1b[6n\x1b[?1049h", "\\x1b[6n\\x1b[?1049h"),
        ("\x1bP+q\x1b\\ \x1bc", "\\x1bP+q\\x1b\\ \\x1bc"),
        ("\x9b2J\x9d0;t\x9c \x90q", "\\x9b2J\\x9d0;t\\x9c \\x90q"),
        ("\x1b[31\x1b[0mm", "\\x1b[31\x1b[0mm"),
        ("\x1b[" + "1;" * 40 + "m", "\\x1b[" + "1;" * 40 + "m"),
        ("a\bb\x00\x7f\x0b", "a\\x08b\\x00\\x7f\\x0b"),
        ("a\rb", "a\\x0db"),
        ("é 漢 🙂", "é 漢 🙂"),
    ],
)
def test_only_colours_reach_the_terminal(text: str, shown: str) -> None:
    assert safe_text(text) == shown


def test_a_progress_bar_may_rewrite_its_own_line_if_allowed() -> None:
    assert safe_text("1%\r2%\x1b[A", keep="\r") == "1%\r2%\\x1b[A"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("10%\r50%\r100%\r", "100%"),
        ("\r", ""),
        ("real\r12:00:00 other-1   forged", "12:00:00 other-1   forged"),
        ("a\nb", "a b"),
        ("\x1b[31mred", "\x1b[31mred\x1b[0m"),
        ("\x1b[Hx", "\\x1b[Hx"),
    ],
)
def test_a_line_leaves_the_others_as_they_are(text: str, line: str) -> None:
    assert safe_line(text) == line


@given(st.text(st.sampled_from("\x1b\x9b\x9d[]0;:m\\\x07\r\n\bAx")))
def test_nothing_but_colours_is_left_of_any_text(text: str) -> None:
    for shown in (safe_text(text), safe_line(text)):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", re.sub(r"\x1b\[[0-9;:]*m", "", shown))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n漢 🙂 שלום", "plain\ttext\n漢 🙂 שלום"),
        ("\x1b[1;31mred\x1b[0m \x9b2Jgone", "red gone"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x07", "link"),
        ("a\x00b\rc\x7fd\x1b", "a␀b␍c␡d␛"),
        ("abc\u202e\u2066fed\u2069\x85", "abc␣␣fed␣␣"),
        ("\ud83d", "\ufffd"),
    ],
)
def test_text_for_a_page_has_no_command_and_no_turn_of_direction(text: str, shown: str) -> None:
    assert plain_text(text) == shown
