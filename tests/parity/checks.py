"""What is asked of both packages. A check has no expected result: the real package gives it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Asked:
    """One request to an app of ``tests/parity/apps``. *rules* are those of ``rules.json`` that it shows."""

    app: str
    rules: str
    method: str = "POST"
    path: str = "/"
    json: Any = None
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How a report calls it."""
        body = (
            ""
            if self.json is None and self.content is None
            else f" {self.json if self.json is not None else self.content!r}"
        )
        return f"{self.app} {self.method} {self.path}{body}{' ' + str(self.headers) if self.headers else ''}"[:500]


@dataclass(frozen=True)
class Talked:
    """One websocket session: what is sent (msgpack, but text and bytes as they are); all that comes back is compared."""

    app: str
    rules: str
    path: str
    sent: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """How a report calls it."""
        return f"{self.app} websocket {self.path} {list(self.sent)}"[:500]


@dataclass(frozen=True)
class Defined:
    """Source whose last expression's value (or exception) is compared."""

    rules: str
    source: str

    @property
    def name(self) -> str:
        """How a report calls it."""
        return self.source.strip().replace("\n", " ⏎ ")[:500]


def _plain() -> list[Asked]:
    p = "plain.Plain"
    paths = ("none", "text", "tuple", "set", "bytes", "bad-bytes", "nan", "nan-annotated", "inf-annotated", "object", "out-bad", "out-more", "html", "plain-text", "json-response", "raw", "sse", "yields", "ayields", "made", "token")  # fmt: skip
    found = [Asked(p, "C48 C49 C79" if name not in ("sse",) else "C83", path=f"/{name}") for name in paths]
    found += [Asked(p, "C45", path="/cookie", headers=headers) for headers in ({}, {"cookie": "b=c; a=1"})]
    root = [
        {"prompt": "a", "n": 2}, {}, {"prompt": 3}, {"prompt": "a", "n": "2"}, {"prompt": "a", "n": "x"}, {"prompt": "a", "n": 1.5},
        {"prompt": "a", "extra": 1}, {"prompt": None}, [1], "text", 5, {"prompt": "a\ud800"}, {"prompt": "é" * 50},
    ]  # fmt: skip
    found += [Asked(p, "C45 C78", json=body) for body in root]
    raw: list[tuple[bytes, dict[str, str]]] = [
        (b"{bad", JSON), (b'{"prompt":"x"}', {}), (b'{"prompt":"x"}', {"content-type": "text/plain"}), (b'{"prompt": NaN}', JSON),
        (b'{"prompt":"x"}', {"content-type": "application/vnd.own+json"}), (b'{"prompt":"x"}', {"content-type": "application/json; charset=utf-8"}),
        (b"\xff\xfe{", JSON), (b"null", JSON), (b'{"prompt": "a", "prompt": "b"}', JSON), (b'{"prompt": 1e400}', JSON),
        (b'[1, 2', JSON), (b'{"prompt":"x"} trailing', JSON), (b'\xef\xbb\xbf{"prompt":"x"}', JSON),
    ]  # fmt: skip
    found += [Asked(p, "C46 C78", content=body, headers=headers) for body, headers in raw]
    found += [Asked(p, "C45"), Asked(p, "C45", path="/defaults"), Asked(p, "C45", path="/defaults", json={})]
    found += [
        Asked(p, "C45", path="/default-model"),
        Asked(p, "C45", path="/optional"),
        Asked(p, "C45", path="/optional", json={"prompt": "x"}),
    ]
    found += [
        Asked(p, "C48", path="/units", json={}),
        Asked(p, "C45", path="/query?a=1"),
        Asked(p, "C45", path="/query?a=1&b=%C3%A9&c=2"),
    ]
    found += [
        Asked(p, "C45", path="/query?a=x"),
        Asked(p, "C45", path="/query"),
        Asked(p, "C45", path="/query", json={"a": 1}),
    ]
    found += [Asked(p, "C45", path="/bare?x=1"), Asked(p, "C45", path="/two", json={"a": {"prompt": "x"}, "b": {}})]
    found += [Asked(p, "C45", path="/two", json={"a": {"prompt": "x"}}), Asked(p, "C45", path="/two", json={})]
    found += [
        Asked(p, "C45", path="/model-and-query?k=9", json={"prompt": "x", "k": 4}),
        Asked(p, "C45", path="/model-and-query", json={"prompt": "x"}),
    ]
    found += [
        Asked(p, "C45", path="/list", json=[1, 2]),
        Asked(p, "C45", path="/list", json=[1, "x"]),
        Asked(p, "C45", path="/list", json={"a": [1]}),
    ]
    found += [Asked(p, "C45", path="/dict", json={"k": [1, None]}), Asked(p, "C45", path="/dict", json=[1])]
    found += [
        Asked(p, "C45", path="/body", json={"a": 1}),
        Asked(p, "C45", path="/body", json={"b": "y"}),
        Asked(p, "C45", path="/body"),
    ]
    found += [
        Asked(p, "C45", path="/header?q=1&q=2", headers={"x-own": "v"}),
        Asked(p, "C45", path="/header"),
        Asked(p, "C45", path="/header?q=x"),
    ]
    found += [
        Asked(p, "C45", path="/depends?a=4"),
        Asked(p, "C45", path="/depends"),
        Asked(p, "C45", path="/request", content=b"abc", headers={"x-own": "v"}),
    ]
    found += [
        Asked(p, "C78", path="/strict", json=body)
        for body in ({"ratio": 2, "name": "a"}, {"ratio": 0.5, "name": "xx"}, {"ratio": 0.5, "name": "ab"})
    ]
    found += [
        Asked(p, "C45 C78", path="/nested", json=body)
        for body in (
            {"items": [{"prompt": "a"}], "either": {"x": 1}},
            {"items": [{}, 3]},
            {"items": [], "either": {"x": "q"}},
        )
    ]
    found += [Asked(p, "C78", path="/whole", json={"x": body}) for body in (1, 1.5, "2", "x", True, None, 10**30)]
    found += [
        Asked(p, "C44", path="/item/5"),
        Asked(p, "C44", path="/item/x"),
        Asked(p, "C45", path="/variadic?args=1&kwargs=2"),
        Asked(p, "C45", path="/variadic"),
    ]
    found += [Asked(p, "C45", path="/none", content=b"garbage"), Asked(p, "C45", path="/none?any=1", json={"a": 1})]
    found += [Asked(p, "C39", method=m) for m in ("GET", "PUT", "DELETE", "PATCH")] + [Asked(p, "C39", method="HEAD")]
    found += [Asked(p, "C41", method=m, path="/nope") for m in ("GET", "POST", "PUT")] + [
        Asked(p, "C41", path="/nope/é/x")
    ]
    found += [
        Asked(p, "C28", method="GET", path="/health"),
        Asked(p, "C28", path="/health"),
        Asked(p, "C28", method="HEAD", path="/health"),
    ]
    context = {"x-fal-object-lifecycle-preference": '{"a": 1}', "X-Custom": "v"}
    found += [
        Asked(p, "C30", path="/context", headers=context),
        Asked(p, "C30", path="/context"),
        Asked(p, "C30", path="/context-stream", headers=context),
    ]
    found += [Asked(p, "C30", path="/context", headers={"x-fal-object-lifecycle-preference": "{bad"})]
    found += [
        Asked(p, "C32", path="/token", headers={"x-fal-cdn-token": "new"}),
        Asked(p, "C32", path="/token?new=", headers={"x-fal-cdn-token": "old"}),
    ]
    policies = ("bad", "[1]", "{}", '{"url": "https://b.s3.amazonaws.com/"}', '{"url": "https://b.s3.amazonaws.com/", "fields": {"key": "x"}}', '{"url": "http://b.s3.amazonaws.com/", "fields": {"key": "${filename}"}}', '{"url": "https://example.com/", "fields": {"key": "${filename}"}}')  # fmt: skip
    found += [Asked(p, "C58", path="/none", headers={"x-app-fal-upload-policy": policy}) for policy in policies]
    return found


def _errors() -> list[Asked]:
    kinds = ("teapot", "detail", "own-404", "plain-404", "app", "app-named", "field", "field-more", "field-half", "field-text", "field-none", "field-abc", "cancelled", "cancelled-text", "gpu-own", "value", "key", "base", "large", "unauthenticated")  # fmt: skip
    found = [Asked("errors.Errors", "C59 C60 C61 C62 C63 C64 C65 C66 C67 C68 C69 C71 C76", path=f"/{way}/{kind}") for way in ("raise", "araise") for kind in kinds]  # fmt: skip
    found += [
        Asked("errors.Errors", "C62 C65 C63 C76 C80", path=f"/{path}")
        for path in ("plain-404", "field", "app", "validation", "stream-breaks")
    ]
    gpu = ("gpu", "gpu-oom", "cuda-oom", "torch-oom", "cudnn", "nvml", "value-oom", "triton", "caught", "passed")
    return found + [Asked("errors.Gpu", "C70 C72 C73 C74 C75 C82", path=f"/?kind={kind}") for kind in gpu]


def _shapes() -> list[Asked]:
    found = [Asked("shapes.Health", "C28", method=m, path="/health") for m in ("GET", "POST")]
    found += [Asked("shapes.OwnHealth", "C28", method="GET", path="/health")]
    found += [
        Asked("shapes.Paths", "C43", path=path)
        for path in ("/fixed", "/other", "/twice", "/deep/sub/", "/deep/sub", "/fixed/")
    ]
    found += [Asked("shapes.Hints", "C31 C52", path=path) for path in ("/", "/fails", "/refuses", "/nope")] + [Asked("shapes.Hints", "C31", method="GET", path="/health")]  # fmt: skip
    for kind in ("none", "empty", "text", "odd", "list"):
        found += [Asked("shapes.Hints", "C31", path=f"/set?kind={kind}"), Asked("shapes.Hints", "C31")]
    found += [Asked("shapes.Life", "C20 C21 C133")]
    found += [
        Asked("shapes.Health", "C40", method="GET", path=path)
        for path in ("/docs", "/redoc", "/docs/oauth2-redirect", "/openapi.json")
    ]
    origin = {"Origin": "http://x.com"}
    preflight = origin | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-foo"}
    found += [Asked("shapes.Health", "C50", method="GET", path="/health", headers=origin)]
    found += [Asked("shapes.Health", "C51", method="OPTIONS", path="/health", headers=preflight)]
    for app in ("shapes.ClassMethods", "shapes.ChildOfClassMethods"):
        found += [Asked(app, "C12", path=path) for path in ("/plain", "/coroutine", "/coroutine?n=x", "/wrapped", "/cached", "/cached", "/below", "/static", "/static-below", "/fails")]  # fmt: skip
        found += [Asked(app, "C12", path="/first", json=body) for body in ({"x": 5}, {})]
    return found + [Asked("shapes.Derived", "C12", path=path) for path in ("/", "/gone", "/more")]


def _talks() -> list[Talked]:
    t = "talks.Talks"
    rules = "C84 C85 C86 C87 C88 C89 C90 C91 C93 C94 C95 C96 C97 C100"
    table: list[tuple[str, tuple[Any, ...]]] = [
        ("/double", ({"x": 1}, {"x": 2})), ("/double", ()), ("/double", ([1],)), ("/double", (b"\xc1",)), ("/double", ("text",)), ("/double", ({"x": "q"},)),
        ("/fails", ({"x": 1},)), ("/no-dict", ({"x": 1},)), ("/nothing", ({"x": 1},)), ("/dict", ({"a": 1},)), ("/dict", ([1],)),
        ("/untyped", ({"x": "q"},)), ("/newest", tuple({"x": n} for n in range(4))), ("/batch", ({"x": 0},) * 5), ("/single", ({"x": 0},) * 3),
        ("/count", ({"x": 2},)), ("/count", ({"x": 0},)), ("/broken-count", ({"x": 1},)), ("/no-iterator", ({"x": 1},)), ("/sum", ({"x": 3}, {"x": 4})), ("/sum", ()),
        ("/pipe", ({"x": 3}, {"x": 4})), ("/pipe", ()), ("/sync-sum", ({"x": 3},)), ("/sync-pipe", ({"x": 3},)), ("/own", (b"abc",)), ("/no-input", ({"x": 1},)),
        ("/bad-encoder", ({"x": 1}, {"x": 2})),
        ("/echo", ("hi",)),
    ]  # fmt: skip
    classes = [
        Talked("shapes.ClassMethods", "C12 C88", "/talk", ({"x": 1}, {"x": 2})),
        Talked("shapes.ClassMethods", "C12 C57", "/socket"),
    ]
    return [*classes] + [Talked(t, rules if path != "/echo" else "C57", path, sent) for path, sent in table]


ASKED = [*_plain(), *_errors(), *_shapes()]
TALKED = _talks()


def _marked() -> list[Asked]:
    m = "marked.Marked"
    found = [Asked(m, "C12 C45", json=body) for body in ({"text": "a", "n": 2}, {}, {"text": 3})]
    found += [Asked(m, "C12 C63", path=path) for path in ("/log", "/refuses", "/package", "/teapot", "/nope")]
    return [
        *found,
        Asked(m, "C30", path="/context", headers={"x-custom": "v"}),
        Asked(m, "C28", method="GET", path="/health"),
    ]


def _files() -> list[Asked]:
    f = "files.Files"
    found = [Asked(f, "C113 C117", path=path) for path in ("/text", "/typed", "/image")]
    inputs = ("https://a.b/c.png", "data:text/plain;base64,aGk=", "/tmp/x", {"url": "ftp://q"}, {"url": "https://a/b", "width": 3}, {}, 5)  # fmt: skip
    found += [Asked(f, "C112", path="/takes", json=body) for body in inputs]
    bodies = ({"image": "https://a.b/c.png"}, {"image": {"url": "x"}, "more": ["https://a/b", {"url": "y", "file_size": 3}]}, {"image": "x", "more": ["y"]})  # fmt: skip
    found += [Asked(f, "C112 C113", path="/both", json=body) for body in bodies]
    wishes = ('{"expiration_duration_seconds": 60, "initial_acl": {"default": "hide"}}', "[]", "null", "{bad", "")
    for path in ("/lifecycle", "/lifecycle-of-request"):
        found += [Asked(f, "C120", path=path, headers={"x-fal-object-lifecycle-preference": wish}) for wish in wishes]
        found += [Asked(f, "C120", path=path)]
    return [*found, Asked(f, "C115", path="/missing"), Asked(f, "C123", method="GET", path="/openapi.json")]


def _extra() -> list[Asked]:
    e = "extra.Extra"
    found = [Asked(e, "C29", path=path) for path in ("/", "/key", "/stream", "/nope")]
    found += [Asked(e, "C29", path="/plain", json=body) for body in ({"x": 3}, {"x": "q"})] + [
        Asked(e, "C29", method="PUT", path="/put", json={"x": 2})
    ]
    found += [
        Asked(e, "C29", method="GET", path=path)
        for path in ("/extra/3", "/extra/q", "/boom", "/blocked", "/mounted/in", "/health", "/openapi.json", "/extra")
    ]
    found += [Asked("extra.Alone", "C29"), Asked("extra.Alone", "C29", method="GET", path="/health")]
    return [*found, Asked("extra.Mirrors", "C55", method="GET", path="/openapi.json")]


ASKED += _files() + _extra()
MARKED = _marked()
MARKED_TALKS = [Talked("marked.Marked", "C88", "/double", ({"text": "ab"}, {"text": "c"}))]
ASKED += MARKED
TALKED += [*MARKED_TALKS, Talked("extra.Extra", "C29", "/socket")]
