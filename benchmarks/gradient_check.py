"""How good is a gradient check? False alarms, planted faults found, and seconds.

    python -m benchmarks.gradient_check
    python -m benchmarks.gradient_check --networks 1000 --parts right,planted

Random networks of every activation and loss, with small to large weights and inputs. In the second
part one slope (of an activation, a Jacobian product or a loss) is wrong by a factor, from 1.0001 to
2 and from 0.9999 to 0. Beside it the usual check with one fixed step: central differences at 1e-6,
and a number passes if |a - b| <= 1e-5 + 1e-3 |b|, the defaults of PyTorch's `gradcheck`.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

import deltarule as dr
from benchmarks.report import table
from deltarule.equations.activations import Activation, activation_names, get_activation
from deltarule.equations.losses import get_loss, loss_names
from deltarule.explain.gradients.found import KINK, RIGHT, UNRESOLVED, WRONG
from deltarule.network.derivative_check import plausible_targets

STEP, ATOL, RTOL = 1e-6, 1e-5, 1e-3  # of the usual check
FAR = 300.0  # net inputs further from 0 are left out: exp and softmax have no digits left there
PARTS = ("right", "planted", "time")


def pairs() -> list[tuple[str, str]]:
    """Every (loss, output activation) that a network accepts."""
    found = []
    for loss in loss_names():
        for output in activation_names():
            try:
                dr.Network([1, 2], [output], loss)
            except dr.SpecError:
                continue
            found.append((loss, output))
    return found


def networks(count: int, *, planted: bool) -> Iterator[tuple[dr.Network, Any, Any, int]]:
    """Random networks with data, and the layer of the wrong slope (L + 1: the loss; 0: none)."""
    hidden = [name for name in activation_names() if name != "softmax"]
    admissible = pairs()
    made = 0
    for seed in itertools.count():
        rng = np.random.default_rng([seed, planted])
        L = int(rng.integers(1, 5))
        loss_name, output = admissible[rng.integers(len(admissible))]
        records = [get_activation(hidden[rng.integers(len(hidden))]) for _ in range(L - 1)]
        records.append(get_activation(output))
        loss, layer = get_loss(loss_name), 0
        if planted:
            layer = int(rng.integers(1, L + 2))
            factor = 1 + 10.0 ** rng.uniform(-4, 0) * rng.choice([-1, 1])
            if layer <= L:
                records[layer - 1] = wrong_activation(records[layer - 1], factor)
            else:
                loss = wrong_loss(loss, factor)
        sizes = [int(n) for n in rng.integers(2, 7, L + 1)]
        net = dr.Network(sizes, records, loss, rng=seed, check_derivatives=False)
        net.theta = net.theta * rng.uniform(0.3, 3)
        for b in net.biases:
            assert b is not None
            b[...] = rng.normal(size=b.shape) * 0.5
        n = int(rng.integers(2, 8))
        X = rng.normal(size=(n, sizes[0])) * 10.0 ** rng.uniform(-1, 1)
        Y = plausible_targets(loss, rng, (n, sizes[-1]))
        if max(np.abs(z).max() for z in dr.forward(net, X).z) > FAR:
            continue
        yield net, X, Y, layer
        made += 1
        if made == count:
            return


def wrong_activation(f: Activation, factor: float) -> Activation:
    """An activation with a slope `factor` times too large."""
    product = f.jacobian_product
    if product is not None:
        return replace(f, name="mine", jacobian_product=lambda z, g: factor * product(z, g))
    return replace(f, name="mine", df=lambda z: factor * f.df(z))


def wrong_loss(loss: dr.Loss, factor: float) -> dr.Loss:
    """A loss with a derivative `factor` times too large."""
    fused = loss.fused_dJ
    return replace(
        loss,
        name="mine",
        dJ=lambda o, y: factor * loss.dJ(o, y),
        fused_dJ=None if fused is None else lambda z, y: factor * fused(z, y),
    )


def usual_check(net: dr.Network, X: Any, Y: Any) -> bool:
    """Whether every parameter passes with one fixed step and fixed tolerances."""
    analytic = dr.backward(net, X, Y).theta
    moved = net.copy()
    for i in range(net.theta.size):
        values = []
        for step in (STEP, -STEP):
            moved.theta = net.theta
            moved._theta[i] += step
            values.append(dr.backward(moved, X, Y).loss)
        numeric = (values[0] - values[1]) / (2 * STEP)
        if not abs(analytic[i] - numeric) <= ATOL + RTOL * abs(numeric):
            return False
    return True


def right(count: int) -> str:
    """Networks without a fault: who raises an alarm."""
    found: Counter[str] = Counter()
    alarms: list[str] = []
    for net, X, Y, _ in networks(count, planted=False):
        report = dr.check_gradients(net, X, Y)
        if report.count(WRONG):
            alarms.append(f"{net!r}: {report.verdict()}")
        for name, status in (("right", RIGHT), ("kink", KINK), ("small", UNRESOLVED)):
            found[name] += report.count(status)
        found["usual"] += not usual_check(net, X, Y)
    rows = [
        ["dr.check_gradients", str(count), str(len(alarms))],
        ["one fixed step", str(count), str(found["usual"])],
    ]
    numbers = (
        f"Of its numbers {found['right']:,} were right, {found['kink']:,} at a kink and "
        f"{found['small']:,} too small or too rough to measure."
    )
    lines = [table(["check", "right networks", "alarms"], rows), "", numbers, *alarms]
    return "\n".join(lines)


def planted(count: int) -> str:
    """Networks with one wrong slope: who finds it, and says where."""
    found: Counter[str] = Counter()
    for net, X, Y, layer in networks(count, planted=True):
        L = len(net.activations)
        report = dr.check_gradients(net, X, Y)
        dead = not dr.backward(net, X, Y).theta.any()
        found["dead"] += dead
        found["usual"] += not usual_check(net, X, Y)
        if not report.count(WRONG):
            continue
        found["found"] += 1
        assert report.first_wrong is not None
        found["layer"] += report.first_wrong.layer == min(layer, L)
        named = "Loss 'mine'" if layer > L else f"Layer {layer}:"
        said = [one for one in report.causes if "is not that of its" in one or "Loss '" in one]
        found["cause"] += len(said) == 1 and said[0].startswith(named)
    rows = [
        ["dr.check_gradients", *(str(found[k]) for k in ("found", "layer", "cause"))],
        ["one fixed step", str(found["usual"]), "", ""],
    ]
    head = ["check", f"found of {count}", "layer right", "function right"]
    dead = f"In {found['dead']} of them every gradient of a parameter is 0: nothing can be found."
    return f"{table(head, rows)}\n\n{dead}"


def seconds() -> str:
    """Checks of some sizes, number by number or along directions."""
    rows = []
    for sizes in ((4, 5, 3), (64, 64, 10), (784, 100, 10), (784, 512, 512, 10)):
        net = dr.Network(sizes, "relu", "cross_entropy", rng=0)
        start = time.perf_counter()
        report = dr.check_gradients(net, samples=8)
        spent = time.perf_counter() - start
        assert report.ok
        how = f"{report.checked:,} numbers" if report.terms else "6 directions"
        rows.append(["-".join(map(str, sizes)), f"{net.theta.size:,}", how, f"{spent:.2f}"])
    return table(["network", "parameters", "checked", "seconds"], rows)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gradient_check", description="How good is the gradient check?"
    )
    parser.add_argument("--networks", type=int, default=1000, help="of each part (default: 1000)")
    parser.add_argument("--parts", default=",".join(PARTS), help="what to run (default: all)")
    options = parser.parse_args(arguments)
    parts = options.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--parts {min(unknown)}: known are {', '.join(PARTS)}")
    dr.check_gradients(dr.Network([1, 1]))  # imports
    texts = {
        "right": lambda: right(options.networks),
        "planted": lambda: planted(options.networks),
        "time": seconds,
    }
    print("\n\n".join(texts[part]() for part in parts))


if __name__ == "__main__":
    main()
