"""Training: what the user asks for becomes a `Run`, which a `Loop` takes through its epochs.

SPEC C1 (three phases), C11 (batch, stochastic and mini-batch descent as one choice), C15, D6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule import options
from deltarule.engines import Run, get_engine
from deltarule.equations.optimizers import LBFGS, Optimizer, get_optimizer
from deltarule.equations.schedules import Schedule, get_schedule
from deltarule.errors import DataError, SpecError
from deltarule.network.data import check_inputs, check_sample_weight, check_targets
from deltarule.network.network import Network, require_network
from deltarule.training.callbacks import Callback, Progress, as_callbacks
from deltarule.training.checkpoint import Checkpoint, CheckpointFile, digest, get_checkpoint
from deltarule.training.history import History
from deltarule.training.holdout import hold_out
from deltarule.training.lbfgs import descent_of
from deltarule.training.loop import Loop
from deltarule.training.metrics import metric_names
from deltarule.training.stopping import BestSoFar, EarlyStopping, get_early_stopping
from deltarule.training.streams import entropy, stream

_DEFAULT_BATCH = 32


def train(
    net: Network,
    X: Any,
    Y: Any,
    *,
    epochs: int,
    batch_size: int | str = _DEFAULT_BATCH,
    optimizer: str | Optimizer = "adam",
    learning_rate: float | None = None,
    schedule: str | Schedule | Callable[[int], float] | None = None,
    l2: float = 0.0,
    l1: float = 0.0,
    dropout: float | Sequence[float] = 0.0,
    clip_norm: float | None = None,
    validation: float | tuple[Any, ...] | None = 0.1,
    early_stopping: EarlyStopping | bool | int | None = None,
    sample_weight: Any = None,
    shuffle: bool = True,
    engine: str = "auto",
    callbacks: Sequence[Callback | Callable[[Progress], Any]] = (),
    rng: Any = 0,
    progress: bool = False,
    checkpoint: str | Path | Checkpoint | None = None,
) -> History:
    """Train `net` in place and return what happened, epoch by epoch.

    What is minimised is C + l1 sum |W| + l2/2 sum W^2, C the (weighted) mean of the loss over the
    rows of a batch, the sums over all weights but not the biases.

    Parameters
    ----------
    X : (n, n_0) array, DataFrame or sparse matrix
    Y : (n, n_L), or (n,) for one output; for crossentropy also labels (n,), or one column for each
        group of outputs
    epochs : int >= 1
        Passes over the training rows; for L-BFGS the number of iterations.
    batch_size : int or "full", default 32
        1 is stochastic, "full" batch gradient descent. L-BFGS always takes the full batch.
    optimizer : str or Optimizer, default "adam"
        "sgd", "adagrad", "rmsprop", "adam", "adamw", "lbfgs", or dr.SGD(0.1, momentum=0.9), ...
    learning_rate : float, optional
        Instead of the optimizer's own.
    schedule : str, Schedule or function of the epoch (from 0), optional
        "constant", "step", "invscaling", "adaptive", "cosine", "one_cycle", "warmup".
    l2, l1 : float >= 0, default 0
    dropout : float in [0, 1), or one for each of a_0..a_{L-1}; default 0
        The share of units left out in a step; one number means hidden layers only.
    clip_norm : float > 0, optional
        Largest norm of the gradient of a step.
    validation : share of rows in (0, 1), tuple (X, Y) or (X, Y, sample_weight), or None
        Default 0.1: held out at random, class by class if Y holds classes.
    early_stopping : None, True, patience in epochs, or EarlyStopping
    sample_weight : (n,), optional
    shuffle : bool, default True
        A new order of the rows in every epoch.
    engine : "auto" (default) or the name of one
    callbacks : Callback objects, or functions of the Progress called after each epoch
    rng : None, int, SeedSequence or Generator, default 0
        Of the split, the orders and dropout. The same int gives the same bits.
    progress : bool, default False
        Show a progress bar on stderr.
    checkpoint : directory or Checkpoint, optional
        Save there and, if a save of this very run is there, resume from it.

    Returns
    -------
    History

    Raises
    ------
    DataError
        Bad X, Y or weights: says row and column.
    SpecError
        Options that do not fit together or do not exist.
    DivergenceError
        The loss is not finite; the network keeps its last good parameters.
    """
    require_network(net)
    seed = entropy(rng)
    rule = get_optimizer(optimizer, learning_rate)
    plan = get_schedule(schedule)
    options.count(None, epochs=epochs)
    options.not_negative(None, l1=l1, l2=l2)
    if clip_norm is not None:
        options.positive(None, clip_norm=clip_norm)
    X = check_inputs(X, net.sizes[0], net.dtype)
    Y = check_targets(net.loss, Y, X.shape[0], net.sizes[-1], net.dtype)
    weight = check_sample_weight(sample_weight, len(Y), net.dtype)
    rows, held = hold_out(net, X, Y, weight, validation, seed)
    known = ["loss", *(["validation_loss", *metric_names(net.loss)] if held else [])]
    stopping = get_early_stopping(early_stopping, held is not None, known)
    if rows is not None:
        X, Y = X[rows], Y[rows]
        weight = None if weight is None else weight[rows]
        if weight is not None and not weight.any():
            raise DataError("sample_weight is 0 for every row left for training")
    run = Run(
        spec=net.spec,
        theta=net.theta,
        X=X,
        Y=Y,
        sample_weight=weight,
        batch_size=_batch_size(batch_size, len(Y), rule),
        optimizer=rule,
        state={} if isinstance(rule, LBFGS) else rule.init(net.theta),
        l1=float(l1),
        l2=float(l2),
        dropout=dropout_rates(dropout, len(net.sizes) - 1),
        clip_norm=None if clip_norm is None else float(clip_norm),
        seed=int(stream(seed, 2).generate_state(1, np.uint64)[0]),
    )
    require_plain_lbfgs(run, plan, checkpoint)

    loop = Loop(
        net=net,
        run=run,
        engine=get_engine(engine, net.spec),
        epochs=int(epochs),
        schedule=plan,
        held=held,
        best=BestSoFar(stopping) if stopping else None,
        callbacks=as_callbacks(callbacks),
        order=_orders(len(Y), seed, shuffle),
        show=progress,
        descend=descent_of(rule),
    )
    where = get_checkpoint(checkpoint)
    if where is not None:
        if rng is None or isinstance(rng, np.random.Generator):
            raise SpecError("a checkpoint needs a fixed rng, such as rng=0, to go on as it began")
        loop.checkpoint = CheckpointFile(where, _identity(loop, stopping, shuffle, seed))
    return loop.run_all()


def _orders(n: int, seed: int, shuffle: bool) -> Callable[[int], NDArray[np.int64]]:
    """epoch (from 0) -> the order of the rows in it."""
    if not shuffle:
        in_order = np.arange(n, dtype=np.int64)
        return lambda epoch: in_order
    return lambda epoch: np.random.default_rng(stream(seed, 1, epoch)).permutation(n)


def _batch_size(given: int | str, n: int, rule: Optimizer) -> int:
    if isinstance(rule, LBFGS):
        if given not in ("full", _DEFAULT_BATCH, n):
            raise SpecError(f"lbfgs works on the full batch: batch_size={given!r} cannot be kept")
        return n
    if given == "full":
        return n
    if isinstance(given, str):
        raise SpecError(f'batch_size must be a whole number >= 1 or "full", got {given!r}')
    options.count(None, batch_size=given)
    return min(int(given), n)


def dropout_rates(given: float | Sequence[float], L: int) -> tuple[float, ...]:
    """The rate of each of a_0..a_{L-1}, from one number (hidden layers only) or L of them.

    Raises SpecError for a rate outside [0, 1) or a wrong number of them.
    """
    if not isinstance(given, Sequence | np.ndarray):
        options.fraction(None, dropout=given)
        if given and L == 1:
            raise SpecError(
                "dropout as one number is of hidden layers, and there is none; to drop inputs give "
                f"a list: dropout=[{given!r}]"
            )
        return (0.0, *[float(given)] * (L - 1))
    rates = list(given)
    if len(rates) != L:
        raise SpecError(
            f"dropout has {len(rates)} rates, but {L} layers have inputs (a_0..a_{L - 1})"
        )
    options.fraction(None, **{f"dropout of a_{l}": rate for l, rate in enumerate(rates)})
    return tuple(float(rate) for rate in rates)


def require_plain_lbfgs(run: Run, plan: Schedule, checkpoint: object) -> None:
    """Raise SpecError for anything that L-BFGS cannot keep to."""
    if not isinstance(run.optimizer, LBFGS):
        return
    for name, used in (
        ("dropout", any(run.dropout)),
        ("clip_norm", run.clip_norm is not None),
        ("schedule", plan != Schedule()),
        ("checkpoint (SciPy does not show its state)", checkpoint is not None),
    ):
        if used:
            raise SpecError(f"lbfgs searches along lines of one fixed loss: no {name} with it")


def _identity(
    loop: Loop, stopping: EarlyStopping | None, shuffle: bool, seed: int
) -> dict[str, Any]:
    """What must be the same for a checkpoint to be of this run."""
    run, net = loop.run, loop.net
    held = loop.held
    identity: dict[str, Any] = {
        "network": [net.sizes, [f.name for f in net.activations], net.loss.name, str(net.dtype)],
        "bias": net.bias,
        "starting parameters": digest(net.theta),
        "data": digest(run.X, run.Y, run.sample_weight),
        "validation": digest(*([held.X, held.Y, held.weight] if held else [])),
        "engine": loop.engine.name,
        "batch_size": run.batch_size,
        "optimizer": {"name": run.optimizer.name} | run.optimizer.settings(),
        "schedule": loop.schedule.settings(),
        "penalties": [run.l1, run.l2],
        "dropout": list(run.dropout),
        "clip_norm": run.clip_norm,
        "early_stopping": None if stopping is None else vars(stopping),
        "shuffle": shuffle,
        "rng": seed,
    }
    if loop.schedule.plans_ahead:
        identity["epochs"] = loop.epochs
    return identity
