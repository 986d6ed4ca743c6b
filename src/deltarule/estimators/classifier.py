"""The classifier: what y's classes ask of the network, and probabilities out of it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions  # its own parameter checks
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from deltarule.equations.losses import Loss
from deltarule.equations.params import Array
from deltarule.estimators.base import BaseMLP, goes_through_epochs
from deltarule.estimators.context import fit_context
from deltarule.estimators.inputs import checked_both
from deltarule.estimators.parameters import CONSTRAINTS
from deltarule.estimators.targets import ClassTargets, all_classes_told


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]  # scikit-learn is untyped
    """A multilayer perceptron for classes, in place of scikit-learn's MLPClassifier.

    y may be labels (binary or multiclass), a label indicator matrix (multilabel) or one column of
    labels per output (multiclass-multioutput). The loss of a row is the log-loss, summed over
    labels or columns; what is minimised is its (weighted) mean plus the penalties. With the same
    `random_state` the numbers are scikit-learn's, to rounding.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default (100,)
        Units of each hidden layer; empty for none.
    activation : str, Activation, or one per hidden layer, default "relu"
        "identity", "logistic", "tanh", "relu", or any other of the package.
    solver : {"adam", "sgd", "lbfgs", "adamw", "rmsprop", "adagrad"} or Optimizer, default "adam"
        An Optimizer, such as dr.SGD(0.1), brings its own settings.
    alpha : float >= 0, default 0.0001
        L2 penalty alpha/2 sum W^2, divided by the (weighted) number of rows of the batch.
    batch_size : int or "auto", default "auto"
        "auto" is min(200, n_samples). L-BFGS always takes all rows.
    learning_rate : str, Schedule or function of the epoch, default "constant"
        "invscaling" and "adaptive" as in scikit-learn (SGD only); "step", "cosine", "one_cycle",
        "warmup", a dr.Schedule or a function for every solver but L-BFGS.
    learning_rate_init : float > 0, default 0.001
    power_t : float >= 0, default 0.5
        Of "invscaling": learning_rate_init / (samples seen + 1)^power_t.
    max_iter : int >= 1, default 200
        Epochs, at most; iterations for L-BFGS.
    shuffle : bool, default True
        A new order of the rows in every epoch.
    random_state : int, RandomState or None, default None
        Of weights, split, orders and dropout. The same int gives scikit-learn's numbers.
    tol : float >= 0, default 0.0001
        By how much loss or score must improve to count; of L-BFGS the gradient tolerance.
    verbose : bool or int, default False
        Print each epoch's loss.
    warm_start : bool, default False
        Go on from the present weights at the next `fit`.
    momentum : float in [0, 1], default 0.9
        Of SGD.
    nesterovs_momentum : bool, default True
    early_stopping : bool, default False
        Hold out rows, score them after every epoch and keep the best epoch's parameters.
    validation_fraction : float in [0, 1), default 0.1
        The share held out.
    beta_1, beta_2 : float in [0, 1), default 0.9 and 0.999
        Of Adam and AdamW.
    epsilon : float > 0, default 1e-8
        Of Adam, AdamW, RMSprop and Adagrad.
    n_iter_no_change : int >= 1 or inf, default 10
        Stop after more epochs than this without improvement.
    max_fun : int >= 1, default 15000
        Evaluations of the loss, at most, for L-BFGS.
    loss : str or Loss, default "log_loss"
        "log_loss" is cross_entropy on a softmax, or log_loss on sigmoids (binary, multilabel);
        otherwise a loss of the package, or your own, on the same output activation.
    class_weight : dict, list of dicts, "balanced" or None, default None
        Weight of each class, as in scikit-learn; multiplies sample_weight.
    label_smoothing : float in [0, 1), default 0
        The share of each target that is spread evenly over all classes.
    dropout : float in [0, 1), or one for inputs and each hidden layer; default 0
        The share of units left out in a step; one number means hidden layers only.
    l1 : float >= 0, default 0
        L1 penalty l1 sum |W|, divided like alpha's.
    clip_norm : float > 0 or None, default None
        Largest norm of the gradient of a step.
    scoring : str, callable or None, default None
        What early stopping scores by, any of scikit-learn's; None is `score`'s own.
    dtype : "float32", "float64" or None, default None
        Of the network; None keeps float32 and float64 inputs as they are.
    engine : str, default "auto"
        "native", "reference", or the fastest that can run this network.
    callbacks : dr.Callback, function of the dr.Progress, or a list of them; default None
        scikit-learn's own callbacks are set by `set_callbacks`.
    n_ensemble : int >= 1, default 1
        Networks trained from as many seeds; their outputs are averaged. Fitted attributes are the
        first one's.
    n_jobs : int or None, default None
        Threads for an ensemble; None is as many as `dr.get_num_threads()`.

    Attributes
    ----------
    classes_ : (n_classes,) array, or a list of them for multiclass-multioutput
    coefs_, intercepts_ : lists of arrays
        W_l (n_{l-1}, n_l) and b_l (n_l,): views of `network_`; may be set by hand.
    network_ : dr.Network
        The trained network; `networks_` is a list of all that are averaged.
    loss_, best_loss_ : float
        Of the last and of the best epoch, penalties included; best_loss_ is None with early
        stopping.
    loss_curve_ : list of float
        Of every epoch (not for L-BFGS).
    validation_scores_, best_validation_score_ : list of float, float
        With early stopping or validation_data, else None.
    history_ : dr.History
        Of every epoch: loss without penalties, validation score, learning rate, gradient norms,
        seconds.
    stopped_ : str or None
        Why training ended before max_iter: "converged", "early stopping", "interrupted", ...
    n_iter_, t_ : int
        Epochs of the last fit; samples seen in all.
    n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in scikit-learn.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS | {
        "class_weight": [None, dict, list, StrOptions({"balanced"})],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: str | Loss = "log_loss",
        class_weight: Any = None,
        label_smoothing: float = 0.0,
        dropout: float | Sequence[float] = 0.0,
        l1: float = 0.0,
        clip_norm: float | None = None,
        scoring: Any = None,
        dtype: Any = None,
        engine: str = "auto",
        callbacks: Any = None,
        n_ensemble: int = 1,
        n_jobs: int | None = None,
    ) -> None:
        self._keep(locals())

    @available_if(goes_through_epochs)  # type: ignore[untyped-decorator]  # scikit-learn's
    @fit_context
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        classes: Any = None,
        *,
        validation_data: Any = None,
    ) -> Self:
        """One more epoch, over these rows; the optimizer goes on where it was.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`
        classes : (n_classes,) array, or a list of them for multiclass-multioutput
            All classes that will ever come; needed at the first call.
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            Rows to score after the epoch. When the score has not improved for more than
            n_iter_no_change calls, the best parameters are restored and `stopped_` says so.

        Returns
        -------
        self
        """
        told = all_classes_told(self, y, classes)
        if told is not None:
            self._class_targets, self.classes_ = told, told.classes
        try:
            return self._train(X, y, sample_weight, validation_data, incremental=True)
        except Exception:
            if told is not None and "coefs_" not in vars(self):  # a first call that did not begin
                del self._class_targets, self.classes_
            raise

    # -- answers ------------------------------------------------------------------------------

    def predict(self, X: Any) -> Any:
        """The class of each row of X (n, n_features): (n,), or (n, n_outputs) for several."""
        output = self._outputs(X)
        return self._class_targets.decode(output)

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class, (n, n_classes) in the order of `classes_`.

        For multilabel y the probability of each label; for multiclass-multioutput a list with one
        array (n, k_j) per output.
        """
        P = self._outputs(X)
        if self.n_outputs_ == 1:
            return np.hstack([1 - P, P])
        return P if self._class_targets.groups is None else self._class_targets.apart(P)

    def predict_log_proba(self, X: Any) -> Any:
        """The logarithm of `predict_proba`: -inf where the probability rounds to 0."""
        P = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return [np.log(one) for one in P] if isinstance(P, list) else np.log(P)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of rows whose label (every label, where there are several) is right."""
        check_is_fitted(self, "coefs_")
        return self._accuracy(y, self.predict(X), sample_weight)

    def _accuracy(self, y: Any, said: Any, weight: Any) -> float:
        if self._class_targets.groups is None:
            return float(accuracy_score(y, said, sample_weight=weight))
        self._class_targets.require_columns(y)
        check_consistent_length(y, said, weight)
        return float(np.average((np.asarray(y) == said).all(axis=1), weights=weight))

    # -- what training asks of a classifier -----------------------------------------------------

    def _checked_data(self, X: Any, y: Any, first: bool) -> tuple[Any, Any]:
        X, y = checked_both(self, X, y, reset=first, y_numeric=False)
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _targets(self, y: Any, first: bool, incremental: bool) -> Array:
        if "classes_" not in vars(self) or not (self.warm_start or incremental):
            self._class_targets = ClassTargets(y)
            self.classes_ = self._class_targets.classes
        else:
            exactly = self.warm_start and not incremental
            self._class_targets.require_same_classes(y, exactly=exactly)
        return self._class_targets.encode(y)

    def _weighted(self, y: Any, weight: Any, incremental: bool) -> Any:
        if self.class_weight is None:
            return weight
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs to see all of y: for partial_fit compute the "
                "weights with sklearn.utils.class_weight.compute_class_weight and give a dict"
            )
        if self._class_targets.groups is None and not self._class_targets.multilabel:
            if isinstance(self.class_weight, list):
                raise ValueError(
                    "class_weight as a list of dicts is for several outputs, and y has one: give "
                    "a dict"
                )
            each = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
            by_class = each[np.searchsorted(self.classes_, y)]
        else:
            by_class = compute_sample_weight(self.class_weight, y)
        return by_class if weight is None else weight * by_class

    def _smoothed(self, Y: Array) -> Array:
        if not self.label_smoothing:
            return Y
        return self._class_targets.smooth(Y, float(self.label_smoothing)).astype(Y.dtype)

    def _encoded(self, y: Any) -> Array:
        self._class_targets.require_same_classes(y, exactly=False)
        return self._class_targets.encode(y).astype(self.network_.dtype)

    def _ends(self) -> tuple[Any, Any]:
        return self._class_targets.loss(self.loss), self._class_targets.output()

    def _check_held_out(self, y: Any) -> None:
        self._class_targets.require_columns(y)
        unknown = self._class_targets.unknown(y)
        if unknown:
            warnings.warn(
                f"the y of validation_data has classes that training does not know: {unknown}; no "
                "prediction of these rows can be right",
                stacklevel=2,
            )

    def _default_score(self, y: Any, output: Array, weight: Any) -> float:
        said = self._class_targets.decode(output)
        if y.ndim == 1 and y.dtype == said.dtype:
            # accuracy_score without its checks, which take longer than many an epoch
            return float(np.average(y == said, weights=weight))
        return self._accuracy(y, said, weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
