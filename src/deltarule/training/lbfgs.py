"""L-BFGS on the full batch: SciPy's minimizer drives, one iteration is one epoch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from deltarule.engines.reference import layer_norms, penalties
from deltarule.equations.optimizers import LBFGS, Optimizer
from deltarule.equations.params import Array
from deltarule.training.blas import one_blas_thread
from deltarule.training.loop import Loop, descend_by_steps


class _Stopped(Exception):
    """Leaves SciPy from inside an evaluation, after Ctrl-C."""


def descent_of(rule: Optimizer) -> Callable[[Loop], None]:
    """How a loop goes down with this optimizer."""
    return minimize_lbfgs if isinstance(rule, LBFGS) else descend_by_steps


def minimize_lbfgs(loop: Loop) -> None:
    """Run the loop's epochs as iterations of L-BFGS; the loop keeps history and parameters."""
    from scipy.optimize import minimize  # slow to import and only needed here

    run, spec = loop.run, loop.run.spec
    rule = run.optimizer
    assert isinstance(rule, LBFGS)
    weights_only = spec.layout.weight_mask()
    weight_sum = len(run.Y) if run.sample_weight is None else run.sample_weight.sum(dtype=float)
    l1, l2 = run.penalties(float(weight_sum))
    accepted = run.theta.astype(np.float64)
    latest: dict[str, Any] = {}
    start = time.perf_counter()

    def evaluate(theta: Array) -> tuple[float, Array]:
        if run.stop[0]:
            raise _Stopped
        run.theta[...] = theta
        C, grad = loop.engine.gradients(spec, run.theta, run.X, run.Y, run.sample_weight)
        if not np.isfinite(C):
            loop.raise_divergence(len(loop.history) + 1, 1, 1.0)
        penalty, slope = penalties(theta * weights_only, l1, l2)
        grad = grad.astype(np.float64) + slope
        if run.objective is not None and not latest:
            run.objective[0] = C + penalty  # of the start, should no iterate ever be accepted
        latest.update(theta=theta.copy(), C=C, total=C + penalty, grad=grad)
        return C + penalty, grad

    def iteration(intermediate_result: Any) -> None:
        nonlocal start, accepted
        accepted = intermediate_result.x.copy()
        if not np.array_equal(latest["theta"], accepted):
            evaluate(accepted)
        run.theta[...] = accepted
        if run.objective is not None:
            run.objective[0] = latest["total"]
        if loop.end_epoch(latest["C"], layer_norms(spec, latest["grad"]), 1.0, start):
            raise StopIteration
        start = time.perf_counter()

    options = {
        "maxiter": loop.epochs - len(loop.history),
        "maxcor": rule.memory,
        "maxfun": rule.max_evaluations,
        "gtol": rule.gradient_tolerance,
        "ftol": rule.loss_tolerance,
    }
    try:
        with one_blas_thread():
            result = minimize(
                evaluate, accepted, jac=True, method="L-BFGS-B", callback=iteration, options=options
            )
        accepted = result.x
        if len(loop.history) < loop.epochs and not run.stop[0] and loop.progress.reason is None:
            loop.progress.stop(_reason(result, rule))
    except _Stopped:
        pass  # the last accepted iterate is kept
    run.theta[...] = accepted


def _reason(result: Any, rule: LBFGS) -> str:
    """Why SciPy stopped before the epochs were done; its status 0 is not always convergence."""
    if np.abs(result.jac).max() <= rule.gradient_tolerance:
        return "converged"
    if result.status == 1:
        return "max_evaluations"
    # a line search that finds no lower point ends with status 2
    return "converged" if rule.loss_tolerance and result.status == 0 else "no further decrease"
