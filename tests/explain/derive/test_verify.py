"""What verifies derivations: small changes are caught, and outside oracles agree."""

# ruff: noqa: RUF001  # the primes of f'

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import deltarule as dr
from deltarule.explain.derive.evaluate import Point, evaluate
from deltarule.explain.derive.report import Derivation
from deltarule.explain.derive.steps import Step
from deltarule.formula import expression as ex
from support.derivation_mutants import mutants

CASES: dict[str, dict[str, Any]] = {
    "index": {"layers": 3, "weight": (1, 2, 3), "cached": True},
    "delta": {"layers": 2, "bias": (1, 2), "loss": "log_loss", "cached": True, "notation": "delta"},
    "input": {"layers": 2, "input": 2, "loss": "cross_entropy", "biases": True},
    "mixed": {"layers": 1, "weight": (1, 2, 1), "loss": "huber", "cached": True},
    "row": {"layers": 3, "weight": (1, 2, 3), "cached": True, "notation": "row"},
    "column": {
        "layers": 3,
        "bias": (2, 3),
        "cached": True,
        "notation": "column",
        "loss": "cross_entropy",
    },
}
OF_BIAS = "Σᵢ (aᵢ² - yᵢ) wᵢ₂² f′(z₂¹)"
#: Changes that change nothing: of a term whose derivative is 0, of a factor that is 1 or whose
#: other terms' derivatives are 0, or a transpose of a symmetric matrix.
EQUAL = {
    "index": {
        "2: Σᵢ (tᵢ - y₃ᵢ) ∂(-y₃ᵢ)/∂w₁₂₃",
        "2: Σᵢ (tᵢ - y₃ᵢ) ∂(-tᵢ - y₃ᵢ)/∂w₁₂₃",
        "2: Σᵢ (tᵢ - y₃ᵢ) ∂(t₁ - y₃ᵢ)/∂w₁₂₃",
    },
    "delta": {
        "2: -Σᵢ (yᵢ/aᵢ² ∂aᵢ²/∂b₂¹ + (1 - yᵢ)/(1 - aᵢ²) ∂(-aᵢ²)/∂b₂¹)",
        "2: -Σᵢ (yᵢ/aᵢ² ∂aᵢ²/∂b₂¹ + (1 - yᵢ)/(1 - aᵢ²) ∂(-1 - aᵢ²)/∂b₂¹)",
        "2: -Σᵢ (yᵢ/aᵢ² ∂aᵢ²/∂b₂¹ + (1 - yᵢ)/(1 - aᵢ²) ∂(2 - aᵢ²)/∂b₂¹)",
        "7: Σᵢ (aᵢ² - yᵢ) ∂(Σⱼ wᵢⱼ² aⱼ¹)/∂b₂¹",
        "7: Σᵢ (aᵢ² - yᵢ) ∂(Σⱼ wᵢⱼ² aⱼ¹ - bᵢ²)/∂b₂¹",
        "7: Σᵢ (aᵢ² - yᵢ) ∂(Σⱼ wᵢⱼ² aⱼ¹ + b₁²)/∂b₂¹",
        *(f"{n}: {OF_BIAS}" for n in (11, 12, 13)),
        f"12: {OF_BIAS} ∂b₂¹/∂b₂¹",
        *(
            f"12: {OF_BIAS} ∂({net} + b₂¹)/∂b₂¹"
            for net in (
                *("-Σₖ w₂ₖ¹ aₖ⁰", "Σₖ aₖ⁰", "Σₖ (-w₂ₖ¹) aₖ⁰", "Σₖ w₂ₖ¹", "Σₖ w₂ₖ¹ (-aₖ⁰)"),
                *("Σₖ w₃ₖ¹ aₖ⁰", "Σₖ w₁ₖ¹ aₖ⁰", "Σₖ w₂₁¹ aₖ⁰", "Σₖ w₂ₖ¹ a₁⁰"),
            )
        ),
    },
    "input": {
        "6: -Σᵢ (tᵢ - y₂ᵢ) ∂(Σⱼ w₂ᵢⱼ y₁ⱼ)/∂y₀₂",
        "6: -Σᵢ (tᵢ - y₂ᵢ) ∂(Σⱼ w₂ᵢⱼ y₁ⱼ - b₂ᵢ)/∂y₀₂",
        "6: -Σᵢ (tᵢ - y₂ᵢ) ∂(Σⱼ w₂ᵢⱼ y₁ⱼ + b₂₁)/∂y₀₂",
        "10: -Σᵢ (tᵢ - y₂ᵢ) Σⱼ w₂ᵢⱼ f₁′(x₁ⱼ) ∂(Σₖ w₁ⱼₖ y₀ₖ)/∂y₀₂",
        "10: -Σᵢ (tᵢ - y₂ᵢ) Σⱼ w₂ᵢⱼ f₁′(x₁ⱼ) ∂(Σₖ w₁ⱼₖ y₀ₖ - b₁ⱼ)/∂y₀₂",
        "10: -Σᵢ (tᵢ - y₂ᵢ) Σⱼ w₂ᵢⱼ f₁′(x₁ⱼ) ∂(Σₖ w₁ⱼₖ y₀ₖ + b₁₁)/∂y₀₂",
        "12: -Σᵢ (tᵢ - y₂ᵢ) Σⱼ w₂ᵢⱼ f₁′(x₁ⱼ) w₁ⱼ₂",
    },
    "mixed": {"6: J₂′(y₁, t) f₁′(x₁₂) ∂(Σⱼ w₁₂ⱼ y₀₁)/∂w₁₂₁"},
    "row": set(),
    "column": {
        "3: W⁽³⁾ᵀ ∂O⁽⁴⁾/∂net⁽⁴⁾ ∂J/∂O⁽⁴⁾ ⊙ σ′(net⁽³⁾)",
        "4: W⁽³⁾ᵀ ∂O⁽⁴⁾/∂net⁽⁴⁾ J′(O⁽⁴⁾, y) ⊙ σ′(net⁽³⁾)",
    },
}


def survivors(derivation: Derivation) -> tuple[int, set[str]]:
    """How many changed steps were tried, and which of them are still taken for right."""
    tried, right = 0, set()
    for n, step in enumerate(derivation.steps):
        # what names terms stays before the step; all else cannot change its verdict
        before = [one for one in derivation.steps[:n] if one.names]
        for changed in changes(step):
            tried += 1
            if replace(derivation, steps=[*before, changed]).verify(trials=3).ok:
                right.add(f"{step.number}: {changed.text}")
    return tried, right


def changes(step: Step) -> Iterator[Step]:
    """The step with one small change in its expression or in a term that it names."""
    for changed in mutants(step.expression):
        yield replace(step, expression=changed)
    for k, name in enumerate(step.names):
        for changed in mutants(name.expression):
            names = (*step.names[:k], name._replace(expression=changed), *step.names[k + 1 :])
            yield replace(step, names=names)


@pytest.mark.parametrize("case", CASES)
def test_any_change_of_any_step_is_caught(case: str) -> None:  # X4
    tried, right = survivors(dr.derive(**CASES[case]))
    assert right == EQUAL[case]
    assert tried > 100


def test_the_misprints_of_document_D_are_caught() -> None:  # D2
    done = dr.derive(5, weight=(1, 7, 3))

    def wrong(n: int, expression: ex.Expression) -> list[int]:
        return done.with_step(replace(done.steps[n - 1], expression=expression)).verify().wrong

    given = done.steps[0].expression
    assert isinstance(given, ex.Derivative)
    without_square = without(given, ex.Power)
    assert wrong(1, without_square) == [1, 2]  # and step 2, which no longer follows from it
    thirteen = done.steps[12].expression
    assert wrong(13, by(thirteen, ex.Symbol("w", 3, ("k", "l")))) == [13]  # of no one weight
    assert wrong(17, by(done.steps[16].expression, ex.Symbol("w", 1, (7, 2)))) == [17, 18]


def without(node: ex.Expression, kind: type) -> ex.Expression:
    """The tree without its powers."""
    if isinstance(node, kind):
        return next(node.children())
    return node.rebuilt(lambda child: without(child, kind))


def by(node: ex.Expression, variable: ex.Symbol) -> ex.Expression:
    """The tree with another variable in its derivative."""
    if isinstance(node, ex.Derivative):
        return replace(node, by=variable)
    return node.rebuilt(lambda child: by(child, variable))


def test_a_broken_definition_is_caught() -> None:
    done = dr.derive(3, weight=(1, 2, 3), cached=True)
    step = done.steps[-2]
    ((symbol, body),) = step.names
    circular = ex.Product((body, symbol))
    broken = replace(step, names=(step.names[0]._replace(expression=circular),))
    assert step.number in done.with_step(broken).verify(trials=1).wrong


def test_derivatives_agree_with_central_differences() -> None:
    """The dual numbers themselves, against values of the loss alone."""
    net = dr.Network([3, 4, 2], ["tanh", "softmax"], "cross_entropy", rng=0)
    x, y = np.array([0.3, -0.7, 1.1]), np.array([0.3, 0.7])
    step = 1e-6
    for symbol, array, at in (
        (ex.Symbol("w", 1, (2, 3)), net.weights[0], (2, 1)),
        (ex.Symbol("b", 2, (1,)), net.biases[1], (0,)),
        (ex.Symbol("a", 0, (2,)), x, (1,)),
    ):
        assert array is not None
        losses = []
        for sign in (1, -1):
            array[at] += sign * step
            losses.append(Point(net, x, y).loss())
            array[at] -= sign * step
        dual = evaluate(Point(net, x, y), ex.Derivative(ex.LossOf(2), symbol)).value
        assert float(dual) == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=1e-7)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "cross_entropy"])
def test_sympy_differentiates_to_the_same(loss: str) -> None:
    """An outside oracle: the whole network as one symbolic formula."""
    sympy = pytest.importorskip("sympy")
    rng = np.random.default_rng(0)
    net = dr.Network([2, 3, 2], "tanh", loss, rng=rng)
    net.theta = rng.normal(size=net.theta.size)
    x, y = rng.normal(size=2), rng.dirichlet([1, 1])
    v = sympy.Symbol("v")

    def exact(values: Any) -> Any:
        return sympy.Matrix(np.atleast_2d(values)).applyfunc(sympy.Rational)

    W = [exact(one) for one in net.weights]
    b = [exact(one) for one in net.biases]
    W[0][1, 2], at = v, W[0][1, 2]
    a = (exact(x) * W[0] + b[0]).applyfunc(sympy.tanh)
    z = list(a * W[1] + b[1])
    t = list(exact(y))
    if loss == "squared_error":
        J = sum((o - one) ** 2 for o, one in zip(z, t, strict=True)) / 2
    elif loss == "log_loss":
        o = [1 / (1 + sympy.exp(-one)) for one in z]
        J = -sum(
            one * sympy.log(p) + (1 - one) * sympy.log(1 - p) for p, one in zip(o, t, strict=True)
        )
    else:
        total = sum(map(sympy.exp, z))
        J = -sum(one * sympy.log(sympy.exp(s) / total) for s, one in zip(z, t, strict=True))
    right = float(sympy.diff(J, v).subs(v, at).evalf(30))
    done = dr.derive(net=net, weight=(1, 3, 2), cached=True, x=x, y=y)
    assert done.value == pytest.approx(right, rel=1e-12)


def test_a_report_says_which_step_is_wrong() -> None:
    done = dr.derive(2, weight=(1, 1, 1))
    report = done.verify(rng=1, trials=4)
    assert str(report).startswith(f"All {len(done.steps)} steps hold on 4 random networks; worst")
    wrong = replace(done.steps[3], expression=ex.Negative(done.steps[3].expression))
    broken = done.with_step(wrong).verify(trials=1)
    assert not broken.ok
    assert broken.wrong == [4, 5]
    assert "1 random network (relative error): 4 (2.0e+00), 5" in str(broken)


@pytest.mark.parametrize("notation", ["index", "row"])
def test_a_shut_relu_does_not_hide_a_wrong_step(notation: str) -> None:
    net = dr.Network([3, 4, 4, 1], "relu", rng=0)
    done = dr.derive(net=net, weight=(1, 2, 3), notation=notation)
    assert done.verify(trials=3).ok
    step = done.steps[1]
    for seed in range(8):  # one draw each: without a second look half of them would be all zeros
        wrong = done.with_step(replace(step, expression=ex.Negative(step.expression)))
        assert 2 in wrong.verify(rng=seed, trials=1).wrong


def test_the_same_rng_gives_the_same_errors() -> None:
    done = dr.derive(2, weight=(1, 1, 1))
    assert done.verify(rng=3).errors == done.verify(rng=3).errors
    assert done.verify(rng=np.random.default_rng(3)).errors == done.verify(rng=3).errors


@pytest.mark.parametrize("asked", [{"trials": 0}, {"trials": 1.5}, {"rng": "seed"}, {"rng": -1}])
def test_bad_options_are_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(dr.SpecError):
        dr.derive(2, weight=(1, 1, 1)).verify(**asked)
