"""Where we differ from fal 1.83.0 on purpose: the check's name, and why. A check that is listed and does not differ fails."""

from __future__ import annotations

_TYPES = (
    "a value that fal's platform refuses when the class is deployed is refused when it is defined, with what it must be"
)
_ORIGIN = "a local gateway opens itself to no other origin, unless its owner names one (--cors)"
_SLASH = "a gateway never redirects: both forms of a path answer"

DIFFERENT: dict[str, str] = {
    "class A(fal.App): ⏎     min_concurrency = 'a' ⏎     max_concurrency = -1 ⏎     @fal.endpoint(\"/\") ⏎     def r(self): return {} ⏎ fal.wrap_app(A).options.host['min_concurrency']": _TYPES,
    "class A(fal.App): ⏎     requirements = 'numpy' ⏎     @fal.endpoint(\"/\") ⏎     def r(self): return {} ⏎ fal.wrap_app(A)": _TYPES,
    "class A(fal.App): ⏎     requirements = ['numpy', ['x']] ⏎     @fal.endpoint(\"/\") ⏎     def r(self): return {} ⏎ fal.wrap_app(A)": _TYPES,
    "class A(fal.App): ⏎     local_python_modules = 'm' ⏎     @fal.endpoint(\"/\") ⏎     def r(self): return {} ⏎ fal.wrap_app(A)": _TYPES,
    'class A(fal.App): ⏎     local_python_modules = [1] ⏎     @fal.endpoint("/") ⏎     def r(self): return {} ⏎ fal.wrap_app(A)': _TYPES,
    "class A(fal.App): ⏎     kind = 'nope' ⏎     @fal.endpoint(\"/\") ⏎     def r(self): return {} ⏎ fal.wrap_app(A)": _TYPES,
    "class A(fal.App): ⏎     keep_alive = 'x' ⏎ A.host_kwargs['keep_alive']": _TYPES,
    "class A(fal.App): ⏎     secrets = 'A' ⏎ A.host_kwargs['secrets']": _TYPES,
    "class A(fal.App): ⏎     requirements = None ⏎     @fal.endpoint(\"/\") ⏎     def r(self): return {} ⏎ w = fal.wrap_app(A) ⏎ w.options.environment['requirements']": _TYPES,
    "class A(fal.App): ⏎     max_multiplexing = 0 ⏎ A.host_kwargs['max_multiplexing']": _TYPES,
    "class A(fal.App): ⏎     regions = 'us' ⏎ A.regions": _TYPES,
    "class A(fal.App): ⏎     @fal.endpoint('/', health_check=True) ⏎     def r(self): return {}": _TYPES,
    "class A(fal.App): ⏎     @fal.endpoint ⏎     def r(self): return {} ⏎ A.get_endpoints()": "fal drops the method without a word; a decorator without its path is refused, with what to type",
    "class A(fal.App): ⏎     @staticmethod ⏎     @fal.endpoint('/s') ⏎     def s(): return {} ⏎ A.get_endpoints()": "fal lists it and never routes it; what is never routed is not listed",
    "n = [] ⏎ @fal.cached ⏎ def f(): ⏎     n.append(1) ⏎     return 5 ⏎ (f(), f(), len(n))": "fal remembers by the function's source and forgets where there is none to read; ours remembers either way",
    "hasattr(fal.App, 'serve')": "runners serve an instance, which has no server of its own",
    "fal.HealthCheck(timeout_seconds=2)": "a health check has a readable repr",
    "hasattr(fal.App(_allow_init=True), 'logger')": "self.logger is an addition: a logger of the app's name",
    "plain.Plain POST /query {'a': 1}": "plain parameters may come from a JSON body, which is what fal's clients send",
    "class A(fal.App): ⏎     'Draws.' ⏎     @fal.endpoint('/') ⏎     def a(self): ⏎         'Draws *one*.' ⏎ d = A(_allow_init=True).openapi() ⏎ d['info']": "fal's platform makes its About from the root endpoint's docstring; here the document and the card have it, and the class's where that has none",
    "errors.Errors POST /stream-breaks": "a stream that breaks is cut off, so that its caller sees that it is not whole",
    "shapes.Health GET /health {'Origin': 'http://x.com'}": _ORIGIN,
    "shapes.Health OPTIONS /health {'Origin': 'http://x.com', 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'x-foo'}": _ORIGIN,
    "shapes.Paths POST /deep/sub": _SLASH,
    "shapes.Paths POST /fixed/": _SLASH,
    "from fal.toolkit import * ⏎ (str(FAL_PERSISTENT_DIR), str(FAL_REPOSITORY_DIR), str(FAL_MODEL_WEIGHTS_DIR))": "/data of the cloud is a folder of the state directory",
}

_FASTAPI = "follows the installed FastAPI, which is newer than the one that fal 1.83.0 holds"
_HEADERS = "a model of all headers shows those of the connection, which the two servers' callers send differently"

KINDS: dict[str, str] = {
    r"^build query\(Optional\[M\]\)": _FASTAPI,
    r"^build (lone|preset)\((list|tuple|Named)\)$": "the endpoint and what to install are named, where FastAPI says that python-multipart is missing",
    r"^(query|header|cookie)\((Needs|Checked)\)": _FASTAPI,  # a model's defaults are no longer validated as if they were sent
    r"^(header|cookie)\(Optional\[M\]\)": _FASTAPI,  # such a model is read from all headers or cookies, as one that is not optional
    r"^(two|header|cookie)\(Annotated\[Union\[Cat, Dog\]": _FASTAPI,  # the discriminator is used there, too
    r"^header\((Strict|Root|Loose|Image|File|Box\[int\])\)": _HEADERS,
    r"^(lone|preset)\(.*\) \[$": "plain parameters may come from a JSON body, so a body that is not JSON is refused",
}
"""What differs on purpose among the generated requests of ``kinds``: a pattern of their names, and why."""
