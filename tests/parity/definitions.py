"""Sources that both packages evaluate: class definition, options, wrapping, and the parts of ``fal`` that need no server."""

from __future__ import annotations

from random import Random

from tests.parity.checks import Defined
from tests.parity.toolkit import TOOLKIT
from tests.parity.wrapping import WRAPPED

HEAD = """import fal, json, asyncio, time
from typing import *
from fastapi import WebSocket
from pydantic import BaseModel
"""
ROUTE = """    @fal.endpoint("/")
    def r(self): return {}
"""
SET_BY_FAL = {"metadata": "{}", "exposed_port": "1", "serve": "True"}


def _names() -> list[Defined]:
    names = ("MyApp", "MyGoodApp", "App", "A", "SDXL", "ONNXModel", "HTTPServer", "Flux2Pro", "MyApp2", "T2V", "X1Y2", "helloWorld", "Hello_World", "my_App", "MyÉcole", "mock_model", "_private", "mymodel", "a1", "Текст", "_", "__")  # fmt: skip
    found = [Defined("C8 C9", f"class {name}(fal.App): pass\n{name}.app_name") for name in names]
    return [
        *found,
        Defined("C8", 'class A(fal.App, name="x"): pass\nA.app_name'),
        Defined("C8", 'class A(fal.App, name="x"): pass\nclass B(A, name="y"): pass\nB.app_name'),
        Defined("C8", 'class A(fal.App, name="x"):\n    app_name = "v"\nA.app_name'),
        Defined("C8", 'class A(fal.App):\n    app_name = "v"\nclass B(A):\n    app_name = "w"\nB.app_name'),
    ]


_VALUES: dict[str, list[object]] = {
    "keep_alive": [5, 99], "min_concurrency": [1, 2], "request_timeout": [7], "secrets": [["A"], []], "data_mounts": [["/m"]],
    "app_files": [["a"], []], "app_files_ignore": [["x"], []], "resolver": ["pip"], "_scheduler": ["other"],
    "requirements_context_dir": ["sub"], "python_version": ["3.11"], "private_logs": [True],
}  # fmt: skip


def _hierarchies(number: int) -> list[Defined]:
    """Classes that set options in every way there is, one below the other; the same ones each time."""
    found = []
    for seed in range(number):
        rng, lines, base = Random(seed), [], "fal.App"
        for name in "ABC"[: rng.randint(1, 3)]:
            some = rng.sample(sorted(_VALUES), 5)
            keywords = "".join(f", {n}={rng.choice(_VALUES[n])!r}" for n in some[: rng.randint(0, 2)])
            lines.append(f"class {name}({base}{keywords}):")
            if rng.random() < 0.3:
                lines.append(f"    host_kwargs = { {n: rng.choice(_VALUES[n]) for n in some[1:3]} }")
            lines += [
                f"    {n} = {rng.choice(_VALUES[n])!r}" for n in some[3 - rng.randint(0, 1) :] if rng.random() < 0.7
            ]
            lines.append("    pass")
            base = name
        lines.append(f"sorted((k, str(v)) for k, v in {base}.host_kwargs.items())")
        found.append(Defined("C1 C7", "\n".join(lines)))
    return found


def _options() -> list[Defined]:
    attributes = ("requirements", "requirements_context_dir", "local_python_modules", "machine_type", "num_gpus", "regions", "host_kwargs", "app_name", "app_auth", "app_files", "app_files_ignore", "app_files_context_dir", "request_timeout", "request_start_timeout", "startup_timeout", "metrics_port", "min_concurrency", "max_concurrency", "concurrency_buffer", "concurrency_buffer_perc", "scaling_delay", "max_multiplexing", "kind", "image", "local_file_path", "skip_retry_conditions", "retry_config", "termination_grace_period_seconds", "secrets", "data_mounts", "version", "isolate_channel")  # fmt: skip
    found = [Defined("C1", f"fal.App.{name}") for name in attributes]
    return [
        *found,
        *_hierarchies(100),
        Defined("C2", "class A(fal.App): pass\nA.host_kwargs"),
        Defined("C7", "class A(fal.App, keep_alive=5):\n    keep_alive = 7\nA.host_kwargs['keep_alive']"),
        Defined(
            "C7",
            "class A(fal.App, keep_alive=5, min_concurrency=1):\n    keep_alive = 7\n    min_concurrency = 3\n(A.host_kwargs['keep_alive'], A.host_kwargs['min_concurrency'])",
        ),
        Defined(
            "C7", "class A(fal.App):\n    keep_alive = 8\nclass B(A, keep_alive=9): pass\nB.host_kwargs['keep_alive']"
        ),
        Defined(
            "C7",
            "class A(fal.App):\n    request_timeout = 10\nclass B(A):\n    request_timeout = None\nB.host_kwargs['request_timeout']",
        ),
        Defined(
            "C7", "class A(fal.App, min_concurrency=1):\n    host_kwargs = {'keep_alive': 99}\nsorted(A.host_kwargs)"
        ),
        Defined("C7", "class A(fal.App, keep_alive=5): pass\nfal.App.host_kwargs"),
        Defined("C6", "class A(fal.App):\n    python_version = '3.9'\n'python_version' in A.host_kwargs"),
        Defined("C6", "class A(fal.App, python_version='3.9'): pass\nA.host_kwargs['python_version']"),
        Defined("C135", f"class A(fal.App, resolver='conda'):\n{ROUTE}fal.wrap_app(A).options.environment['resolver']"),
        Defined("C1", "class A(fal.App):\n    resolver = 'pip'\nA.host_kwargs['resolver']"),
        Defined("C3", "class A(fal.App, foo=1): pass\nA.host_kwargs['foo']"),
        Defined("C3", f"class A(fal.App, foo=1):\n{ROUTE}fal.wrap_app(A)"),
        Defined("C3", f"class A(fal.App, keep_aliv=1):\n{ROUTE}fal.wrap_app(A)"),
        Defined("C5", f"class A(fal.App, machine_type='XL'):\n{ROUTE}fal.wrap_app(A)"),
        Defined("C5", f"class A(fal.App, requirements=['x']):\n{ROUTE}fal.wrap_app(A)"),
        Defined(
            "C4",
            f"class A(fal.App, machine_types=['S', 'M']):\n{ROUTE}h = fal.wrap_app(A).options.host\n(A.host_kwargs['machine_types'], h['machine_types'], h['machine_type'])",
        ),
        Defined(
            "C4",
            f"class A(fal.App):\n    host_kwargs = {{'machine_types': 'S'}}\n{ROUTE}fal.wrap_app(A).options.host['machine_types']",
        ),
        Defined(
            "C4",
            f"class A(fal.App):\n    machine_types = ['S']\n{ROUTE}'machine_types' in fal.wrap_app(A).options.host",
        ),
        *(
            Defined("C5", f"class A(fal.App, {name}={value}):\n{ROUTE}fal.wrap_app(A)")
            for name, value in SET_BY_FAL.items()
        ),
        *(
            Defined("C5", f"class A(fal.App):\n    host_kwargs = {{'{name}': {value}}}\n{ROUTE}fal.wrap_app(A)")
            for name, value in SET_BY_FAL.items()
        ),
        Defined("C17", f"class A(fal.App, kind=None):\n{ROUTE}fal.wrap_app(A)"),
        Defined("C17", "class A(fal.App, kind=None): pass\nA.host_kwargs['kind']"),
        Defined("C17", f"class A(fal.App):\n    host_kwargs = {{'kind': None}}\n{ROUTE}fal.wrap_app(A)"),
        Defined("C17", f"class A(fal.App):\n    kind = None\n{ROUTE}fal.wrap_app(A).options.environment['kind']"),
        Defined(
            "C17",
            f"class A(fal.App, kind=None):\n    kind = 'virtualenv'\n{ROUTE}fal.wrap_app(A).options.environment['kind']",
        ),
        Defined("C5", f"class A(fal.App, app_auth='public'):\n{ROUTE}fal.wrap_app(A)"),
        Defined(
            "C6",
            f"class A(fal.App):\n    python_version = '3.9'\n{ROUTE}fal.wrap_app(A).options.environment.get('python_version')",
        ),
        Defined(
            "C141",
            f"class A(fal.App):\n    min_concurrency = 'a'\n    max_concurrency = -1\n{ROUTE}fal.wrap_app(A).options.host['min_concurrency']",
        ),
        Defined(
            "C14",
            f"class A(fal.App):\n    keep_alive = 3\n{ROUTE}w = fal.wrap_app(A)\n(w.app_name, w.app_auth, w.options.gateway['exposed_port'], w.options.host['keep_alive'])",
        ),
        Defined("C14", "class A(fal.App): pass\nfal.wrap_app(A)"),
        Defined("C14", "class A(fal.App): pass\nA(_allow_init=True)._build_app()"),
        Defined("C15", f"class A(fal.App):\n    requirements = 'numpy'\n{ROUTE}fal.wrap_app(A)"),
        Defined("C15", f"class A(fal.App):\n    requirements = ['numpy', ['x']]\n{ROUTE}fal.wrap_app(A)"),
        Defined("C16", f"class A(fal.App):\n    local_python_modules = 'm'\n{ROUTE}fal.wrap_app(A)"),
        Defined("C16", f"class A(fal.App):\n    local_python_modules = [1]\n{ROUTE}fal.wrap_app(A)"),
        Defined("C17", f"class A(fal.App):\n    kind = 'nope'\n{ROUTE}fal.wrap_app(A)"),
        Defined("C17", f"class A(fal.App):\n    kind = 'conda'\n{ROUTE}fal.wrap_app(A)"),
        Defined("C141", "class A(fal.App):\n    keep_alive = 'x'\nA.host_kwargs['keep_alive']"),
        Defined("C141", "class A(fal.App):\n    secrets = 'A'\nA.host_kwargs['secrets']"),
        Defined("C144", "from fal.sdk import RetryConfig\nRetryConfig(timeout=1, server_error=-2).to_dict()"),
        Defined("C144", "from fal.sdk import RetryConfig\nRetryConfig().to_dict()"),
    ]


def _rules() -> list[Defined]:
    health = "class A(fal.App):\n    @fal.endpoint('/h', health_check=fal.HealthCheck({args}))\n    def b(self): return {{}}\n"
    return [
        Defined("C10", "class A(fal.App):\n    def __init__(self): pass"),
        Defined("C10", "class M:\n    def __init__(self): pass\nclass A(M, fal.App): pass"),
        Defined("C10", "class A(fal.App):\n    app_files_context_dir = '.'"),
        Defined(
            "C10 C140",
            "from fal.container import ContainerImage\nclass A(fal.App):\n    image = ContainerImage.from_dockerfile_str('FROM x')\n    app_files = ['a']",
        ),
        Defined(
            "C140",
            "from fal.container import ContainerImage\nclass A(fal.App):\n    image = ContainerImage.from_dockerfile_str('FROM x')\nA.host_kwargs['kind']",
        ),
        Defined(
            "C10",
            health.format(args="")
            + "    @fal.endpoint('/i', health_check=fal.HealthCheck())\n    def c(self): return {}",
        ),
        Defined(
            "C10",
            "class A(fal.App):\n    @fal.endpoint('/h', is_websocket=True, health_check=fal.HealthCheck())\n    async def b(self, ws: WebSocket): pass",
        ),
        Defined("C109", health.format(args="timeout_seconds=2") + "A.host_kwargs['health_check_config']"),
        Defined("C109", health.format(args="") + "A(_allow_init=True).get_health_check_config()"),
        Defined("C107", "fal.HealthCheck(5)"),
        Defined("C107", "fal.HealthCheck(timeout_seconds=2)"),
        Defined("C11", "class A(fal.App): pass\nA()"),
        Defined("C11", "import os\nos.environ['IS_ISOLATE_AGENT'] = ''\nclass A(fal.App): pass\nA()"),
        Defined("C11", "class A(fal.App): pass\ntype(A(_allow_init=True)).__name__"),
        Defined(
            "C13",
            "class A(fal.App):\n    @fal.endpoint('/')\n    def b(self): return {}\n    @fal.endpoint('/x')\n    def a(self): return {}\nA.get_endpoints()",
        ),
        Defined(
            "C12",
            "class P(fal.App):\n    @fal.endpoint('/')\n    def r(self): return {}\nclass Q(P):\n    def r(self): return {}\n    @fal.endpoint('/q')\n    def q(self): return {}\nQ.get_endpoints()",
        ),
        Defined(
            "C13",
            "class A(fal.App):\n    @fal.endpoint('/')\n    def b(self): return {}\n    @fal.endpoint('/')\n    def a(self): return {}\nA.get_endpoints()",
        ),
        Defined(
            "C13",
            "class A(fal.App):\n    @fal.endpoint('/z')\n    def b(self): return {}\n    @fal.endpoint('/a')\n    def c(self): return {}\n[s.path for s in A(_allow_init=True).collect_routes()]",
        ),
        Defined(
            "C38", "class A(fal.App):\n    @fal.endpoint('/a')\n    @fal.endpoint('/b')\n    def run(self): return {}"
        ),
        Defined(
            "C38",
            "class A(fal.App):\n    @fal.endpoint('/a')\n    @fal.realtime('/b')\n    def run(self, i: dict) -> dict: return {}",
        ),
        Defined(
            "C38",
            "class A(fal.App):\n    @fal.realtime('/a')\n    @fal.endpoint('/b')\n    def run(self, i: dict) -> dict: return {}",
        ),
        Defined(
            "C57",
            "class A(fal.App):\n    @fal.endpoint('/w', is_websocket=True)\n    async def b(self, sock): pass\nA(_allow_init=True)._build_app()",
        ),
        Defined(
            "C57",
            "class A(fal.App):\n    @fal.endpoint('/w', is_websocket=True)\n    def b(self, sock: WebSocket): pass\nA(_allow_init=True)._build_app()",
        ),
        Defined(
            "C57",
            "class A(fal.App):\n    @fal.endpoint('/w', is_websocket=True)\n    def b(self): pass\nA(_allow_init=True)._build_app()",
        ),
        Defined("C18", "fal.endpoint('/', billing=3)"),
        Defined("C28", "fal.App(_allow_init=True).health()"),
        Defined("C29", "hasattr(fal.App(_allow_init=True), 'logger')"),
        Defined("C30", "fal.App(_allow_init=True).current_request"),
        Defined("C31", "fal.App(_allow_init=True).provide_hints()"),
        Defined("C33", "from fal.ref import get_current_app\nget_current_app()"),
        Defined("C33", "from fal.ref import get_current_app, set_current_app\nset_current_app(1)\nget_current_app()"),
        Defined("C33", "from fal.ref import set_current_app\nset_current_app(1)\nset_current_app(2)"),
        Defined("C139", "from fal.container import ContainerImage\nContainerImage.from_dockerfile_str(' ')"),
        Defined(
            "C139",
            "from fal.container import ContainerImage\nContainerImage.from_dockerfile_str('FROM x', entrypoint=5)",
        ),
        Defined(
            "C139",
            "from fal.container import ContainerImage\nContainerImage.from_dockerfile_str('FROM x', registries={'a': {}})",
        ),
        Defined("C139", "from fal.container import ContainerImage\nContainerImage.from_dockerfile('/nope/Dockerfile')"),
        Defined("C19", "fal.function(foo=1)"),
        Defined("C19", "@fal.function(requirements=[])\ndef f(x=1): return x + 1\nf.run_local(3)"),
        Defined("C19", "@fal.function()\ndef f(x=1): return x + 1\nf.func(3)"),
    ]


def _exceptions() -> list[Defined]:
    head = "from fal.exceptions import *\n"
    values = ("AppException('boom', 409)", "AppException(message='b', status_code=1)", "FieldException('a', 'b')", "RequestCancelledException()", "RequestCancelledException('x')", "FileTooLargeError()", "GPUException()", "GPUOutOfMemoryException()", "CUDAOutOfMemoryException()", "UnauthenticatedException()", "AppFileUploadException('a', 'b')")  # fmt: skip
    found = [Defined("C81", f"{head}e = {value}\n(str(e), repr(e), getattr(e, 'message', None))") for value in values]
    return [
        *found,
        Defined("C81", f"{head}FieldException('a', 'b').to_pydantic_format()"),
        Defined("C81", f"{head}AppException('boom')"),
        Defined("C81", f"{head}issubclass(FieldException, AppException)"),
        Defined("C75", f"{head}@catch_gpu_exceptions()\ndef f(): raise RuntimeError('CUDA out of memory')\nf()"),
        Defined("C75", f"{head}@catch_gpu_exceptions()\ndef f(): raise GPUException('own', 500)\nf()"),
        Defined(
            "C153",
            "from fal.app import AppClientError\ne = AppClientError('m', 500)\n(e.message, e.status_code, e.headers)",
        ),
    ]


def _documents() -> list[Defined]:
    """The OpenAPI document, part by part (C53 to C55)."""
    source = """class In(BaseModel):
    prompt: str
    n: int = 1
class Out(BaseModel):
    text: str
class X(BaseModel):
    x: int
class A(fal.App):
    @fal.endpoint("/b")
    def run(self, input: In) -> Out:
        "Doc."
    @fal.endpoint("/")
    def root(self): return {}
    @fal.endpoint("/item/{k}")
    def pp(self, k: int, input: In): return {}
    @fal.endpoint("/two")
    def two(self, a: In, b: X) -> Out: return {}
    @fal.endpoint("/yields")
    def yields(self): yield 1
    @fal.realtime("/rt", buffering=2)
    def rt(self, i: X) -> Out:
        "Talks."
    @fal.endpoint("/ws", is_websocket=True)
    async def ws(self, socket: WebSocket): pass
d = A(_allow_init=True).openapi()
"""
    parts = ("d['x-fal-order-paths']", "d['openapi'], d['info'], 'servers' in d", "d['paths']['/b']", "d['paths']['/']", "d['paths']['/item/{k}']", "d['paths']['/two']", "d['paths']['/yields']", "d['paths']['/rt']", "d['paths']['/ws']", "d['paths']['/health']", "sorted(d['components']['schemas'])", "d['components']['schemas']['In']", "d['components']['schemas']['X']", "d['components']['schemas']['HTTPValidationError']", "sorted(A.build_metadata())")  # fmt: skip
    mirrors = (
        f"from typing import Optional, Union, Callable\nclass X(BaseModel): x: int\nclass Y(BaseModel): y: int\nclass A(fal.App):\n    @fal.realtime('/')\n    def a(self, i: {given}): ...\nA(_allow_init=True).openapi()['paths']['/'].get('post')"
        for given in ("X | Y", "X | None", "Optional[X]", "Union[X, Y]", "Callable", "'X'", "Gone", "object", "bytes")
    )
    about = "class A(fal.App):\n    'Draws.'\n    @fal.endpoint('/')\n    def a(self):\n        'Draws *one*.'\nd = A(_allow_init=True).openapi()\n"
    return (
        [Defined("C53 C54", about + part) for part in ("d['info']", "d['paths']['/']['post']['description']")]
        + [Defined("C53 C54 C55", source + part) for part in parts]
        + [Defined("C55", mirror) for mirror in mirrors]
    )


DEFINED = [*_names(), *_options(), *_rules(), *_exceptions(), *_documents(), *WRAPPED, *TOOLKIT]
