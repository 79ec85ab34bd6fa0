"""Checks of ``fal.toolkit`` for both packages (C110 to C132), those that need no cloud."""

from __future__ import annotations

from tests.parity.checks import Defined

HEAD = "from fal.toolkit import *\n"

_EXPORTS = ("Audio", "AudioField", "CompressedFile", "FalBaseModel", "File", "FileField", "Image", "ImageField", "ImageSizeInput", "KVStore", "Video", "VideoField", "Field", "Hidden", "get_image_size", "clone_repository", "download_file", "download_model_weights", "get_gpu_type", "load_inductor_cache", "sync_inductor_cache", "synchronized_inductor_cache", "FAL_MODEL_WEIGHTS_DIR", "FAL_PERSISTENT_DIR", "FAL_REPOSITORY_DIR", "FalTookitException", "FileUploadException", "KVStoreException", "DownloadError")  # fmt: skip
_IMPORTS = ("fal.toolkit.file.types import FileData, FileRepository", "fal.toolkit.image import ImageSize, IMAGE_SIZE_PRESETS, read_image_from_url", "fal.toolkit.types import DataUri, HttpsUrl", "fal.toolkit.utils.endpoint import cancel_on_disconnect", "fal.toolkit.utils.retry import retry", "fal.toolkit.utils.setup_utils import patch_onnx_runtime", "fal.toolkit.kv import KVStore", "fal.toolkit.exceptions import FileUploadException", "fal.toolkit.pydantic import Hidden", "fal.toolkit.utils.download_utils import download_file", "fal.toolkit.video import Video", "fal.toolkit.audio import Audio")  # fmt: skip
_WEIGHTS = "import pathlib, tempfile\nimport fal.toolkit.utils.download_utils as d\nd.FAL_MODEL_WEIGHTS_DIR = pathlib.PurePath(tempfile.mkdtemp())\nu = 'data:text/plain,hello'\np = d.download_model_weights(u)\n"
# the real store asks for a token first, and refuses a key before it connects
_STORE = "import types\nimport fal.toolkit.kv as kv\nkv.fal_v3_token_manager = types.SimpleNamespace(get_token=lambda: types.SimpleNamespace(token_type='B', token='t'))\ns = KVStore('d')\n"
_VALUES = {
    "C111": ("(str(FAL_PERSISTENT_DIR), str(FAL_REPOSITORY_DIR), str(FAL_MODEL_WEIGHTS_DIR))", "type(FAL_PERSISTENT_DIR).__name__"),
    "C112": (
        "File(url='https://a/b')", "File(url='https://a/b').as_bytes()", "File.model_validate('https://a/b').url", "File.model_validate('ftp://q')", "File.model_validate({'url': 'ftp://q'}).url",
        "File.model_json_schema()", "sorted(Image.model_json_schema()['properties'])",
    ),
    "C113": ("File.from_bytes(b'hi', file_name='a.txt', repository='in_memory').model_dump()", "Image.from_bytes(b'x', 'png', file_name='a.png', repository='in_memory').model_dump()"),
    "C114": (
        "File.from_bytes(b'x', file_name='a.png', repository='in_memory').content_type", "File.from_bytes(b'x', repository='in_memory').content_type",
        "len(File.from_bytes(b'x', repository='in_memory').file_name)", "File.from_bytes(b'abc', repository='nope')",
    ),
    "C115": ("File.from_path('/nope')",),
    "C116": ("File.reserve(repository='in_memory')", "import tempfile\nFile(url='data:text/plain;base64,aGk=').save(tempfile.mkdtemp() + '/a.txt').name"),
    "C117": ("File.from_bytes(b'hi', content_type='text/plain', repository='in_memory').url",),
    "C121": (
        "__import__('PIL.Image')\nImage.from_pil(__import__('PIL').Image.new('RGB', (3, 2)), repository='in_memory').model_dump(exclude={'url', 'file_name', 'file_size'})",
        "Image.from_bytes(b'x', 'jpeg', repository='in_memory').content_type",
    ),
    "C122": (
        "ImageField(description='d').json_schema_extra", "VideoField().json_schema_extra", "FileField().json_schema_extra", "AudioField().json_schema_extra",
    ),
    "C124": ("get_image_size('landscape_16_9')", "get_image_size('x')", "from fal.toolkit.image import ImageSize\nget_image_size(ImageSize(width=3, height=4))"),
    "C125": (
        "Hidden(Field(description='x'))", "Hidden(3)", "Hidden(Field(default=1)).json_schema_extra",
        "class M(FalBaseModel):\n    FIELD_ORDERS = ['b']\n    a: int = 1\n    b: int = 2\nlist(M.model_json_schema()['properties'])",
        "class M(FalBaseModel):\n    a: int = Hidden(Field(default=1))\nM.model_json_schema()['properties']",
    ),
    "C126": ("issubclass(CompressedFile, File)",),
    "C127": ("download_file('http://127.0.0.1:9/x', '/tmp')", "download_file('file:///etc/hostname', '/tmp')", "download_file('http://[::1]/x', '/tmp')", "download_file('http://169.254.169.254/x', '/tmp')"),
    "C128": (
        f"{_WEIGHTS}p.write_text('mine')\nq = d.download_model_weights(u)\n(q == p, q.read_text(), p.parent.name, sorted(f.name for f in p.parent.iterdir()))",
        f"{_WEIGHTS}p.write_text('mine')\nd.download_model_weights(u, force=True).read_text()",
        f"{_WEIGHTS}r = d.download_model_weights('data:text/plain,other')\n(p.read_text(), r.read_text(), p.parent == r.parent)",
        f"{_WEIGHTS}p.unlink()\nd.download_model_weights(u).read_text()",
        f"{_WEIGHTS}(p.parent / 'a').write_text('first')\np.unlink()\nd.download_model_weights(u).read_text()",
    ),
    "C129": ("clone_repository('https://github.com/x/y.git', commit_hash='abc')",),
    "C130": (
        *(f"KVStore('d').set('k', {value})" for value in ("5", "b'x'", "None", "{}", "True", r"'\ud800'")),
        *(f"{_STORE}s.{ask}" for ask in ("get('a b')", r"get('a\0')", r"get(' a\n')", "get('é')", "get('a?é')", r"set('a\nb', 'v', 60)", "set('a b', 'v', 5)", "delete('é')", r"delete('\x7f')")),
        f"{_STORE}KVStore('a b').get('k')", f"{_STORE}s.set('a b', 5)",
    ),
    "C131": ("from fal.toolkit.types import DataUri, HttpsUrl\nclass M(BaseModel):\n    u: HttpsUrl\nM(u='http://a.b/c')", "from fal.toolkit.types import DataUri\nclass M(BaseModel):\n    u: DataUri\nM(u='data:,x').u"),
    "C132": ("from fal.toolkit.utils.retry import retry\nn = []\n@retry(max_retries=2, base_delay=0.0)\ndef f():\n    n.append(1)\n    if len(n) < 3: raise ValueError('x')\n    return len(n)\nf()",),
}  # fmt: skip

TOOLKIT = [
    *(Defined("C110", f"{HEAD}{name} is not None") for name in _EXPORTS),
    *(Defined("C110", f"from {line}\n1") for line in _IMPORTS),
    *(Defined(rule, HEAD + source) for rule, sources in _VALUES.items() for source in sources),
]
