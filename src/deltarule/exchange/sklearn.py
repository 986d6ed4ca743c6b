"""Fitted estimators to and from scikit-learn's MLPClassifier and MLPRegressor.

What decides predictions is carried over or refused. Training goes on where it stood as far as the
other side can: state of SGD and Adam, counters of patience and losses come along.
scikit-learn keeps that state in private attributes; they are read and written here only.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from deltarule.equations.activations import get_activation
from deltarule.equations.optimizers import LBFGS, SGD, Adam, Optimizer
from deltarule.equations.params import Array
from deltarule.equations.schedules import Schedule
from deltarule.errors import SpecError
from deltarule.network.network import Network
from deltarule.training.history import History

_HIDDEN = {"identity": "identity", "sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}
_OUTPUTS_OF_CLASSES = {"sigmoid": "logistic", "softmax": "softmax"}
_OUTPUTS_OF_QUANTITIES = {"identity": "identity", "exp": "exp"}
# Fitted attributes that both sides have under one name and with one meaning.
_SHARED = (
    "n_features_in_",
    "feature_names_in_",
    "n_iter_",
    "t_",
    "n_layers_",
    "n_outputs_",
    "out_activation_",
    "validation_scores_",
    "best_validation_score_",
    "_no_improvement_count",
)
_LOSSES = ("loss_", "loss_curve_", "best_loss_")


def from_sklearn(est: Any) -> Any:
    """deltarule's estimator for a fitted MLPClassifier or MLPRegressor of scikit-learn.

    Parameters
    ----------
    est : sklearn.neural_network.MLPClassifier or MLPRegressor
        Fitted; it is not changed and shares nothing with the result.

    Returns
    -------
    deltarule.MLPClassifier or deltarule.MLPRegressor
        Fitted, with all constructor parameters, and predictions equal to rounding. `partial_fit`
        and `fit` with warm_start go on with the same numbers as est's. `history_` is empty and
        `stopped_` None: scikit-learn records neither. With k > 1 outputs of squared error `loss_`,
        `loss_curve_` and `best_loss_` are k times est's, because scikit-learn takes the mean over
        outputs and deltarule the sum; their small part of the penalty grows with them.

    Raises
    ------
    SpecError
        For any other object, a Pipeline included: convert its last step.
    sklearn.exceptions.NotFittedError
    """
    from sklearn.neural_network import MLPClassifier as SklearnClassifier
    from sklearn.neural_network import MLPRegressor as SklearnRegressor
    from sklearn.utils.validation import check_is_fitted

    from deltarule.estimators import MLPClassifier, MLPRegressor
    from deltarule.estimators.targets import ClassTargets

    kinds: dict[type, type] = {SklearnClassifier: MLPClassifier, SklearnRegressor: MLPRegressor}
    kind = kinds.get(type(est))
    if kind is None:
        raise SpecError(f"from_sklearn takes an MLPClassifier or MLPRegressor: {_advice(est)}")
    check_is_fitted(est, "coefs_")
    made: Any = kind(**_known_parameters(est, kind))
    _copy_attributes(est, made, _SHARED)
    if kind is MLPClassifier:
        # an indicator matrix stands for multilabel targets, as in fit
        several = est.out_activation_ == "logistic" and est.n_outputs_ > 1
        made._class_targets = ClassTargets(np.eye(est.n_outputs_) if several else est.classes_)
        made.classes_ = made._class_targets.classes
    made.coefs_, made.intercepts_ = est.coefs_, est.intercepts_
    net: Network = made.network_  # which copies them and puts its own in their place
    _copy_losses(est, made, float(_outputs_summed(made)))
    kept = made._fitted
    if getattr(made, "validation_scores_", None) is not None:
        kept.best_theta = net.theta.copy()
    kept.descent = _descent(vars(est).get("_optimizer"), net)
    made._no_improvement_count = vars(made).get("_no_improvement_count", 0)
    made.history_, made.stopped_ = History(), None
    return made


def to_sklearn(model: Any) -> Any:
    """scikit-learn's estimator for a fitted estimator of deltarule, or for a Network.

    Parameters
    ----------
    model : deltarule.MLPClassifier, deltarule.MLPRegressor or Network
        It is not changed and shares nothing with the result.

    Returns
    -------
    sklearn.neural_network.MLPClassifier or MLPRegressor
        Fitted, with predictions equal to rounding. From an estimator: with all parameters that
        scikit-learn has, and the state of SGD and Adam, so that `partial_fit` goes on with the same
        numbers. From a Network: a classifier of 0 and 1 for one sigmoid, of labels 0..k-1 for a
        softmax (two outputs become one sigmoid of their difference, as scikit-learn has it), a
        multilabel one for k sigmoids; a regressor otherwise. Absent biases become zeros, which
        scikit-learn would train.

        What shapes training only is left behind: dropout, l1, clip_norm, class_weight,
        label_smoothing, scoring, callbacks, engine, dtype, n_jobs, a solver or learning rate that
        scikit-learn lacks ("adam" and "constant" stand there instead), and a loss that it lacks
        (its own for this output activation stands there).

    Raises
    ------
    SpecError
        If scikit-learn's model would predict otherwise, with every reason: activations that it
        lacks or that differ from layer to layer, another output activation, an ensemble, several
        multiclass outputs.
    sklearn.exceptions.NotFittedError
    """
    from deltarule.estimators import MLPClassifier, MLPRegressor

    if isinstance(model, Network):
        return _from_network(model)
    if isinstance(model, MLPClassifier | MLPRegressor):
        return _from_estimator(model, isinstance(model, MLPClassifier))
    raise SpecError(
        "to_sklearn takes an MLPClassifier or MLPRegressor of deltarule, or a Network, not "
        f"{type(model).__name__}"
    )


# -- from scikit-learn ------------------------------------------------------------------------


def _advice(est: Any) -> str:
    name = type(est).__name__
    if hasattr(est, "named_steps"):
        return "convert the last step of a Pipeline, from_sklearn(pipeline[-1])"
    if hasattr(est, "best_estimator_"):
        return f"of a {name} convert its best_estimator_"
    if type(est).__module__.startswith("deltarule."):
        return f"this {name} is deltarule's already"
    return f"got {name}"


def _known_parameters(est: Any, kind: Any) -> dict[str, Any]:
    """est's parameters by name, except those at their default that deltarule does not have."""
    given, known = est.get_params(deep=False), kind().get_params(deep=False)
    defaults = type(est)().get_params(deep=False)
    unknown = [f"{n}={given[n]!r}" for n in given if n not in known and given[n] != defaults[n]]
    if unknown:
        raise SpecError(f"deltarule's {kind.__name__} has no parameter for {', '.join(unknown)}")
    return {name: copy.deepcopy(given[name]) for name in given if name in known}


def _descent(theirs: Any, net: Network) -> Any:
    """The optimizer of scikit-learn with its state, as the estimators keep theirs, or None."""
    from sklearn.neural_network import _stochastic_optimizers as sklearn_optimizers

    from deltarule.estimators.fitted import Descent

    L = len(net.activations)
    plan, power_t = "constant", 0.5
    if isinstance(theirs, sklearn_optimizers.AdamOptimizer):
        rate = float(theirs.learning_rate_init)
        rule: Optimizer = Adam(rate, theirs.beta_1, theirs.beta_2, theirs.epsilon)
        moments, done = {"m": theirs.ms, "v": theirs.vs}, theirs.t
    elif isinstance(theirs, sklearn_optimizers.SGDOptimizer):
        # its learning_rate is the present one, Adam's has the correction of the last step in it
        rate, plan, power_t = theirs.learning_rate, theirs.lr_schedule, theirs.power_t
        mu = float(theirs.momentum)
        rule = SGD(float(theirs.learning_rate_init), mu, bool(theirs.nesterov) and mu > 0)
        moments, done = ({"v": theirs.velocities} if mu else {}), 0
    else:
        return None
    shapes = [np.asarray(one).shape for one in [*net.weights, *net.biases]]
    if any([one.shape for one in moment] != shapes for moment in moments.values()):
        return None  # of a network that was there before coefs_ were set by hand
    state = {"t": done} | {name: _flat(net, p[:L], p[L:]) for name, p in moments.items()}
    return Descent(rule, state, float(rate), plan, float(power_t), Schedule())


def _flat(net: Network, W: Sequence[Array], b: Sequence[Array]) -> Array:
    """Arrays of the shapes of the weights and of the biases as one vector laid out as theta."""
    return np.concatenate(net.layout.join(W, b)).astype(net.dtype)


# -- to scikit-learn --------------------------------------------------------------------------


def _from_estimator(est: Any, classifies: bool) -> Any:
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(est, "coefs_")
    net = est.network_
    reasons = _reasons(net, classifies)
    if len(est.networks_) > 1:
        reasons.append(
            f"an ensemble of {len(est.networks_)} networks (one of its estimators_ it can)"
        )
    made = _fitted(net, classifies, reasons, _sklearn_parameters(est))
    _copy_attributes(est, made, _SHARED)
    _copy_losses(est, made, 1 / _outputs_summed(est))
    if classifies:
        made._label_binarizer = copy.deepcopy(est._class_targets.binarizers[0])
        made.classes_ = made._label_binarizer.classes_
    optimizer = _sklearn_optimizer(est._fitted.descent, net, made)
    if optimizer is not None:
        made._optimizer = optimizer
    return made


def _from_network(net: Network) -> Any:
    from sklearn.preprocessing import LabelBinarizer

    classifies = net.loss.classifies
    output = net.activations[-1]
    reasons = _reasons(net, classifies)
    usual = {"unit": "sigmoid", "distribution": "softmax"}.get(net.loss.targets, output.name)
    if not reasons and output.name != usual:
        reasons.append(f"the output activation {output.name} with the loss {net.loss.name}")
    k = net.sizes[-1]
    made = _fitted(net, classifies, reasons, {"hidden_layer_sizes": net.sizes[1:-1]})
    if classifies:
        if output.name == "softmax" and k == 2:
            _merge_two_outputs(made)
        labels = (
            np.eye(k, dtype=int) if output.name == "sigmoid" and k > 1 else np.arange(max(k, 2))
        )
        made._label_binarizer = LabelBinarizer().fit(labels)
        made.classes_ = made._label_binarizer.classes_
    made.n_features_in_ = net.sizes[0]
    made.n_iter_ = made.t_ = made._no_improvement_count = 0
    made.loss_curve_, made.best_loss_ = [], np.inf
    made.validation_scores_ = made.best_validation_score_ = None
    return made


def _reasons(net: Network, classifies: bool) -> list[str]:
    """What of the network scikit-learn cannot express."""
    hidden, output = net.activations[:-1], net.activations[-1]
    reasons = [
        f"the activation {f.name} of layer {l}"
        for l, f in enumerate(hidden, start=1)
        if not f.registered or f.name not in _HIDDEN
    ]
    if not reasons and len(set(hidden)) > 1:
        names = ", ".join(f.name for f in hidden)
        reasons.append(f"hidden layers of different activations ({names})")
    outputs = _OUTPUTS_OF_CLASSES if classifies else _OUTPUTS_OF_QUANTITIES
    if output.name.startswith("softmax(") and output.registered:
        reasons.append("several multiclass outputs in one network")
    elif not output.registered or output.name not in outputs:
        reasons.append(f"the output activation {output.name}")
    elif output.name == "exp" and not _has_poisson():
        reasons.append("the loss poisson, which scikit-learn has from version 1.7 on")
    return reasons


def _has_poisson() -> bool:
    from sklearn.neural_network import MLPRegressor

    return "loss" in MLPRegressor().get_params(deep=False)


def _fitted(net: Network, classifies: bool, reasons: list[str], params: dict[str, Any]) -> Any:
    """scikit-learn's estimator with these parameters and the network's numbers."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    if reasons:
        raise SpecError(f"scikit-learn's MLP cannot express {'; '.join(reasons)}")
    output = net.activations[-1].name
    if len(net.activations) > 1:  # without hidden layers their activation decides nothing
        params = params | {"activation": _HIDDEN[net.activations[0].name]}
    if not classifies and _has_poisson():
        params = params | {"loss": "poisson" if output == "exp" else "squared_error"}
    made: Any = (MLPClassifier if classifies else MLPRegressor)(**params)
    made.coefs_, made.intercepts_ = _apart(net, net.theta)
    made._best_coefs, made._best_intercepts = _apart(net, net.theta)
    made.n_layers_, made.n_outputs_ = len(net.sizes), net.sizes[-1]
    made.out_activation_ = (_OUTPUTS_OF_CLASSES | _OUTPUTS_OF_QUANTITIES)[output]
    return made


def _merge_two_outputs(made: Any) -> None:
    """softmax(z)_1 = sigmoid(z_1 - z_0): two outputs as the one that scikit-learn trains."""
    for parameters in (made.coefs_, made.intercepts_):
        parameters[-1] = np.ascontiguousarray(parameters[-1][..., 1:] - parameters[-1][..., :1])
    made._best_coefs = [W.copy() for W in made.coefs_]
    made._best_intercepts = [b.copy() for b in made.intercepts_]
    made.n_outputs_, made.out_activation_ = 1, "logistic"


def _apart(net: Network, vector: Array) -> tuple[list[Array], list[Array]]:
    """Copies of the weights' part and of the biases' part of a vector laid out as theta."""
    pairs = net.layout.matrices(vector)
    no_bias = [np.zeros(n, vector.dtype) for n in net.sizes[1:]]
    return (
        [W.copy() for W, _ in pairs],
        [zeros if b is None else b.copy() for (_, b), zeros in zip(pairs, no_bias, strict=True)],
    )


def _weights_then_biases(net: Network, vector: Array) -> list[Array]:
    W, b = _apart(net, vector)
    return W + b


def _sklearn_parameters(est: Any) -> dict[str, Any]:
    """The parameters of scikit-learn's estimator: est's, where it has them."""
    from sklearn.neural_network import MLPClassifier

    from deltarule.estimators.parameters import SKLEARN_SCHEDULES

    given = est.get_params(deep=False)
    params = {name: copy.deepcopy(given[name]) for name in MLPClassifier().get_params(deep=False)}
    params["activation"] = "relu"  # the network's own takes its place
    if params["learning_rate"] not in SKLEARN_SCHEDULES:
        params["learning_rate"] = "constant"
    return params | _sklearn_solver(params["solver"])


def _sklearn_solver(solver: Any) -> dict[str, Any]:
    """scikit-learn's solver and the settings that an Optimizer brings of its own."""
    if isinstance(solver, str):
        return {"solver": solver if solver in ("lbfgs", "sgd", "adam") else "adam"}
    if isinstance(solver, LBFGS):
        return {
            "solver": "lbfgs",
            "max_fun": solver.max_evaluations,
            "tol": solver.gradient_tolerance,
        }
    own: dict[str, Any] = {"solver": "adam", "learning_rate_init": solver.learning_rate}
    if isinstance(solver, SGD):
        return own | {
            "solver": "sgd",
            "momentum": solver.momentum,
            "nesterovs_momentum": solver.nesterov,
        }
    if isinstance(solver, Adam):
        own |= {name: getattr(solver, name) for name in ("beta_1", "beta_2", "epsilon")}
    return own


def _sklearn_optimizer(descent: Any, net: Network, made: Any) -> Any:
    """SGD or Adam with its state, as scikit-learn keeps it, or None."""
    from sklearn.neural_network import _stochastic_optimizers as sklearn_optimizers

    if descent is None or type(descent.rule) not in (SGD, Adam):
        return None
    rule, params = descent.rule, made.coefs_ + made.intercepts_
    state = {name: value for name, value in descent.state.items() if name != "t"}
    if any(moment.shape != net.theta.shape for moment in state.values()):
        return None  # of a network that was there before coefs_ were set by hand
    moments = {name: _weights_then_biases(net, moment) for name, moment in state.items()}
    if type(rule) is Adam:
        adam = sklearn_optimizers.AdamOptimizer(
            params, rule.learning_rate, rule.beta_1, rule.beta_2, rule.epsilon
        )
        adam.t, adam.ms, adam.vs = descent.state["t"], moments["m"], moments["v"]
        return adam
    sgd = sklearn_optimizers.SGDOptimizer(
        params, rule.learning_rate, descent.plan, rule.momentum, rule.nesterov, descent.power_t
    )
    sgd.learning_rate = descent.learning_rate
    sgd.velocities = moments.get("v", sgd.velocities)
    return sgd


# -- both ways --------------------------------------------------------------------------------


def _copy_attributes(source: Any, made: Any, names: Sequence[str]) -> None:
    for name in names:
        if name in vars(source):
            setattr(made, name, copy.deepcopy(vars(source)[name]))


def _outputs_summed(est: Any) -> int:
    """How many outputs deltarule sums over where scikit-learn takes their mean."""
    net = est.network_
    summed = net.loss.name == "squared_error" and net.activations[-1] is get_activation("identity")
    return int(net.sizes[-1]) if summed else 1


def _copy_losses(source: Any, made: Any, factor: float) -> None:
    for name in _LOSSES:
        if name in vars(source):
            value: Any = vars(source)[name]
            scaled = None if value is None else (factor * np.asarray(value)).tolist()
            setattr(made, name, scaled)
