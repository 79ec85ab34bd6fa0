"""Sizes of classes and functions, for the limits on them and for the figures of the documentation."""

from __future__ import annotations

import ast


def definition_lines(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines a definition has."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def attributes_of(cls: ast.ClassDef) -> int:
    """Return how many attributes the methods of a class assign."""
    assigned = {
        node.attr
        for node in ast.walk(cls)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    return len(assigned)
