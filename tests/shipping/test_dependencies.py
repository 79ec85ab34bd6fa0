"""The walk over what a class reaches: parts, the references between them, digests of everything behind a part."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fal_jupyter.shipping.captures import parts_of, separate_parts
from fal_jupyter.shipping.components import strongly_connected
from fal_jupyter.shipping.dependencies import DependencyGraph, EdgeKind, walk
from fal_jupyter.shipping.fingerprint import code_digest
from fal_jupyter.shipping.introspection import functions_in
from tests.shipping.notebook import Notebook, notebook

CELL = """
SCALE = {"by": 2}
LIMIT = 0.7

class Model:
    def __init__(self, n):
        self.n = n * SCALE["by"]

def load(n):
    # one comment
    return Model(n)

def even(n): return n == 0 or odd(n - 1)
def odd(n): return n != 0 and even(n - 1)

LOADERS = {"a": load}

class Hello(fal.App):
    def setup(self):
        import json

        self.model = LOADERS["a"](3)

    @fal.endpoint("/")
    def hi(self, n: int = 1):
        return even(n) and LIMIT
"""


@pytest.fixture
def book() -> Iterator[Notebook]:
    with notebook() as opened:
        yield opened


def graph_of(book: Notebook, cell: str = CELL) -> DependencyGraph:
    book.run(cell)
    cls = book.namespace["Hello"]
    assert isinstance(cls, type)
    return walk(cls)


def hi_of(book: Notebook) -> object:
    """The endpoint's own function, which the class wraps."""
    return next(functions_in(vars(book.namespace["Hello"])["hi"]))


def deep_digests(graph: DependencyGraph) -> dict[str, str]:
    parts = list(parts_of(graph, separate_parts(graph), lambda name: ""))
    own = {id(part.value): part.capture.digest for part in parts} | {id(graph.root): code_digest(graph.root)}
    deep = graph.deep_digests(own)
    return {part.label: deep[id(part.value)] for part in parts if id(part.value) in deep} | {
        "class Hello": deep[id(graph.root)]
    }


def test_each_part_comes_once_with_digest_size_and_the_reference_by_which_it_was_reached(book: Notebook) -> None:
    graph = graph_of(book)
    parts = {part.label: part for part in parts_of(graph, separate_parts(graph), book.cell_of)}

    assert set(parts) == {
        "variable SCALE", "variable LIMIT", "variable LOADERS",
        "class Model", "function load", "function even", "function odd",
    }  # fmt: skip
    assert all(part.capture.digest and part.capture.size for part in parts.values())
    assert parts["variable LOADERS"].edge.kind is EdgeKind.GLOBAL
    assert parts["variable LOADERS"].edge.source is book.namespace["Hello"].setup
    assert parts["variable LOADERS"].edge.line == 22
    assert parts["class Model"].edge.source is book.namespace["load"]
    assert parts["class Model"].edge.line == 11
    assert parts["function load"].edge.kind is EdgeKind.CONTENT


def test_the_chain_from_setup_to_a_part_names_each_step_with_its_line(book: Notebook) -> None:
    graph = graph_of(book)

    chain = graph.path(book.namespace["Hello"].setup, book.namespace["SCALE"])

    assert [(edge.kind.value, edge.name, edge.line) for edge in chain] == [
        ("global", "LOADERS", 22),
        ("content", "", 0),
        ("global", "Model", 11),
        ("method", "__init__", 0),
        ("global", "SCALE", 7),
    ]
    assert [edge.target for edge in chain[:-1]] == [edge.source for edge in chain[1:]]
    assert graph.path(hi_of(book), book.namespace["LIMIT"])
    assert graph.path(hi_of(book), book.namespace["SCALE"]) == []


def test_every_reference_is_in_the_graph_not_only_the_first_one(book: Notebook) -> None:
    graph = graph_of(book, CELL.replace("return even(n)", "return load(n) and even(n)"))

    targets = {edge.name: edge.target for edge in graph.edges_from(hi_of(book))}

    assert targets["load"] is book.namespace["load"]
    assert [edge.target for edge in graph.edges_from(book.namespace["LOADERS"])] == [book.namespace["load"]]


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ('"by": 2', '"by": 3', {"variable SCALE", "class Model", "function load", "variable LOADERS", "class Hello"}),
        ("0.7", "0.8", {"variable LIMIT", "class Hello"}),
        ("n != 0 and", "n > 0 and", {"function odd", "function even", "class Hello"}),
        ("# one comment", "# another comment", set()),
        ("return Model(n)", "return Model(n + 1)", {"function load", "variable LOADERS", "class Hello"}),
    ],
    ids=["a value behind a class", "a number", "a function in a circle", "a comment", "a function in a table"],
)
def test_a_deep_digest_changes_with_whatever_is_behind_it_and_with_nothing_else(
    book: Notebook, old: str, new: str, changed: set[str]
) -> None:
    before = deep_digests(graph_of(book))
    after = deep_digests(graph_of(book, CELL.replace(old, new)))

    # an atom is part of its readers, so it has no deep digest of its own
    assert {label for label in before if before[label] != after[label]} == changed - {"variable LIMIT"}


def test_names_that_change_places_change_the_deep_digest_of_their_reader(book: Notebook) -> None:
    swapped = CELL.replace("SCALE = ", "even_first = True\nSCALE = ") + "\neven, odd = odd, even\n"

    assert deep_digests(graph_of(book))["class Hello"] != deep_digests(graph_of(book, swapped))["class Hello"]


def test_components_follow_what_they_refer_to(book: Notebook) -> None:
    graph = graph_of(book)

    order = {node: place for place, component in enumerate(graph.components()) for node in component}

    assert order[id(book.namespace["even"])] == order[id(book.namespace["odd"])]
    assert order[id(book.namespace["Model"])] < order[id(book.namespace["load"])] < order[id(book.namespace["Hello"])]


@pytest.mark.parametrize(
    ("graph", "components"),
    [
        ({"a": []}, [["a"]]),
        ({"a": ["b"], "b": []}, [["b"], ["a"]]),
        ({"a": ["b", "c"], "b": ["a"], "c": []}, [["c"], ["a", "b"]]),
        ({"a": ["a"]}, [["a"]]),
        ({"a": ["b", "d"], "b": ["c"], "c": ["b"], "d": ["c"]}, [["b", "c"], ["d"], ["a"]]),
        ({"a": ["b"], "b": ["c", "a"], "c": ["a"]}, [["a", "b", "c"]]),
    ],
)
def test_strongly_connected_components_come_dependencies_first(
    graph: dict[str, list[str]], components: list[list[str]]
) -> None:
    assert [sorted(one) for one in strongly_connected(["a"], graph.__getitem__)] == components


def test_a_chain_of_many_thousand_nodes_needs_no_recursion() -> None:
    assert len(strongly_connected([0], lambda n: [n + 1] if n < 50_000 else [])) == 50_001
