"""Makes untrusted text safe for a terminal: colours stay, all other control sequences are escaped.

Left alone are line feeds, tabs and SGR sequences (``ESC [ … m``: colours, bold). Cursor movement, window titles, links, the
clipboard (OSC 52), device queries and whatever else begins with ESC or is a control character (C0, C1, DEL) is escaped.
"""

from __future__ import annotations

import re

RESET = "\x1b[0m"
_SGR = r"\x1b\[[0-9;:]{0,64}m"
_UNSAFE = re.compile(rf"({_SGR})|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_COLOURED = re.compile(_SGR)
_COMMANDS = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|(?:\x1b\[|\x9b)[0-9;:?]*[ -/]*[@-~]")
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def safe_text(text: str, *, keep: str = "") -> str:
    """Escape terminal control sequences (``ESC`` becomes ``\\x1b``).

    Args:
        keep: control characters to leave as they are (``"\\r"`` where a progress bar may rewrite its own line).
    """
    return _UNSAFE.sub(lambda match: match[1] or (match[0] if match[0] in keep else f"\\x{ord(match[0]):02x}"), text)


def safe_line(text: str) -> str:
    """Return one line that cannot overwrite the text before it or colour the text after it.

    A rewritten line (``\\r``, a progress bar) is reduced to its last state, as a terminal would show it.
    """
    visible = next((piece for piece in reversed(text.split("\r")) if piece), "")
    line = safe_text(visible.replace("\n", " "))
    return line + RESET if _COLOURED.search(line) else line


def plain_text(text: str) -> str:
    """Return text for a web page, without terminal sequences and bidirectional overrides.

    Colours and other sequences are removed; control characters, including bidirectional ones, and lone surrogates
    become visible symbols, as in ``widgets/static/plain.mjs``.
    """
    return _HIDDEN.sub(lambda match: _sign_of(ord(match[0])), _COMMANDS.sub("", text))


def _sign_of(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else "\u2423"
