"""Is a gradient that of its loss? Of a network, or of anyone's own function (SPEC X2).

A few random directions first, over all numbers at once; then every number by itself, by a complex
step where the functions take one, else by central differences that know their own error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from deltarule.engines import engine_names, get_engine
from deltarule.engines.base import Run
from deltarule.equations.optimizers import SGD
from deltarule.equations.params import Array
from deltarule.errors import SpecError, unknown_name
from deltarule.explain.case import Case, Source, case_of
from deltarule.explain.gradients.causes import wrong_functions
from deltarule.explain.gradients.compare import Comparison
from deltarule.explain.gradients.found import WRONG, TermCheck
from deltarule.explain.gradients.network_function import NetworkFunction
from deltarule.explain.gradients.objective import Blocks, ObjectiveFunction
from deltarule.explain.gradients.report import GradientCheck
from deltarule.explain.gradients.term import Term
from deltarule.network.derivative_check import plausible_targets
from deltarule.network.gradients import backward
from deltarule.network.network import Network
from deltarule.options import count as require_count
from deltarule.options import generator as random_numbers
from deltarule.options import positive

METHODS = ("auto", "differences", "complex")
_WORK = 3e9  # multiplications that a check spends on single numbers unless told to
_CALLS = 12_000.0  # of a user's function
_RATE = 2.0**20  # so large that theta's own rounding is lost beside the step
_RTOL = {8: 1e-6, 4: 1e-3, 2: 3e-2}  # by the bytes of a number
_NOT_DOUBLE = 1e-11  # relative noise that float64 arithmetic does not have


def check_gradients(
    net: Source,
    X: Any = None,
    Y: Any = None,
    *,
    sample_weight: Any = None,
    reduction: str | None = None,
    l2: float | None = None,
    engine: str = "all",
    edges: Sequence[Any] | None = None,
    directions: int = 3,
    full: bool | None = None,
    method: str = "auto",
    rtol: float | None = None,
    samples: int = 8,
    rng: Any = 0,
) -> GradientCheck:
    """Compare a network's gradients with slopes measured from values of its loss.

    Every weight, bias and input is moved, and C is computed by the forward pass in float64; no
    slope and no backward pass is used.

    Parameters
    ----------
    net : Network, TableModel, fitted estimator, path, dict or published name
        The path of a model file (.safetensors) or network file (.json, .toml, .yaml), what such a
        file holds, or "yehoshua", "mazur", "gashler". What a file says holds where the arguments
        below do not.
    X : (n, n_0), or (n_0,) for one sample; or a table in place of X and Y; optional
        A file or data set's name: of a table's model (also a DataFrame) raw rows with their target
        column, else columns of numbers, the inputs and then the targets.
    Y : (n, n_L), or (n,) for one output or labels, optional
        Where they are not given they are drawn at random, `samples` rows.
    sample_weight, reduction : as for `backward`
    l2 : float, default 0
        Of the penalty l2/2 sum W^2. The gradient with it is taken from a training step.
    engine : "all" (default), "reference", "native" or "auto"
        Whose gradient: `dr.backward` ("reference"), that of the compiled engine, the faster one
        that can run the network, or each that can. Only `dr.backward` gives those of inputs.
    edges : list of L bool arrays (n_{l-1}, n_l), optional
        Which edges there are; the others have a weight of 0 and are left out.
    directions : int, default 3
        Random directions over all parameters (and over all inputs) that are tried first.
    full : bool, optional
        Whether to go on number by number. By default where that takes a second or two at most; in
        a larger network only if a direction is wrong, and then in the terms where it is.
    method : "auto" (default), "differences" or "complex"
        "auto" takes complex steps where the functions allow it.
    rtol : float, optional
        Relative error that passes besides the measurement's own: 1e-6, for float32 1e-3.
    samples : int, default 8
    rng : default 0
        Of samples, targets and directions.

    Returns
    -------
    GradientCheck

    Raises
    ------
    SpecError
        Options that do not fit, a network file that cannot be read, or a loss that is not finite.
    DataError
        As `backward`.
    """
    if callable(net):
        raise SpecError(
            f"check_gradients takes a deltarule.Network, got {type(net).__name__}; for a function "
            "of your own there is check_objective"
        )
    generator = _checked_options(directions, method, rtol, rng)
    require_count(None, samples=samples)
    case = case_of(net, X, Y, sample_weight=sample_weight, edges=edges, reduction=reduction, l2=l2)
    drawn, case = _with_drawn(case, samples, generator)
    net, Y = case.net, case.Y
    with np.errstate(all="ignore"):
        function = NetworkFunction(net, case.dense, Y, case.share, case.l2)
        gradients = _Gradients(net, case.X, Y, case.sample_weight, case.reduction, case.l2)
        sources = _sources(net, engine)
        terms = function.terms(inputs="reference" in sources)
        _fill(function, terms, gradients, sources, case.edges or [None] * len(net.bias))
        _choose_method(terms, method)
        eps, bytes_of = float(np.finfo(net.dtype).eps), net.dtype.itemsize
        comparison = Comparison(function, terms, eps, rtol or _RTOL[bytes_of], generator)
        parameters = [term for term in terms if term.layer is not None]
        groups = {"weights and biases" if any(net.bias) else "weights": parameters}
        if len(parameters) < len(terms):
            groups["inputs"] = [term for term in terms if term.layer is None]
        known = {"samples": len(Y), "outputs": net.sizes[-1]}
        done = comparison.run(groups, directions, full, _WORK, known)
        causes = [*done.causes, *_of_network(done.terms, function, gradients)]
    notes = [f"{drawn} drawn at random."] if drawn else []
    if bytes_of == 4:
        notes.append("The gradients are float32's; they were measured in float64.")
    title = f"Gradient check of {net!r}, {len(Y):,} sample{'s' * (len(Y) != 1)}"
    return GradientCheck(
        title, done.directions, done.terms, causes, [*done.notes, *notes], comparison.rtol
    )


def check_objective(
    loss_fn: Callable[..., Any],
    grad_fn: Callable[..., Any] | bool,
    theta0: Any,
    *,
    blocks: Blocks | None = None,
    args: Sequence[Any] = (),
    directions: int = 3,
    full: bool | None = None,
    method: str = "auto",
    rtol: float | None = None,
    rng: Any = 0,
) -> GradientCheck:
    """Compare the gradient of any function with slopes measured from its values.

    Parameters
    ----------
    loss_fn : callable (theta, *args) -> float
        It must give the same value each time. Or, with `grad_fn=True`, (loss, gradient).
    grad_fn : callable (theta, *args) -> gradient, or True
        As `jac` of `scipy.optimize.minimize`.
    theta0 : array, dict of arrays or list of arrays
        Where the gradient is checked; both functions get fresh copies of the same structure, and
        the gradient must have it too (NumPy arrays, nested lists or tensors).
    blocks : dict name -> slice, shape or size, optional
        Names for the parts of a flat theta0, in its order: {"W1": (4, 5), "b1": 5}.
    args : sequence
        Further arguments of both functions.
    directions, full, method, rtol, rng : as for `check_gradients`
        By default up to 2,000 numbers are checked one by one.

    Returns
    -------
    GradientCheck

    Raises
    ------
    SpecError
        A loss that is not one finite number or changes from call to call, or a gradient that does
        not fit theta0.
    """
    generator = _checked_options(directions, method, rtol, rng)
    function = ObjectiveFunction(loss_fn, grad_fn, theta0, blocks, args)
    terms, bytes_of = function.terms(), function.bytes_of_a_number
    eps = function.eps
    with np.errstate(all="ignore"):
        comparison = Comparison(function, terms, eps, rtol or _RTOL[bytes_of], generator)
        noise = comparison.measure_common_noise()
        if noise > max(_NOT_DOUBLE, eps):  # somewhere inside it is computed in fewer digits
            comparison.eps, comparison.rtol = noise, rtol or max(_RTOL[4], _RTOL[bytes_of])
        elif method != "differences" and bytes_of == 8 and comparison.takes_complex_steps(function):
            for term in terms:
                term.imaginary = function.imaginary(term)
        _choose_method(terms, method)
        over = "all numbers" if len(terms) > 1 else terms[0].name
        done = comparison.run({over: terms}, directions, full, _CALLS, {})
    name = getattr(loss_fn, "__name__", type(loss_fn).__name__)
    numbers = f"{function.theta.size:,} number{'s' * (function.theta.size != 1)}"
    title = f"Gradient check of {name}, {numbers}"
    return GradientCheck(
        title, done.directions, done.terms, done.causes, done.notes, comparison.rtol
    )


# -- what is checked ------------------------------------------------------------------------------


def _checked_options(
    directions: int, method: str, rtol: float | None, rng: Any
) -> np.random.Generator:
    require_count(None, directions=directions)
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    if rtol is not None:
        positive(None, rtol=rtol)
    return random_numbers(rng)


def _with_drawn(case: Case, samples: int, rng: np.random.Generator) -> tuple[str, Case]:
    """What was drawn, and the case with it."""
    net, X, Y = case.net, case.X, case.Y
    if X is None and Y is not None:
        raise SpecError("Y is given without X: give both, or X alone")
    drawn = [name for name, value in (("Inputs", X), ("targets", Y)) if value is None]
    if not drawn:
        return "", case
    if X is None:
        X = rng.standard_normal((samples, net.sizes[0]))
    Y = plausible_targets(net.loss, rng, (X.shape[0], net.sizes[-1]))
    return f"{' and '.join(drawn).capitalize()} were", case.with_samples(X, Y)


def _sources(net: Network, engine: str) -> list[str]:
    """The engines whose gradients are checked."""
    if not (isinstance(engine, str) and engine == "all"):
        return [get_engine(engine, net.spec).name]
    return [name for name in engine_names() if _can_run(name, net)]


def _can_run(name: str, net: Network) -> bool:
    try:
        get_engine(name, net.spec)
    except SpecError:
        return False
    return True


@dataclass(frozen=True)
class _Gradients:
    """Where the gradients that are checked come from."""

    net: Network
    X: Any
    Y: Array
    weight: Array | None
    reduction: str
    l2: float

    @property
    def total(self) -> float:
        """C as `reduction` has it, over the mean."""
        if self.reduction == "mean":
            return 1.0
        return float(len(self.Y) if self.weight is None else self.weight.sum(dtype=np.float64))

    def theta(self, source: str) -> Array:
        """dC/dtheta by that engine."""
        if self.l2:
            return self._of_a_step(source)
        if source == "reference":
            return backward(self.net, self.X, self.Y, self.weight, self.reduction).theta
        engine, net = get_engine(source, self.net.spec), self.net
        _, gradient = engine.gradients(net.spec, net.theta, self.X, self.Y, self.weight)
        return gradient.astype(np.float64) * self.total

    def _of_a_step(self, source: str) -> Array:
        """The gradient with its penalty, from a step of gradient descent."""
        net, n = self.net.copy(), len(self.Y)
        rule = SGD(learning_rate=_RATE, momentum=0.0)
        run = Run(
            net.spec,
            net.theta,
            self.X,
            self.Y,
            self.weight,
            n,
            rule,
            rule.init(net.theta),
            l2=self.l2 / self.total,
        )
        engine = get_engine(source, net.spec)
        engine.steps(run, np.arange(n, dtype=np.int64), np.array([_RATE]), 0, 1)
        step = self.net.theta.astype(np.float64) - net.theta.astype(np.float64)
        return step / _RATE * self.total

    def inputs(self) -> Array:
        """dJ/dx (n, n_0) of each sample."""
        return backward(self.net, self.X, self.Y).inputs

    def right_in_float64(self, wrong: Sequence[TermCheck]) -> bool:
        """Whether a float64 network's gradients are right where a float32 network's are wrong."""
        exactly = replace(self.net.spec, dtype=np.dtype(np.float64))
        net = Network.from_spec(exactly, self.net.theta)
        exact = replace(self, net=net, X=self.X.astype(np.float64), Y=self.Y.astype(np.float64))
        pairs = net.layout.matrices(exact.theta("reference"))
        for one in wrong:
            at = one.status == WRONG
            g = exact.inputs() if one.layer is None else pairs[one.layer - 1][one.name == "biases"]
            off = np.abs(g - one.numeric)[at]
            if not (off <= 4 * one.uncertainty[at] + _RTOL[8] * np.abs(g).max()).all():
                return False
        return True


def _fill(
    function: NetworkFunction,
    terms: Sequence[Term],
    gradients: _Gradients,
    sources: Sequence[str],
    edges: Sequence[Array | None],
) -> None:
    """Give each term its analytic gradients and the edges that there are."""
    for source in sources:
        theta = gradients.theta(source)
        pairs = gradients.net.layout.matrices(theta)
        for term in terms:
            if term.layer is not None:
                term.analytic[source] = pairs[term.layer - 1][term.name == "biases"]
    rounding = function.rounding()
    for term in terms:
        if term.layer is None:
            term.analytic["reference"] = gradients.inputs()
            term.rounding = rounding[0][2]
        else:
            term.rounding = rounding[term.layer - 1][term.name == "biases"]
        if term.name == "weights" and term.layer is not None:
            term.there = edges[term.layer - 1]


def _choose_method(terms: Sequence[Term], method: str) -> None:
    if method == "complex":
        without = [term.title for term in terms if term.imaginary is None]
        if without:
            raise SpecError(
                f"method='complex': the functions take no complex steps for {without[0]} (they are "
                "not analytic, or take no complex arrays); take method='auto'"
            )
    elif method == "differences":
        for term in terms:
            term.imaginary = None


def _of_network(
    checks: Sequence[TermCheck], function: NetworkFunction, gradients: _Gradients
) -> list[str]:
    """Where in a network the wrong numbers come from."""
    wrong = [one for one in checks if one.count(WRONG)]
    if not wrong:
        return []
    sources = {one.source for one in checks}
    if "reference" in sources and all(one.source == "native" for one in wrong):
        return ["dr.backward is right: the fault is in the compiled engine."]
    if gradients.net.dtype == np.float32 and gradients.right_in_float64(wrong):
        return [
            "The same gradients in float64 are right: float32 has too few digits or too small "
            "a range here."
        ]
    found = wrong_functions(function)
    layers = [one.layer for one in wrong if one.layer is not None]
    if layers and function.L > 1:
        found.insert(0, f"Going back from the output, layer {max(layers)} is the first wrong one.")
    return found
