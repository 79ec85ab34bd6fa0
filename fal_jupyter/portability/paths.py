"""Finds local files and addresses: absolute paths, the home directory, files of the folder, localhost."""

from __future__ import annotations

import ast
import ipaddress
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from fal_jupyter.fal.toolkit.utils.download_utils import FAL_PERSISTENT_DIR
from fal_jupyter.portability.code import Piece
from fal_jupyter.portability.findings import Finding, Severity
from fal_jupyter.portability.image import DockerImage
from fal_jupyter.portability.surroundings import Surroundings

PERSISTENT = ("data", "tmp")  # the same in the cloud: /data is persistent, /tmp is always available
OF_EVERY_LINUX = ("dev", "proc", "sys", "bin", "lib", "lib64", "sbin", "run", "etc", "app")
OF_PEOPLE = ("home", "Users", "root", "content", "kaggle", "mnt", "media")
_SYSTEM = ("usr", "opt", "srv", "var", "snap")
_OPENERS = frozenset({
    "open", "io.open", "pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "os.open", "os.listdir",
    "os.scandir", "os.makedirs", "os.mkdir", "os.stat", "os.path.join", "os.path.exists", "os.path.isfile",
    "os.path.isdir", "os.chdir", "glob.glob", "shutil.copy", "shutil.copyfile", "shutil.copytree",
    "sqlite3.connect",
})  # fmt: skip
_READERS = frozenset({
    "load", "from_pretrained", "read_csv", "read_json", "read_parquet", "read_excel", "imread", "load_file",
    "load_model", "load_state_dict", "from_file", "from_single_file", "truetype",
})  # fmt: skip
_READING = ("read_text", "read_bytes", "open", "iterdir", "glob", "rglob")
_HOMES = ("pathlib.Path.home", "os.path.expanduser")
_URL = re.compile(r"\w[\w+.-]*://(?:[^/@\s]*@)?(\[[0-9a-fA-F:]+\]|[\w.-]+)(?::\d+)?(?:[/?#]|$)")
_HOST_AND_PORT = re.compile(r"(localhost|\d+\.\d+\.\d+\.\d+):\d{2,5}")
_STARTERS = ("subprocess.", "uvicorn.", "asyncio.create_subprocess", "os.spawn", "os.popen", "os.system")
_SERVERS = ("http.server.", "socketserver.", "multiprocessing.")


@dataclass(frozen=True, slots=True)
class _Text:
    """A text in the code or in a global, at its use; *begins*: only its beginning is known (an f-string)."""

    text: str
    node: ast.AST
    begins: bool = False


def path_findings(
    pieces: Sequence[Piece], surroundings: Surroundings, app_files: Sequence[str], *, image: DockerImage | None
) -> list[Finding]:
    """Report local paths.

    Args:
        app_files: absolute paths of deployed files and folders.
        image: the app's image: then files of the folder are not reported, and absolute paths may exist in the image.
    """
    findings: list[Finding] = []
    for piece in pieces:
        for text in _texts(piece):
            if not text.text.startswith("/data") and is_tried(piece, text.node):
                continue
            findings += _absolute(piece, text, surroundings, image)
            if image is None and not text.begins:
                findings += _relative(piece, text, surroundings, app_files)
        for node in piece.walk():
            if isinstance(node, ast.Call) and piece.full_name(node.func) in _HOMES:
                findings.append(_home(piece, node, surroundings))
            if (
                isinstance(node, ast.Name)
                and node.id == "__file__"
                and surroundings.file is not None
                and not is_tried(piece, node)
            ):
                message = f"{piece.owner(node)} uses __file__, which in the cloud is still the path that the file had where it was deployed"
                findings.append(
                    surroundings.finding(
                        "own-file",
                        "fails",
                        piece.place(node),
                        message,
                        'write app_files = ["NAME"] and open "NAME", relative',
                    )
                )
    return findings


def _texts(piece: Piece) -> Iterator[_Text]:
    for node in piece.walk():
        if isinstance(node, ast.JoinedStr):
            first = node.values[0] if node.values else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield _Text(first.value, node, begins=len(node.values) > 1)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if not isinstance(piece.parent(node), ast.JoinedStr | ast.FormattedValue) and not piece.is_prose(node):
                yield _Text(node.value, node)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            value = piece.value_of(node)
            if issubclass(type(value), (str, PurePath)) and len(str(value)) < 4096:
                yield _Text(str(value), node)


def is_tried(piece: Piece, node: ast.AST) -> bool:
    """True if the code checks that the path around *node* exists, or if it is one of several that are tried."""
    around = piece.around(node)
    name, listed = "", False
    for outer in around:
        if _checks_existence(piece, outer):
            return True
        listed = listed or isinstance(outer, ast.List | ast.Tuple | ast.Set)
        if isinstance(outer, ast.Assign | ast.AnnAssign | ast.For | ast.comprehension):
            target = outer.targets[0] if isinstance(outer, ast.Assign) else outer.target
            name = target.id if isinstance(target, ast.Name) else ""
        if isinstance(outer, ast.stmt | ast.comprehension):
            break
    body = piece.function_of(node) or piece.node
    asking = [call for call in ast.walk(body) if _checks_existence(piece, call)]
    if listed and asking:
        return True
    written = ast.dump(node)
    if any(ast.dump(part) == written for call in asking for part in ast.walk(call)):
        return True
    return bool(name) and any(isinstance(n, ast.Name) and n.id == name for call in asking for n in ast.walk(call))


def _checks_existence(piece: Piece, node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    last = node.func.attr if isinstance(node.func, ast.Attribute) else piece.full_name(node.func).rpartition(".")[2]
    return last in ("exists", "is_file", "is_dir", "isfile", "isdir", "lexists")


def _absolute(piece: Piece, text: _Text, surroundings: Surroundings, image: DockerImage | None) -> Iterator[Finding]:
    written = text.text
    if written == "~" or written.startswith("~/"):
        yield _home(piece, text.node, surroundings)
        return
    if re.match(r"[A-Za-z]:\\\w", written):
        yield _of_here(piece, text.node, surroundings, written)
        return
    if "\n" in written or "\0" in written or len(written) > 1024:
        return
    parts = PurePosixPath(written).parts
    if isinstance(text.node, ast.Name) and PurePosixPath(written).is_relative_to(FAL_PERSISTENT_DIR):
        return  # a folder of fal.toolkit, which is below /data in the cloud
    if parts[:2] == ("/", "data") and _opened(piece, text.node) and not surroundings.data_is_mounted():
        message = f"{piece.owner(text.node)} uses {written}, which here is this machine's own /data; the folder that stands for it is FAL_PERSISTENT_DIR"
        instead = "from fal.toolkit import FAL_PERSISTENT_DIR, which is /data there"
        yield surroundings.finding("data-path", "differs", piece.place(text.node), message, instead)
    if len(parts) < 3 or parts[0] != "/" or parts[1] in PERSISTENT:
        return
    if image is not None and (parts[1] in _SYSTEM or image.has(PurePosixPath(written)) or not os.path.exists(written)):
        return  # in the image, by its Dockerfile or possibly by its base
    if parts[1] == "app" and _opened(piece, text.node):
        message = f"{piece.owner(text.node)} uses {written}: /app, with the app_files, is there in the cloud only"
        yield surroundings.finding(
            "absolute-path",
            "differs",
            piece.place(text.node),
            message,
            "write the path relative to the folder of app_files",
        )
    if parts[1] in OF_EVERY_LINUX or parts[:3] in (("/", "usr", "bin"), ("/", "usr", "lib"), ("/", "usr", "sbin")):
        return
    exists = os.path.exists(written) or (len(parts) > 3 and os.path.isdir(os.path.dirname(written)))
    if parts[1] in _SYSTEM:
        if os.path.exists(written):
            message = f"{piece.owner(text.node)} uses {written}, which is of this machine's system"
            yield surroundings.finding(
                "absolute-path",
                "differs",
                piece.place(text.node),
                message,
                "bring it as a requirement, in app_files or in an image",
            )
    elif exists or _opened(piece, text.node) or (parts[1] in OF_PEOPLE[:3] and PurePosixPath(written).suffix):
        yield _of_here(piece, text.node, surroundings, written)


def _of_here(piece: Piece, node: ast.AST, surroundings: Surroundings, written: str) -> Finding:
    name = f"{node.id} = " if isinstance(node, ast.Name) else ""
    message = f"{piece.owner(node)} uses {name}{written!r}, a path of this machine"
    return surroundings.finding(
        "absolute-path", "fails", piece.place(node), message, "put it below /data, or bring it in app_files"
    )


def _home(piece: Piece, node: ast.AST, surroundings: Surroundings) -> Finding:
    message = f"{piece.owner(node)} uses the home directory, which in the cloud is empty and gone with its runner"
    return surroundings.finding(
        "home-path", "differs", piece.place(node), message, "use /data, which all runners share and which stays"
    )


def _relative(piece: Piece, text: _Text, surroundings: Surroundings, app_files: Sequence[str]) -> Iterator[Finding]:
    written = text.text
    if not written or len(written) > 255 or written.startswith(("/", "~")) or "\0" in written or "://" in written:
        return
    if not _opened(piece, text.node, reading=True):
        return
    path = (surroundings.folder / written).resolve()
    if path == surroundings.folder.resolve() or not path.exists() or _brought(path, app_files):
        return
    message = f"{piece.owner(text.node)} reads {written!r} of this folder, which does not go to the cloud"
    outside = not path.is_relative_to(surroundings.folder.resolve())
    instead = (
        "move it into this folder, and name it in app_files"
        if outside
        else f'app_files = ["{os.path.normpath(written)}"]'
    )
    yield surroundings.finding("missing-file", "fails", piece.place(text.node), message, instead)


def _brought(path: Path, app_files: Sequence[str]) -> bool:
    return any(path.is_relative_to(Path(brought)) for brought in app_files)


def _opened(piece: Piece, node: ast.AST, *, reading: bool = False) -> bool:
    """True if *node* is an argument of a call that takes paths; with *reading*, only if the call reads it."""
    call = piece.parent(node)
    if isinstance(call, ast.Attribute) and issubclass(
        type(piece.value_of(node)), PurePath
    ):  # a global Path and its method
        return not reading or call.attr in _READING
    if isinstance(call, ast.keyword):
        call = piece.parent(call)
    if not isinstance(call, ast.Call) or call.func is node:
        return False
    name = piece.full_name(call.func)
    last = call.func.attr if isinstance(call.func, ast.Attribute) else name.rpartition(".")[2]
    if name.startswith("PIL.DockerImage.") and last == "open":
        return True
    if name not in _OPENERS and last not in _READERS:
        return False
    if name in ("open", "io.open"):
        mode = call.args[1] if len(call.args) > 1 else next((k.value for k in call.keywords if k.arg == "mode"), None)
        writes = isinstance(mode, ast.Constant) and any(sign in str(mode.value) for sign in "wax")
        return call.args[:1] == [node] and not (reading and writes)
    then = piece.parent(call)
    if reading and name.startswith("pathlib.") and isinstance(then, ast.Attribute) and then.attr not in _READING:
        return False
    return not (reading and name in ("os.makedirs", "os.mkdir", "sqlite3.connect"))


def address_findings(pieces: Sequence[Piece], surroundings: Surroundings, inner: Sequence[Piece] = ()) -> list[Finding]:
    """Report addresses of this machine or its network; in modules (*inner*) as a note, since the class may not use that part.

    An app that starts a program, in any module, may connect to it.
    """
    names = {piece.full_name(n.func) for piece in (*pieces, *inner) for n in piece.walk() if isinstance(n, ast.Call)}
    if any(name.startswith((*_STARTERS, *_SERVERS)) for name in names):
        return []
    findings = [_address(piece, text, surroundings, "fails") for piece in pieces for text in _texts(piece)]
    findings += [_address(piece, text, surroundings, "note") for piece in inner for text in _texts(piece)]
    return [finding for finding in findings if finding is not None]


def _address(piece: Piece, text: _Text, surroundings: Surroundings, severity: Severity) -> Finding | None:
    match = _URL.match(text.text) or _HOST_AND_PORT.fullmatch(text.text)
    if not match or not _is_private(match[1]):
        return None
    is_self = match[1] == "localhost" or match[1].startswith("127.")
    what = "the runner itself" if is_self else "unreachable"
    message = f"{piece.owner(text.node)} uses the address {match[0].rstrip('/?#')}, which in the cloud is {what}"
    instead = "give an address that the internet reaches, as a secret or a parameter"
    return surroundings.finding("local-address", severity, piece.place(text.node), message, instead)


def _is_private(host: str) -> bool:
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return (address.is_private or address.is_loopback) and not address.is_unspecified
