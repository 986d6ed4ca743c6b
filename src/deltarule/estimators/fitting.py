"""One network of an estimator: built as scikit-learn builds it, trained by the ordinary loop.

Random numbers are drawn from `random_state` in scikit-learn's order (weights and biases layer by
layer, the split, each epoch's order), so that the same seed gives the same numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from deltarule.engines import Run, get_engine
from deltarule.equations.initializers import get_initializer
from deltarule.equations.optimizers import LBFGS, SGD
from deltarule.equations.schedules import Schedule
from deltarule.errors import DivergenceError, NonFiniteParametersError
from deltarule.estimators import parameters
from deltarule.estimators.context import epochs_for, told
from deltarule.estimators.convergence import Convergence, Rates, score_name
from deltarule.estimators.fitted import Descent, Fitted, Member
from deltarule.estimators.inputs import checked_weight
from deltarule.estimators.validation import Score, held_out
from deltarule.network.data import check_inputs, check_targets
from deltarule.network.network import Network
from deltarule.training.history import History
from deltarule.training.lbfgs import descent_of
from deltarule.training.loop import Loop
from deltarule.training.plan import dropout_rates, require_plain_lbfgs

_SKLEARN_ACTIVATIONS = {"identity", "sigmoid", "tanh", "relu"}


def train(est: Any, X: Any, y: Any, weight: Any, validation: Any, incremental: bool) -> None:
    """Fit, or go one epoch further with `incremental`; see `BaseMLP.fit` and `partial_fit`."""
    before = dict(vars(est))
    try:
        loop, score = _prepared(est, X, y, weight, validation, incremental)
    except Exception:  # of bad data or parameters: est is what it was, fitted or not
        vars(est).clear()
        vars(est).update(before)
        raise
    try:
        loop.run_all()
    except DivergenceError as error:
        _diverged(est, error, score)
        loop.history.stopped = "diverged"
    finally:
        est.history_.extend(loop.history)
    _finish(est, loop, score, incremental)


def _prepared(
    est: Any, X: Any, y: Any, weight: Any, validation: Any, incremental: bool
) -> tuple[Loop, Score | None]:
    """The loop of a training that may begin, and what scores its epochs. Raises as `fit`."""
    hidden = parameters.hidden_sizes(est.hidden_layer_sizes)
    first = "coefs_" not in vars(est) or not (est.warm_start or incremental)
    in_epochs = parameters.has_epochs(est.solver)
    if incremental and est.early_stopping and validation is None:
        raise ValueError(
            "partial_fit does not support early_stopping=True; give it validation_data instead"
        )
    if validation is not None and not in_epochs:
        raise ValueError(
            f"validation_data is scored after every epoch, and solver={est.solver!r} has none: "
            "leave it out, or take another solver"
        )
    data = told(X, y, weight)
    X, y = est._checked_data(X, y, first)
    Y = est._targets(y, first, incremental)
    if weight is not None:
        weight = checked_weight(weight, X)
    weight = est._weighted(y, weight, incremental)
    weight = None if weight is None else weight.astype(X.dtype, copy=False)
    random = check_random_state(est.random_state)
    sizes = (X.shape[1], *hidden, Y.shape[1])
    if first:
        _start(est, sizes, X.dtype, random)
    net = _same_network(est, sizes)
    X = check_inputs(X, sizes[0], net.dtype)
    score = None
    if in_epochs and (validation is not None or est.early_stopping):
        rows, score = held_out(est, net, X, y, Y, weight, validation, random)
        X, Y, weight = X[rows], Y[rows], None if weight is None else weight[rows]
    if weight is not None and not weight.any():
        raise ValueError(
            "Sample weights, times class weights, must contain at least one non-zero number among "
            "the rows to train on."
        )
    Y = est._smoothed(check_targets(net.loss, Y, len(Y), sizes[-1], net.dtype, "y"))
    loop = _loop(est, net, (X, Y, weight), random, incremental)
    if in_epochs:
        _watch(est, score is not None, net)
        # first, so that the user's callbacks find the score in the history
        loop.callbacks.insert(0, _convergence(est, loop.run, score))
    loop.callbacks += epochs_for(est, data, lambda: _ready(est))
    if "history_" not in vars(est) or not (incremental or est.warm_start):
        est.history_ = History()
    return loop, score


# -- the network ------------------------------------------------------------------------------


def network_of(est: Any, known: Network | None) -> Network:
    """A network with the numbers of est.coefs_ and est.intercepts_, which a user may have set."""
    W = [np.asarray(one) for one in est.coefs_]
    b = [np.asarray(one) for one in est.intercepts_]
    sizes = (len(W[0]), *(one.shape[1] for one in W))
    if known is None or known.sizes != sizes:
        known = _network(est, sizes, np.result_type(np.float32, *W, *b))
    known.weights, known.biases = W, b
    return known


def _network(est: Any, sizes: tuple[int, ...], dtype: Any) -> Network:
    loss, output = est._ends()
    hidden = parameters.hidden_activations(est.activation, len(sizes) - 2)
    return Network(sizes, hidden, loss, dtype=dtype, initializer="zeros", output_activation=output)


def _start(est: Any, sizes: tuple[int, ...], dtype: Any, random: np.random.RandomState) -> None:
    """A new network, and the attributes of an estimator that has seen nothing yet."""
    net = _network(est, sizes, dtype)
    L = len(sizes) - 1
    for l, (W, b) in enumerate(net.layout.matrices(net.theta)):
        f = net.activations[min(l, max(L - 2, 0))] if L > 1 else net.activations[0]
        alone = L == 1 and est.activation in ("logistic", "sigmoid")
        if f.name in _SKLEARN_ACTIVATIONS or L == 1:
            # Glorot, Bengio 2010, with the factor that scikit-learn takes for sigmoids
            factor = 2.0 if alone or (L > 1 and f.name == "sigmoid") else 6.0
            bound = np.sqrt(factor / sum(W.shape))
            W[...] = random.uniform(-bound, bound, W.shape)
            b[...] = random.uniform(-bound, bound, b.shape)
        else:
            generator = np.random.default_rng(random.randint(2**31))
            W[...] = get_initializer("auto", f.initializer)(generator, *W.shape)
    est._link(Fitted(net))
    est.n_layers_, est.n_outputs_ = L + 1, sizes[-1]
    output = net.activations[-1].name.partition("(")[0]
    est.out_activation_ = "logistic" if output == "sigmoid" else output
    est.n_iter_ = est.t_ = est._no_improvement_count = 0
    for name in ("loss_curve_", "best_loss_", "validation_scores_", "estimators_"):
        vars(est).pop(name, None)  # of an earlier fit


def _same_network(est: Any, sizes: tuple[int, ...]) -> Network:
    net: Network = est.network_
    if net.sizes != sizes:
        raise ValueError(
            f"the fitted network has the sizes {list(net.sizes)}, but {list(sizes)} are asked for; "
            "a network keeps its sizes in partial_fit and with warm_start=True"
        )
    return net


# -- the run ----------------------------------------------------------------------------------


def _loop(
    est: Any, net: Network, data: tuple[Any, Any, Any], random: Any, incremental: bool
) -> Loop:
    X, Y, weight = data
    n = len(Y)
    descent, known = _descent(est, net), est._fitted.descent
    if incremental and known is not None and type(known.rule) is type(descent.rule):
        descent = known
    est._fitted = replace(est._fitted, descent=descent)  # a refused fit keeps the old record
    batch_size = n if isinstance(descent.rule, LBFGS) else _batch_size(est.batch_size, n)
    rates = dropout_rates(
        est.dropout if np.ndim(est.dropout) else float(est.dropout), len(net.sizes) - 1
    )
    run = Run(
        spec=net.spec,
        theta=net.theta,
        X=X,
        Y=Y,
        sample_weight=weight,
        batch_size=batch_size,
        optimizer=descent.rule,
        state=descent.state,
        l1=float(est.l1),
        l2=float(est.alpha),
        penalties_per_sample=True,
        objective=np.zeros(-(-n // batch_size)),
        dropout=rates,
        clip_norm=None if est.clip_norm is None else float(est.clip_norm),
        seed=int(random.randint(2**31)) if any(rates) else 0,
    )
    if "_member" in vars(est):
        run.stop = est._member.stop
    schedule: Schedule = Rates(descent, est.max_iter, descent.state.get("t", 0))
    if isinstance(descent.rule, LBFGS):
        schedule = descent.schedule
        require_plain_lbfgs(run, schedule, None)
    return Loop(
        net=net,
        run=run,
        engine=get_engine(est.engine, net.spec),
        epochs=1 if incremental else int(est.max_iter),
        schedule=schedule,
        held=None,
        best=None,
        callbacks=parameters.callbacks(est.callbacks),
        order=_orders(n, random if est.shuffle else None),
        show=False,
        descend=descent_of(descent.rule),
    )


def _descent(est: Any, net: Network) -> Descent:
    rule = parameters.optimizer(vars(est))
    plan = est.learning_rate if isinstance(rule, SGD) else "constant"
    return Descent(
        rule=rule,
        state={} if isinstance(rule, LBFGS) else rule.init(net.theta),
        learning_rate=rule.learning_rate,
        plan=plan if plan in parameters.SKLEARN_SCHEDULES else "constant",
        power_t=float(est.power_t),
        schedule=parameters.schedule(est.learning_rate),
    )


def _batch_size(given: Any, n: int) -> int:
    if given == "auto":
        return min(200, n)
    if given > n:
        warnings.warn(
            f"Got `batch_size` larger than the sample size ({given} > {n}). It is clipped.",
            stacklevel=2,
        )
    return min(int(given), n)


def _orders(n: int, random: Any) -> Callable[[int], NDArray[np.int64]]:
    """The order of the rows in each epoch; scikit-learn shuffles the last epoch's order again."""
    order = np.arange(n, dtype=np.int64)

    def next_order(epoch: int) -> NDArray[np.int64]:
        nonlocal order
        if random is not None:
            places = np.arange(n)
            random.shuffle(places)
            order = order[places]
        return order

    return next_order


def _watch(est: Any, scored: bool, net: Network) -> None:
    """Make sure that what this call watches, the score or the loss, has a best value so far."""
    if scored and getattr(est, "validation_scores_", None) is None:
        est.validation_scores_, est.best_validation_score_, est.best_loss_ = [], -np.inf, None
        est._fitted.best_theta = net.theta.copy()
    elif not scored and getattr(est, "best_loss_", None) is None:
        est.validation_scores_, est.best_validation_score_, est.best_loss_ = None, None, np.inf
    est.n_iter_ = 0
    est.loss_curve_ = getattr(est, "loss_curve_", [])  # L-BFGS has none, as in scikit-learn


def _convergence(est: Any, run: Run, score: Score | None) -> Convergence:
    assert run.objective is not None
    rows = np.full(len(run.objective), run.batch_size)
    rows[-1] = len(run.Y) - run.batch_size * (len(rows) - 1)
    return Convergence(est, est._fitted, run.objective, rows, score)


def _ready(est: Any) -> dict[str, Any]:
    """Attributes that make a copy of the estimator predict as it would now."""
    net = est.network_.copy()
    W, b = net.weights, net.biases
    return {"_fitted": Fitted(net, (list(W), list(b))), "coefs_": W, "intercepts_": b}


def _diverged(est: Any, error: DivergenceError, score: Score | None) -> None:
    """Keep what early stopping has found before; otherwise say what happened and where."""
    if score is not None and np.isfinite(est.best_validation_score_):
        est.validation_scores_.append(float("nan"))
        est.loss_curve_.append(float("nan"))
        est.n_iter_ += 1
        warnings.warn(f"Training diverged, the best epoch is kept: {error}", ConvergenceWarning, 2)
        return
    where = str(error)
    raise NonFiniteParametersError(
        "Solver produced non-finite parameter weights. The input data may contain large values "
        f"and need to be preprocessed. {where[:1].upper()}{where[1:]}",
        epoch=error.epoch,
        batch=error.batch,
        layer=error.layer,
        history=error.history,
    ) from error


def _finish(est: Any, loop: Loop, score: Score | None, incremental: bool) -> None:
    history, run = loop.history, loop.run
    fitted: Fitted = est._fitted
    assert fitted.descent is not None
    fitted.descent.state = run.state
    est.stopped_ = None if history.stopped == "epochs" else history.stopped
    if score is not None and (not incremental or est.stopped_ == "early stopping"):
        if est.best_validation_score_ == -np.inf:
            raise ValueError(
                "no epoch has a validation score, so none can be kept: they are "
                f"{est.validation_scores_[-1]}. Give other rows or another `scoring`"
            )
        est.network_.theta = fitted.best_theta
        scores = est.history_.metrics.get(score_name(est), [])
        if est.best_validation_score_ in scores:
            est.history_.best_epoch = scores.index(est.best_validation_score_) + 1
        if incremental:
            est._no_improvement_count = 0
    if est.stopped_ == "interrupted" and not _others_failed(est):
        warnings.warn("Training interrupted by user.", stacklevel=2)
    if isinstance(run.optimizer, LBFGS):
        _finish_lbfgs(est, loop)
    elif not incremental and est.stopped_ is None:
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({est.max_iter}) reached and the "
            "optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=2,
        )


def _others_failed(est: Any) -> bool:
    """Whether it was stopped because another network of its ensemble failed, not by the user."""
    member: Member | None = vars(est).get("_member")
    return member is not None and bool(member.failed)


def _finish_lbfgs(est: Any, loop: Loop) -> None:
    run = loop.run
    assert run.objective is not None
    est.n_iter_ = len(loop.history)
    est.loss_ = float(run.objective[0])
    limits = {None: f"max_iter={est.max_iter}", "max_evaluations": f"max_fun={est.max_fun}"}
    if est.stopped_ in limits:
        warnings.warn(
            f"lbfgs failed to converge after {est.n_iter_} iteration(s): {limits[est.stopped_]} is "
            "reached. Increase it, or scale the data.",
            ConvergenceWarning,
            stacklevel=2,
        )
