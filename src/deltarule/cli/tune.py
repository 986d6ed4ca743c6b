"""The commands of model selection: `deltarule tune` and `deltarule learning-curve`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deltarule.cli.app import Data, Json, Quiet, Task, app, numbers, require_apart, require_picture
from deltarule.cli.output import fail, note, out, printing, reported, show_document, show_json

Target = Annotated[str, typer.Option(help="The column to predict.")]
Scoring = Annotated[
    str | None,
    typer.Option(
        help="What counts, by its name in scikit-learn: accuracy, r2, neg_log_loss, roc_auc, ... "
        "(accuracy for classes, r2 for quantities)."
    ),
]
Seed = Annotated[int, typer.Option(help="Of splits, weights, orders and draws.")]


class Search(StrEnum):
    """How the trials share the epochs."""

    random = "random"
    halving = "halving"


@app.command(
    epilog="Examples:\n\n"
    "  [bold]deltarule tune houses.csv --target price --time-budget 60[/bold]\n\n"
    "  [bold]deltarule tune iris --target target --trials 50 --study iris.jsonl[/bold]"
)
def tune(
    data: Data,
    target: Target,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write the best model.")
    ] = Path("model.safetensors"),
    trials: Annotated[
        int | None,
        typer.Option(help="So many sets of parameters (20, or as many as the time allows)."),
    ] = None,
    time_budget: Annotated[
        float | None, typer.Option(help="Seconds, kept to one epoch of training.")
    ] = None,
    search: Annotated[
        Search, typer.Option(help="Every trial in full, or the best ones longer.")
    ] = Search.random,
    folds: Annotated[
        int | None,
        typer.Option(
            help="Score on so many folds, or with 1 on the validation rows (5, but 1 if these are "
            "1,000 or more)."
        ),
    ] = None,
    scoring: Scoring = None,
    study: Annotated[
        Path | None, typer.Option(help="Record the trials there, and go on with those in it.")
    ] = None,
    task: Annotated[Task, typer.Option(help="Classes or quantities.")] = Task.auto,
    epochs: Annotated[
        int | None, typer.Option(help="Of a full training, at most (200, more on small tables).")
    ] = None,
    validation: Annotated[
        float, typer.Option(help="Share of rows that stops trainings and scores trials.")
    ] = 0.1,
    test: Annotated[float, typer.Option(help="Share of rows kept for the final test.")] = 0.2,
    seed: Seed = 0,
    plot: Annotated[
        Path | None, typer.Option(help="Write a picture of the search there (PNG, SVG or PDF).")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Search for good hyperparameters, and write the best model; it is tested once, at the end."""
    with reported():
        from deltarule.tuning import tune as run

        require_apart({"--output": output, "--plot": plot, "--study": study}, {"the table": data})
        if plot is not None:
            require_picture("--plot", plot)
        try:
            done = run(
                data,
                target,
                trials=trials,
                time_budget=time_budget,
                search=search.value,
                folds=folds,
                scoring=scoring,
                task=task.value,
                test=test,
                validation=validation,
                epochs=epochs,
                seed=seed,
                study=study,
                progress=not (quiet or as_json),
            )
        except KeyboardInterrupt:
            kept = "" if study is None else f"; the trials that ended stand in {study}"
            fail(f"interrupted before there was a best model: none was written{kept}")
        for text in done.notes:
            note(text)
        done.model.save(output)
        if done.stopped == "interrupted":
            note(f"interrupted: {output} holds the best model so far")
        if plot is not None:
            done.plot(plot)
    written = {"model": output, "study": study, "plot": plot}
    if as_json:
        show_json({name: path and str(path) for name, path in written.items()} | done.to_dict())
        return
    with printing():
        show_document(done.document())
        out.print()
        for name, path in written.items():
            if path is not None:
                out.print(f"{name:<6} {path}", soft_wrap=True)


@app.command(
    epilog="Example: [bold]deltarule learning-curve houses.csv --target price -o curve.png[/bold]"
)
def learning_curve(
    data: Data,
    target: Target,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write a picture there (PNG, SVG or PDF)."),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(
            help="Numbers of rows, or shares with a point: 100,1000 or 0.1,0.5,1.0 (all, a half, "
            "a quarter, ... of what a fold leaves)."
        ),
    ] = None,
    folds: Annotated[int, typer.Option(help="How often each size is trained.")] = 10,
    scoring: Scoring = None,
    task: Annotated[Task, typer.Option(help="Classes or quantities.")] = Task.auto,
    hidden: Annotated[str, typer.Option(help="Units of the hidden layers; '' for none.")] = "64,64",
    epochs: Annotated[int | None, typer.Option(help="At most (200, more on small tables).")] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Score a network on growing numbers of rows: would more rows help?"""
    with reported():
        from deltarule.tuning import learning_curve as run

        require_apart({"--output": output}, {"the table": data})
        if output is not None:
            require_picture("--output", output)
        try:
            done = run(
                data,
                target,
                sizes=None if sizes is None else _sizes(sizes),
                folds=folds,
                scoring=scoring,
                task=task.value,
                epochs=epochs,
                seed=seed,
                progress=not (quiet or as_json),
                hidden=numbers("--hidden", hidden, int),
            )
        except KeyboardInterrupt:
            fail("interrupted before the first size was finished: nothing was written")
        for text in done.notes:
            note(text)
        if done.stopped == "interrupted":
            note("interrupted: the sizes that were finished are shown")
        if output is not None:
            done.plot(output)
    if as_json:
        show_json({"plot": output and str(output)} | done.to_dict())
        return
    with printing():
        show_document(done.document())
        if output is not None:
            out.print(f"\npicture {output}", soft_wrap=True)


def _sizes(text: str) -> list[float]:
    try:
        return [float(part) if "." in part else int(part) for part in text.split(",")]
    except ValueError:
        fail(f"--sizes {text!r}: numbers separated by commas are needed, such as 100,1000")
