"""The search space: what trials are drawn from it, in which order, and what it refuses."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.model_selection import ParameterSampler

import deltarule as dr
from deltarule.tabular.training import train_table
from deltarule.training.plan import train
from deltarule.tuning import default_space, tune
from deltarule.tuning.fitting import require_trainable
from deltarule.tuning.space import (
    DEFAULTS,
    Configurations,
    Space,
    complete,
    describe,
    train_options,
)
from support.tables_to_tune import of


def drawn(space: Any, seed: int, count: int) -> list[Any]:
    configurations = Configurations(Space(space), seed)
    return [configurations.get(number) for number in range(1, count + 1)]


def test_the_first_trial_has_the_defaults_of_train_table() -> None:
    table = inspect.signature(train_table).parameters
    plain = inspect.signature(train).parameters
    for name in ("hidden", "activation", "l2"):
        assert DEFAULTS[name] == (
            list(table[name].default) if name == "hidden" else table[name].default
        )
    for name in ("batch_size", "dropout", "optimizer"):
        assert DEFAULTS[name] == plain[name].default
    assert DEFAULTS["learning_rate"] == dr.Adam().learning_rate
    assert drawn(None, 0, 1) == drawn(None, 1, 1) == [DEFAULTS]


def test_trials_depend_on_seed_and_number_alone() -> None:
    for seed in (0, 1, 2**40):
        together = drawn(None, seed, 40)
        lonely = Configurations(Space(), seed)
        assert lonely.get(17) == together[16]
        assert lonely.get(3) == together[2]
        assert drawn(None, seed, 9) == together[:9]
    assert drawn(None, 0, 20)[1:] != drawn(None, 1, 20)[1:]


def test_draws_are_those_of_scikit_learn() -> None:
    space = {"l2": stats.loguniform(1e-6, 1e-2), "dropout": stats.uniform(0, 0.5)}
    stream = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(5)))
    expected = list(ParameterSampler(space, 8, random_state=stream))
    for mine, theirs in zip(drawn(space, 5, 9)[1:], expected, strict=True):
        assert mine == DEFAULTS | {name: float(f"{value:.3g}") for name, value in theirs.items()}


def test_draws_of_the_default_space_lie_in_it_and_can_be_stored() -> None:
    found = drawn(None, 3, 200)
    assert json.loads(json.dumps(found)) == found
    keys = [json.dumps(one, sort_keys=True) for one in found]
    assert len(set(keys)) == len(keys)
    for one in found[1:]:
        part = next(p for p in default_space() if p["optimizer"] == [one["optimizer"]])
        assert set(one) == set(part)
        for name, values in part.items():
            if hasattr(values, "rvs"):
                low, high = values.support()
                assert low <= one[name] <= high
                assert one[name] == float(f"{one[name]:.3g}")
            else:
                assert one[name] in values
    share = np.mean([one["optimizer"] == "adam" for one in found[1:]])
    assert 0.4 < share < 0.6


def test_what_is_drawn_trains() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)).astype(np.float32)
    for one in drawn(None, 11, 25):
        net = dr.Network([3, *one["hidden"][:2], 1], one["activation"], dtype="float32", rng=0)
        history = dr.train(net, X, X[:, 0], epochs=1, rng=0, **train_options(one))
        assert np.isfinite(history.loss[0])


def test_options_of_optimizers() -> None:
    sgd = train_options(complete({"optimizer": "sgd", "learning_rate": 0.02, "momentum": 0.9}))
    assert sgd["optimizer"] == dr.SGD(0.02, momentum=0.9, nesterov=True)
    plain = train_options(complete({"optimizer": "sgd"}))
    assert plain["optimizer"] == dr.SGD()
    given = train_options(complete({"optimizer": dr.SGD(0.3)}))
    assert given["optimizer"] == dr.SGD(0.3)
    with pytest.raises(dr.SpecError, match="unknown optimizer 'adma'"):
        complete({"optimizer": "adma"})
    adamw = train_options(complete({"optimizer": "adamw", "weight_decay": 0.3}))
    assert adamw["optimizer"] == dr.AdamW(0.001, weight_decay=0.3)
    assert train_options(DEFAULTS) == {
        "optimizer": dr.Adam(0.001),
        "schedule": "constant",
        "batch_size": 32,
        "l2": 1e-3,
        "dropout": 0.0,
    }
    with pytest.raises(dr.SpecError, match="adam has no momentum: give the space a dict"):
        train_options(complete({"momentum": 0.9}))


def test_a_small_space_ends() -> None:
    space = {"hidden": [[4], [8]], "l2": [0.0, 0.001], "optimizer": "adam"}
    found = drawn(space, 0, 6)
    assert found[5] is None
    assert sorted((one["hidden"], one["l2"]) for one in found[1:5]) == [
        *(([4], 0.0), ([4], 0.001), ([8], 0.0), ([8], 0.001)),
    ]
    assert drawn({"l2": 0.001}, 0, 2) == [DEFAULTS, None]


def test_numpy_values_become_plain() -> None:
    one = drawn({"batch_size": np.array([8]), "hidden": [(np.int64(4), 2)]}, 0, 2)[1]
    assert (one["batch_size"], one["hidden"]) == (8, [4, 2])
    assert json.loads(json.dumps(one)) == one


def test_spaces_are_told_apart() -> None:
    def described(given: Any) -> str:
        return json.dumps(Space(given).describe())

    assert described(None) == described(default_space())
    assert '"loguniform(0.0005, 0.01)"' in described(None)
    many = [
        {"l2": [0.1]},
        {"l2": [0.1, 0.2]},
        {"l1": [0.1]},
        {"l2": stats.loguniform(1e-6, 1e-2)},
        {"l2": stats.loguniform(1e-6, 1e-3)},
        {"l2": stats.uniform(loc=0, scale=0.1)},
        [{"l2": [0.1]}, {"l2": [0.1]}],
    ]
    assert len({described(one) for one in many}) == len(many)


def test_the_line_of_a_trial() -> None:
    assert describe(DEFAULTS) == "64-64 relu, adam 0.001 constant, batch 32, l2 0.001"
    other = {
        "optimizer": "sgd",
        "momentum": 0.95,
        "hidden": [],
        "l2": 0,
        "dropout": 0.25,
        "l1": 1e-5,
    }
    assert describe(complete(other)) == (
        "no hidden layer relu, sgd 0.01 momentum 0.95 constant, batch 32, l1 1e-05, dropout 0.25"
    )
    layers = {"hidden": [4, 3], "activation": ["relu", "tanh", "softmax"], "dropout": [0, 0.1, 0.2]}
    assert describe(complete(layers | {"l2": 0})) == (
        "4-3 relu-tanh-softmax, adam 0.001 constant, batch 32, dropout 0-0.1-0.2"
    )


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            {"learningrate": [1]},
            "unknown hyperparameter 'learningrate'. Did you mean 'learning_rate'",
        ),
        ({"l2": []}, "'l2' has no values"),
        ({"hidden": [64, 64]}, r"'hidden' must be a list of lists .*, got \[64, 64\]"),
        ({"schedule": [dr.Cosine()]}, r"'schedule' must hold names, numbers .*, got \[Cosine"),
        ({"l2": [float("nan")]}, "'l2' must hold names, numbers or lists"),
        ([], "space is empty"),
        ("l2", "space must be a dict of lists or distributions, got 'l2'"),
        ([1], "space must be a dict"),
        (3, "space must be a dict"),
    ],
)
def test_what_is_no_space(space: Any, message: str) -> None:
    with pytest.raises(dr.SpecError, match=message):
        Space(space)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"activation": ["relu", "rleu"]}, "Did you mean 'relu'"),
        ({"hidden": [[8], [8, 0]]}, "hidden must be a whole number >= 1, got 0"),
        ({"optimizer": ["adam", "adma"]}, "Did you mean 'adam'"),
        ({"optimizer": ["sgd", "adam"], "momentum": [0.9]}, "adam has no momentum"),
        ({"learning_rate": [0.1, 0.0]}, "learning_rate must be a finite number > 0"),
        ({"schedule": ["cosine", "cosin"]}, "Did you mean 'cosine'"),
        ({"batch_size": [8, 0]}, "batch_size"),
        ({"dropout": [0.1, 1.0]}, "dropout"),
        ({"dropout": [[0.1, 1.0]]}, "dropout of a_1"),
        ([{"l2": [0.1]}, {"l1": [0.1, -0.1]}], "l1"),
    ],
)
def test_a_listed_value_that_no_training_takes(space: Any, message: str) -> None:
    """It is found before the search, not by the trial that happens to draw it."""
    with pytest.raises(dr.SpecError, match=message):
        require_trainable(Space(space))


def test_what_trainings_take() -> None:
    for space in (
        None,
        {"hidden": [[]], "l2": [0]},
        {"hidden": [[4, 3]], "activation": [["relu", "tanh", "sigmoid"]]},
        {"hidden": [[4, 3]], "dropout": [[0.1, 0, 0.2]]},
        {"learning_rate": [1e300]},  # it diverges: a trial that fails, and says so
    ):
        require_trainable(Space(space))
    space = {"hidden": [[4, 3]], "activation": [["relu", "tanh", "sigmoid"]], "dropout": [[0] * 3]}
    assert len(tune(of("yes"), "yes", trials=2, epochs=2, space=space).trials) == 2
    with pytest.raises(dr.SpecError, match="rleu"):
        tune(of("yes"), "yes", trials=1, space={"activation": ["relu", "rleu"]})
