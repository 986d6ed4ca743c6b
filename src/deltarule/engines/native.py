"""The compiled engine: a thin layer over the C++ core (`deltarule._core`), where the maths is.

It gives the reference engine's numbers to rounding, for every registered activation, loss and
optimizer; networks with own Python functions stay with the reference.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

import deltarule._core as _core
from deltarule.engines.base import Run, Steps
from deltarule.equations.optimizers import Optimizer
from deltarule.equations.params import Array
from deltarule.equations.spec import Spec
from deltarule.errors import SpecError

_SETTINGS: dict[str, Any] = {
    "momentum": 0.0,
    "nesterov": False,
    "rho": 0.0,
    "beta_1": 0.0,
    "beta_2": 0.0,
    "epsilon": 0.0,
    "weight_decay": 0.0,
}
_SECONDS_BETWEEN_SIGNALS = 0.05


def _number(name: str, names: tuple[str, ...]) -> int:
    """Where "leaky_relu(0.2)" stands among names of the core that hold "leaky_relu"."""
    return names.index(_bare(name))


def _bare(name: str) -> str:
    return name.partition("(")[0]


def _knows(spec: Spec) -> bool:
    """Whether the core has all of its functions: none is the user's own, or newer than the core."""
    return (
        all(f.registered and _bare(f.name) in _core.ACTIVATIONS for f in spec.activations)
        and spec.loss.registered
        and _bare(spec.loss.name) in _core.LOSSES
    )


# dtype, rows and dropout rates: what the core lays a network out for.
_Shape = tuple[np.dtype[Any], int, tuple[float, ...]]


class _Compiled:
    """What the core was told of a network; kept with its description."""

    def __init__(self, spec: Spec) -> None:
        self.width, self.dtype = spec.sizes[-1], spec.dtype
        self.idle: list[tuple[_Shape, Any]] = []  # what the last call laid out
        self.spec: _core.NetworkSpec | None = None  # None: for the reference
        if _knows(spec):
            self.spec = _core.NetworkSpec(
                list(spec.sizes),
                [_number(f.name, _core.ACTIVATIONS) for f in spec.activations],
                [f.parameter or 0.0 for f in spec.activations],
                list(spec.bias),
                _number(spec.loss.name, _core.LOSSES),
                spec.loss.parameter or 0.0,
                list(spec.activations[-1].groups),
                list(spec.loss.groups),
            )


def _compiled(spec: Spec) -> _Compiled:
    kept: _Compiled | None = spec.kept.get("native")
    if kept is None:
        kept = spec.kept["native"] = _Compiled(spec)
    return kept


def _spec_of(spec: Spec) -> _core.NetworkSpec:
    compiled = _compiled(spec).spec
    assert compiled is not None  # get_engine has asked `supports`
    return compiled


def predict_plain(spec: Spec, theta: Array, X: Array) -> Array | None:
    """a_L for an array that needs no conversion, in about 2 us; None if it does or is wrong."""
    compiled = _compiled(spec)
    if compiled.spec is None:
        return None
    out = np.empty((len(X), compiled.width), compiled.dtype)
    try:
        return out if _core.predict_checked(compiled.spec, theta, X, out) else None
    except TypeError:  # another dtype, layout or number of dimensions
        return None


@contextmanager
def _laid_out(spec: Spec, rows: int, dropout: tuple[float, ...] = ()) -> Iterator[Any]:
    """The network in the core, taken from the last call if it was alike: new memory is slow.

    Nobody else can take it meanwhile, so that threads do not write to the same arrays.
    """
    compiled, shape = _compiled(spec), (spec.dtype, rows, dropout if any(dropout) else ())
    last: _Shape | None = None
    with suppress(IndexError):
        last, core = compiled.idle.pop()
    if last != shape:
        kind = _core.Network32 if spec.dtype == np.float32 else _core.Network64
        core = kind(_spec_of(spec), rows, list(shape[2]))
    try:
        yield core
    finally:
        compiled.idle[:] = [(shape, core)]


def _samples(X: Any, dtype: np.dtype[Any]) -> Any:
    """X as the core takes it: a dense array, or the three arrays of a CSR matrix."""
    if isinstance(X, np.ndarray):
        return np.ascontiguousarray(X, dtype=dtype)
    return (
        np.ascontiguousarray(X.data, dtype=dtype),
        np.ascontiguousarray(X.indices, dtype=np.int64),
        np.ascontiguousarray(X.indptr, dtype=np.int64),
    )


def _optimizer(optimizer: Optimizer) -> _core.OptimizerSpec:
    settings = {name: getattr(optimizer, name, none) for name, none in _SETTINGS.items()}
    return _core.OptimizerSpec(_core.OPTIMIZERS.index(optimizer.name), **settings)


def _arrays(run: Run) -> list[Any]:
    """theta, the moments (or None), the objective (or None): what the steps of a run write to."""
    moments = [values for name, values in run.state.items() if name != "t"]
    return [run.theta, *[*moments, None, None][:2], run.objective]


class _Prepared:
    """What one Run needs in the core, made once."""

    def __init__(self, run: Run) -> None:
        if run.optimizer.name not in _core.OPTIMIZERS:
            raise SpecError(f"the native engine takes no steps with {run.optimizer!r}")
        self.batches_between_signals = 1
        self.arrays = _arrays(run)
        theta, first_moment, second_moment, objective = self.arrays
        kind = _core.Run32 if run.spec.dtype == np.float32 else _core.Run64
        self.run = kind(
            _spec_of(run.spec),
            theta,
            _samples(run.X, run.spec.dtype),
            run.Y,
            run.sample_weight,
            run.batch_size,
            _optimizer(run.optimizer),
            first_moment,
            second_moment,
            run.l1,
            run.l2,
            run.penalties_per_sample,
            0.0 if run.clip_norm is None else run.clip_norm,
            run.seed & 0xFFFFFFFFFFFFFFFF,
            run.stop,
            objective,
        )


def _prepared(run: Run) -> _Prepared:
    """Made again if arrays were replaced since, as other engines do."""
    known: _Prepared | None = run.cache.get("native")
    if known is None or not all(map(operator.is_, _arrays(run), known.arrays)):
        known = run.cache["native"] = _Prepared(run)
    return known


class NativeEngine:
    """See `base.Engine`; float32 and float64, every registered activation and loss."""

    name = "native"

    def supports(self, spec: Spec) -> bool:
        return _compiled(spec).spec is not None

    def predict(self, spec: Spec, theta: Array, X: Any) -> Array:
        return self._outputs(spec, theta, X, scores=False)

    def scores(self, spec: Spec, theta: Array, X: Any) -> Array:
        return self._outputs(spec, theta, X, scores=True)

    def _outputs(self, spec: Spec, theta: Array, X: Any, *, scores: bool) -> Array:
        out = np.empty((X.shape[0], spec.sizes[-1]), dtype=spec.dtype)
        _core.predict(_spec_of(spec), theta, _samples(X, spec.dtype), scores, out)
        return out

    def gradients(
        self, spec: Spec, theta: Array, X: Any, Y: Array, sample_weight: Array | None
    ) -> tuple[float, Array]:
        gradient = np.empty_like(theta)
        samples = _samples(X, spec.dtype)
        with _laid_out(spec, len(Y)) as core:
            loss = core.gradients(theta, samples, Y, sample_weight, gradient)
        return loss, gradient

    def steps(
        self,
        run: Run,
        order: NDArray[np.int64],
        rates: NDArray[np.float64],
        first: int,
        last: int,
    ) -> Steps:
        prepared = _prepared(run)
        with _laid_out(run.spec, run.batch_size, run.dropout) as core:
            return self._steps(core, prepared, run, order, rates, first, last)

    def _steps(
        self,
        core: Any,
        prepared: _Prepared,
        run: Run,
        order: NDArray[np.int64],
        rates: NDArray[np.float64],
        first: int,
        last: int,
    ) -> Steps:
        steps_before = run.state["t"]
        stretch = _core.Stretch(steps_before)
        begins = first == 0
        while first < last:
            # Back to Python often enough for a Ctrl-C to be heard.
            until = min(last, first + prepared.batches_between_signals)
            start = time.perf_counter()
            core.steps(prepared.run, stretch, order, rates, first, until)
            run.state["t"] = steps_before + stretch.done
            if stretch.bad_batch >= 0 or run.stop[0]:
                break
            per_batch = (time.perf_counter() - start) / (until - first)
            prepared.batches_between_signals = max(
                1, min(int(_SECONDS_BETWEEN_SIGNALS / per_batch), 8 * (until - first))
            )
            first = until
        return Steps(
            stretch.loss_sum,
            stretch.weight_sum,
            stretch.done,
            stretch.bad_batch if stretch.bad_batch >= 0 else None,
            np.array(stretch.gradient_norms) if begins and stretch.done else None,
        )
