"""Fingerprints: the parts whose change means that an app is another one, each by name and hash."""

from __future__ import annotations

import ast
import hashlib
import json
import linecache
import textwrap
import types
from typing import Any

from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.protocol.api import Environment

_VOLATILE = ("JPY_", "FAL_JUPYTER_", "COLUMNS", "LINES", "PWD", "OLDPWD", "SHLVL", "_", "PYTEST_CURRENT_TEST")
_SCALING = "option "


def digest(data: bytes) -> str:
    """A short hash, for comparing only."""
    return hashlib.sha256(data).hexdigest()[:32]


def fingerprint_of_spec(spec: AppSpec) -> dict[str, str]:
    """One part an option; those of scaling act on live runners, the others need new ones."""
    data = spec.to_json()
    parts = {f"{_SCALING}{name}": str(value) for name, value in data["scaling"].items()}
    parts |= {f"{_SCALING}app_auth": spec.auth}
    for name in ("machine_type", "num_gpus", "requirements"):
        parts[f"{name}"] = json.dumps(data[name])
    return parts


def fingerprint_of_environment(environment: Environment) -> dict[str, str]:
    """One part an environment variable (hashed, never in clear), the working directory, the path, the interpreter."""
    parts = {
        f"%env {name}": digest(value.encode("utf-8", "surrogateescape"))
        for name, value in environment["env"].items()
        if not any(name == v or (v.endswith("_") and len(v) > 1 and name.startswith(v)) for v in _VOLATILE)
    }
    parts["the working directory"] = environment["cwd"]
    parts["sys.path"] = digest(json.dumps(environment["sys_path"]).encode())
    parts["the interpreter"] = environment["python"]
    return parts


def source_hash(thing: Any) -> str:
    """Hash the source of a function or class, without comments and white space; its code objects where there is none."""
    functions = list(_functions(thing))
    for function in functions:
        text = "".join(linecache.getlines(function.__code__.co_filename))
        if text and (node := _find(text, thing)) is not None:
            return digest(ast.dump(node).encode())
    return digest(repr([_code(f.__code__) for f in functions]).encode() + repr(sorted(vars(thing))).encode())


def _functions(thing: Any) -> Any:
    from fal_jupyter.shipping.reach import _functions_in

    if isinstance(thing, types.FunctionType):
        yield thing
    elif isinstance(thing, type):
        for member in vars(thing).values():
            yield from _functions_in(member)


def _find(text: str, thing: Any) -> ast.AST | None:
    try:
        tree = ast.parse(textwrap.dedent(text))
    except SyntaxError:
        return None
    found = None
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name == thing.__name__:
            found = node  # the last one of that name is the one that stayed
    return found


def _code(code: types.CodeType) -> Any:
    return (
        code.co_code,
        code.co_names,
        [_code(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts],
    )
