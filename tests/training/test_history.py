"""History: series, JSON round trip, pickling, its text and its picture."""

from __future__ import annotations

import builtins
import copy
import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deltarule as dr


def trained(epochs: int = 3, **options: Any) -> dr.History:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    net = dr.Network([3, 4, 1], "tanh", rng=0)
    return dr.train(net, X, X.sum(1), epochs=epochs, **options)


def test_every_list_has_an_entry_per_epoch() -> None:
    history = trained(5)
    assert len(history) == 5
    for values in (
        history.loss,
        history.validation_loss,
        history.learning_rate,
        history.gradient_norms,
        history.seconds,
        history.metrics["r2"],
        history.metrics["rmse"],
    ):
        assert len(values) == 5
    assert all(len(norms) == 2 for norms in history.gradient_norms)
    assert all(s >= 0 for s in history.seconds)
    assert all(type(x) is float for x in (*history.loss, *history.gradient_norms[0]))


def test_without_validation_nothing_is_invented() -> None:
    history = trained(validation=None)
    assert history.validation_loss == []
    assert history.metrics == {}


def test_series_by_name() -> None:
    history = trained()
    assert history.series("loss") == history.loss
    assert history.series("validation_loss") == history.validation_loss
    assert history.series("rmse") == history.metrics["rmse"]


def test_json_round_trip_keeps_every_bit() -> None:
    history = trained(early_stopping=2)
    text = json.dumps(history.to_dict(), allow_nan=False)
    assert dr.History.from_dict(json.loads(text)) == history


def test_pickle_and_deepcopy() -> None:
    history = trained()
    assert pickle.loads(pickle.dumps(history)) == history
    twin = copy.deepcopy(history)
    twin.loss.append(1.0)
    assert len(history) == 3


def test_repr_reads_like_a_result() -> None:
    text = repr(trained(early_stopping=5))
    for part in ("3 epochs", "loss", "validation loss", "r2", "best epoch", "stopped: epochs"):
        assert part in text
    assert "no epoch finished" in repr(dr.History())


def test_its_text_has_the_end_some_epochs_and_the_norms() -> None:
    history = trained(100, early_stopping=100)
    first, ended, _, caption, head, *rows = history.to_text().splitlines()
    assert first == "Training"
    assert ended.startswith(f"100 epochs, best {history.best_epoch} (epochs) in ")
    assert caption.endswith("of 100 epochs")
    assert re.split("  +", head)[1:] == ["loss", "validation loss", "r2", "rmse", "learning rate"]
    shown = [row.split() for row in rows[: rows.index("")]]
    assert [shown[0][0], shown[-1][0]] == ["1", "100"]
    assert str(history.best_epoch) in {row[0] for row in shown}
    for epoch, loss, *_ in shown:
        assert loss == f"{history.loss[int(epoch) - 1]:.4g}"
    assert rows[-2].split() == ["1", *(f"{history.gradient_norms[e][0]:.3g}" for e in (0, 50, 99))]


def test_texts_of_odd_histories() -> None:
    assert str(dr.History()) == "Training\n0 epochs (epochs) in 0.00 s"
    one = dr.History([0.5], stopped="interrupted")
    assert str(one) == "Training\n1 epoch (interrupted) in 0.00 s\n\nepoch  loss\n    1   0.5"
    several = dr.History([0.5, float("nan")], [0.25, 1.0])
    assert several.to_text().splitlines()[-1] == "    2   nan                1"
    assert json.loads(several.to_json())["loss"] == [0.5, None]


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_plot_writes_a_picture(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"curve.{ending}"
    figure = trained(early_stopping=2).plot(path)
    start = {"png": b"\x89PNG\r\n", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert path.read_bytes().startswith(start)
    assert [axis.get_title() for axis in figure.axes] == ["loss", "r2", "gradient norm per layer"]


@pytest.mark.parametrize(
    "history",
    [
        dr.History(),
        dr.History([0.5], [], {}, [0.1], [[1.0, 0.0]], [0.1]),
        dr.History([0.5, -0.1], [0.0, float("nan")], {"accuracy": [0.1, 0.2]}, [1, 1], [[0.0]] * 2),
        dr.History([1.0] * 3, gradient_norms=[[1.0] * 100] * 3),
    ],
)
def test_plot_of_odd_histories_draws_without_a_warning(history: dr.History, tmp_path: Path) -> None:
    history.plot(tmp_path / "odd.png")
    assert (tmp_path / "odd.png").stat().st_size > 1000


def test_a_metric_of_some_runs_only_stays_beside_its_epochs() -> None:
    history = trained(2, validation=None)
    history.extend(trained(3))
    history.extend(trained(1, validation=None))
    r2 = history.metrics["r2"]
    assert np.isnan(r2).tolist() == [True, True, False, False, False, True]
    assert len(history.metrics["rmse"]) == len(history) == 6
    history.plot()


def test_epochs_are_counted_in_whole_numbers() -> None:
    for axis in trained(3).plot().axes:
        assert all(tick == round(tick) for tick in axis.get_xticks())


def test_plot_of_one_epoch_shows_its_point() -> None:
    line = trained(1).plot().axes[0].lines[0]
    assert line.get_marker() == "o"


def test_plot_into_a_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(dr.OutputError, match="does not exist"):
        trained(1).plot(tmp_path / "no" / "curve.png")


def test_plot_without_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    true_import = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return true_import(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(dr.DeltaruleError, match=r"pip install 'deltarule\[plot\]'"):
        dr.History().plot()
