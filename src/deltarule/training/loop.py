"""The loop of training: epochs, validation, history, stopping, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from deltarule.engines import Engine, Run, Steps
from deltarule.equations.losses import shares
from deltarule.equations.params import Array
from deltarule.equations.schedules import Schedule, Span
from deltarule.errors import SpecError
from deltarule.network.network import Network
from deltarule.training.callbacks import Callback, Progress, wants_batches
from deltarule.training.checkpoint import CheckpointFile
from deltarule.training.divergence import divergence
from deltarule.training.history import History
from deltarule.training.holdout import HeldOut
from deltarule.training.interrupt import stop_on_ctrl_c
from deltarule.training.metrics import metrics
from deltarule.training.snapshot import Snapshot
from deltarule.training.stopping import BestSoFar


@dataclass
class Loop:
    """Takes a Run through its epochs; `run_all` is the way in.

    Attributes
    ----------
    net : Network
        Whose theta the run changes.
    descend : callable
        Loop -> None: takes it through its epochs, each ended by `end_epoch`.
    order : callable
        epoch (from 0) -> the order of the rows in it, (n,) int64.
    """

    net: Network
    run: Run
    engine: Engine
    epochs: int
    schedule: Schedule
    held: HeldOut | None
    best: BestSoFar | None
    callbacks: list[Callback]
    order: Callable[[int], NDArray[np.int64]]
    show: bool
    descend: Callable[[Loop], None]
    checkpoint: CheckpointFile | None = None
    history: History = field(default_factory=History)

    def __post_init__(self) -> None:
        self.rows = len(self.run.Y)
        self.batches = -(-self.rows // self.run.batch_size)
        self.span = Span(self.batches, self.epochs)
        self.schedule_state = self.schedule.init()
        run = self.run
        each = 1.0 if run.sample_weight is None else float(run.sample_weight.mean())
        self.progress = Progress(
            self.net,
            self.history,
            self.epochs,
            self.batches,
            X=run.X,
            Y=run.Y,
            sample_weight=run.sample_weight,
            l2=run.penalties(run.batch_size * each)[1],
        )
        self.last_good = Snapshot(self.run.theta)

    def run_all(self) -> History:
        """Train until the epochs are done or something asks to stop; see `train`."""
        self._resume()
        with ExitStack() as stack:
            stack.callback(self.last_good.release)
            stack.enter_context(stop_on_ctrl_c(self.run.stop))
            if self.show:
                from deltarule.training.progress_bar import ProgressBar  # rich is slow to import

                bar = ProgressBar(self.epochs, len(self.history))
                self.callbacks = [*self.callbacks, bar]
                stack.enter_context(bar)
            for callback in self.callbacks:
                callback.on_start(self.progress)
            if len(self.history) < self.epochs and self.progress.reason is None:
                self.descend(self)
            self._finish()
        return self.history

    # -- epochs -------------------------------------------------------------------------------

    def rates(self, epoch: int) -> Array:
        """The learning rate of each batch of an epoch, (batches,)."""
        if type(self.schedule) is Schedule:  # constant: millions of tiny steps should not wait
            rate = self.run.optimizer.learning_rate
            return np.full(self.batches, rate, dtype=np.float64)
        numbers = np.arange(epoch * self.batches, (epoch + 1) * self.batches, dtype=np.float64)
        factors = self.schedule.factors(numbers, self.span, self.schedule_state)
        return np.asarray(self.run.optimizer.learning_rate * factors, dtype=np.float64)

    def steps(self, epoch: int, rates: Array) -> Steps:
        """One epoch: in one call of the engine, or batch by batch if a callback looks at them."""
        order = self.order(epoch)
        if not wants_batches(self.callbacks):
            return self.engine.steps(self.run, order, rates, 0, self.batches)
        total = Steps(0.0, 0.0, 0)
        for batch in range(self.batches):
            one = self.engine.steps(self.run, order, rates, batch, batch + 1)
            total.loss_sum += one.loss_sum
            total.weight_sum += one.weight_sum
            total.done += one.done
            if batch == 0:
                total.gradient_norms = one.gradient_norms
            total.bad_batch = one.bad_batch
            if one.bad_batch is not None:
                break
            self.progress.batch = batch + 1
            self.progress.batch_loss = one.loss_sum / one.weight_sum if one.weight_sum else 0.0
            for callback in self.callbacks:
                callback.on_batch(self.progress)
            if self.progress.reason is not None or self.run.stop[0]:
                break
        return total

    def end_epoch(self, loss: float, norms: Array, rate: float, start: float) -> bool:
        """Record a finished epoch; True if training is to stop."""
        history, net = self.history, self.net
        if len(history) + 1 < self.epochs:  # after the last epoch nothing can go wrong any more
            self.last_good.update(net.theta)
        history.loss.append(float(loss))
        history.learning_rate.append(rate)
        history.gradient_norms.append([float(norm) for norm in norms])
        if self.held is not None:
            self._validate(self.held)
        history.seconds.append(time.perf_counter() - start)
        self.progress.epoch = len(history)
        self.schedule_state = self.schedule.observe(float(loss), self.schedule_state)
        for callback in self.callbacks:
            callback.on_epoch(self.progress)
        if self.best is not None:
            value = history.series(self.best.rule.monitor)[-1]
            if self.best.observe(len(history), value, net.theta) and self.progress.reason is None:
                self.progress.stop("early stopping")
        done = self.progress.reason is not None or len(history) == self.epochs
        self._save(now=done or bool(self.run.stop[0]))
        return done or bool(self.run.stop[0])

    def _validate(self, held: HeldOut) -> None:
        net, history = self.net, self.history
        z = self.engine.scores(net.spec, net.theta, held.X)
        share = shares(len(held.Y), held.weight, "mean", np.float64)
        with np.errstate(all="ignore"):
            J = net.loss.value(net.activations[-1], z, held.Y)
            output = net.activations[-1].f(z)
            history.validation_loss.append(float(share @ J.astype(np.float64)))
            measured = metrics(net.loss, output, held.Y, held.weight)
        for name, value in measured.items():
            history.metrics.setdefault(name, []).append(value)

    def _finish(self) -> None:
        if self.run.stop[0]:
            self.history.stopped = "interrupted"
        elif self.progress.reason is not None:
            self.history.stopped = self.progress.reason
        self._restore_best()
        for callback in self.callbacks:
            callback.on_end(self.progress)

    def _restore_best(self) -> None:
        if self.best is not None and self.best.rule.restore_best and self.best.theta is not None:
            self.run.theta[...] = self.best.theta
            self.history.best_epoch = self.best.epoch

    def raise_divergence(self, epoch: int, batch: int, rate: float) -> NoReturn:
        """Give the network its last good parameters back, and say what happened where."""
        done = len(self.history)
        if self.best is not None and self.best.rule.restore_best and self.best.epoch is not None:
            done = self.best.epoch
        kept = f"the end of epoch {done}" if done else "the start"
        error = divergence(self.run, self.history, epoch, batch, rate, kept)
        self.run.theta[...] = self.last_good.values
        self._restore_best()
        raise error

    # -- checkpoints --------------------------------------------------------------------------

    def _save(self, *, now: bool) -> None:
        if self.checkpoint is None:
            return
        arrays = {"theta": self.run.theta}
        arrays |= {f"state.{k}": v for k, v in self.run.state.items() if isinstance(v, np.ndarray)}
        facts: dict[str, Any] = {
            "history": self.history.to_dict(),
            "t": int(self.run.state["t"]),
            "schedule": self.schedule_state,
            "reason": self.progress.reason,
        }
        if self.best is not None and self.best.theta is not None:
            arrays["best"] = self.best.theta
            facts |= {"best_epoch": self.best.epoch, "best_value": self.best.value}
        self.checkpoint.save(facts, arrays, now=now)

    def _resume(self) -> None:
        loaded = self.checkpoint.load() if self.checkpoint is not None else None
        if loaded is None:
            return
        facts, arrays = loaded
        run = self.run
        self.history = self.progress.history = History.from_dict(facts["history"])
        if len(self.history) > self.epochs:
            raise SpecError(
                f"the checkpoint already has {len(self.history)} epochs, more than the "
                f"{self.epochs} asked for"
            )
        self.progress.reason = facts["reason"]
        self.schedule_state = facts["schedule"]
        run.theta[...] = arrays["theta"]
        self.last_good.update(run.theta)
        for name in run.state:
            run.state[name] = facts["t"] if name == "t" else arrays[f"state.{name}"].copy()
        if self.best is not None and "best" in arrays:
            self.best.epoch, self.best.value = facts["best_epoch"], facts["best_value"]
            self.best.theta = arrays["best"].copy()


def descend_by_steps(loop: Loop) -> None:
    """Epochs of steps, as the optimizer takes them."""
    for epoch in range(len(loop.history), loop.epochs):
        start = time.perf_counter()
        loop.progress.epoch, loop.progress.batch = epoch + 1, 0
        rates = loop.rates(epoch)
        steps = loop.steps(epoch, rates)
        if not all_finite(loop.run.theta):
            # no loss told: it was the update of the last batch
            steps.bad_batch = steps.done - 1 if steps.bad_batch is None else steps.bad_batch
        if steps.bad_batch is not None:
            loop.raise_divergence(epoch + 1, steps.bad_batch + 1, float(rates[-1]))
        if steps.done < loop.batches:
            break  # the epoch was cut short: it is not recorded
        loss = steps.loss_sum / steps.weight_sum
        assert steps.gradient_norms is not None  # the stretch began with batch 0
        if loop.end_epoch(loss, steps.gradient_norms, float(rates[-1]), start):
            break


def all_finite(theta: Array) -> bool:
    """Whether no number is NaN or infinite; one pass over them if all is well."""
    with np.errstate(all="ignore"):  # what is found here is not to be warned about
        return bool(np.isfinite(theta.sum()) or np.isfinite(theta).all())
