"""What both estimators are: parameters, fitted attributes, the way to the network and back.

`fit` composes: `fitting.py` trains, `targets.py` encodes, `ensemble.py` repeats. No constructor
parameter is ever rewritten.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from deltarule.doors import through
from deltarule.equations.params import Array
from deltarule.estimators import ensemble, fitting, inspection
from deltarule.estimators.context import CallbackSupportMixin, fit_context
from deltarule.estimators.fitted import Descent, Fitted
from deltarule.estimators.inputs import checked
from deltarule.estimators.parameters import CONSTRAINTS, has_epochs
from deltarule.estimators.validation import one_validation
from deltarule.network.network import Network


def goes_through_epochs(est: Any) -> bool:
    """True; raises AttributeError for L-BFGS, which has no partial_fit."""
    if has_epochs(est.solver):
        return True
    raise AttributeError(
        f"partial_fit is only available for stochastic optimizers. {est.solver} is not stochastic."
    )


class BaseMLP(CallbackSupportMixin, BaseEstimator, ABC):  # type: ignore[misc]  # scikit-learn is untyped
    """What MLPClassifier and MLPRegressor share; use those."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS

    # Constructor parameters; each class spells its own signature out, as scikit-learn requires.
    hidden_layer_sizes: Any
    activation: Any
    solver: Any
    alpha: float
    batch_size: Any
    learning_rate: Any
    max_iter: int
    shuffle: bool
    random_state: Any
    tol: float
    verbose: Any
    warm_start: bool
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: float
    loss: Any
    dropout: Any
    l1: float
    clip_norm: float | None
    scoring: Any
    dtype: Any
    engine: str
    callbacks: Any
    n_ensemble: int
    n_jobs: int | None

    def _keep(self, values: dict[str, Any]) -> None:
        """Store the constructor's parameters under their names, as they came."""
        for name in values.keys() - {"self"}:
            setattr(self, name, values[name])

    # -- training -----------------------------------------------------------------------------

    @fit_context
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation_data: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train on X and y, from new weights (or from the present ones with warm_start).

        Parameters
        ----------
        X : (n_samples, n_features) array, DataFrame or sparse matrix
        y : (n_samples,) or (n_samples, n_outputs)
            Labels or quantities.
        sample_weight : (n_samples,), optional
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            Rows to score after every epoch, in place of a share of the training rows; with it,
            training stops early whether or not `early_stopping` is set.
        X_val, y_val : arrays, optional
            The same, apart: in a Pipeline with transform_input=["X_val"] (and metadata routing)
            its steps transform X_val as they do X.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Bad data or parameters, in scikit-learn's words, with row and column where known.
        NonFiniteParametersError
            Training diverged: names epoch, batch and layer. It is a ValueError too.
        """
        validation = one_validation(validation_data, X_val, y_val)
        return self._train(X, y, sample_weight, validation)

    @available_if(goes_through_epochs)  # type: ignore[untyped-decorator]  # scikit-learn's
    @fit_context
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None
    ) -> Self:
        """One more epoch, over these rows; the optimizer goes on where it was.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            Rows to score after the epoch. When the score has not improved for more than
            n_iter_no_change calls, the best parameters are restored and `stopped_` says so.

        Returns
        -------
        self
        """
        return self._train(X, y, sample_weight, validation_data, incremental=True)

    def _train(
        self, X: Any, y: Any, weight: Any, validation: Any, *, incremental: bool = False
    ) -> Self:
        fitted = len(vars(self).get("estimators_", [self]))
        if (
            "coefs_" in vars(self)
            and (self.warm_start or incremental)
            and fitted != self.n_ensemble
        ):
            raise ValueError(
                f"n_ensemble={self.n_ensemble}, but the networks fitted are {fitted}: their number "
                "stays in partial_fit and with warm_start=True"
            )
        if self.n_ensemble > 1:
            ensemble.train(self, X, y, weight, validation, incremental)
        else:
            fitting.train(self, X, y, weight, validation, incremental)
        return self

    @abstractmethod
    def _checked_data(self, X: Any, y: Any, first: bool) -> tuple[Any, Any]:
        """X and y after scikit-learn's checks; y is (n,) for one output."""

    @abstractmethod
    def _weighted(self, y: Any, weight: Any, incremental: bool) -> Any:
        """The sample weights, with those of the classes multiplied in."""

    @abstractmethod
    def _smoothed(self, Y: Array) -> Array:
        """The targets to train on, from the true ones."""

    @abstractmethod
    def _encoded(self, y: Any) -> Array:
        """y of a method other than fit as the fitted network takes it."""

    @abstractmethod
    def _targets(self, y: Any, first: bool, incremental: bool) -> Array:
        """y as the network takes it (n, n_outputs), after checks; may set what y determines."""

    @abstractmethod
    def _check_held_out(self, y: Any) -> None:
        """Raise ValueError for validation targets that are not of the kind of the training's."""

    @abstractmethod
    def _default_score(self, y: Any, output: Array, weight: Any) -> float:
        """What `score` would give, for outputs of the network."""

    @abstractmethod
    def _ends(self) -> tuple[Any, Any]:
        """(loss, output activation) of the network."""

    # -- the network --------------------------------------------------------------------------

    @property
    def network_(self) -> Network:
        """The trained network; `coefs_` and `intercepts_` are views of its parameters."""
        if "coefs_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no network_ before it is fitted")
        kept: Fitted | None = vars(self).get("_fitted")
        if kept is None:
            self._link(Fitted(fitting.network_of(self, None)))
        elif not _same(kept.linked, (self.coefs_, self.intercepts_)):
            kept.network = fitting.network_of(self, kept.network)
            self._link(kept)
        return self._fitted.network

    @property
    def networks_(self) -> list[Network]:
        """The networks whose outputs are averaged: one, or n_ensemble of them."""
        if "estimators_" not in vars(self):
            return [self.network_]
        return [self.network_, *(one.network_ for one in self.estimators_[1:])]

    @property
    def _optimizer(self) -> Descent | None:
        """The optimizer under scikit-learn's name, by which its users and its tests look at it."""
        return self._fitted.descent

    def _link(self, fitted: Fitted) -> None:
        """Keep this record; coefs_ and intercepts_ are views of its network's parameters."""
        self._fitted = fitted
        self.coefs_: list[Array] = fitted.network.weights
        self.intercepts_: list[Array] = list(fitted.network.biases)  # type: ignore[arg-type]  # none absent
        fitted.linked = (list(self.coefs_), list(self.intercepts_))

    def _outputs(self, X: Any) -> Array:
        """The mean output (n, n_outputs) of the networks, for X as it comes from the user."""
        check_is_fitted(self, "coefs_")
        return self._mean_output(checked(self, X))

    def _mean_output(self, X: Any) -> Array:
        outputs = [net.predict(X, engine=self.engine) for net in self.networks_]
        return outputs[0] if len(outputs) == 1 else np.mean(outputs, axis=0)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        if "coefs_" in state:
            net = self.network_  # with what a user has put into coefs_
            state = state | {"_fitted": replace(self._fitted, network=net, linked=([], []))}
            for views in ("coefs_", "intercepts_"):  # the network holds the numbers
                state.pop(views)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_network" in state:  # pickled by 0.1.0, which kept each part by itself
            parts = ("_network", "_optimizer", "_best_theta")
            kept = [state.pop(name, None) for name in parts]
            state["_fitted"] = Fitted(kept[0], descent=kept[1], best_theta=kept[2])
        super().__setstate__(state)
        if "_fitted" in state:
            self._link(self._fitted)

    # -- a look inside ------------------------------------------------------------------------

    def input_gradients(self, X: Any, y: Any = None, *, output: int | None = None) -> Array:
        """The gradient with respect to the inputs, row by row (SPEC D5).

        Parameters
        ----------
        X : (n, n_features)
        y : targets, optional
            With it, of each row's loss J; without, of the output.
        output : int, optional
            Which output, from 0; by default a classifier's probability of the class that it
            predicts (multiclass) or of the positive class (binary), a regressor's every output.

        Returns
        -------
        (n, n_features) array
            Or (n, n_outputs, n_features) for a regressor of several outputs without `output`, and
            for multilabel and multioutput classifiers.

        Raises
        ------
        ValueError
            Both y and output; an output that does not exist; sparse X.
        """
        return inspection.input_gradients(self, X, y, output)

    def per_sample_gradients(self, X: Any, y: Any) -> Any:
        """dJ/dW_l and dJ/db_l of each row apart, of `network_` (see `dr.per_sample_gradients`)."""
        return inspection.per_sample_gradients(self, X, y)

    # -- exchange -----------------------------------------------------------------------------

    def to_sklearn(self) -> Any:
        """The same fitted model as scikit-learn's MLP (see `deltarule.exchange.sklearn`)."""
        return through("sklearn", "to_sklearn")(self)

    def to_onnx(self, path: Any = None, *, dtype: str | None = None) -> Any:
        """The fitted model as an `onnx.ModelProto`, written to `path` if given.

        See `deltarule.exchange.onnx.to_onnx` for inputs, outputs and errors.
        """
        return through("onnx", "to_onnx")(self, path, dtype=dtype)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _same(linked: Any, present: Any) -> bool:
    """Whether the lists still hold the very arrays that are views of the network."""
    return all(
        len(old) == len(new) and all(a is b for a, b in zip(old, new, strict=True))
        for old, new in zip(linked, present, strict=True)
    )
