"""scikit-learn's own callbacks (from its version 1.9 on) and its context of fit methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

# Private to scikit-learn; it validates parameters and, from 1.9 on, tears callbacks down.
from sklearn.base import _fit_context

from deltarule.callbacks import Callback, Progress

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]  # stands in for the missing one
        """Nothing: this scikit-learn has no callbacks."""


CallbackSupport = CallbackSupportMixin
Method = TypeVar("Method", bound=Callable[..., Any])


def fit_context(method: Method) -> Method:
    """Validates the parameters before a fit method and tears callbacks down after it."""
    return _fit_context(prefer_skip_nested_validation=True)(method)  # type: ignore[no-any-return]


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
