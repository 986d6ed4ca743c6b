"""Schedules: closed forms, continuity, state, composition, and bad settings."""

from __future__ import annotations

import math

import numpy as np
import pytest

import deltarule as dr
from deltarule.equations.schedules import SCHEDULES, Schedule, Span, get_schedule

SPAN = Span(steps_per_epoch=10, epochs=20)
STEPS = np.arange(SPAN.steps, dtype=np.float64)


def factors(schedule: Schedule, span: Span = SPAN) -> np.ndarray:
    result = schedule.factors(np.arange(span.steps, dtype=np.float64), span, schedule.init())
    assert result.shape == (span.steps,)
    assert result.dtype == np.float64
    return result


def test_constant_is_one() -> None:
    assert (factors(Schedule()) == 1).all()
    assert get_schedule(None) == get_schedule("constant") == Schedule()


def test_step_drops_every_so_many_epochs() -> None:
    got = factors(dr.Step(every=3, gamma=0.5))
    want = [0.5 ** (epoch // 3) for epoch in range(20) for _ in range(10)]
    np.testing.assert_array_equal(got, want)


def test_invscaling_is_scikit_learns_formula() -> None:
    np.testing.assert_allclose(
        factors(dr.InvScaling(power=0.3)), [1 / (t + 1) ** 0.3 for t in range(200)], rtol=1e-15
    )


def test_cosine_closed_form_and_ends() -> None:
    got = factors(dr.Cosine(final=0.1))
    want = [0.1 + 0.9 * (1 + math.cos(math.pi * t / 200)) / 2 for t in range(200)]
    np.testing.assert_allclose(got, want, rtol=1e-14)
    assert got[0] == 1
    after = dr.Cosine(final=0.1).factors(np.array([200.0, 1e6]), SPAN, {})
    np.testing.assert_allclose(after, 0.1, rtol=1e-15)


def test_one_cycle_rises_peaks_and_falls_without_jumps() -> None:
    span = Span(steps_per_epoch=100, epochs=100)
    schedule = dr.OneCycle(rise=0.25, start=0.1, final=0.01)
    got = factors(schedule, span)
    peak = int(got.argmax())
    assert got[0] == pytest.approx(0.1, rel=1e-12)
    assert peak == span.steps * 0.25
    assert got[peak] == pytest.approx(1, rel=1e-12)
    assert (np.diff(got[: peak + 1]) > 0).all()
    assert (np.diff(got[peak:]) < 0).all()
    assert np.abs(np.diff(got)).max() < math.pi / 2 / (0.25 * span.steps) * 1.01
    end = schedule.factors(np.array([float(span.steps)]), span, {})
    assert end[0] == pytest.approx(0.01, rel=1e-12)


def test_warmup_is_a_straight_line_times_the_rest() -> None:
    got = factors(dr.Warmup(epochs=2.5))
    np.testing.assert_allclose(got, np.minimum((STEPS + 1) / 25, 1), rtol=1e-15)
    both = factors(dr.Warmup(epochs=2.5, then=dr.Cosine()))
    np.testing.assert_allclose(both, got * factors(dr.Cosine()), rtol=1e-15)
    assert dr.Warmup(then=dr.Cosine()).plans_ahead
    assert not dr.Warmup().plans_ahead


def test_warmup_carries_the_state_of_what_follows() -> None:
    schedule = dr.Warmup(epochs=1, then=dr.Adaptive(factor=0.5, patience=1))
    state = schedule.init()
    for loss in (1.0, 1.0):
        state = schedule.observe(loss, state)
    assert schedule.factors(np.array([50.0]), SPAN, state)[0] == 0.5


def test_adaptive_divides_when_the_loss_stalls() -> None:
    schedule = dr.Adaptive(factor=0.2, patience=2, tol=1e-3)
    state, seen = schedule.init(), []
    for loss in (1.0, 0.5, 0.4995, 0.4999, 0.3, 0.31, 0.32, 0.33, 0.34):
        state = schedule.observe(loss, state)
        seen.append(schedule.factors(STEPS[:1], SPAN, state)[0])
    np.testing.assert_allclose(seen, [1, 1, 1, 0.2, 0.2, 0.2, 0.04, 0.04, 0.008])


def test_adaptive_state_is_never_changed_in_place() -> None:
    schedule = dr.Adaptive()
    before = schedule.init()
    schedule.observe(3.0, before)
    assert before == schedule.init()


def test_function_of_the_epoch_is_called_once_per_epoch() -> None:
    calls = []

    def rate(epoch: int) -> float:
        calls.append(epoch)
        return 1 / (epoch + 1)

    got = factors(get_schedule(rate))
    np.testing.assert_array_equal(got, np.repeat(1 / np.arange(1, 21), 10))
    assert calls == list(range(20))


def test_factors_are_a_function_of_the_step_alone() -> None:
    """A resumed run asks for later steps only, and must get the same bits."""
    for kind in SCHEDULES.values():
        whole = factors(kind())
        part = kind().factors(STEPS[70:80], SPAN, kind().init())
        np.testing.assert_array_equal(part, whole[70:80])


def test_settings_name_the_schedule_and_all_its_options() -> None:
    assert dr.Step(every=3).settings() == {"name": "step", "every": 3, "gamma": 0.1}
    nested = dr.Warmup(epochs=2, then=dr.Cosine()).settings()
    assert nested == {"name": "warmup", "epochs": 2, "then": {"name": "cosine", "final": 0.0}}


def test_names_are_case_blind_and_unknown_ones_suggest_the_nearest() -> None:
    assert get_schedule("One_Cycle") == dr.OneCycle()
    with pytest.raises(dr.SpecError, match="Did you mean 'cosine'"):
        get_schedule("cosin")
    with pytest.raises(dr.SpecError, match="a name, a Schedule or a function"):
        get_schedule(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (dr.Step, {"every": 0}),
        (dr.Step, {"every": 1.5}),
        (dr.Step, {"gamma": 0}),
        (dr.Step, {"gamma": math.nan}),
        (dr.InvScaling, {"power": -1}),
        (dr.InvScaling, {"power": math.inf}),
        (dr.Adaptive, {"factor": 1}),
        (dr.Adaptive, {"factor": 0}),
        (dr.Adaptive, {"patience": 0}),
        (dr.Adaptive, {"tol": math.nan}),
        (dr.Cosine, {"final": -0.1}),
        (dr.OneCycle, {"rise": 0}),
        (dr.OneCycle, {"rise": 1}),
        (dr.OneCycle, {"start": -1}),
        (dr.OneCycle, {"final": "low"}),
        (dr.Warmup, {"epochs": 0}),
        (dr.Warmup, {"then": "cosine"}),
    ],
)
def test_bad_settings_name_the_option(kind: type[Schedule], options: dict[str, object]) -> None:
    with pytest.raises(dr.SpecError, match=next(iter(options))):
        kind(**options)


@pytest.mark.parametrize("value", [math.nan, -1.0, None, "fast", math.inf])
def test_function_that_gives_no_factor_is_an_error_with_the_epoch(value: object) -> None:
    schedule = get_schedule(lambda epoch: 1.0 if epoch < 4 else value)  # type: ignore[arg-type,return-value]
    with pytest.raises(dr.SpecError, match="factor of epoch 4"):
        factors(schedule)
