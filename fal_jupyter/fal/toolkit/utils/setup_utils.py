"""Settings of libraries that are best made before they are used."""

from __future__ import annotations

import os
from typing import Any


def patch_onnx_runtime(
    inter_op_num_threads: int = 16, intra_op_num_threads: int = 16, omp_num_threads: int = 16
) -> None:
    """Let ONNX Runtime's sessions begin with these numbers of threads.

    Raises:
        ImportError: onnxruntime is not installed.
    """
    import onnxruntime  # type: ignore[import-not-found, unused-ignore]  # start-up

    os.environ["OMP_NUM_THREADS"] = str(omp_num_threads)
    state = onnxruntime.capi._pybind_state
    options = state.get_default_session_options()

    def with_threads() -> Any:
        options.inter_op_num_threads = inter_op_num_threads
        options.intra_op_num_threads = intra_op_num_threads
        return options

    state.get_default_session_options = with_threads
