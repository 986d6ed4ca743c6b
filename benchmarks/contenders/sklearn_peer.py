"""scikit-learn's MLPRegressor, as plain SGD: no momentum, no penalty, constant rate."""

from __future__ import annotations

import warnings
from typing import Any

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from benchmarks.cases import Floats, Weights
from benchmarks.contenders.fitted import Fitted

warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is the point here


class _Clocked(MLPRegressor):  # type: ignore[misc]  # no type information in the wheel
    """Tells `owner` of the end of each epoch: this is what scikit-learn calls there."""

    owner: Fitted

    def _update_no_improvement_count(self, *arguments: Any) -> None:
        super()._update_no_improvement_count(*arguments)
        self.owner.epoch_ended()


class Sklearn(Fitted):
    """`fit` with warm_start, from weights that we set."""

    def reset(self) -> None:
        case = self.problem.case
        self.model = _Clocked(
            hidden_layer_sizes=case.sizes[1:-1],
            activation="relu" if case.activation == "relu" else "logistic",
            solver="sgd",
            alpha=0.0,
            batch_size=case.batch,
            learning_rate="constant",
            learning_rate_init=case.learning_rate,
            max_iter=1,
            shuffle=False,
            momentum=0.0,
            nesterovs_momentum=False,
            n_iter_no_change=1_000_000_000,
            tol=0.0,
            warm_start=True,
        )
        self.model.owner = self
        # a first fit on one batch sets everything up; then our weights replace its own
        self.fit(case.batch, 1)
        self.model.coefs_ = [W.copy() for W, _ in self.problem.weights]
        self.model.intercepts_ = [b.copy() for _, b in self.problem.weights]

    def fit(self, rows: int, epochs: int) -> None:
        Y = self.problem.Y[:rows]
        self.model.set_params(max_iter=epochs)
        self.model.fit(self.problem.X[:rows], Y.ravel() if Y.shape[1] == 1 else Y)

    def weights(self) -> Weights:
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return [(W.copy(), b.copy()) for W, b in pairs]

    def to_input(self, X: Floats) -> Any:
        return X

    def infer(self, X: Any) -> Any:
        return self.model.predict(X)
