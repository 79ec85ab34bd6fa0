"""More sources for both packages: wrapping, functions, billing, images, hosts, pickling (C5, C10 to C19, C29, C35, C108, C139 to C145)."""

from __future__ import annotations

from tests.parity.checks import Defined

HOSTED = (
    "{'metadata': {}}",
    "{'exposed_port': 80}",
    "{'serve': True}",
    "{'serve': True, 'metadata': {}}",
    "{'kind': None}",
)
ROUTE = '    @fal.endpoint("/")\n    def r(self): return {}\n'
IMAGE = "from fal.container import ContainerImage\n"
BILLED = """class D:
    def __init__(self, d): self.d = d
    def declaration(self): return self.d
class A(fal.App):
    @fal.endpoint("/", billing=D({value}))
    def r(self): return {{}}
A.get_billing_components()"""


def _wrapping() -> list[Defined]:
    def made(rules: str, asked: str, body: str = "", keywords: str = "") -> Defined:
        body = f"    {body}\n" if body else ""
        return Defined(rules, f"class A(fal.App{keywords}):\n{body}{ROUTE}w = fal.wrap_app(A)\n{asked}")

    pinned = "[r.split('==')[0] for r in w.options.environment['requirements']]"
    return [
        made("C15", pinned),
        made("C15", pinned, "requirements = ['numpy', 'uvicorn']"),
        made("C15", "len(w.options.environment['requirements'])", "requirements = [['numpy'], ['torch']]"),
        made("C15", "w.options.environment['requirements']", "requirements = None"),
        made("C17", "w", "pass", keywords=", packages=['x']"),
        made("C17", "w.options.environment['kind']"),
        made("C17", "w", "kind = 'container'\n    app_files = ['a']"),
        *(made("C4 C17", "w", f"host_kwargs = {given}") for given in HOSTED),
        made("C4 C17", "w", "kind = 'conda'"),
        made("C4 C17", "w", "host_kwargs = {'serve': True}", keywords=", kind='container', app_files=['a']"),
        made("C4 C17", "w", keywords=", kind='container', compile_bytecode=True"),
        made("C4", "w.options.environment['force']", keywords=", force_env_build=True"),
        made("C6", "w.options.environment['python_version']", keywords=", python_version='3.11'"),
        made("C4", "sorted(set(w.options.host) - {'metadata'})"),
        made("C4 C145", "sorted(w.options.gateway.items())"),
        made("C142", "w.options.host['machine_type']", "machine_type = ['S', 'M']"),
        made("C142", "w.options.host['num_gpus']", "num_gpus = 2"),
        Defined("C142", f"class A(fal.App):\n    num_gpus = 2\n{ROUTE}fal.wrap_app(A, num_gpus=3)"),
        made("C143", "w.options.host['keep_alive']"),
        made("C143", "(w.app_name, w.app_auth)", "app_auth = 'shared'"),
        made("C14", "sorted(w.options.host['metadata'])"),
        Defined(
            "C14",
            f"class A(fal.App):\n{ROUTE}before = dict(A.host_kwargs)\nfal.wrap_app(A)\nfal.wrap_app(A)\nA.host_kwargs == before",
        ),
        Defined(
            "C14",
            "class A(fal.App): pass\ntry:\n    fal.wrap_app(A)\nexcept Exception as e:\n    found = repr(e.__cause__)\nfound",
        ),
        Defined(
            "C15 C101",
            "class A(fal.App):\n    @fal.realtime('/')\n    def r(self, i: dict) -> dict: return {}\n[r for r in fal.wrap_app(A).options.environment['requirements'] if r in ('websockets', 'msgpack')]",
        ),
        Defined("C3", "class A(fal.App, name='n', keep_alive=3): pass\n(A.app_name, A.host_kwargs['keep_alive'])"),
    ]


def _functions() -> list[Defined]:
    return [
        Defined("C19", "@fal.function()\ndef f(): return 1\nsorted(f.options.host.items())"),
        Defined("C19", "@fal.function(keep_alive=3)\ndef f(): return 1\nf.options.host['keep_alive']"),
        Defined("C19", "@fal.function()\ndef f(): return 1\nf.on(keep_alive=4).options.host['keep_alive']"),
        Defined(
            "C19",
            "@fal.function()\ndef f(): return 1\nf.on(keep_alive=4)\nf.options.host['keep_alive']",
        ),
        Defined("C19", "fal.function is fal.isolated"),
        Defined(
            "C19",
            "n = []\n@fal.cached\ndef f():\n    n.append(1)\n    return 5\n(f(), f(), len(n))",
        ),
        Defined("C19", "fal.function('nope')"),
        Defined(
            "C19",
            "image = fal.ContainerImage.from_dockerfile_str('FROM python:3.11')\n@fal.function(image=image)\ndef f(): return 1\nf.options.environment['kind']",
        ),
        Defined(
            "C19",
            "image = fal.ContainerImage.from_dockerfile_str('FROM python:3.11')\nfal.function(image=image, app_files=['x'])",
        ),
        Defined("C19", "fal.function('virtualenv', packages=['x'])"),
        Defined("C19", "fal.function('conda', packages=['x']) is not None"),
        Defined("C16 C19", "@fal.function(local_python_modules='m')\ndef f(): pass"),
        Defined("C19", "@fal.function(host=fal.local)\ndef f(x): return x\nf.run_local(4)"),
        Defined("C19", "type(fal.local) is fal.LocalHost, type(fal.serverless) is fal.FalServerlessHost"),
        Defined(
            "C19",
            "from fal.api import FalServerlessHost, LocalHost, IsolatedFunction, Options\nLocalHost is fal.LocalHost",
        ),
        Defined("C19", "fal.FalServerlessHost('h').url"),
        Defined("C19", "fal.version_tuple"),
    ]


def _billing() -> list[Defined]:
    values = ("{'version': 1, 'schema_id': 's', 'app': {'type': 'object'}}", "3", "{}", "{'version': 2, 'schema_id': 's', 'app': {'type': 'object'}}", "{'version': 1, 'schema_id': '', 'app': {'type': 'object'}}", "{'version': 1, 'schema_id': 's', 'app': []}", "{'version': 1, 'schema_id': 's', 'app': {'type': 'object', 'a': float('nan')}}", "{'version': 1, 'schema_id': 's', 'app': {'type': 'object', 1: 2}}", "{'version': True, 'schema_id': 's', 'app': {'type': 'object'}}", "{'version': 1, 'schema_id': 's', 'app': {'type': 'object', 'a': (1,)}}")  # fmt: skip
    found = [Defined("C18", BILLED.format(value=value)) for value in values]
    return [
        *found,
        Defined(
            "C18",
            "class D:\n    def declaration(self): return {}\nfal.endpoint('/', is_websocket=True, billing=D())",
        ),
        Defined("C18", "class D:\n    def declaration(self): return {}\nfal.endpoint('/', billing=D)"),
        Defined("C18", "fal.BillingComponents(version=1, schema_id='s', app={})"),
        Defined("C18", "class D:\n    def declaration(self): return {}\nisinstance(D(), fal.BillingDeclaration)"),
        Defined(
            "C18",
            BILLED.format(value="{'version': 1, 'schema_id': 's', 'app': {'type': 'object'}}").rsplit("\n", 1)[0]
            + "\nsorted(A.build_metadata())",
        ),
    ]


def _images() -> list[Defined]:
    image = IMAGE + "i = ContainerImage.from_dockerfile_str({args})\n"
    text = "'FROM x\\nCOPY a b c/\\nADD --from=q z y\\nADD https://x/y z\\nadd q w'"
    return [
        Defined("C139", image.format(args=text) + "sorted(i.to_dict()['docker_files_list'])"),
        Defined("C139", image.format(args=text) + "sorted(i.to_dict())"),
        Defined(
            "C139", image.format(args="'FROM x', builder='depot', build_args={'a': 'b'}") + "(i.builder, i.build_args)"
        ),
        Defined("C139", image.format(args="'FROM x'") + "(i.compression, i.entrypoint, i.cmd, i.use_isolate)"),
        Defined("C139", image.format(args="'FROM x', cmd=[1]")),
        Defined("C139", image.format(args="'FROM x', use_isolate='yes'")),
        Defined("C139", image.format(args="'FROM x'") + "i.add_dockerignore(path='/nope')"),
        Defined(
            "C139",
            image.format(args="'FROM x', secrets={'a': 'b'}") + "import pickle\npickle.loads(pickle.dumps(i)).secrets",
        ),
    ]


def _instances() -> list[Defined]:
    names = ("setup", "teardown", "handle_exit", "health", "provide_hints", "current_request", "collect_routes", "get_endpoints", "build_metadata", "get_billing_components", "get_health_check_config", "openapi", "run_local", "spawn", "isolate_channel", "version", "lifespan", "serve")  # fmt: skip
    return [
        *(Defined("C29", f"hasattr(fal.App, {name!r})") for name in names),
        Defined("C35", "a = fal.App(_allow_init=True)\na.v = 3\na.__getstate__()['v']"),
        Defined(
            "C35",
            "import cloudpickle\nclass A(fal.App): pass\na = A(_allow_init=True)\na.v = 3\nb = cloudpickle.loads(cloudpickle.dumps(a))\n(b.v, b.current_request)",
        ),
        Defined(
            "C20 C21", "class A(fal.App): pass\na = A(_allow_init=True)\n(a.setup(), a.teardown(), a.handle_exit())"
        ),
        Defined(
            "C108",
            "import io, contextlib\no = io.StringIO()\nwith contextlib.redirect_stdout(o):\n    fal.HealthCheck(call_regularly=False, failure_threshold=2)\no.getvalue()",
        ),
        Defined("C107", "hash(fal.HealthCheck()) == hash(fal.HealthCheck())"),
        Defined("C10", "class A(fal.App):\n    @fal.endpoint('/', health_check=True)\n    def r(self): return {}"),
        Defined(
            "C12",
            "class A(fal.App):\n    @staticmethod\n    @fal.endpoint('/s')\n    def s(): return {}\nA.get_endpoints()",
        ),
        Defined(
            "C12",
            "class A(fal.App):\n    @classmethod\n    @fal.endpoint('/c')\n    def c(cls): return {}\nA.get_endpoints()",
        ),
        *(
            Defined(
                "C12 C13",
                f"class A(fal.App):\n    @fal.endpoint('/z')\n    def z(self): return {{}}\n    @classmethod\n    @fal.endpoint('/c', health_check=fal.HealthCheck())\n    def c(cls, x=2): return x\n    @fal.endpoint('/b')\n    @classmethod\n    def b(cls): return {{}}\n{asked}",
            )
            for asked in (
                "A.get_endpoints()",
                "[s.path for s in A(_allow_init=True).collect_routes()]",
                "A.c()",
                "A.c(3)",
                "A(_allow_init=True).c()",
                "A.get_health_check_config()",
                "sorted(A.build_metadata()['openapi']['paths'])",
                "type('B', (A,), {}).c(x=5)",
            )
        ),
        *(
            Defined(
                "C12",
                f"import functools, abc\ndef deco(f):\n    @functools.wraps(f)\n    def w(*a, **k): return f(*a, **k)\n    return w\ndef u(self, x: int = 1): return x\nclass A(fal.App):\n    {method}\n(A.get_endpoints(), [s.path for s in A(_allow_init=True).collect_routes()])",
            )
            for method in (
                "a = fal.endpoint('/a')(staticmethod(u))",
                "a = deco(fal.endpoint('/a')(u))",
                "a = classmethod(deco(fal.endpoint('/a')(u)))",
                "a = deco(classmethod(fal.endpoint('/a')(u)))",
                "a = fal.endpoint('/a')(deco(u))",
                "a = functools.partialmethod(fal.endpoint('/a')(u), 3)",
                "a = fal.endpoint('/a')(functools.partialmethod(u, 3))",
                "a = property(fal.endpoint('/a')(u))",
                "a = functools.cached_property(fal.endpoint('/a')(u))",
                "a = fal.endpoint('/a')(functools.cached_property(u))",
                "a = functools.lru_cache(fal.endpoint('/a')(u))",
                "a = fal.endpoint('/a')(functools.lru_cache(u))",
                "a = fal.endpoint('/a')(functools.partial(u, x=1))",
                "a = fal.endpoint('/a')(functools.singledispatchmethod(u))",
                "a = fal.endpoint('/a')(type('C', (), {}))",
                "a = fal.endpoint('/a')(type('C', (), {'__call__': lambda self: 1})())",
                "a = fal.endpoint('/a')(lambda self: {})",
                "b = a = fal.endpoint('/a')(u)",
                "a = abc.abstractmethod(fal.endpoint('/a')(u))",
                "a = classmethod(fal.realtime('/a')(u))",
            )
        ),
        Defined(
            "C12",
            "class M:\n    @fal.endpoint('/m')\n    def m(self): return {}\nclass A(M, fal.App): pass\nA.get_endpoints()",
        ),
        Defined("C38", "class A(fal.App):\n    @fal.endpoint\n    def r(self): return {}\nA.get_endpoints()"),
        *(
            Defined(
                "C139",
                f"d = fal.ContainerImage.from_dockerfile_str('FROM a', {given}).to_dict()\nd.pop('docker_ignore')\nd.pop('docker_context_dir')\nd",
            )
            for given in (
                "",
                "entrypoint='a'",
                "cmd=['a', 'b']",
                "use_isolate=False",
                "entrypoint=['a'], cmd='b', use_isolate=True",
            )
        ),
        Defined(
            "C125",
            "from fal.toolkit.pydantic import FalBaseModel\nfrom typing import Any\nfound = []\nclass Spy:\n    def _bind_context(self, loc): found.append(loc)\n"
            "class In(FalBaseModel):\n    a: Any = None\n    b: list[Any] = []\nclass Out(FalBaseModel):\n    items: list[In] = []\n    one: Any = None\n"
            "Out(items=[In(a=Spy()), In(b=[1, Spy()])], one=Spy())\nfound",
        ),
        Defined("C110", "from fal.toolkit.utils.download_utils import _hash_url\n_hash_url('https://x/é')"),
        Defined(
            "C156",
            "import fal.flags as f\n(f.GRPC_HOST, f.REST_HOST, f.REST_URL, f.FAL_RUN_HOST, f.FAL_QUEUE_RUN_HOST, f.FAL_WS_RUN_HOST, f.DEBUG, f.TEST_MODE, f.URL_OUTPUT)",
        ),
        Defined("C38", "def f(self): return 1\nfal.endpoint('/x')(f).route_signature.path"),
        *(
            Defined(
                "C84",
                f"from typing import AsyncIterator, Iterator\nclass X(BaseModel): x: int\nclass A(fal.App):\n    {mark}\n    {method}: yield\n"
                "r = A.run.route_signature\n(r.path, r.is_websocket, r.health_check, str(r.input_modal), str(r.output_modal), r.realtime_mode,"
                " r.content_type, r.buffering, r.session_timeout, r.max_batch_size, r.emit_timings, r.encode_message, r.decode_message)",
            )
            for mark, method in (
                ("@fal.endpoint('/')", "def run(self, i: X) -> X"),
                ("@fal.endpoint('/', is_websocket=True)", "async def run(self, i: X) -> X"),
                ("@fal.realtime('/', buffering=3, session_timeout=5)", "def run(self, i: X) -> X"),
                ("@fal.realtime('/', max_batch_size=2)", "def run(self, i: X) -> Iterator[X]"),
                (
                    "@fal.realtime('/', content_type='application/json')",
                    "async def run(self, i: AsyncIterator[X]) -> X",
                ),
                ("@fal.realtime('/')", "async def run(self, i: AsyncIterator[X]) -> AsyncIterator[X]"),
                ("@fal.realtime('/')", "def run(self, i: list[X]) -> dict"),
                ("@fal.realtime('/', input_modal=X, output_modal=None)", "def run(self, i)"),
            )
        ),
        Defined(
            "C38", "class A(fal.App):\n    @fal.endpoint('/x')\n    def r(self): return 7\nA(_allow_init=True).r()"
        ),
        Defined("C1 C141", "class A(fal.App):\n    max_multiplexing = 0\nA.host_kwargs['max_multiplexing']"),
        Defined("C141", "class A(fal.App):\n    regions = 'us'\nA.regions"),
        Defined(
            "C144", "class A(fal.App):\n    retry_config = {'timeout': {'retries': 1}}\nA.host_kwargs['retry_config']"
        ),
        Defined("C2", "class A(fal.App): pass\nsorted(A._explicit_host_kwargs)"),
    ]


WRAPPED = [*_wrapping(), *_functions(), *_billing(), *_images(), *_instances()]
