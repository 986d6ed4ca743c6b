"""Write v0_1_0/: run once, with deltarule 0.1.0 installed (python make_v0_1_0.py)."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import shutil
import sys
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

import deltarule as dr
from deltarule.table_model import train_table

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from described import (  # noqa: E402
    FOLDS_AND_SPACE,
    described,
    inputs,
    network_for_checkpoint,
    table,
    train_with,
)

assert dr.__version__ == "0.1.0", dr.__version__
warnings.simplefilter("ignore", ConvergenceWarning)
OUT = HERE / "v0_1_0"
FRAME = table().select("x", "z", "colour", "kind")
AMOUNTS = table().select("x", "z", "colour", "amount")


def networks() -> dict[str, dr.Network]:
    made = {
        "plain": dr.Network([3, 4, 2], rng=0),
        "folded": dr.fold_biases(dr.Network([3, 4, 2], "tanh", rng=1)),
        "leaky": dr.Network(
            [3, 4, 4, 1], ["leaky_relu(0.2)", "elu(0.5)", "sigmoid"], "log_loss", rng=2
        ),
        "groups": dr.Network([3, 4, 5], "gelu", "cross_entropy(2,3)", rng=3),
        "float32": dr.Network([3, 4, 3], "silu", "cross_entropy", rng=4, dtype="float32"),
        "no_bias": dr.Network([3, 4, 2], "selu", bias=False, rng=5),
        "some_biases": dr.Network([3, 4, 2], "mish", bias=[True, False], rng=6),
        "quantile": dr.Network([3, 4, 2], "softplus", "quantile(0.9)", rng=7),
        "counts": dr.Network([3, 4, 2], "softsign", "poisson", rng=8),
        "own": dr.Network([3, 4, 2], [dr.Activation("sine", np.sin, np.cos), "identity"], rng=9),
        "deep": dr.Network([2] + [3] * 8 + [1], "relu", "huber(2)", rng=10),
    }
    used = dr.Network([3, 4, 1], "relu", rng=11)  # after predicting and training
    used.predict(inputs(4, 3))
    dr.train(used, inputs(20, 3), inputs(20, 1), epochs=2, validation=None)
    return made | {"used": used}


def records() -> dict[str, Any]:
    names = [
        "identity",
        "sigmoid",
        "tanh",
        "relu",
        "leaky_relu(0.2)",
        "elu(0.5)",
        "selu",
        "gelu",
        "silu",
        "softplus",
        "softsign",
        "mish",
    ]
    made: dict[str, Any] = {
        f"activation_{n}": dr.Network([1, 2, 1], [n, "identity"]).activations[0] for n in names
    }
    made["activation_softmax"] = dr.Network([1, 3], ["softmax"]).activations[0]
    made["activation_softmax(2,1)"] = dr.Network([1, 3], ["softmax(2,1)"]).activations[0]
    made["activation_exp"] = dr.Network([1, 3], loss="poisson").activations[0]
    made["activation_own"] = dr.Activation("sine", np.sin, np.cos, formula="sin(z)")
    losses = [
        "squared_error",
        "absolute_error",
        "huber(2)",
        "quantile(0.9)",
        "poisson",
        "log_loss",
        "cross_entropy",
        "cross_entropy(2,1)",
    ]
    made |= {f"loss_{n}": dr.Network([1, 3], loss=n).loss for n in losses}
    optimizers = [
        dr.SGD(),
        dr.SGD(0.1, momentum=0.9, nesterov=True),
        dr.Adagrad(),
        dr.RMSprop(),
        dr.Adam(0.01),
        dr.AdamW(weight_decay=0.1),
        dr.LBFGS(memory=5),
    ]
    made |= {f"optimizer_{i}_{one.name}": one for i, one in enumerate(optimizers)}
    schedules = [
        dr.Schedule(),
        dr.Step(3, 0.5),
        dr.InvScaling(0.3),
        dr.Adaptive(0.5, 3),
        dr.Cosine(0.1),
        dr.OneCycle(),
        dr.Warmup(3, then=dr.Warmup(2, then=dr.Cosine())),
    ]
    made |= {f"schedule_{i}_{one.name}": one for i, one in enumerate(schedules)}
    made |= {
        "early_stopping": dr.EarlyStopping(3, 0.1, "accuracy"),
        "checkpoint": dr.Checkpoint("folder", 0),
    }
    made["several"] = {
        "optimizer": dr.Adam(),
        "network": dr.Network([1, 2, 1], "leaky_relu(0.2)", rng=0).activations,
    }
    return made


def step_and_training() -> dict[str, Any]:
    net, X = dr.Network([3, 4, 2], "tanh", rng=0), inputs(6, 3)
    history = dr.train(net.copy(), inputs(30, 3), inputs(30, 2), epochs=4, early_stopping=2)
    seen: list[dr.Progress] = []
    watch = dr.callbacks.Diagnose(every=2, rows=10)
    dr.train(
        net.copy(), inputs(30, 3), inputs(30, 2), epochs=3, l2=0.1, callbacks=[watch, seen.append]
    )
    made = {
        "forward": dr.forward(net, X),
        "gradients": dr.backward(net, X, inputs(6, 2)),
        "per_sample": dr.per_sample_gradients(net, X, inputs(6, 2)),
        "history": history,
        "progress": seen[-1],
        "diagnose_callback": watch,
    }
    for name, call in {
        "spec_error": lambda: dr.Network([1]),
        "data_error": lambda: net.predict([[1.0]]),
        "divergence_error": lambda: dr.train(
            dr.Network([3, 9, 1], rng=0),
            inputs(20, 3) * 1e3,
            inputs(20, 1),
            epochs=9,
            optimizer=dr.SGD(1e9),
        ),
    }.items():
        try:
            call()
        except dr.DeltaruleError as error:
            made[name] = error
    return made


def estimators() -> dict[str, Any]:
    X = inputs(40, 3) + np.arange(120).reshape(40, 3) % 7 / 16
    three = np.array(["fir", "oak", "elm"])[np.arange(40) * 3 % 5 % 3]
    two, amount = np.arange(40) * 3 % 5 > 2, X[:, 0] * X[:, 1]
    labels = np.column_stack([two, ~two]).astype(int)
    several = np.column_stack([np.where(two, "a", "b"), three])
    options: dict[str, Any] = {"hidden_layer_sizes": (3,), "max_iter": 4, "random_state": 0}
    C = lambda y, **more: dr.MLPClassifier(**options | more).fit(X, y)  # noqa: E731
    R = lambda y, **more: dr.MLPRegressor(**options | more).fit(X, y)  # noqa: E731
    made = {
        "classifier": C(three),
        "classifier_two": C(two),
        "classifier_labels": C(labels),
        "classifier_several": C(several),
        "classifier_ensemble": C(three, n_ensemble=2),
        "classifier_early_stopping": C(three, early_stopping=True, max_iter=9, n_iter_no_change=3),
        "classifier_lbfgs": C(three, solver="lbfgs"),
        "classifier_sgd": C(
            three, solver="sgd", learning_rate="adaptive", hidden_layer_sizes=(3, 2)
        ),
        "classifier_options": C(
            three,
            solver=dr.SGD(0.1, momentum=0.9),
            learning_rate=dr.Warmup(2, then=dr.Cosine()),
            activation=["leaky_relu(0.2)"],
            dropout=0.1,
            class_weight="balanced",
            label_smoothing=0.05,
            l1=1e-4,
            clip_norm=1.0,
            dtype="float32",
        ),
        "classifier_warm": dr.MLPClassifier(**options, warm_start=True).fit(X, three).fit(X, three),
        "regressor": R(amount),
        "regressor_three": R(X * 0.5),
        "regressor_poisson": R(np.arange(40.0) % 3, loss="poisson"),
        "regressor_quantile": R(amount, loss="quantile(0.9)", activation="gelu"),
        "regressor_ensemble": R(amount, n_ensemble=2),
        "regressor_validation": dr.MLPRegressor(**options).fit(
            X, amount, validation_data=(X[:9], amount[:9])
        ),
        "regressor_own": R(amount, activation=dr.Activation("sine", np.sin, np.cos)),
    }
    partial = dr.MLPClassifier(**options)
    for _ in range(3):
        partial.partial_fit(X, three, classes=["elm", "fir", "oak"])
    return made | {"classifier_partial": partial}


def tables() -> dict[str, Any]:
    kind = train_table(FRAME, "kind", epochs=3, hidden=(4,))
    amount = train_table(AMOUNTS, "amount", epochs=3, hidden=(4,), dtype="float64")
    three = train_table(table().select("x", "z", "colour"), "colour", epochs=3, hidden=(3,))
    return {
        "table_kind": kind.model,
        "table_amount": amount.model,
        "table_colour": three.model,
        "table_training": kind,
        "split": kind.split,
        "encoder": kind.model.encoder,
        "target": amount.model.target,
        "columns": list(kind.model.encoder.columns),
    }


def explanations() -> dict[str, Any]:
    net = dr.Network([2, 3, 2], "tanh", rng=0)
    net.theta = np.round(net.theta, 2)
    X, Y = inputs(5, 2), inputs(5, 2)
    given = dr.derive(net=net, weight=(1, 2, 1), x=[1, 0], y=[0, 1], cached=True)
    counts = dr.count_products(3, 4)
    frame = table().select("x", "colour", "kind")
    tuning = dr.tune(frame, "kind", trials=2, **FOLDS_AND_SPACE)
    own = dr.Activation("own", np.tanh, np.cos)
    wrong = dr.Network([2, 2, 1], [own, "identity"], rng=0, check_derivatives=False)
    broken = dr.Network([2, 3, 1], "tanh", rng=0)
    broken.theta[0] = np.nan
    return {
        "trace": dr.trace("yehoshua", steps=2),
        "trace_net": dr.trace(net, X, Y),
        "report_wrong": dr.check_worksheet("yehoshua"),
        "report_right": dr.check_worksheet("gashler"),
        "derivation": dr.derive(4, weight=(1, 7, 3), cached=True),
        "derivation_numbers": given,
        "derivation_matrix": dr.derive(3, bias=(1, 2), notation="row", cached=True),
        "derivation_column": dr.derive(2, input=1, notation="column", loss="cross_entropy"),
        "beside": dr.derive(3, weight=(1, 1, 1)).beside("row"),
        "verification": given.verify(trials=2),
        "diagnosis": dr.diagnose(net, X, Y),
        "diagnosis_deep": dr.diagnose(
            dr.Network([2] + [3] * 6 + [1], "sigmoid", rng=0), X, X[:, :1], try_advice=False
        ),
        "diagnosis_advice": dr.diagnose(dr.Network([2, 3, 1], "tanh", rng=0), 1000 + X, X[:, :1]),
        "diagnosis_nan": dr.diagnose(broken, X, X[:, :1], try_advice=False),
        "gradient_check": dr.check_gradients(net, X, Y),
        "gradient_check_wrong": dr.check_gradients(wrong),
        "objective_check": dr.check_objective(
            lambda t: float((t**4).sum()), lambda t: 4 * t**3, np.array([1.0, -2.0])
        ),
        "product_counts": counts,
        "product_counts_verified": counts.verify(),
        "descent_check": dr.descent_check(net, X, Y),
        "notation_table": dr.notation_table(4, 2),
        "tuning": tuning,
        "trial": tuning.trials[1],
        "importance": tuning.importance(),
        "learning_curve": dr.learning_curve(
            frame, "kind", epochs=2, folds=2, hidden=[3], sizes=[10, 20]
        ),
    }


class Names(pickle.Unpickler):
    """Collects the module and the name of everything that a pickle refers to."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self.found: set[tuple[str, str]] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.found.add((module, name))
        return super().find_class(module, name)


def told(value: Any) -> dict[str, Any]:
    """`described` as JSON gives it back; what is compared with a tolerance to nine digits."""
    found: dict[str, Any] = json.loads(json.dumps(described(value)))
    if "close" in found:
        found["close"] = [float(f"{number:.9g}") for number in found["close"]]
    return found


def write_readme(named: dict[tuple[str, str], set[str]], refused: dict[str, str]) -> None:
    """Which modules and names the pickles need, as README.md."""
    lines = [
        "# What the pickles of deltarule 0.1.0 name",
        "",
        "Written by `make_v0_1_0.py`.",
        "",
        "| module | names | in so many pickles |",
        "|---|---|--:|",
    ]
    modules: dict[str, set[str]] = defaultdict(set)
    users: dict[str, set[str]] = defaultdict(set)
    for (module, name), where in named.items():
        modules[module].add(name)
        users[module] |= where
    for module in sorted(modules, key=lambda m: (not m.startswith("deltarule"), m)):
        names_in_it = ", ".join(f"`{name}`" for name in sorted(modules[module]))
        lines.append(f"| `{module}` | {names_in_it} | {len(users[module])} |")
    lines += ["", "## What does not pickle", ""] + [
        f"- {name}: {why}" for name, why in refused.items()
    ]
    lines += ["- 32 of the 61 records of `Mistake`: their `variants` are lambdas. All else does."]
    lines += ["", "## Which pickle names what", "", "| name | pickles |", "|---|---|"]
    for (module, name), where in sorted(named.items()):
        if module.startswith("deltarule"):
            some = sorted(where)
            more = f" and {len(some) - 6} more" if len(some) > 6 else ""
            lines.append(f"| `{module}.{name}` | {', '.join(some[:6])}{more} |")
    (OUT / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "pickles").mkdir(parents=True)
    (OUT / "models").mkdir()
    expected: dict[str, Any] = {"pickles": {}, "networks": {}, "tables": {}}
    named: dict[tuple[str, str], set[str]] = defaultdict(set)
    refused: dict[str, str] = {}
    for prefix, part in {
        "network_": networks(),
        "": records() | step_and_training() | estimators() | tables() | explanations(),
    }.items():
        for name, value in part.items():
            try:
                content = pickle.dumps(value, protocol=4)
                names = Names(content)
                again = names.load()
                expected["pickles"][prefix + name] = told(again)
            except Exception as error:
                refused[prefix + name] = f"{type(error).__name__}: {error}"
                continue
            for one in names.found:
                named[one].add(prefix + name)
            (OUT / "pickles" / f"{prefix}{name}.pickle").write_bytes(content)
    for name, net in networks().items():
        net.save(OUT / "models" / f"{name}.safetensors")
        expected["networks"][name] = told(net)
    for name, model in tables().items():
        if isinstance(model, dr.TableModel):
            model.save(OUT / "models" / f"{name}.safetensors")
            expected["tables"][name] = told(model)

    def killed(progress: dr.Progress) -> None:
        if progress.epoch == 3:
            raise RuntimeError

    with contextlib.suppress(RuntimeError):
        train_with(OUT / "checkpoint", callbacks=[killed])
    shutil.copytree(OUT / "checkpoint", OUT / "copy")
    begun: list[int] = []
    net, history = train_with(OUT / "copy", callbacks=[lambda p: begun.append(p.epoch)])
    shutil.rmtree(OUT / "copy")
    whole = network_for_checkpoint()
    X = inputs(30, 3)
    dr.train(
        whole, X, X[:, 0] * X[:, 1], epochs=6, batch_size=8, engine="reference", validation=None
    )
    assert whole.theta.tobytes() == net.theta.tobytes()
    expected["checkpoint"] = {
        "saved": begun[0] - 1,
        "loss": history.loss,
        "theta": net.theta.tolist(),
    }
    frame = table().select("x", "colour", "kind")
    done = dr.tune(frame, "kind", trials=2, study=OUT / "study.jsonl", **FOLDS_AND_SPACE)
    trials = [{k: v for k, v in one.to_dict().items() if k != "seconds"} for one in done.trials]
    expected["study"] = {"trials": trials, "best": done.best.number}
    (OUT / "expected.json").write_text(
        json.dumps(expected, indent=0, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    write_readme(named, refused)


if __name__ == "__main__":
    main()
