"""The quickstart's own forward pass gives the vectors that sentence-transformers gives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import pytest

if find_spec("torch") is None:
    pytest.skip("the quickstart runs a model in torch", allow_module_level=True)

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parent.parent / "notebooks"


@pytest.fixture(scope="module")
def model() -> Iterator[Any]:
    """MiniLM as the notebook's own cell defines it: there is no second copy of the code."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # beside other tests, several wait for each other
    notebook = nbformat.read(NOTEBOOKS / "quickstart.ipynb", as_version=4)
    (cell,) = (cell for cell in notebook.cells if "minilm" in cell.metadata.get("tags", []))
    namespace: dict[str, Any] = {}
    exec(compile(cell.source, "quickstart.ipynb", "exec"), namespace)
    yield namespace["MiniLM"]()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    record: dict[str, Any] = json.loads((HERE / "vectors.json").read_text(encoding="utf-8"))
    return record


@pytest.mark.long  # test_quickstart.py runs the model, and a call finds the sentence of the same meaning
def test_every_vector_equals_the_one_recorded_from_sentence_transformers(model: Any, recorded: dict[str, Any]) -> None:
    import torch

    ours, theirs = model.embed(recorded["texts"]), torch.tensor(recorded["vectors"])

    assert ours.shape == theirs.shape == (len(recorded["texts"]), 384)
    assert (ours * theirs).sum(1).min() > 0.9999
    assert (ours - theirs).abs().max() < 1e-4


@pytest.mark.long  # test_quickstart.py runs the model, and a call finds the sentence of the same meaning
def test_a_text_has_the_same_vector_alone_and_in_a_batch(model: Any, recorded: dict[str, Any]) -> None:
    import torch

    alone = torch.cat([model.embed([text]) for text in recorded["texts"]])

    assert (alone - model.embed(recorded["texts"])).abs().max() < 1e-5


def test_the_reference_covers_long_empty_and_unicode_texts(recorded: dict[str, Any]) -> None:
    texts = recorded["texts"]

    assert "" in texts
    assert any(len(text) > 2000 for text in texts)
    assert any(not text.isascii() for text in texts)
    assert recorded["made_by"]["sentence-transformers"]


def test_the_corpus_has_at_least_500_different_sentences() -> None:
    sentences = (NOTEBOOKS / "sentences.txt").read_text(encoding="utf-8").splitlines()

    assert len(sentences) >= 500
    assert len({sentence.casefold() for sentence in sentences}) == len(sentences)
    assert all(sentence == sentence.strip() and len(sentence.split()) >= 3 for sentence in sentences)
