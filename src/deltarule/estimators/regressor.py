"""The regressor: quantities in, quantities out, one output or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d

from deltarule.equations.losses import Loss, get_loss
from deltarule.equations.params import Array
from deltarule.estimators.base import BaseMLP
from deltarule.estimators.inputs import checked_both
from deltarule.network.data import check_targets
from deltarule.training.metrics import metrics


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]  # scikit-learn is untyped
    """A multilayer perceptron for quantities, in place of scikit-learn's MLPRegressor.

    What is minimised is the (weighted) mean over the rows of J plus the penalties, with
    J = 1/2 SUM over the outputs of (prediction - y)^2 for "squared_error", and `loss_` is just
    that. With one output the numbers are scikit-learn's, to rounding; with k outputs
    scikit-learn reports the mean over the outputs while it descends along the gradient of their
    sum, so its `loss_` is 1/k of this one (docs/documents/scikit_learn_gradient.md).

    Parameters
    ----------
    loss : str or Loss, default "squared_error"
        "poisson" has exp as its output activation; also "huber", "absolute_error",
        "quantile(0.9)", any other loss of the package for quantities, or your own.
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

    def __init__(
        self,
        loss: str | Loss = "squared_error",
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

    def predict(self, X: Any) -> Array:
        """The predicted quantity of each row of X: (n,), or (n, n_outputs) for several."""
        output = self._outputs(X)
        return output.ravel() if output.shape[1] == 1 else output

    # -- what training asks of a regressor ------------------------------------------------------

    def _checked_data(self, X: Any, y: Any, first: bool) -> tuple[Any, Any]:
        X, y = checked_both(self, X, y, reset=first, y_numeric=True)
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _targets(self, y: Any, first: bool, incremental: bool) -> Array:
        return np.asarray(y).reshape(len(y), -1)

    def _weighted(self, y: Any, weight: Any, incremental: bool) -> Any:
        return weight

    def _smoothed(self, Y: Array) -> Array:
        return Y

    def _encoded(self, y: Any) -> Array:
        net = self.network_
        return check_targets(net.loss, np.asarray(y), len(y), net.sizes[-1], net.dtype, "y")

    def _ends(self) -> tuple[Any, Any]:
        loss = get_loss(self.loss)
        if loss.targets == "distribution":
            raise ValueError(f"the loss {loss.name!r} is of classes: use MLPClassifier")
        return loss, loss.link

    def _check_held_out(self, y: Any) -> None:
        net = self.network_
        check_targets(net.loss, y, len(y), net.sizes[-1], np.float64, "y")
        if self.scoring is None and len(y) < 2:
            raise ValueError("R^2 is not defined for less than two rows")

    def _default_score(self, y: Any, output: Array, weight: Any) -> float:
        if len(y) < 2:
            return float(r2_score(y, output, sample_weight=weight))  # warns that there is none
        Y = np.asarray(y).reshape(len(y), -1)  # r2_score's checks take longer than many an epoch
        return metrics(get_loss("squared_error"), output, Y, weight)["r2"]
