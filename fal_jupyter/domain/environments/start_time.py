"""Variables that are read when a process starts, or when a library is loaded that a template has already loaded.

A runner that is forked later cannot change them, so apps that differ in them get separate templates. A variable that is read later
(``CUDA_VISIBLE_DEVICES``, ``HF_HOME``, ``TOKENIZERS_PARALLELISM`` …) does not require one.
"""

from __future__ import annotations

from collections.abc import Mapping

from fal_jupyter.domain.environments.literal_data import PLACE_VARIABLE

_PREFIXES = (
    "LD_", "GLIBC_", "MALLOC_", "MIMALLOC_", "TCMALLOC_",  # the loader and allocators
    "PYTHON", "OPENSSL_",
    "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GOTO_", "BLIS_", "NPY_", "NUMPY_",  # NumPy and its libraries
    "TORCH", "PYTORCH_", "ATEN_", "DNNL_", "ONEDNN_",  # PyTorch
    "PILLOW_",
)  # fmt: skip
_READ_LATER = frozenset({
    "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONSTARTUP", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONBREAKPOINT",
    "TORCH_HOME", "TORCH_EXTENSIONS_DIR", "TORCH_CUDA_ARCH_LIST", "TORCHINDUCTOR_CACHE_DIR",
})  # fmt: skip
OWN_VARIABLES = frozenset({PLACE_VARIABLE})
OF_ANOTHER_PYTHON = frozenset({"PYTHONHOME", "PYTHONPATH"})  # the kernel's values would break an isolated environment


def start_time_difference(env: Mapping[str, str], base: Mapping[str, str], *, isolated: bool) -> dict[str, str | None]:
    """Return the start-time variables in which an app differs from *base*, the gateway's environment; None: the app does not set it.

    Args:
        isolated: the app's interpreter is that of an isolated environment.
    """
    names = [
        name
        for name in {**base, **env}
        if name in OWN_VARIABLES or (name.startswith(_PREFIXES) and name not in _READ_LATER)
    ]
    if isolated:
        names = [name for name in names if name not in OF_ANOTHER_PYTHON]
    return {name: env.get(name) for name in sorted(names) if env.get(name) != base.get(name)}


def template_environment(
    base: Mapping[str, str], difference: Mapping[str, str | None], *, isolated: bool
) -> dict[str, str]:
    """Return the environment that a template starts with."""
    left_out = {name for name, value in difference.items() if value is None}
    if isolated:
        left_out |= OF_ANOTHER_PYTHON
    changed = {name: value for name, value in difference.items() if value is not None}
    return {name: value for name, value in base.items() if name not in left_out} | changed
