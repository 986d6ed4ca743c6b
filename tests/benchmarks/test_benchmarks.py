"""The benchmark program: its proof of equal work, its numbers, and a short run from end to end."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deltarule as dr

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the benchmarks are not part of the installed package

from benchmarks.contenders import chosen  # noqa: E402  # needs ROOT
from benchmarks.contenders.numpy_blas import NumpyBlas  # noqa: E402  # needs ROOT
from benchmarks.contenders.ours import Deltarule  # noqa: E402  # needs ROOT

from benchmarks import cases, measure, proof, report  # noqa: E402  # needs ROOT

SMALL = [
    cases.Case((2, 2, 1), "sigmoid", 1, 40, 0.1),
    cases.Case((7, 33, 17, 3), "relu", 5, 8, 0.05),
    cases.Case((12, 300, 4), "sigmoid", 40, 3, 0.05),  # the other branches for large arrays
    cases.Case((12, 300, 8, 4), "relu", 40, 3, 0.05),
]


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_the_reference_of_the_proof_takes_the_steps_that_the_equations_say(
    case: cases.Case,
) -> None:
    """Oracle: dr.backward in float64, one step at a time."""
    problem = cases.make(case)
    net = dr.Network(
        list(case.sizes), activations=case.activation, loss="squared_error", dtype="float64", rng=0
    )
    for l, (W, b) in enumerate(problem.weights):
        net.weights[l][...] = W
        net.biases[l][...] = b
    for k in range(case.batches):
        rows = slice(k * case.batch, (k + 1) * case.batch)
        step = dr.backward(net, problem.X[rows].astype(float), problem.Y[rows].astype(float))
        for l in range(len(problem.weights)):
            net.weights[l][...] -= case.learning_rate * step.weights[l]
            net.biases[l][...] -= case.learning_rate * step.biases[l]
    for (W, b), ours, bias in zip(proof.reference(problem), net.weights, net.biases, strict=True):
        np.testing.assert_allclose(W, ours, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(b, bias, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
@pytest.mark.parametrize("kind", [NumpyBlas, Deltarule])
def test_a_contender_does_the_work_of_an_epoch(kind: Any, case: cases.Case) -> None:
    problem = cases.make(case)
    contender = kind(problem, 1)
    contender.train(contender.quantum)
    contender.reset()
    contender.train(case.batches)
    for (W, b), (W_expected, b_expected) in zip(
        contender.weights(), proof.reference(problem), strict=True
    ):
        np.testing.assert_allclose(W, W_expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(b, b_expected, rtol=1e-4, atol=1e-5)
    output = np.array(contender.infer(contender.to_input(problem.X[:9])))
    assert proof.predicts(problem, contender.weights(), output)
    output[-1, 0] += 0.01
    assert not proof.predicts(problem, contender.weights(), output)


@pytest.mark.parametrize("case", cases.TABLE[:6], ids=lambda case: case.name)
def test_the_proof_refuses_an_epoch_that_is_a_step_short(case: cases.Case) -> None:
    batches = min(case.batches, 20)
    problem = cases.make(cases.Case(case.sizes, case.activation, case.batch, batches, 0.01))
    short = NumpyBlas(problem, 1)
    short.train(batches - 2)
    before = proof.loss(problem, problem.weights)
    expected = proof.loss(problem, proof.reference(problem))
    assert not proof.agrees(before, expected, proof.loss(problem, short.weights()))
    short.train(2)
    assert proof.agrees(before, expected, proof.loss(problem, short.weights()))
    assert not proof.agrees(before, expected, math.nan)


def test_flops_count_every_product_once() -> None:
    """2-3-1, one row: forward 6 + 3 products, gradients the same, one delta of 3 products."""
    assert cases.Case((2, 3, 1), "sigmoid", 1, 1, 0.1).flops == 2 * (9 + 9 + 3)


def _contender(name: str, family: str, rounds: list[float], **other: Any) -> dict[str, Any]:
    median = float(np.median(rounds))
    return {"name": name, "family": family, "us": median, "us_rounds": rounds,
            "equal_work": True, "dropped": False} | other  # fmt: skip


def test_the_ratio_is_that_of_the_best_peer_that_did_the_work() -> None:
    results = [
        _contender("deltarule", "deltarule", [2.0, 1.0, 4.0]),
        _contender("deltarule", "deltarule", [9.0, 9.0, 9.0]),
        _contender("jax", "jax", [6.0, 5.0, 8.0]),
        _contender("numpy", "numpy", [7.0, 7.0, 7.0]),
        _contender("torch", "torch", [0.1, 0.1, 0.1], equal_work=False),
        _contender("numba", "numba", [0.1], dropped=True),
    ]
    found = measure.summary(results)
    assert found == {"best_peer": "jax", "ratio": 3.0, "ratio_low": 2.0, "ratio_high": 5.0}
    assert measure.summary(results[2:]) == {"best_peer": "jax", "ratio": None}


def test_geometric_mean() -> None:
    assert report.geometric_mean([1.0, 8.0, 27.0]) == pytest.approx(6.0)
    with pytest.raises(ValueError, match="no ratios"):
        report.geometric_mean([])


def test_numbers_have_three_digits() -> None:
    values = [0.06349, 1.5, 34.56, 157.6, 1234.5, 558_437.0, None]
    assert [report.number(v) for v in values] == [
        "0.0635", "1.5", "34.6", "158", "1,230", "558,000", "-"
    ]  # fmt: skip


def test_unknown_peers_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown peer 'pytorch'"):
        chosen(["pytorch"])


def test_a_short_run_writes_what_it_measured(tmp_path: Path) -> None:
    json_file, markdown_file = tmp_path / "results.json", tmp_path / "results.md"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--rows", "3", "--rounds", "2",
         "--parts", "table,import", "--peers", "numpy", "--threads", "1",
         "--json", str(json_file), "--markdown", str(markdown_file)],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(json_file.read_text(encoding="utf-8"))
    (row,) = results["table"]
    assert row["errors"] == []
    assert [c["name"] for c in row["contenders"]] == ["deltarule", "numpy"]
    for contender in row["contenders"]:
        assert contender["equal_work"]
        assert contender["finite"]
        assert len(contender["us_rounds"]) == 2
        assert contender["us"] * contender["steps_per_turn"] >= 5_000  # turns are 20 ms or so
    ours, peer = (c["us"] for c in row["contenders"])
    assert row["ratio"] == pytest.approx(peer / ours)
    assert results["import"].keys() == {"deltarule", "numpy"}
    text = markdown_file.read_text(encoding="utf-8")
    assert text == done.stdout
    assert "| 4-16-3 sigmoid, 32 |" in text
