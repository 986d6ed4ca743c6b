"""scikit-learn's own callbacks (from its version 1.9 on) and its context of fit methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

# Private to scikit-learn; it validates parameters and, from 1.9 on, tears callbacks down.
from sklearn.base import _fit_context

from deltarule.training.callbacks import Callback, Progress

__all__ = ["CallbackSupportMixin", "Epochs", "epochs_for", "fit_context"]

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]  # stands in for the missing one
        """Nothing: this scikit-learn has no callbacks."""


Method = TypeVar("Method", bound=Callable[..., Any])


def fit_context(method: Method) -> Method:
    """Validates the parameters before a fit method and tears callbacks down after it."""
    return _fit_context(prefer_skip_nested_validation=True)(method)  # type: ignore[no-any-return]  # untyped


class Epochs(Callback):
    """Tells scikit-learn's callbacks of each epoch, as a subtask of the fit.

    Parameters
    ----------
    est : estimator being fitted
    data : dict
        X, y and metadata as they came to fit.
    fitted : callable
        () -> dict of the attributes that make a copy of the estimator ready to predict.
    """

    def __init__(
        self, est: Any, data: dict[str, Any], fitted: Callable[[], dict[str, Any]]
    ) -> None:
        self.est, self.data, self.fitted = est, data, fitted
        self.task: Any = None
        self.epoch: Any = None

    def on_start(self, progress: Progress) -> None:
        self.task = self.est._init_callback_context(max_subtasks=progress.epochs)
        self.task.call_on_fit_task_begin(estimator=self.est, **self.data)
        self._begin(progress)

    def _begin(self, progress: Progress) -> None:
        self.epoch = self.task.subcontext(task_name=f"epoch {progress.epoch + 1}")
        self.epoch.call_on_fit_task_begin(estimator=self.est, **self.data)

    def _end(self, context: Any) -> bool:
        return bool(
            context.call_on_fit_task_end(
                estimator=self.est, **self.data, reconstruction_attributes=self.fitted
            )
        )

    def on_epoch(self, progress: Progress) -> None:
        if self._end(self.epoch):
            progress.stop("callback")
        if progress.reason is None and progress.epoch < progress.epochs:
            self._begin(progress)

    def on_end(self, progress: Progress) -> None:
        self._end(self.task)


def epochs_for(
    est: Any, data: dict[str, Any], fitted: Callable[[], dict[str, Any]]
) -> list[Callback]:
    """An `Epochs` if scikit-learn has callbacks for this estimator."""
    return [Epochs(est, data, fitted)] if getattr(est, "_skl_callbacks", None) else []


def told(X: Any, y: Any, weight: Any) -> dict[str, Any]:
    """What callbacks hear of the data of a fit."""
    return {"X": X, "y": y, "metadata": {} if weight is None else {"sample_weight": weight}}


def tell_networks(
    est: Any, data: dict[str, Any], results: Iterable[Any], finish: Callable[[], None]
) -> None:
    """Wait for the n_ensemble `results`, then `finish()`, while callbacks hear of it.

    Each network is a subtask of the fit. Its epochs pass unheard: networks train side by side,
    and a callback may be in one place only.
    """
    if not getattr(est, "_skl_callbacks", None):
        list(results)
        finish()
        return
    task = est._init_callback_context(max_subtasks=est.n_ensemble)
    task.call_on_fit_task_begin(estimator=est, **data)
    waiting = iter(results)
    for k in range(est.n_ensemble):
        network = task.subcontext(task_name=f"network {k + 1}")
        network.call_on_fit_task_begin(estimator=est, **data)
        next(waiting)
        network.call_on_fit_task_end(estimator=est, **data)
    finish()
    task.call_on_fit_task_end(estimator=est, **data, reconstruction_attributes={})
