"""`tune`: search the space of trainings for a table, and hand back the best model."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from deltarule import options
from deltarule._version import __version__
from deltarule.errors import DeltaruleError, DivergenceError, SpecError
from deltarule.tabular.model import TableModel
from deltarule.tuning.fitting import Cut, Deadline, require_trainable
from deltarule.tuning.problem import Problem, TaskName
from deltarule.tuning.progress import TuningProgress
from deltarule.tuning.result import Tuning
from deltarule.tuning.search import get_shares, next_job
from deltarule.tuning.space import Configurations, Parameters, Space
from deltarule.tuning.study import FORMAT, VERSION, Job, Study, Trial, table_digest

_TRIALS = 20


def tune(
    data: Any,
    target: str,
    *,
    trials: int | None = None,
    time_budget: float | None = None,
    search: Literal["random", "halving"] = "random",
    folds: int | None = None,
    scoring: Any = None,
    task: TaskName = "auto",
    test: float = 0.2,
    validation: float = 0.1,
    epochs: int | None = None,
    seed: int = 0,
    space: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    study: str | Path | None = None,
    progress: bool = False,
) -> Tuning:
    """Find good hyperparameters for a table, and train the model with them.

    Every trial trains as `train_table` does, with other parameters; trial 1 has its defaults, so
    the result is never worse than they are on the validation score. Test rows are looked at once,
    when the search is over.

    Parameters
    ----------
    data : path of a CSV or Parquet file, name of a data set, or DataFrame
    target : str
        The column to predict.
    trials : int >= 1, optional
        How many sets of parameters are tried, with those of earlier runs of the same study; 20,
        or as many as the time allows if a time budget is given.
    time_budget : float > 0, optional
        Seconds from the call to the return, reading the table and testing included, kept to one
        epoch. A trial that it cuts is not counted.
    search : "random" (default) or "halving"
        Random search trains each trial in full. Successive halving trains each for a ninth of
        the epochs, the best third of them for a third, the best third of these in full.
    folds : int >= 1, optional
        1: a trial is scored on the validation rows of `train_table`. More: by the mean over so
        many folds of all rows but the test rows. By default 5, but 1 if there are 1,000 validation
        rows or more.
    scoring : str or callable, optional
        What is maximised: a name that scikit-learn knows, or its kind of function. By default
        "accuracy" for classes, "r2" for quantities. Equal scores are told apart by the loss.
    task, test, validation, seed : as for `train_table`
    epochs : int >= 1, optional
        At most so many in a full training; by default as `train_table`.
    space : dict of lists or distributions, or a list of such dicts, optional
        What is searched instead of `default_space()`, by the names of `train_table`'s options;
        what it does not name stays at its default.
    study : path, optional
        Record every finished trial there, and go on with those that stand there.
    progress : bool, default False
        Show a line per trial and a bar on stderr.

    Returns
    -------
    Tuning

    Raises
    ------
    DataError
        Bad tables, as `train_table`; a study file that is none.
    SpecError
        Options that do not exist or fit; a study of other data or settings (says what differs).
    OutputError
        The study cannot be written.
    DivergenceError
        No trial could be trained.
    DeltaruleError
        The time budget ended before the first trial did.
    KeyboardInterrupt
        Ctrl-C before the first trial ended. Later it ends the search, and the best so far counts.
    """
    start = time.monotonic()
    if trials is not None:
        options.count(None, trials=trials)
    if time_budget is not None:
        options.positive(None, time_budget=time_budget)
    last = trials or (_TRIALS if time_budget is None else math.inf)
    get_shares(search)
    checked = Space(space)
    if space is not None:
        require_trainable(checked)
    problem = Problem(
        data,
        target,
        task=task,
        test=test,
        validation=validation,
        folds=folds,
        scoring=scoring,
        epochs=epochs,
        seed=seed,
    )
    header = {
        "format": FORMAT,
        "version": VERSION,
        "deltarule": __version__,
        "data": table_digest(problem.frame),
        "target": target,
        "task": problem.target.task,
        "search": search,
        "scoring": problem.scorer.name,
        "folds": len(problem.folds),
        "test": test,
        "validation": validation,
        "epochs": epochs,
        "seed": seed,
        "space": checked.describe(),
    }
    budget = math.inf if time_budget is None else float(time_budget)
    with Study(None if study is None else Path(study), header) as record:
        run = _Search(problem, record, search, Configurations(checked, seed), start + budget)
        with TuningProgress(problem.scorer.name, last, budget, show=progress) as shown:
            stopped = run.go(last, shown)
        best, model = run.settle()
        plain = run.model_of_defaults()
    return Tuning(
        model=model,
        trials=record.trials,
        best=best,
        default=run.default,
        scores=problem.scores(model),
        default_scores={} if plain is None else problem.scores(plain),
        split=problem.split,
        search=search,
        scoring=problem.scorer.name,
        folds=len(problem.folds),
        stopped=stopped,
        resumed=run.resumed,
        notes=problem.notes + run.notes,
        seconds=time.monotonic() - start,
    )


class _Search:
    """The loop over trials; it keeps the models of the best trial and of the defaults."""

    def __init__(
        self,
        problem: Problem,
        study: Study,
        search: str,
        configurations: Configurations,
        deadline: float,
    ) -> None:
        self._problem, self._study, self._deadline = problem, study, deadline
        self._search, self._shares = search, get_shares(search)
        self._configurations = configurations
        self._models: dict[Job, TableModel] = {}
        self.notes = list(study.notes)
        self.resumed = len(study.trials)
        for trial in study.trials:
            if configurations.get(trial.number) != trial.parameters:
                raise SpecError(
                    f"the study {study.path}: trial {trial.number} has other parameters than are "
                    "drawn here: it was changed, or made by another version; start a new one"
                )

    @property
    def default(self) -> Trial | None:
        """Trial 1; None if it has not ended or failed."""
        trial = self._study.record.get(Job(1, len(self._shares) - 1))
        return None if trial is None or trial.failed else trial

    def go(self, last: float, shown: TuningProgress) -> str:
        """Run trials until they, the time or the user's patience end: says which.

        Raises DeltaruleError or KeyboardInterrupt if that is before the first trial ended.
        """
        if self.resumed:
            shown.say(f"going on after {self.resumed} finished trainings of {self._study.path}")
        try:
            while (job := next_job(self._search, self._study.record, last)) is not None:
                parameters = self._configurations.get(job.number)
                if parameters is None:
                    return "space exhausted"
                shown.begin(job.number)
                self._run(job, parameters, shown)
            return "trials"
        except (Cut, KeyboardInterrupt) as error:
            cut = error if isinstance(error, Cut) else Cut("interrupted", "")
        if self._study.trials:
            return cut.reason
        if cut.reason == "interrupted":
            raise KeyboardInterrupt
        raise DeltaruleError(
            "the time budget ended before the first trial, the defaults, did "
            f"({cut.where}): give more, or fewer epochs or folds"
        )

    def _run(self, job: Job, parameters: Parameters, shown: TuningProgress) -> None:
        """One trial, recorded and shown. Raises Cut if it was ended before its time."""
        callbacks = [Deadline(self._deadline - self._owed()), shown]
        share = self._shares[job.rung]
        trial, fits = self._problem.evaluate(job, parameters, share, callbacks)
        self._study.add(trial)
        best = max(self._study.trials, key=lambda trial: trial.rank)
        shown.end(trial, best=trial is best and trial.failed is None)
        if self._problem.is_split_once and not trial.failed:
            self._models[trial.job] = fits[0].model
            wanted = {one.job for one in (best, self.default) if one is not None}
            self._models = {at: model for at, model in self._models.items() if at in wanted}

    def settle(self) -> tuple[Trial, TableModel]:
        """The best trial and its model.

        A trial that was good on every fold may still diverge on the training rows of the split:
        then the next best is taken, and a note says so. Raises DivergenceError if none is left.
        """
        for trial in sorted(self._study.trials, key=lambda trial: trial.rank, reverse=True):
            try:
                if trial.failed is None:
                    return trial, self._model(trial)
            except DivergenceError as error:
                self.notes.append(f"trial {trial.number} was the best, but diverged: {error}")
        first = self._study.trials[0]
        raise DivergenceError(f"no trial could be trained; trial {first.number}: {first.failed}")

    def model_of_defaults(self) -> TableModel | None:
        """The model that trial 1 gives; None if it diverges."""
        try:
            return self._model(self.default) if self.default is not None else None
        except DivergenceError:
            return None

    def _model(self, trial: Trial) -> TableModel:
        """The model of a trial, trained again (to the same bits) if it is not at hand.

        Raises KeyboardInterrupt if Ctrl-C ends that training.
        """
        if trial.job not in self._models:
            try:
                self._models[trial.job] = self._problem.final(trial).model
            except Cut:
                raise KeyboardInterrupt from None
        return self._models[trial.job]

    def _owed(self) -> float:
        """The seconds that trainings after the search will take."""
        best = max(self._study.trials, key=lambda trial: trial.rank, default=None)
        wanted = {trial.job: trial for trial in (best, self.default) if trial is not None}
        owed = [trial.seconds for job, trial in wanted.items() if job not in self._models]
        return math.fsum(owed) / len(self._problem.folds)
