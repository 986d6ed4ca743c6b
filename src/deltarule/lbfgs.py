"""L-BFGS on the full batch: SciPy's minimizer drives, one iteration is one epoch."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from deltarule.engines.reference import layer_norms
from deltarule.optimizers import LBFGS
from deltarule.params import Array

if TYPE_CHECKING:
    from deltarule.loop import Loop


class _Stopped(Exception):
    """Leaves SciPy from inside an evaluation, after Ctrl-C."""


def minimize_lbfgs(loop: Loop) -> None:
    """Run the loop's epochs as iterations of L-BFGS; the loop keeps history and parameters."""
    from scipy.optimize import minimize  # slow to import and only needed here

    run, net = loop.run, loop.run.net
    rule = run.optimizer
    assert isinstance(rule, LBFGS)
    weights_only = net.layout.weight_mask()
    accepted = net.theta.astype(np.float64)
    latest: dict[str, Any] = {}
    start = time.perf_counter()

    def evaluate(theta: Array) -> tuple[float, Array]:
        if run.stop[0]:
            raise _Stopped
        net.theta = theta
        C, grad = loop.engine.gradients(net, run.X, run.Y, run.sample_weight)
        if not np.isfinite(C):
            loop.raise_divergence(len(loop.history) + 1, 1, 1.0)
        W = theta * weights_only
        total = C + 0.5 * run.l2 * float(W @ W) + run.l1 * float(np.abs(W).sum())
        grad = grad.astype(np.float64) + run.l2 * W + run.l1 * np.sign(W)
        latest.update(theta=theta.copy(), C=C, grad=grad)
        return total, grad

    def iteration(intermediate_result: Any) -> None:
        nonlocal start, accepted
        accepted = intermediate_result.x.copy()
        if not np.array_equal(latest["theta"], accepted):
            evaluate(accepted)
        net.theta = accepted
        if loop.end_epoch(latest["C"], layer_norms(net, latest["grad"]), 1.0, start):
            raise StopIteration
        start = time.perf_counter()

    try:
        result = minimize(
            evaluate,
            accepted,
            jac=True,
            method="L-BFGS-B",
            callback=iteration,
            options={
                "maxiter": loop.epochs - len(loop.history),
                "maxcor": rule.memory,
                "maxfun": rule.max_evaluations,
                "gtol": rule.gradient_tolerance,
                "ftol": 0.0,
            },
        )
        accepted = result.x
        if len(loop.history) < loop.epochs and not run.stop[0] and loop.progress.reason is None:
            loop.progress.stop(_reason(result, rule))
    except _Stopped:
        pass  # the last accepted iterate is kept
    net.theta = accepted


def _reason(result: Any, rule: LBFGS) -> str:
    """Why SciPy stopped before the epochs were done; its status 0 is not always convergence."""
    if np.abs(result.jac).max() <= rule.gradient_tolerance:
        return "converged"
    return "max_evaluations" if result.status == 1 else "no further decrease"
