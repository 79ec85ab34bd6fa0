"""A saved card says what a call with a photo was made with, and stays small."""

from __future__ import annotations

import json
from typing import Any

from fal_jupyter.notebook.display.saved_results import output_of, shortened
from fal_jupyter.notebook.display.saved_results_html import body_text

STAND_IN = "data:image/jpeg;base64,/9j/4AAQ… (8000000 bytes, text 1)"


def detail_of(**more: Any) -> Any:
    """A request's record with a photo of 8 MB as its input, as the gateway has it."""
    text = json.dumps({"image": {"url": STAND_IN, "file_name": "hopper.jpg"}, "width": 0, **more})
    left_out = [{"text": STAND_IN, "size": 8_000_000}]
    output = '{"url": "data:image/png;base64,AA==", "seed": 7}'
    request = {
        "id": "a",
        "status": 200,
        "content_type": "application/json",
        "path": "/",
        "began": 1,
        "total_ms": 1,
        "revision": 1,
        "error": "",
    }
    kind = {"content_type": "application/json", "base64": ""}
    return {
        "request": request,
        "query": "colours=3&seed=7",
        "input": {**kind, "size": 8_000_090, "text": text, "truncated": True, "left_out": left_out, "whole": True},
        "output": {**kind, "size": len(output), "text": output, "truncated": False},
        "error": None,
        "logs": [],
        "displays": [],
        "buffered": False,
    }


def test_an_output_names_all_small_values() -> None:
    found = output_of(detail_of())
    assert found is not None
    assert (found["input"], found["seed"]) == ("image hopper.jpg · width 0 · colours 3", "7")


def test_the_last_result_has_its_input_but_for_the_photo() -> None:
    saved = shortened(detail_of())["input"]
    assert saved is not None
    assert json.loads(saved["text"])["width"] == 0
    assert saved["left_out"][0]["size"] == 8_000_000
    assert "whole" not in saved  # nothing can be fetched for a saved card
    assert '"width": 0' in body_text(saved)
    assert len(json.dumps(saved)) < 500


def test_an_outline_that_is_cut_is_only_a_beginning() -> None:
    saved = shortened(detail_of(notes="x" * 4000))["input"]
    assert saved is not None
    assert (saved["truncated"], "left_out" in saved, len(saved["text"])) == (True, False, 2000)
    assert body_text(saved).endswith("…")
