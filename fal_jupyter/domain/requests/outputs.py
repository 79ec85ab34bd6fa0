"""Which answers may hold something to look at: the Outputs panel and a saved notebook read those."""

from __future__ import annotations


def may_give_output(status: int, content_type: str) -> bool:
    """Whether an answer may be or name a picture, a sound, a film or a file; an event stream does so in its last event."""
    kind = content_type.split(";")[0].strip().lower()
    shown = (
        kind.endswith("json") or kind == "text/event-stream" or kind.partition("/")[0] in ("image", "audio", "video")
    )
    return 200 <= status < 300 and shown
