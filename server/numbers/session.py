"""The small networks of the search for digits, run by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

# Its own warnings go to standard error as text; what matters comes back as exceptions.
ERRORS_ONLY = 3


def open_session(artifact: Path) -> onnxruntime.InferenceSession:
    """One network on one thread, whose memory returns after each call; several threads may use it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    return onnxruntime.InferenceSession(artifact, options, providers=["CPUExecutionProvider"])
