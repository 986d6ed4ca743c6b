"""scikit-learn's rules of training: when to stop, when to lower the rate, what to record.

They work on the estimator's own attributes, epoch by epoch, as a callback of the ordinary loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from deltarule.equations.params import Array
from deltarule.equations.schedules import Factors, Schedule, Span
from deltarule.estimators.fitted import Descent, Fitted, Member
from deltarule.training.callbacks import Callback, Progress


@dataclass(frozen=True)
class Rates(Schedule):
    """The learning rates of a Descent as the loop asks for them: factors of the rule's own.

    Parameters
    ----------
    descent : Descent
    epochs : int
        Planned in all, for schedules that plan ahead.
    done : int
        Steps of earlier calls, which a schedule counts as well.
    """

    descent: Descent | None = None
    epochs: int = 1
    done: int = 0

    @property
    def _descent(self) -> Descent:
        assert self.descent is not None
        return self.descent

    def init(self) -> dict[str, float]:
        return self._descent.schedule_state

    def factors(self, steps: Factors, span: Span, state: dict[str, float]) -> Factors:
        descent = self._descent
        if (
            type(descent.schedule) is Schedule
        ):  # constant: thousands of small epochs should not wait
            return np.full_like(steps, descent.learning_rate / descent.rule.learning_rate)
        planned = Span(span.steps_per_epoch, self.epochs)
        factors = descent.schedule.factors(steps + self.done, planned, state)
        return np.asarray(factors * (descent.learning_rate / descent.rule.learning_rate))

    def observe(self, loss: float, state: dict[str, float]) -> dict[str, float]:
        descent = self._descent
        descent.schedule_state = descent.schedule.observe(loss, state)
        return descent.schedule_state


def score_name(est: Any) -> str:
    """What the history calls the validation score."""
    if est.scoring is None:
        return "accuracy" if is_classifier(est) else "r2"
    return est.scoring if isinstance(est.scoring, str) else "score"


class Convergence(Callback):
    """Records each epoch in the estimator's attributes and stops when it no longer improves.

    Parameters
    ----------
    est : estimator
        Its n_iter_, loss_, loss_curve_, t_, best_loss_, validation_scores_ and
        best_validation_score_ are kept up to date.
    fitted : Fitted
        Its own record, with the descent.
    objective : (batches,) array
        Where the engine writes the loss of each batch, penalties included.
    rows_per_batch : (batches,) array
    score : callable or None
        () -> float, of the validation rows; None without early stopping.
    """

    def __init__(
        self,
        est: Any,
        fitted: Fitted,
        objective: Array,
        rows_per_batch: Array,
        score: Callable[[], float] | None,
    ) -> None:
        self.est, self.fitted = est, fitted
        assert fitted.descent is not None
        self.descent = fitted.descent
        self.objective, self.rows_per_batch = objective, rows_per_batch
        self.score = score
        self.rows = int(rows_per_batch.sum())

    def on_epoch(self, progress: Progress) -> None:
        est = self.est
        est.n_iter_ += 1
        est.loss_ = float(self.objective @ self.rows_per_batch) / self.rows
        est.t_ += self.rows
        est.loss_curve_.append(est.loss_)
        self.say(f"Iteration {est.n_iter_}, loss = {est.loss_:.8f}")
        if self.score is None:
            self._watch_loss()
        else:
            score = self.score()
            progress.history.metrics.setdefault(score_name(est), []).append(score)
            self.watch_score(score, progress.net.theta)
        self.descent.epoch_ended(est.t_)
        if est._no_improvement_count > est.n_iter_no_change:
            watched = "Training loss" if self.score is None else "Validation score"
            message = (
                f"{watched} did not improve more than tol={est.tol:f} for "
                f"{est.n_iter_no_change:g} consecutive epochs."
            )
            if not self.descent.stops(message, self.say):
                est._no_improvement_count = 0
            else:
                progress.stop("converged" if self.score is None else "early stopping")

    def say(self, text: str) -> None:
        """Print a line if est is verbose, in one piece: networks of an ensemble speak at once."""
        if self.est.verbose:
            member: Member | None = vars(self.est).get("_member")
            print(f"{'' if member is None else member.prefix}{text}\n", end="")

    def _watch_loss(self) -> None:
        est = self.est
        improved = est.loss_ <= est.best_loss_ - est.tol
        est._no_improvement_count = 0 if improved else est._no_improvement_count + 1
        est.best_loss_ = min(est.best_loss_, est.loss_)

    def watch_score(self, score: float, theta: Array) -> None:
        """Take in a validation score; NaN counts as no improvement."""
        est = self.est
        est.validation_scores_.append(score)
        self.say(f"Validation score: {score:f}")
        worse = score < est.best_validation_score_ + est.tol
        est._no_improvement_count = est._no_improvement_count + 1 if worse else 0
        if score > est.best_validation_score_:
            est.best_validation_score_ = score
            self.fitted.best_theta = theta.copy()
