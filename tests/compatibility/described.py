"""What the files of released versions were made from, and what each thing in them says and gives.

`make_<version>.py` writes with it, `test_compatibility.py` compares with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import deltarule as dr

FOLDS_AND_SPACE: dict[str, Any] = {
    "epochs": 3,
    "folds": 2,
    "space": {"hidden": [[3], [4, 2]], "activation": ["relu", "tanh"]},
}


def inputs(n: int, width: int) -> np.ndarray:
    """Rows of multiples of 1/8, the same on every machine."""
    return (np.arange(n * width).reshape(n, width) * 5 % 17 - 8) / 8


def table(n: int = 40) -> pl.DataFrame:
    """A small table: two columns of numbers (one with gaps), one of text, targets of both kinds."""
    rows = np.arange(n)
    return pl.DataFrame(
        {
            "x": (rows * 7 % 11) / 4,
            "z": [None if i % 9 == 4 else (i * 3 % 8) / 2 for i in range(n)],
            "colour": [("red", "green", "blue")[i % 3] for i in range(n)],
            "kind": [("low", "high")[(i * 7 % 11) > 5] for i in range(n)],
            "amount": (rows * 7 % 11) * 2.5 + rows % 2,
        }
    )


def network_for_checkpoint() -> dr.Network:
    """The network whose training the checkpoint holds, as it was before the first epoch."""
    net = dr.Network([3, 4, 1], "tanh")
    net.theta = (np.arange(net.theta.size) * 3 % 7 - 3) / 8
    return net


def train_with(checkpoint: Path, **more: Any) -> tuple[dr.Network, dr.History]:
    """The training that the checkpoint belongs to, begun or resumed."""
    net, X = network_for_checkpoint(), inputs(30, 3)
    options: dict[str, Any] = {
        "epochs": 6,
        "batch_size": 8,
        "engine": "reference",
        "validation": None,
    }
    where = dr.Checkpoint(checkpoint, every_seconds=0)
    history = dr.train(net, X, X[:, 0] * X[:, 1], checkpoint=where, **options, **more)
    return net, history


# -- what a thing says and gives -----------------------------------------------------------------


def described(value: Any) -> dict[str, Any]:
    """What must stay: "exact" texts and stored numbers, "close" what is computed with them now."""
    kind = type(value).__name__
    for names, describe in _DESCRIBED.items():
        if kind in names:
            return {"kind": kind, **describe(value)}
    return {"kind": kind, "exact": {"repr": repr(value)}}


def numbers(array: Any) -> list[float]:
    return [float(x) for x in np.asarray(array, dtype=np.float64).ravel()]


def _network(net: Any) -> dict[str, Any]:
    return {
        "exact": {
            "repr": repr(net),
            "theta": hashlib.sha256(net.theta.tobytes()).hexdigest(),
            "bias": list(net.bias),
        },
        "close": numbers(net.predict(inputs(4, net.sizes[0]))),
    }


def _activation(f: Any) -> dict[str, Any]:
    z = np.array([[-2.0, -0.5, 1.0]])
    exact = {"repr": repr(f), "name": f.name, "formula": f.formula, "parameter": f.parameter}
    return {"exact": exact, "close": numbers(f.f(z)) + numbers(f.backward(z, np.ones((1, 3))))}


def _loss(loss: Any) -> dict[str, Any]:
    o, y = np.array([[0.25, 0.5, 0.25]]), np.array([[0.0, 1.0, 0.0]])
    exact = {"repr": repr(loss), "formula": loss.formula, "parameter": loss.parameter}
    return {"exact": exact, "close": numbers(loss.J(o, y)) + numbers(loss.dJ(o, y))}


def _record(record: Any) -> dict[str, Any]:
    return {"exact": {"repr": repr(record), "settings": record.settings()}}


def _history(history: Any) -> dict[str, Any]:
    kept = {name: value for name, value in history.to_dict().items() if name != "seconds"}
    return {"exact": {"repr": repr(history)} | kept}


def _forward(passed: Any) -> dict[str, Any]:
    return {"exact": {"z": [numbers(z) for z in passed.z], "output": numbers(passed.output)}}


def _gradients(g: Any) -> dict[str, Any]:
    deltas = [numbers(delta) for delta in g.delta]
    return {"exact": {"loss": g.loss, "theta": numbers(g.theta), "delta": deltas}}


def _per_sample(g: Any) -> dict[str, Any]:
    return {"exact": {"weights": [numbers(one) for one in g.weights]}}


def _estimator(est: Any) -> dict[str, Any]:
    X = inputs(5, est.n_features_in_)
    exact = {"repr": repr(est), "n_iter_": est.n_iter_, "loss_": float(est.loss_)}
    exact |= (
        {"predicted": [str(one) for one in np.asarray(est.predict(X)).ravel()]}
        if hasattr(est, "classes_")
        else {}
    )
    outputs = est.predict(X) if not hasattr(est, "classes_") else est.predict_proba(X)
    parts = outputs if isinstance(outputs, list) else [outputs]
    coefs = [float(np.abs(one).sum()) for one in est.coefs_]
    return {"exact": exact, "close": [x for part in parts for x in numbers(part)] + coefs}


def _model(model: Any) -> dict[str, Any]:
    rows = table(8)
    exact = {
        "repr": repr(model),
        "encoder": model.encoder.to_dict(),
        "target": model.target.to_dict(),
    }
    return {
        "exact": exact,
        "close": numbers(model.outputs(rows)) + list(model.evaluate(table()).values()),
    }


def _training(done: Any) -> dict[str, Any]:
    exact = {"model": repr(done.model), "scores": done.scores, "notes": done.notes}
    exact |= {"history": repr(done.history), "test": done.split.test.tolist()}
    return {"exact": exact, "close": _model(done.model)["close"]}


def _column(column: Any) -> dict[str, Any]:
    return {"exact": {"repr": repr(column), "dict": column.to_dict()}}


def _trace(t: Any) -> dict[str, Any]:
    return {"exact": {"repr": repr(t), "text": t.to_text(max_lines=40), "steps": len(t.steps)}}


def _text(result: Any) -> dict[str, Any]:
    return {"exact": {"text": result.to_text()}}


def _report(report: Any) -> dict[str, Any]:
    return {"exact": {"text": report.to_text(), "dict": report.to_dict()}}


def _derivation(d: Any) -> dict[str, Any]:
    verified = d.verify(trials=2)
    return {"exact": {"text": d.to_text(), "value": d.value, "ok": verified.ok}}


def _string(result: Any) -> dict[str, Any]:
    return {"exact": {"text": str(result)}}


def _tuning(done: Any) -> dict[str, Any]:
    exact = {"ranked": [one.number for one in done.ranked], "scores": done.scores}
    exact |= {
        "trials": [
            {k: v for k, v in one.to_dict().items() if k != "seconds"} for one in done.trials
        ]
    }
    return {"exact": exact, "close": _model(done.model)["close"]}


def _trial(trial: Any) -> dict[str, Any]:
    kept = {name: value for name, value in trial.to_dict().items() if name != "seconds"}
    return {"exact": {"text": str(trial)} | kept}


def _curve(curve: Any) -> dict[str, Any]:
    kept = {name: value for name, value in curve.to_dict().items() if name != "seconds"}
    return {"exact": kept}


def _error(error: Any) -> dict[str, Any]:
    exact = {"text": str(error)}
    exact |= {
        name: getattr(error, name) for name in ("epoch", "batch", "layer") if hasattr(error, name)
    }
    return {"exact": exact}


def _progress(progress: Any) -> dict[str, Any]:
    exact = {"epoch": progress.epoch, "epochs": progress.epochs, "net": repr(progress.net)}
    return {"exact": exact | {"history": repr(progress.history), "l2": progress.l2}}


_DESCRIBED: dict[tuple[str, ...], Callable[[Any], dict[str, Any]]] = {
    ("Network",): _network,
    ("Activation",): _activation,
    ("Loss",): _loss,
    ("SGD", "Adagrad", "Adam", "AdamW", "RMSprop", "LBFGS"): _record,
    ("Schedule", "Step", "InvScaling", "Adaptive", "Cosine", "OneCycle", "Warmup"): _record,
    ("History",): _history,
    ("ForwardPass",): _forward,
    ("Gradients",): _gradients,
    ("PerSampleGradients",): _per_sample,
    ("MLPClassifier", "MLPRegressor"): _estimator,
    ("TableModel",): _model,
    ("TableTraining",): _training,
    ("TableEncoder", "TargetColumn", "NumberColumn", "TextColumn"): _column,
    ("Trace",): _trace,
    ("Report",): _report,
    ("Derivation",): _derivation,
    (
        "Beside",
        "NotationTable",
        "GradientCheck",
        "ProductCounts",
        "DescentCheck",
        "Diagnosis",
        "Diagnose",
    ): _text,
    ("Verification", "Counted"): _string,
    ("Tuning",): _tuning,
    ("Trial",): _trial,
    ("LearningCurve",): _curve,
    ("Progress",): _progress,
    ("SpecError", "DataError", "DivergenceError", "ModelFileError", "OutputError"): _error,
}
