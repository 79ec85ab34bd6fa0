"""Strongly connected components of a directed graph (Tarjan, 1972), without recursion."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def strongly_connected(nodes: Iterable[Node], successors: Callable[[Node], Iterable[Node]]) -> list[list[Node]]:
    """Return the components reachable from *nodes*, each after the components reachable from it."""
    index: dict[Node, int] = {}
    lowest: dict[Node, int] = {}
    open_nodes: list[Node] = []
    is_open: set[Node] = set()
    components: list[list[Node]] = []

    def enter(node: Node) -> tuple[Node, Iterator[Node]]:
        index[node] = lowest[node] = len(index)
        open_nodes.append(node)
        is_open.add(node)
        return node, iter(successors(node))

    for start in nodes:
        if start in index:
            continue
        path = [enter(start)]
        while path:
            node, remaining = path[-1]
            following = next(remaining, None)
            if following is None:
                path.pop()
                if path:
                    lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[node])
                if lowest[node] == index[node]:
                    component = [open_nodes.pop()]
                    while component[-1] != node:
                        component.append(open_nodes.pop())
                    component.reverse()
                    is_open.difference_update(component)
                    components.append(component)
            elif following not in index:
                path.append(enter(following))
            elif following in is_open:
                lowest[node] = min(lowest[node], index[following])
    return components
