"""What the measures of a diagnosis mean: each finding is a rule, a layer and a sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deltarule.explain.diagnose.measure import LayerDiagnosis, Measured

#: The gradient vanishes where the rms of delta is below this share of that of the last layer ...
VANISHES_BELOW = 1e-4
#: ... and explodes where it is above this multiple.
EXPLODES_ABOVE = 1e4
#: The rows have become one where their activations deviate less than this share of their size.
SAME_ROWS_BELOW = 1e-6
#: Shares of the units of a layer that are worth a word.
MANY_SATURATED = 0.5
MANY_DEAD = 0.1


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes
    ----------
    code : str
        "non_finite", "no_gradient", "vanishes", "explodes", "zero_in_float32",
        "overflow_in_float32", "underflow_in_float32", "same_rows", "saturated", "dead" or
        "l2_leads".
    layer : int
        The first layer that is concerned, in the order in which the numbers are computed.
    sentence : str
    """

    code: str
    layer: int
    sentence: str


def vanishing_layer(layers: Sequence[LayerDiagnosis]) -> int | None:
    """The first layer from the top with rms(delta_l) < 1e-4 rms(delta_L); None if there is none."""
    return _first_down(layers, lambda one: _to_top(one) < VANISHES_BELOW)


def exploding_layer(layers: Sequence[LayerDiagnosis]) -> int | None:
    """The first layer from the top with rms(delta_l) > 1e4 rms(delta_L); None if there is none."""
    return _first_down(layers, lambda one: _to_top(one) > EXPLODES_ABOVE)


def zero_layer(layers: Sequence[LayerDiagnosis]) -> int | None:
    """The first layer from the top whose delta is all 0 in float32 but not in float64."""
    return _first_down(layers, lambda one: one.float32 is not None and one.float32.delta_is_zero)


def _to_top(one: LayerDiagnosis) -> float:
    return 1.0 if one.delta_to_top is None else one.delta_to_top


def _first_down(
    layers: Sequence[LayerDiagnosis], holds: Callable[[LayerDiagnosis], bool]
) -> int | None:
    return next((one.layer for one in reversed(layers) if holds(one)), None)


def find(measured: Measured, single: bool) -> list[Finding]:
    """The findings, the gravest kinds first; `single`: whether the network is in float32."""
    layers = measured.layers
    return [
        *_non_finite(measured),
        *_gradient(layers),
        *_in_float32(layers, single),
        *_forward(layers),
        *_units(layers),
        *_penalty(layers),
    ]


def _non_finite(measured: Measured) -> list[Finding]:
    if not measured.non_finite:
        return []
    one = measured.non_finite[0]
    of = "rows and units" if one.quantity in ("z", "a", "delta") else "numbers"
    place = "[" + ", ".join(map(str, one.index)) + "]"
    text = (
        f"The first number that is not finite is {one.quantity}{place} of layer {one.layer} "
        f"({one.value}; {one.count:,} {of} there, {sum(n.count for n in measured.non_finite):,} "
        "numbers in all)."
    )
    return [Finding("non_finite", one.layer, text)]


def _gradient(layers: Sequence[LayerDiagnosis]) -> list[Finding]:
    top, first, L = layers[-1], layers[0], len(layers)
    if top.delta_rms == 0:
        return [
            Finding("no_gradient", L, "delta of the last layer is 0: there is nothing to learn.")
        ]
    found = []
    for code, at, word in (
        ("vanishes", vanishing_layer(layers), "vanishes"),
        ("explodes", exploding_layer(layers), "explodes"),
    ):
        if at is None:
            continue
        here = layers[at - 1]
        text = (
            f"The gradient {word}: delta of layer {at} ({_from_top(L - at)}) is "
            f"{_to_top(here):.2g} of that of layer {L}"
        )
        if at != 1:
            text += f", delta of layer 1 is {_to_top(first):.2g} of it"
        found.append(Finding(code, at, text + f" (rule: {_rule(code)})."))
    return found


def _rule(code: str) -> str:
    return f"below {VANISHES_BELOW:g}" if code == "vanishes" else f"above {EXPLODES_ABOVE:g}"


def _from_top(layers: int) -> str:
    return f"{layers} layer{'s' * (layers != 1)} below the output"


def _in_float32(layers: Sequence[LayerDiagnosis], single: bool) -> list[Finding]:
    found = []
    zero, L = zero_layer(layers), len(layers)
    if zero is not None:
        which = f"layers 1 to {zero}" if zero > 1 else "layer 1"
        own = (
            "as this network is in float32, the data teach them nothing"
            if single
            else "this network is in float64, where it is not 0"
        )
        text = (
            f"In float32 delta is exactly 0 in {which} ({_from_top(L - zero)} and further down): "
            f"{own}."
        )
        found.append(Finding("zero_in_float32", zero, text))
    else:
        worst = max(layers, key=lambda one: 0.0 if one.float32 is None else _gone(one))
        if worst.float32 is not None and _gone(worst) > 0.01:
            text = (
                f"In float32 {100 * worst.float32.delta_lost:.3g} % of delta of layer "
                f"{worst.layer} is lost to underflow and {100 * worst.float32.delta_subnormal:.3g} "
                "% is subnormal."
            )
            found.append(Finding("underflow_in_float32", worst.layer, text))
    over = next((one for one in layers if one.float32 is not None and one.float32.overflow), None)
    if over is not None and over.float32 is not None and not single:
        text = (
            f"In float32 {100 * over.float32.overflow:.3g} % of z and delta of layer {over.layer} "
            "would overflow."
        )
        found.append(Finding("overflow_in_float32", over.layer, text))
    return found


def _gone(one: LayerDiagnosis) -> float:
    assert one.float32 is not None  # asked only where it is there
    return one.float32.delta_lost + one.float32.delta_subnormal


def _same_rows(layers: Sequence[LayerDiagnosis]) -> LayerDiagnosis | None:
    """The first layer in which nothing is left of the differences between rows."""
    return next(
        (
            one
            for one in layers
            if one.over_rows is not None and one.over_rows <= SAME_ROWS_BELOW * _size(one)
        ),
        None,
    )


def _size(one: LayerDiagnosis) -> float:
    return abs(one.activation_mean) + one.activation_std


def _forward(layers: Sequence[LayerDiagnosis]) -> list[Finding]:
    one = _same_rows(layers)
    if one is None or one.over_rows is None:
        return []
    share = one.over_rows / _size(one) if _size(one) else 0.0
    text = (
        f"From layer {one.layer} on all rows look the same: their activations deviate by "
        f"{share:.2g} of their size, so the output hardly depends on the input."
    )
    return [Finding("same_rows", one.layer, text)]


def _units(layers: Sequence[LayerDiagnosis]) -> list[Finding]:
    same = _same_rows(layers)
    dead, saturated = [], []
    for one in layers:
        # where the rows are one already, a constant unit is nothing new
        told = set(one.constant) if same is not None and one.layer >= same.layer else set()
        dead.append((one, len(set(one.dead) - told)))
        # a relu that is off on all rows is dead and nothing else
        units = set(one.saturated or ())
        saturated.append((one, len(units) if units - set(one.dead) else 0))
    return [
        *_units_of("saturated", "slope below 1 % of the largest", MANY_SATURATED, saturated),
        *_units_of("dead", "slope 0, or one and the same output, on all rows", MANY_DEAD, dead),
    ]


def _units_of(
    code: str, meaning: str, least: float, counts: Sequence[tuple[LayerDiagnosis, int]]
) -> list[Finding]:
    hit = [(one, n) for one, n in counts if n and n >= least * one.units]
    if not hit:
        return []
    n, of = sum(n for _, n in hit), sum(one.units for one, _ in hit)
    where = _these([one.layer for one, _ in hit])
    text = f"{where}: {n:,} of {of:,} units are {code} ({meaning})."
    return [Finding(code, hit[0][0].layer, text)]


def _these(numbers: Sequence[int]) -> str:
    """Layers by their numbers, runs shortened: Layers 1, 4 to 7."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    parts = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return f"Layer{'s' * (len(numbers) > 1)} {', '.join(parts)}"


def _penalty(layers: Sequence[LayerDiagnosis]) -> list[Finding]:
    led = [one for one in layers if one.l2_gradient_norm > one.weight_gradient_norm]
    if not led:
        return []
    most = max(led, key=lambda one: one.l2_gradient_norm - one.weight_gradient_norm)
    ratio = "without end" if most.l2_ratio is None else f"{most.l2_ratio:.3g} times"
    text = (
        f"{_these([one.layer for one in led])}: the L2 term is larger than the gradient of the "
        f"data ({ratio} in layer {most.layer}): the penalty decides what these weights do."
    )
    return [Finding("l2_leads", led[0].layer, text)]
