"""Running exported models outside of the package: ONNX Runtime, the standard's own evaluator.

With ONNXRUNTIME_PYTHON in the environment, the path of another Python (whose NumPy and ONNX Runtime
may be of other years), models are run by that one.
"""

from __future__ import annotations

import functools
import os
import pickle
import subprocess
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx.reference
import onnxruntime

#: By dtype, how far a value may be off, as a share of what is larger, the value or 1.
CLOSE = {"float32": 4e-6, "float64": 1e-13}

_WORKER = """
import pickle, sys
import onnxruntime
def plain(value):
    return (str(value.dtype), value.tolist()) if hasattr(value, "dtype") else value
while True:
    model, feed = pickle.load(sys.stdin.buffer)
    try:
        outputs = onnxruntime.InferenceSession(model).run(None, feed)
        answer = [list(map(plain, o)) if isinstance(o, list) else plain(o) for o in outputs]
    except Exception as error:
        answer = str(error)
    pickle.dump(answer, sys.stdout.buffer, 4)
    sys.stdout.buffer.flush()
"""


@functools.cache
def _other_python(path: str) -> Any:
    pipe = subprocess.PIPE
    return subprocess.Popen([path, "-W", "ignore", "-c", _WORKER], stdin=pipe, stdout=pipe)


def _run_elsewhere(path: str, model: bytes, feed: Mapping[str, Any]) -> list[Any]:
    worker = _other_python(path)
    limit = threading.Timer(300, worker.kill)  # reading ends with the process
    limit.start()
    pickle.dump((model, dict(feed)), worker.stdin, 4)
    worker.stdin.flush()
    answer = pickle.load(worker.stdout)
    limit.cancel()
    if isinstance(answer, str):
        raise AssertionError(answer)

    def array(value: Any) -> Any:
        return np.array(value[1], dtype=value[0]) if isinstance(value, tuple) else value

    return [list(map(array, o)) if isinstance(o, list) else array(o) for o in answer]


def runtime(model: onnx.ModelProto, feed: Mapping[str, Any]) -> list[Any]:
    """The outputs of a model by ONNX Runtime, on one thread."""
    if path := os.environ.get("ONNXRUNTIME_PYTHON"):
        return _run_elsewhere(path, model.SerializeToString(), feed)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return list(session.run(None, dict(feed)))


def run(model: onnx.ModelProto, feed: Mapping[str, Any]) -> list[Any]:
    """The same, after the checker has been through all of the model."""
    onnx.checker.check_model(model, full_check=True)
    return runtime(model, feed)


def evaluate(model: onnx.ModelProto, feed: Mapping[str, Any]) -> list[Any]:
    """The outputs of a model by the standard's reference evaluator, operator by operator."""
    return list(onnx.reference.ReferenceEvaluator(model).run(None, dict(feed)))


def assert_close(found: Any, expected: Any, dtype: Any) -> None:
    """Equal shapes, and values equal to the rounding of this dtype."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.isfinite(found).all()
    off = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    assert off.max() <= CLOSE[str(np.dtype(dtype))]
