"""Generated requests: to an app's endpoints by its OpenAPI document, and to the queue's, storage's and the CDN's routes."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

from tests.fuzz.schemas import ADDRESSES, Schema, anything, fitting, nearly, written

JSON_TYPES = ["application/json"] * 6 + [
    "", "application/json; charset=utf-8", "application/json;charset=latin-1", "APPLICATION/JSON", "text/plain", "application/x-www-form-urlencoded",
    "multipart/form-data", "multipart/form-data; boundary=\"", "application/octet-stream", "application/vnd.api+json", "json", "\xff/\xfe", "a" * 300,
]  # fmt: skip
METHODS = ["POST"] * 12 + ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "CONNECT", "WORK"]
JOB = "00000000-0000-4000-8000-000000000000"
PICKED = "~picked~"  # in a target: a job, file or upload that the world knows, put there when the request is sent

token = st.text("abcdefghijklmnopqrstuvwxyzABC-_0123456789", min_size=1, max_size=12)
value = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40)
target_text = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="# "), max_size=24)
escaped = st.binary(max_size=8).map(quote) | st.sampled_from(
    [
        "%",
        "%2",
        "%zz",
        "%00",
        "%2e%2e",
        "..%2f",
        "%ff",
        "%ED%A0%80",
        "%25",
        "%0d%0a",
        "a%2fb",
        "\xe9",
        ";a=b",
        "//",
        "*",
    ]
)


@dataclass
class Call:
    """One request as it will stand on the wire.

    Attributes:
        raises: a 5xx of it is the app's own.
        patient: no 504 is allowed: it asked for no time limit that may be over.
        pick: which of the things that the world knows stands for ``PICKED``; how many there are is not known beforehand.
    """

    method: str
    target: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    chunked: bool = False
    raises: bool = False
    patient: bool = True
    pick: int = 0

    def to_bytes(self, host: str) -> bytes:
        """Head and body."""
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
            pieces = [self.body[at : at + 7] for at in range(0, min(len(self.body), 70), 7)]
            pieces.append(self.body[70:])
            framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"
        else:
            framed = self.body
            if self.body or self.method not in ("GET", "HEAD"):
                lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + framed


# --- parts ------------------------------------------------------------------------------------------------------------
_ODD = [
    *[("x-fal-request-timeout", text) for text in ("1", "0.2", "0", "-1", "nan", "inf", "1e400", "", "abc", "²", "30", "1_0")],
    *[("x-fal-queue-priority", text) for text in ("low", "normal", "LOW", "high", "", "\xff")],
    *[
        (name, text)
        for name in ("x-fal-object-lifecycle", "x-fal-object-lifecycle-preference")
        for text in ('{"expiration_duration_seconds": 60}', '{"expiration_duration_seconds": -1}', "{", "[" * 3000, '"', "\xff", '{"initial_acl": 3}')
    ],
    *[("x-fal-store-io", text) for text in ("0", "1", "maybe")], ("x-fal-request-id", "mine"), ("x-fal-request-id", JOB), ("x-fal-endpoint", "/raises"),
    ("x-fal-jupyter-owner", "frames"), ("x-fal-owner", "frames"), ("x-fal-no-retry", "yes"), ("x-fal-runner-hint", "\xff"), ("x-fal-runner-hint", "a" * 300),
    ("x-fal-file-name", "../a"), ("x-fal-file-name", "\xc3\x28"), ("expect", "100-continue"), ("expect", "nonsense"), ("upgrade", "h2c"), ("connection", "upgrade"),
    ("connection", "close"), ("connection", "keep-alive, nonsense"), ("accept", "text/event-stream"), ("range", "bytes=0-"), ("range", "bytes=-" + "9" * 400),
    ("cookie", "jar=1; jar=2; \xff"), ("x-flag", "1"), ("x-flag", "²"), ("origin", "null"), ("origin", "http://evil.example"), ("if-none-match", "*"),
    ("content-encoding", "gzip"), ("x-forwarded-host", "evil"), ("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "\xff"), ("x-long", "a" * 9000),
    ("te", "trailers"), ("sec-websocket-version", "13"), ("x-fal-cdn-token", "\xe9"), ("x-fal-upload-policy", "{"), ("accept-encoding", "br;q=nonsense"),
    ("host", "evil.example"), ("access-control-request-method", "POST"), ("x-fal-target-url", "https://fal.run/a/b"), ("content-language", "\t \t"),
]  # fmt: skip


@st.composite
def odd_headers(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Up to three headers that say something to us, or nothing."""
    found = []
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 3]))):
        found.append(draw(st.sampled_from(_ODD) | st.tuples(token.map(lambda name: f"x-{name}"), value)))
    return found


@st.composite
def keys(draw: st.DrawFn, key: str) -> list[tuple[str, str]]:
    """The key, mostly; else one of the forms that are none."""
    good = ("authorization", f"Key {key}")
    if draw(st.integers(0, 9)):
        return [good]
    name, _, secret = key.partition(":")
    odd = [
        "", "Key", "Key ", "Key :", "Key a:b", f"Key {name}", f"Key {name}:", f"Key {name}:{secret[:-1]}", f"Key {name}:{secret}\xe9", f"Basic {key}", key,
        f"Bearer {key}", f"key\t{key}", "Bearer a.b.c", "Bearer \xff", f"Key {secret}:{name}", "Key " + "a" * 9000, f"Key {name}:{secret},Key {name}:{secret}",
    ]  # fmt: skip
    chosen = draw(st.sampled_from(odd) | value)
    return draw(st.sampled_from([[], [("authorization", chosen)], [("authorization", chosen), good]]))


queries = st.one_of(
    st.just(""),
    target_text,
    st.dictionaries(token, st.text(max_size=6).map(lambda text: text.encode("utf-8", "replace")), max_size=3).map(
        urlencode
    ),
    st.sampled_from(
        ["&&&", "=", "a=1&a=2", "fal_jwt_token=a.b.c", "fal_jwt_token=%ff", "code=%C2%B2", "steps=1&steps=x", "name=%ED%A0%80", "%", "logs=1"]
    ),
)  # fmt: skip


# --- an app's endpoints -----------------------------------------------------------------------------------------------
def by_document(document: Schema, base: str, key: str) -> st.SearchStrategy[Call]:
    """Requests of every operation that an OpenAPI document has, below *base*."""
    calls = [
        operation_call(document, base, key, path, method, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    return st.one_of(*calls, *calls, odd_path(base, key))


@st.composite
def operation_call(
    draw: st.DrawFn, document: Schema, base: str, key: str, path: str, method: str, operation: Schema
) -> Call:
    """A request of one operation, fitting or nearly so."""
    raises = path.startswith("/raises")
    headers, given = [], []
    for parameter in operation.get("parameters", []):
        fits = fitting(parameter["schema"], document)
        found = draw(fits if draw(st.integers(0, 3)) else nearly(fits) | anything)
        if not parameter["required"] and draw(st.booleans()):
            continue
        texts = [_as_text(part) for part in found] if isinstance(found, list) else [_as_text(found)]
        name = parameter["name"]
        if parameter["in"] == "path":
            filled = quote(texts[0].encode("utf-8", "replace"), safe="") if texts else ""
            path = path.replace("{" + name + "}", filled)
        elif parameter["in"] == "query":
            given += [(name, text.encode("utf-8", "replace")) for text in texts]
        else:
            text = "".join(sign if " " <= sign < "\x7f" else "?" for sign in "".join(texts))[:200]
            headers.append(("cookie", f"{name}={text}") if parameter["in"] == "cookie" else (name, text))
    query = urlencode(given) if given and draw(st.integers(0, 3)) else draw(queries)
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    body, kind = b"", draw(st.sampled_from(JSON_TYPES))
    if content is not None:
        fits = fitting(content["schema"], document)
        odd = written(nearly(fits)) | st.binary(max_size=30) | st.just(b"")
        body = draw(written(fits) if draw(st.booleans()) else odd)
    elif draw(st.integers(0, 3)) == 0:
        body = draw(st.binary(max_size=300))
    sent = draw(st.sampled_from([method.upper()] * 9 + [""])) or draw(st.sampled_from(METHODS))
    target = base + path.replace("{below}", draw(escaped))
    return draw(finished(sent, target, query, headers, body, kind, key, raises))


def _as_text(found: Any) -> str:
    return found if isinstance(found, str) else str(found)


@st.composite
def odd_path(draw: st.DrawFn, base: str, key: str) -> Call:
    """A request to an address that may be anything below ``/``."""
    places = [base, base, base + "/path/1", base + "/rest", "/run", "/run/root", "/queue", "/rest", "/cdn", "/proxy"]
    place = draw(st.sampled_from([*places, "/admin", "", "*", "http://127.0.0.1" + base]))
    parts = draw(
        st.lists(escaped | target_text | st.sampled_from(["..", ".", "", "health", "openapi.json"]), max_size=3)
    )
    target = "/".join([place, *parts]).replace("?", "")
    target = target if target and "raises" not in target else base + "/none"
    method, body = draw(st.sampled_from(METHODS)), draw(st.binary(max_size=20))
    return draw(finished(method, target, draw(queries), [], body, "application/json", key, False))


@st.composite
def finished(
    draw: st.DrawFn,
    method: str,
    target: str,
    query: str,
    headers: list[tuple[str, str]],
    body: bytes,
    kind: str,
    key: str,
    raises: bool,
) -> Call:
    """Put one together with key, odd headers and the way that its body comes."""
    odd = draw(odd_headers())
    all_headers = [*draw(keys(key)), *headers, *([("content-type", kind)] if kind else []), *odd]
    chunked = bool(body) and draw(st.integers(0, 5)) == 0
    patient = not any(name == "x-fal-request-timeout" and _is_short(text) for name, text in odd)
    return Call(method, target + (f"?{query}" if query else ""), all_headers, body, chunked, raises, patient)


def _is_short(text: str) -> bool:
    try:
        return not float(text) >= 20 or math.isinf(float(text))
    except ValueError:
        return False


# --- the other routes -------------------------------------------------------------------------------------------------
webhooks = st.sampled_from([address for address in ADDRESSES if not address.startswith("data:")]).map(
    lambda address: address.encode("utf-8", "replace").decode()
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def queue_call(draw: st.DrawFn, app: str, key: str) -> Call:
    """A request below ``/queue``: a submission, or a question about a job (that was submitted, or that nobody knows)."""
    others = ["root/nobody", "nobody/fuzzed", "fuzzed", app.replace("/", "-"), "workflows/" + app, ""]
    owner = draw(st.sampled_from([app] * 12 + others))
    if draw(st.booleans()):
        hook = "fal_webhook=" + quote(draw(webhooks), safe="")
        query = draw(st.sampled_from(["", "", hook, "fal_webhook", "fal_webhook=%ff"]))
        wish = st.fixed_dictionaries({}, optional={"name": st.text(max_size=15), "text": anything})
        body = draw(written(wish) | st.binary(max_size=20))
        paths = ["", "/", "/none", "/optional", "/upper", "/refuses", "/events", "/raises", "/nowhere", "/requests/x"]
        target, method = f"/queue/{owner}{draw(st.sampled_from(paths))}", draw(st.sampled_from(METHODS))
    else:
        unknown = st.sampled_from([JOB, "x", "-" * 64, "a" * 65, "%00", "..", "\xe9", "%C3%A9", ""]) | escaped
        job = draw(st.just(PICKED) | st.just(PICKED) | unknown)
        what = draw(
            st.sampled_from(["", "/status", "/status", "/status/stream", "/cancel", "/response", "/", "/nonsense"])
        )
        query = draw(st.sampled_from(["", "logs=1", "logs=0", "logs=%ff", "logs=1&logs=2"]) | queries)
        method = draw(st.sampled_from(["PUT" if what == "/cancel" else "GET"] * 20 + METHODS[12:] + ["PUT", "POST"]))
        target, body = f"/queue/{owner}/requests/{job}{what}", b""
    kind = draw(st.sampled_from(JSON_TYPES))
    call: Call = draw(finished(method, target, query, [], body, kind, key, "/raises" in target))
    return dataclasses.replace(call, pick=draw(st.integers(0, 9)))


@st.composite
def rest_call(draw: st.DrawFn, key: str) -> Call:
    """A request below ``/rest``: tokens, and where to upload."""
    wish = st.fixed_dictionaries(
        {},
        optional={
            "file_name": st.text(max_size=9) | anything,
            "content_type": st.sampled_from(["image/png", "a/b\r\nx: y", "\ud800"]) | anything,
            "allowed_apps": st.lists(st.text(max_size=9), max_size=3) | anything,
            "token_expiration": st.integers(-1, 99) | anything,
        },
    )
    storage = ["storage/auth/token", "storage/upload/initiate", "storage/upload/initiate-multipart/"]
    target = draw(st.sampled_from([*storage, "tokens/", "tokens", ".well-known/jwks.json", "nothing"]))
    body = draw(written(wish) | written(anything) | st.just(b""))
    method = draw(st.sampled_from(METHODS))
    kind = draw(st.sampled_from(JSON_TYPES))
    return draw(finished(method, f"/rest/{target}", draw(queries), [], body, kind, key, False))


ranges = st.from_regex(r"bytes=[0-9]{0,6}-[0-9]{0,6}", fullmatch=True) | value


@st.composite
def cdn_call(draw: st.DrawFn, key: str) -> Call:
    """A request below ``/cdn``: of a file, of a part of an upload, or a new file."""
    what = draw(st.sampled_from(["file", "file", "part", "new"]))
    headers = draw(st.lists(st.tuples(st.sampled_from(["range", "if-range", "if-none-match"]), ranges), max_size=2))
    name = draw(escaped | target_text.map(lambda text: text.replace("?", "").replace("/", "")))
    none = "0" * 32
    if what == "file":
        nowhere = [f"/cdn/files/{none}/{name}", f"/cdn/files/{none[1:]}/{name}", "/cdn/files//", f"/cdn/{name}"]
        target = draw(st.sampled_from([*["/cdn/files/" + PICKED] * 4, *nowhere]))
        method, body = draw(st.sampled_from(["GET"] * 6 + ["HEAD", "PUT", "POST", "DELETE"])), b""
    elif what == "part":
        nowhere = [f"/cdn/files/{none}/a/multipart/{none}", f"/cdn/upload/{none}"]
        base = draw(st.sampled_from([*["/cdn/upload/" + PICKED] * 4, *nowhere]))
        numbers = ["1", "2", "0", "10001", "999999", "9999999", "-1", "%D9%A3", "x"]
        number = draw(st.sampled_from([*numbers, "complete", "complete"]))
        part = st.fixed_dictionaries({"partNumber": st.integers(-1, 3) | anything}, optional={"etag": anything})
        complete = st.fixed_dictionaries({"parts": st.lists(part, max_size=3) | anything})
        target = f"{base}/{number}"
        body = draw(written(complete) if number == "complete" else st.binary(max_size=200))
        method = draw(st.sampled_from(["POST" if number == "complete" else "PUT"] * 6 + ["GET", "DELETE"]))
    else:
        base = "/cdn/files/upload"
        target = draw(st.sampled_from([base, base, base + "/multipart", f"{base}/{name}"]))
        odd = ["../../etc/passwd", "a/b\\c", "\xc3\xa9.png", "a" * 5000]
        headers = [("x-fal-file-name", draw(value | st.sampled_from(odd)))]
        method, body = "POST", draw(st.binary(max_size=300))
    kind = draw(st.sampled_from(["image/png", "text/html", 'a/b;c="d', "", "\xff"]))
    call: Call = draw(finished(method, target, draw(queries), headers, body, kind, key, False))
    return dataclasses.replace(call, pick=draw(st.integers(0, 9)))
