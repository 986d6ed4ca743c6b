"""Someone's code for back-propagation: the first wrong term, and the mistake that explains it.

The function is called with a network that tells mistakes apart (several samples, unequal widths,
biases that are not 0, more than two layers), and its gradients are compared with the right ones
and with those of every mistake of the catalogue (SPEC X3).
"""

from __future__ import annotations

import inspect
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from deltarule import options
from deltarule.equations.params import Array
from deltarule.errors import SpecError
from deltarule.explain.case import Source, case_or_none
from deltarule.explain.check.conventions import LAYOUTS, Layout, Returned, kinds_of_arrays, taken
from deltarule.explain.check.judge import Judgement, Place, judge
from deltarule.explain.check.problem import Problem, Told
from deltarule.explain.check.report import Report
from deltarule.explain.check.reported import reported
from deltarule.explain.check.search import Explanation, evaluate, explain, same_in
from deltarule.explain.check.step import Claims
from deltarule.network.network import Network

_PROBES = 2  # an explanation must hold for more than one set of numbers
_SAMPLES = 6
_EQUAL_WIDTH = 4


def check_implementation(
    function: Callable[..., Any],
    sizes: Sequence[int] | Source = (4, 5, 3, 2),
    activation: Any = None,
    loss: Any = None,
    *,
    output_activation: Any = None,
    bias: Any = None,
    step: bool | None = None,
    reduction: str | None = None,
    learning_rate: float = 0.3,
    l2: float = 0.0,
    rng: Any = 0,
    most_mistakes: int = 2,
) -> Report:
    """Check a function that computes the gradients of a network, or takes a step.

    Parameters
    ----------
    function : callable
        (weights, biases, X, Y) -> (weight_gradients, bias_gradients), lists with one entry per
        layer; or (weights, biases, X, Y, learning_rate) -> (weights, biases) after one step of
        gradient descent. Arrays are NumPy's, or nested lists or PyTorch tensors if it needs those;
        samples in rows or columns, weights (n_{l-1}, n_l) or transposed: what it takes is found
        out and reported, and never an error.
    sizes, activation, loss, output_activation, bias : as for Network
        What the function is meant to compute; "tanh" hidden layers, squared error, the loss's own
        output activation and biases by default. In place of all of these sizes may be a Network,
        TableModel, fitted estimator, path (.safetensors, .json, .toml, .yaml), dict or published
        name: its sizes, functions and biases are taken, its numbers are not.
    step : bool, optional
        Whether it takes a step; by default it does if it takes five arguments.
    reduction : "mean", "sum" or None
        What was meant over the samples; None (default) accepts either, and gradients of each
        sample apart, and reports which it is.
    learning_rate, l2 : float
        Of the step; of the penalty l2/2 sum W^2.
    rng : default 0
        Of the numbers it is tried on.
    most_mistakes : int, default 2
        How many mistakes an explanation may combine.

    Returns
    -------
    Report

    Raises
    ------
    SpecError
        It cannot be called with any layout, or returns something else: with its own error.
    """
    options.count(None, most_mistakes=most_mistakes)
    if step is None:
        step = _takes(function) >= 5
    told = {
        "activation": activation,
        "loss": loss,
        "output_activation": output_activation,
        "bias": bias,
    }
    make = Probes(
        **_network(sizes, {name: value for name, value in told.items() if value is not None}),
        learning_rate=learning_rate,
        l2=l2,
        rng=rng,
        reduction=reduction,
    )
    try:
        return _check(function, make, step, most_mistakes)
    except _NotCallable as error:
        hint = _with_equal_widths(function, make, step, most_mistakes)
        raise SpecError(f"{error}{hint}") from None


def _network(sizes: Sequence[int] | Source, told: dict[str, Any]) -> dict[str, Any]:
    """What describes the network in `Probes`: as it is told, or that of a network."""
    case = case_or_none(sizes)
    if case is None:
        return {"sizes": sizes} | told
    if told:
        raise SpecError(f"a network says itself what it computes; leave {', '.join(told)} away")
    if case.edges is not None:
        raise SpecError("an implementation is checked with all edges; this network lacks some")
    net = case.net
    return {
        "sizes": net.sizes,
        "activation": list(net.activations),
        "loss": net.loss,
        "bias": list(net.bias),
    }


def check_settings(**settings: Any) -> None:
    """Raise SpecError for settings with which no function at all could be checked."""
    known = {one.name for one in fields(Probes)}
    Probes(**{name: value for name, value in settings.items() if name in known}).problem()


class _NotCallable(SpecError):
    """The function runs with no layout of the arrays."""


def _check(function: Callable[..., Any], make: Probes, step: bool, most_mistakes: int) -> Report:
    problems = [make.problem() for _ in range(_PROBES)]
    caller = _Caller(function, step, make.learning_rate)
    layout, kind = caller.detect(problems[0])
    returned = [caller.call(p, layout, kind) for p in problems]
    candidates = (make.reduction,) if make.reduction else ("mean", "sum")
    outcomes = [
        _outcome([replace(p, reduction=one) for p in problems], returned, step, most_mistakes)
        for one in candidates
    ]
    best = min(range(len(candidates)), key=lambda i: outcomes[i].rank)
    notes = _conventions(layout, kind, returned[0], candidates[best], step)
    name = getattr(function, "__name__", "function")
    title = f"{name}: {'one step' if step else 'gradients'} of {problems[0].net!r}"
    return outcomes[best].report(title, notes)


def _with_equal_widths(
    function: Callable[..., Any], make: Probes, step: bool, most_mistakes: int
) -> str:
    """What is wrong with a function that does not run, if layers of one width let it run.

    So it is with a matrix that should have been transposed.
    """
    equal = (_EQUAL_WIDTH,) * len(make.sizes)
    try:
        report = _check(function, replace(make, sizes=equal), step, most_mistakes)
    except Exception:  # someone else's code: then its first error has to do
        return ""
    if report.unexplained or not report.mistakes:
        return ""
    done = "; ".join(one.sentence for one in report.mistakes)
    return f". With {_EQUAL_WIDTH} units in every layer it runs: {done}"


# -- the numbers it is tried on -----------------------------------------------------------------


@dataclass
class Probes:
    """Problems that tell mistakes apart; see `check_implementation` for the fields."""

    sizes: Sequence[int] = (4, 5, 3, 2)
    activation: Any = "tanh"
    loss: Any = "squared_error"
    output_activation: Any = None
    bias: Any = True
    learning_rate: float = 0.3
    l2: float = 0.0
    rng: Any = 0
    reduction: str | None = None

    def __post_init__(self) -> None:
        if self.reduction not in (None, "mean", "sum"):
            raise SpecError(f"reduction must be 'mean', 'sum' or None, got {self.reduction!r}")
        self.generator = options.generator(self.rng)

    def problem(self) -> Problem:
        """A network, samples and targets without zeros, ties or symmetries."""
        net = Network(
            self.sizes,
            self.activation,
            self.loss,
            self.bias,
            output_activation=self.output_activation,
            initializer="zeros",
        )
        g = self.generator
        for W, b in net.layout.matrices(net.theta):
            W[...] = g.normal(size=W.shape) * 1.2 / np.sqrt(len(W))
            if b is not None:
                b[...] = g.uniform(0.2, 0.6, b.shape) * g.choice([-1, 1], b.shape)
        n, k = _samples(net.sizes), net.sizes[-1]
        X = g.normal(size=(n, net.sizes[0]))
        targets: dict[str, Callable[[], Array]] = {
            "distribution": lambda: np.eye(k)[np.arange(n) % k],
            "unit": lambda: (g.random((n, k)) < 0.5).astype(np.float64),
            "count": lambda: g.integers(1, 5, (n, k)).astype(np.float64),
        }
        Y = targets.get(net.loss.targets, lambda: g.uniform(0.1, 0.9, (n, k)))()
        return Problem(net, X, Y, self.learning_rate, l2=self.l2)


def _samples(sizes: Sequence[int]) -> int:
    """A number of samples that is no layer's width, so that shapes tell what is what."""
    return next(n for n in range(_SAMPLES, _SAMPLES + len(sizes) + 1) if n not in sizes)


# -- calling it ---------------------------------------------------------------------------------


def _takes(function: Callable[..., Any]) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin tells nothing
        return 4
    required = [
        one
        for one in parameters
        if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) and one.default is one.empty
    ]
    return len(required)


@dataclass
class _Caller:
    function: Callable[..., Any]
    step: bool
    learning_rate: float

    def call(self, p: Problem, layout: Layout, kind: str) -> Returned:
        convert = kinds_of_arrays()[kind]
        W, b, X, Y = layout.arguments(p)
        given_b = None if all(one is None for one in b) else [_or_none(convert, one) for one in b]
        arguments = [[convert(one) for one in W], given_b, convert(X), convert(Y)]
        if self.step:
            arguments.append(self.learning_rate)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # what it computes is judged, not how it complains
            return taken(p, layout, self.function(*arguments))

    def detect(self, p: Problem) -> tuple[Layout, str]:
        """The layout and kind of arrays under which most of it is right, of those it runs with."""
        found: list[tuple[int, int, Layout, str]] = []
        errors: list[str] = []
        for kind in kinds_of_arrays():
            for layout in LAYOUTS:
                try:
                    given = self.call(p, layout, kind)
                except MemoryError:
                    raise
                except Exception as error:  # someone else's code: anything may come out of it
                    own = isinstance(error, SpecError)
                    errors.append(str(error) if own else self._raised(error))
                    continue
                agreement = max(
                    _right(replace(p, reduction=one), given, self.step) for one in ("mean", "sum")
                )
                found.append((-agreement, len(found), layout, kind))
            if found:
                break  # nested lists and tensors are for those who take no arrays
        if not found:
            raise _NotCallable(
                "the function runs with no layout of the arrays. With samples in rows and W_l of "
                f"shape (n_(l-1), n_l): {errors[0]}"
            )
        _, _, layout, kind = min(found, key=lambda one: one[:2])
        return layout, kind

    def _raised(self, error: Exception) -> str:
        """An exception of the function's, with its last line in the function's own file."""
        code = getattr(self.function, "__code__", None)
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if code is not None and frame.filename == code.co_filename
        ]
        where = f" (line {lines[-1]})" if lines else ""
        return f"it raised {type(error).__name__}: {error}{where}"


def _or_none(convert: Callable[[Array], Any], array: Array | None) -> Any:
    return None if array is None else convert(array)


def _right(p: Problem, given: Returned, step: bool) -> int:
    judgement = judge(p, _claims(p, given, step))
    return sum(int(mask.sum()) for mask in judgement.right.values())


# -- judging it ---------------------------------------------------------------------------------


def _claims(p: Problem, given: Returned, step: bool) -> Claims:
    """What it returned, as claims with the tolerance of its floating point numbers."""
    names = ("new_weights", "new_biases") if step else ("weight_gradients", "bias_gradients")
    tolerance = 2e-4 if given.single else 1e-7
    share = 1.0 / p.n if p.reduction == "mean" else 1.0
    claims: dict[str, dict[int, Told]] = {name: {} for name in names}
    for name, arrays, dimensions in ((names[0], given.weights, 2), (names[1], given.biases, 1)):
        for l, array in enumerate(arrays, start=1):
            if array is None:
                continue
            value = array.sum(axis=0) * share if array.ndim > dimensions else array
            value = np.where(np.isfinite(value), value, 1e300)
            size = np.abs(value[np.abs(value) < 1e300]).max(initial=1e-9)
            claims[name][l] = Told(value, np.full(value.shape, tolerance * size))
    return claims


@dataclass(frozen=True)
class _Outcome:
    judgements: list[Judgement]
    explanations: list[Explanation]

    @property
    def rank(self) -> tuple[int, int, int]:
        wrong = sum(int(mask.sum()) for mask in self.judgements[0].wrong.values())
        if not wrong:
            return (0, 0, 0)
        if not self.explanations:
            return (wrong, 99, 0)
        return self.explanations[0].rank

    def report(self, title: str, notes: list[str]) -> Report:
        judgement = self.judgements[0]

        def printed(place: Place) -> tuple[str, tuple[int, ...]]:
            value = judgement.claimed(place)
            return ("nan" if abs(value) >= 1e300 else f"{value:.8g}"), place.index

        return reported(title, judgement, self.explanations, printed, notes)


def _outcome(problems: list[Problem], returned: list[Returned], step: bool, most: int) -> _Outcome:
    judgements = [
        judge(p, _claims(p, given, step)) for p, given in zip(problems, returned, strict=True)
    ]
    if not any(mask.any() for mask in judgements[0].wrong.values()):
        return _Outcome(judgements, [])
    found = explain(judgements[0], most, thorough=True)
    if found and found[0].unexplained == 0:
        found = [
            one for one in found if all(_holds(one, other) for other in judgements[1:])
        ] or found
    return _Outcome(judgements, found)


def _holds(explanation: Explanation, judgement: Judgement) -> bool:
    """Whether the same mistakes explain other numbers of the same function too."""
    variants = same_in(judgement.problem, explanation.variants)
    return variants is not None and evaluate(judgement, variants).unexplained == 0


def _conventions(
    layout: Layout, kind: str, given: Returned, reduction: str, step: bool
) -> list[str]:
    notes = [f"Layout: {layout.name}."]
    if kind != "numpy":
        notes.append(f"It takes {'nested lists' if kind == 'list' else 'PyTorch tensors'}.")
    if given.transposed:
        notes.append("Its weight gradients are transposed to its weights.")
    if any(one.ndim == 3 for one in given.weights):
        notes.append("It gives the gradient of each sample apart.")
    elif not step:
        notes.append(f"Its gradients are the {reduction} over the samples.")
    numbers = np.concatenate(
        [one.ravel() for one in (*given.weights, *given.biases) if one is not None]
    )
    if not numbers.any():
        notes.append("Everything that it returned is 0.")
    if not np.isfinite(numbers).all():
        notes.append("Not everything that it returned is finite (nan or inf).")
    return notes
