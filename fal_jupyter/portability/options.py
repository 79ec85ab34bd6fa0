"""Checks the class itself: options and endpoints that behave differently on fal, and its name."""

from __future__ import annotations

import ast
import inspect
import sys
import types
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from fal_jupyter.domain.environments.requirements import flat_requirements
from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.fal.app import App
from fal_jupyter.fal.classes.describe import describe_app
from fal_jupyter.fal.classes.notes import better_name, options_without_effect
from fal_jupyter.fal.classes.realtime_options import mode_of
from fal_jupyter.fal.classes.requirements import check_requirements
from fal_jupyter.fal.classes.routes import endpoints_of, routes_of
from fal_jupyter.portability.code import Piece
from fal_jupyter.portability.deploying import deploying_findings
from fal_jupyter.portability.findings import Finding, Severity
from fal_jupyter.portability.packages import version_of
from fal_jupyter.portability.surroundings import Surroundings
from fal_jupyter.shipping.files.modules import missing_modules, pack_modules

THREADS = 40
"""Requests to sync endpoints that fal's server runs at once, whatever ``max_multiplexing`` says (docs/contract.md, C36)."""


def class_findings(cls: type[App], pieces: Sequence[Piece], surroundings: Surroundings) -> list[Finding]:
    """Report options, endpoints and a name of *cls* that behave differently."""
    rules = _Rules(cls, pieces, surroundings)
    try:
        spec = describe_app(cls)
    except AppRuleBroken as error:
        return [*rules.of_class(), rules.finding("cannot-serve", "fails", error.message, error.hint)]
    deploying = deploying_findings(cls, surroundings, partial(line_of, cls, pieces))
    return [*rules.of_class(), *rules.of_spec(spec), *rules.of_sessions(), *rules.of_endpoints(), *deploying]


class _Rules:
    def __init__(self, cls: type[App], pieces: Sequence[Piece], surroundings: Surroundings) -> None:
        self._cls, self._pieces, self._here = cls, pieces, surroundings

    def finding(self, code: str, severity: Severity, message: str, instead: str, at: str = "") -> Finding:
        """A finding at the line of option or method *at*, else at the class."""
        return self._here.finding(code, severity, line_of(self._cls, self._pieces, at), message, instead)

    # --- rules for every class -----------------------------------------------------------------------------------------
    def of_class(self) -> Iterator[Finding]:
        cls = self._cls
        for name, value in self._here.run_options.items():
            message = f"{name} is {value!r} for this run, and the class does not say so"
            yield self.finding("run-option", "differs", message, f"{name} = {value!r} in the class")
        if names := options_without_effect(cls):
            message = f"no local effect, kept for fal.ai: {', '.join(names)}"
            yield self.finding("no-local-effect", "note", message, "", names[0])
        if better := better_name(cls):
            message = f"{cls.__name__} is called {cls.app_name!r} on fal, too"
            yield self.finding("ugly-name", "note", message, f'app_name = "{better}"', "app_name")
        version, running = cls.host_kwargs.get("python_version"), "{}.{}".format(*sys.version_info)
        if version and str(version).split(".")[:2] != running.split("."):
            message = f"python_version is {version}, and this is Python {running}: fal refuses to deploy from another minor version"
            instead = f'deploy from a Python {version}, or write python_version="{running}"'
            yield self.finding("python-version", "fails", message, instead, "python_version")
        names = list(cls.local_python_modules or ())
        for name in missing_modules(names, pack_modules(names)):
            message = f"local_python_modules names {name}, which cannot be imported here, so nothing of it goes along"
            yield self.finding(
                "module-missing",
                "note",
                message,
                f"put {name}.py beside it, or take the name out",
                "local_python_modules",
            )
        yield from self._requirements()

    def _requirements(self) -> Iterator[Finding]:
        flat = flat_requirements(self._cls.requirements)
        context = self._here.folder / (self._cls.host_kwargs.get("requirements_context_dir") or "")
        unmet = check_requirements(flat, base=context)
        if unmet:
            first, _, rest = unmet[0].partition(": pip install ")
            more = f", and {len(unmet) - 1} more" if len(unmet) > 1 else ""
            message = (
                f"{first if rest else unmet[0]}{more}; here its runners get an isolated environment, as in the cloud"
            )
            yield self.finding(
                "requirement-unmet", "note", message, f"pip install {rest}" if rest else "", "requirements"
            )
        from packaging.requirements import InvalidRequirement, Requirement  # start-up

        for line in flat:
            try:
                requirement = Requirement(line.split(" #")[0].strip())
            except InvalidRequirement:
                continue
            if not requirement.specifier and not requirement.url and (version := version_of(requirement.name)):
                message = f"{requirement.name} has no version: the cloud takes the newest, here it is {version}"
                named = (
                    f"{requirement.name}[{','.join(sorted(requirement.extras))}]"
                    if requirement.extras
                    else requirement.name
                )
                yield self.finding("requirement-unpinned", "note", message, f'"{named}=={version}"', "requirements")

    # --- rules for scaling and the machine ----------------------------------------------------------------------------
    def of_spec(self, spec: AppSpec) -> Iterator[Finding]:
        local = [name for name in spec.machine_type if name == "GPU" or name.startswith("cuda:")]
        if local:
            message = f"the machine type {local[0]} is of this machine; fal has GPU-A100, GPU-H100 and others, each by its name"
            yield self.finding("machine-local", "fails", message, 'machine_type = "GPU-H100"', "machine_type")
        if not spec.machine_type:
            gpus = f", so that num_gpus = {spec.num_gpus} has no GPU to count" if spec.num_gpus else ""
            message = f"no machine_type: all of this machine here, S (1 core, 1 GB, no GPU) in the cloud{gpus}"
            yield self.finding("machine-default", "differs", message, 'machine_type = "M", or "GPU-H100"', "num_gpus")
        if spec.scaling.warm:
            message = "neither keep_alive nor min_concurrency: one runner is kept warm here, in the cloud the last one goes after 60 s"
            yield self.finding(
                "warm-runner", "differs", message, "min_concurrency = 1 keeps one there, too (and costs)"
            )
        if self._cls.app_auth is None:
            message = "no app_auth: private here; in the cloud what fal deploy sets"
            yield self.finding("auth-default", "note", message, 'app_auth = "private"')
        if self._cls.app_auth == "public":
            message = "any web page may call it in the cloud, where fal allows every origin (CORS); here no page of another origin can"
            yield self.finding("open-cors", "note", message, "", "app_auth")
        many = spec.scaling.max_multiplexing
        sync = [n for n, m in routes_of_all(self._cls) if not _is_async(m)]
        if many > THREADS and sync:
            message = f"max_multiplexing = {many}: {sync[0]}() is sync, and fal runs {THREADS} of those at once; here each request has a thread"
            yield self.finding(
                "many-threads", "differs", message, f"async def {sync[0]}, or at most {THREADS}", "max_multiplexing"
            )

    def of_sessions(self) -> Iterator[Finding]:
        for name, marked in endpoints_of(self._cls).items():
            if marked.route_signature.realtime is not None and mode_of(marked.__wrapped__) == "server_streaming":
                message = f"{name}() gives many answers to one message: in the cloud those of a fast one may overtake each other (fal 1.83)"
                yield self.finding(
                    "stream-order", "note", message, "number them, or let them wait: await asyncio.sleep(0)", name
                )

    # --- endpoints ------------------------------------------------------------------------------------------------------
    def of_endpoints(self) -> Iterator[Finding]:
        from fastapi.dependencies.utils import get_dependant  # start-up

        for name, method in routes_of_all(self._cls):
            path = next(path for path, (method_name, _) in routes_of(self._cls).items() if method_name == name)
            try:
                takes = get_dependant(path=path, call=types.MethodType(method, object()))
            except Exception:
                continue  # FastAPI refuses the signature, and reports it when the app is served
            plain = [field.name for field in takes.query_params if not _declares_query(method, field.name)]
            if not plain or takes.body_params:
                continue
            message = (
                f"{name}() takes {', '.join(plain)} as plain {'parameters' if len(plain) > 1 else 'parameter'}, which fal reads "
                f"from the query only: a JSON body, which is what fal's clients send, gives "
                f"{'422' if any(f.field_info.is_required() for f in takes.query_params) else 'the defaults'} there"
            )
            model = f"{name.title().replace('_', '')}Input"
            instead = f"class {model}(BaseModel) with {', '.join(plain)}, and def {name}(self, input: {model})"
            yield self.finding("plain-parameters", "differs", message, instead, name)


def line_of(cls: type[App], pieces: Sequence[Piece], name: str) -> tuple[str, int]:
    """Return file and line of the option or method *name* in the class or a base class, else of the class."""
    own = [(p, p.node) for p in pieces if isinstance(p.node, ast.ClassDef)]
    own.sort(key=lambda entry: entry[0].name != cls.__name__)
    for piece, tree in own:
        for node in tree.body:
            if name in _names_of(node):
                return piece.filename, node.lineno
    return (own[0][0].filename, own[0][1].lineno) if own else ("", 0)


def routes_of_all(cls: type[App]) -> list[tuple[str, Any]]:
    """Return name and function of each HTTP endpoint, in path order."""
    return [(name, marked.__wrapped__) for name, marked in routes_of(cls).values()]


def _is_async(method: object) -> bool:
    return inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)


def _declares_query(method: Any, name: str) -> bool:
    """True if ``Query(…)`` or ``Header(…)`` is written: the source of the value is explicit."""
    parameter = inspect.signature(method).parameters.get(name)
    if parameter is None:
        return True  # of a dependency
    marks = [parameter.default, *getattr(parameter.annotation, "__metadata__", ())]
    return any(type(mark).__module__ == "fastapi.params" for mark in marks) or "Query(" in str(parameter.annotation)


def _names_of(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return {node.target.id}
    return {node.name} if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else set()
