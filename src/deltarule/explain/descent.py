"""Whether a step against the gradient does what the first order promises (SPEC B3).

A step of -alpha g changes the error by dC = -alpha |g|^2 to first order, so C falls, as long as
alpha is small. Here that is measured: the change of C at many learning rates beside the promised
one, how fast their ratio tends to 1, and from which learning rate on C rises.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deltarule.document import Document, Lines, Shown, Table, Title, text
from deltarule.document.figures import new_figure, save_figure
from deltarule.errors import SpecError
from deltarule.explain.case import Source, case_of
from deltarule.explain.descent_steps import DescentStep, Problem, checked_rates, limit, order


@dataclass(frozen=True, eq=False)
class DescentCheck(Shown):
    """What `descent_check` gives: `print` it, `plot`, or any format of `Shown`.

    Attributes
    ----------
    loss : float
        C before the step.
    squared_gradient : float
        |dC/dtheta|^2, over all weights and biases that a step moves.
    steps : list of DescentStep
        By rising learning rate.
    order : float
        The power of alpha with which measured/predicted - 1 tends to 0, measured at the smallest
        learning rates that tell it: 1, as C is smooth there; NaN if none do.
    curvature : float
        d^2C along the step, over its squared length: measured/predicted is about
        1 - alpha curvature / 2. NaN where `order` is.
    falls_up_to : float
        The learning rate at which C stops falling, to 1 % (found by bisection between two that
        were tried); infinity if C fell at all of them, 0 if at none.
    on_kinks : int
        Net inputs and errors that lie on a kink before the step: the gradient there is one of
        several one-sided ones.
    """

    loss: float
    squared_gradient: float
    steps: list[DescentStep]
    order: float
    curvature: float
    falls_up_to: float
    on_kinks: int

    @property
    def best(self) -> DescentStep | None:
        """The step tried after which C is least; None if C fell in none."""
        falling = [step for step in self.steps if step.falls and not step.only_rounding]
        return min(falling, key=lambda step: step.measured, default=None)

    @property
    def ok(self) -> bool:
        """Whether C falls as predicted: the ratio is within 1 % of 1 at the smallest learning rate
        at which rounding does not hide it. True at a gradient of 0, where nothing is predicted."""
        if not self.squared_gradient:
            return True
        clear = [
            s for s in self.steps if math.isfinite(s.ratio) and 100 * s.rounding < -s.predicted
        ]
        return bool(clear) and abs(clear[0].ratio - 1) < 0.01

    @property
    def verdict(self) -> str:
        """What was found, in a few sentences."""
        if not self.squared_gradient:
            return (
                "The gradient is 0: to first order no step changes C. It is a minimum, a saddle or "
                "a plateau."
            )
        said = []
        if math.isfinite(self.order):
            said.append(
                f"measured/predicted tends to 1 with order {self.order:.2f} (1 is expected), as "
                f"1 - {self.curvature / 2:.3g} alpha."
            )
        elif self.ok:
            said.append(
                "measured/predicted is 1 as closely as rounding lets it be told; the order cannot "
                "be measured."
            )
        else:
            said.append("How measured/predicted tends to 1 cannot be told from these rates.")
        if not self.ok:
            said.append("At the smallest rate that tells it, the ratio is not within 1 % of 1.")
        if self.falls_up_to == math.inf:
            said.append("C falls at every rate tried.")
        elif self.falls_up_to:
            said.append(f"C falls up to a learning rate of about {self.falls_up_to:.3g}.")
        else:
            said.append("C falls at no rate tried.")
        if self.best is not None:
            said.append(
                f"The best one tried is {self.best.learning_rate:g}: C goes from {self.loss:.6g} "
                f"to {self.loss + self.best.measured:.6g}."
            )
        if self.on_kinks:
            said.append(
                f"{self.on_kinks} net inputs or errors lie on a kink: the gradient is one of "
                "several there, and the ratio need not tend to 1."
            )
        return " ".join(said)

    def document(self) -> Document:
        """A table of the learning rates, and what it means."""
        rows = [
            (
                f"{one.learning_rate:g}",
                f"{one.predicted:.6g}",
                f"{one.measured:.6g}",
                "-" if math.isnan(one.ratio) else f"{one.ratio:.7g}",
                _remark(one),
            )
            for one in self.steps
        ]
        head = f"C = {self.loss:.6g}, |dC/dtheta|^2 = {self.squared_gradient:.6g}"
        return Document(
            [
                Title("Steps against the gradient: what was predicted, and what C did"),
                Lines([head]),
                Table(("learning rate", "predicted", "measured", "ratio", ""), rows, "rrrrl"),
                Lines([self.verdict], width=80),
            ]
        )

    def to_text(self) -> str:
        """As plain text, which has no title."""
        return text.write(Document(self.document().blocks[1:]))

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON can hold it (NaN and infinity are floats)."""
        return {
            "loss": self.loss,
            "squared_gradient": self.squared_gradient,
            "order": self.order,
            "curvature": self.curvature,
            "falls_up_to": self.falls_up_to,
            "on_kinks": self.on_kinks,
            "ok": self.ok,
            "best": None if self.best is None else self.best.learning_rate,
            "verdict": self.verdict,
            "steps": [
                {
                    "learning_rate": one.learning_rate,
                    "predicted": one.predicted,
                    "measured": one.measured,
                    "ratio": one.ratio,
                    "rounding": one.rounding,
                    "kinks": one.kinks,
                }
                for one in self.steps
            ],
        }

    def plot(self, path: str | Path | None = None) -> Any:
        """How much C falls beside what is predicted, and the ratio's distance from 1.

        Returns the matplotlib Figure; with `path` it is also written there (PNG, SVG or PDF by its
        ending). Needs the extra "plot": without it, DeltaruleError. OutputError if the file cannot
        be written.
        """
        figure, (left, right) = new_figure("DescentCheck.plot", 2)
        rates = np.array([one.learning_rate for one in self.steps])
        predicted = -np.array([one.predicted for one in self.steps])
        measured = -np.array([one.measured for one in self.steps])
        falls = np.isfinite(measured) & (measured > 0)
        rises = ~falls
        for axis in (left, right):
            axis.set_xscale("log")
            axis.set_xlabel("learning rate")
        left.plot(rates, predicted, color="0.5", label="predicted")
        left.plot(rates[falls], measured[falls], "o", ms=4, label="measured")
        left.set_ylabel("fall of C")
        if predicted.any():
            left.set_yscale("log")
            left.plot(rates[rises], predicted[rises], "x", color="tab:red", label="C does not fall")
        left.legend()
        miss = np.abs(np.array([one.ratio for one in self.steps]) - 1)
        sure = np.array([one.trusted for one in self.steps]) & (miss > 0)
        unsure = ~sure & np.isfinite(miss) & (miss > 0)
        if sure.any() or unsure.any():
            right.set_yscale("log")
        if sure.any():
            first = int(np.flatnonzero(sure)[0])
            right.plot(rates, miss[first] / rates[first] * rates, color="0.5", label="order 1")
        right.plot(rates[sure], miss[sure], "o", ms=4, label="measured")
        right.plot(rates[unsure], miss[unsure], "x", color="0.6", label="rounding, or a kink")
        right.set_ylabel("|measured / predicted - 1|")
        right.legend()
        if path is not None:
            save_figure(figure, path)
        return figure


def descent_check(
    net: Source,
    X: Any = None,
    Y: Any = None,
    learning_rates: Sequence[float] | None = None,
    *,
    sample_weight: Any = None,
    reduction: str | None = None,
    edges: Sequence[Any] | None = None,
    trainable_biases: bool | None = None,
) -> DescentCheck:
    """The predicted change of C, -alpha |dC/dtheta|^2, beside the measured one (SPEC B3).

    All is computed in float64, from parameters as they are; the network is not changed.

    Parameters
    ----------
    net : Network, TableModel, fitted estimator, path, dict or published name
        The path of a model file (.safetensors) or network file (.json, .toml, .yaml), what such a
        file holds, or "yehoshua", "mazur", "gashler". What a file says holds where the arguments
        below do not.
    X : (n, n_0), or (n_0,) for one sample; or a table in place of X and Y
        A file or data set's name: of a table's model (also a DataFrame) raw rows with their target
        column, else columns of numbers, the inputs and then the targets.
    Y : as for `backward`
    learning_rates : sequence of float > 0, default 1e-7, 1e-6, ..., 100
    sample_weight, reduction : as for `backward`
    edges : list of L bool arrays (n_{l-1}, n_l), optional
        Which edges there are; the weights of the others are 0, and no step moves them.
    trainable_biases : bool, default True
        Whether a step moves the biases.

    Raises
    ------
    DataError
        For data that `backward` refuses.
    SpecError
        For learning rates that are not finite numbers > 0, a network file that cannot be read, and
        where C or its gradient is not finite to begin with.
    """
    rates = checked_rates(learning_rates)
    case = case_of(
        net,
        X,
        Y,
        heeds=["reduction"],
        dtype=np.float64,
        sample_weight=sample_weight,
        edges=edges,
        reduction=reduction,
        trainable_biases=trainable_biases,
    )
    case.samples("a descent check")
    problem = Problem(case)
    losses, gradient, crossings = problem.start()
    C = float(problem.share @ losses)
    with np.errstate(over="ignore"):
        squared = float(gradient @ gradient)
    if not (math.isfinite(C) and math.isfinite(squared)):
        what = "C" if not math.isfinite(C) else "|dC/dtheta|^2"
        raise SpecError(
            f"{what} is {C if what == 'C' else squared} before any step; take smaller weights or "
            "scale the data"
        )

    def tried(alpha: float) -> DescentStep:
        return problem.step(alpha, losses, gradient, squared, crossings)

    steps = [tried(alpha) for alpha in rates]
    power, curvature = order(steps)
    on_kinks = sum(int((sides == 0).sum()) for sides in crossings)
    return DescentCheck(C, squared, steps, power, curvature, limit(steps, tried), on_kinks)


def _remark(one: DescentStep) -> str:
    said = []
    if not math.isfinite(one.measured):
        said.append("C is not finite")
    elif one.predicted and one.only_rounding:
        said.append("rounding only")
    elif one.measured > 0:
        said.append("C rises")
    if one.kinks:
        said.append(f"crosses {one.kinks} kink{'s' * (one.kinks > 1)}")
    return ", ".join(said)
