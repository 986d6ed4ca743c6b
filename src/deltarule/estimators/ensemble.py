"""Several networks from several seeds in place of one; their outputs are averaged."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import check_random_state

from deltarule.engines.threads import get_num_threads
from deltarule.estimators.context import tell_networks, told
from deltarule.estimators.fitted import Member
from deltarule.estimators.parameters import has_epochs
from deltarule.training.blas import one_blas_thread
from deltarule.training.interrupt import stop_on_ctrl_c

# Fitted attributes that a fit may be without: X had no names, the solver no epochs.
_NOT_ALWAYS = (
    *("feature_names_in_", "loss_curve_", "best_loss_"),
    *("validation_scores_", "best_validation_score_"),
)


def train(est: Any, X: Any, y: Any, weight: Any, validation: Any, incremental: bool) -> None:
    """Train est.estimators_, n_ensemble estimators of one network each, in threads.

    The first has est's own random_state, so that it is what n_ensemble=1 gives; its fitted
    attributes are those that est shows.
    """
    first = "coefs_" not in vars(est) or not (est.warm_start or incremental)
    members = _members(est) if first else _members_so_far(est)
    stop = np.zeros(1, dtype=np.uint8)
    failed: list[BaseException] = []
    method = "partial_fit" if incremental else "fit"
    known = {"classes": est.classes_} if incremental and "classes_" in vars(est) else {}

    def run(k: int) -> None:
        member = members[k]
        member._member = Member(stop, failed, f"network {k + 1}: ")
        try:
            getattr(member, method)(X, y, weight, validation_data=validation, **known)
        except BaseException as error:
            failed.append(error)
            stop[0] = 1  # the others need not train to their end
            raise
        finally:
            del member._member

    jobs = get_num_threads() if est.n_jobs is None else effective_n_jobs(est.n_jobs)
    alone = nullcontext() if has_epochs(est.solver) else one_blas_thread()
    with stop_on_ctrl_c(stop), alone, ThreadPoolExecutor(min(jobs, len(members))) as pool:
        results = pool.map(run, range(len(members)))
        tell_networks(est, told(X, y, weight), results, lambda: _show(est, members))


def _show(est: Any, members: list[Any]) -> None:
    """Give est the fitted attributes of the first member, and all of them to average."""
    for name in _NOT_ALWAYS:
        vars(est).pop(name, None)  # of an earlier fit
    for name, value in vars(members[0]).items():
        if name not in members[0].get_params(deep=False):
            setattr(est, name, value)
    est._fitted = replace(members[0]._fitted)  # whose arrays a user may replace in est alone
    est.estimators_ = members


def _members(est: Any) -> list[Any]:
    # a copy, so that the first member draws what a single network would
    random = check_random_state(copy.deepcopy(est.random_state))
    seeds = [est.random_state, *random.randint(2**31, size=est.n_ensemble - 1).tolist()]
    return [_kind(est)(**_params_of_one(est, seed)) for seed in seeds]


def _kind(est: Any) -> Any:
    """MLPClassifier or MLPRegressor: a user's subclass may take other parameters."""
    return next(kind for kind in type(est).__mro__ if kind.__module__.startswith("deltarule."))


def _members_so_far(est: Any) -> list[Any]:
    """Those of the fit before, with the parameters that est has now."""
    first, *others = est.estimators_
    first.set_params(**_params_of_one(est, est.random_state))
    for member in others:
        member.set_params(**_params_of_one(est, member.random_state))
    return [first, *others]


def _params_of_one(est: Any, seed: Any) -> dict[str, Any]:
    params = {name: getattr(est, name) for name in _kind(est)().get_params(deep=False)}
    return params | {"n_ensemble": 1, "random_state": seed}
