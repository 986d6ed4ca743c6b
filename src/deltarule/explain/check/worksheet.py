"""Someone's worked numbers: which is the first wrong one, and which mistake explains it (SPEC X3).

A worksheet is a network file (`explain/network_file.py`) with `claims`. Numbers stand as they are
printed: "0.50" says more than 0.5. Nothing in a worksheet is ever executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deltarule import options
from deltarule.equations.params import Array
from deltarule.explain.case import case_of
from deltarule.explain.check.judge import Place, judge
from deltarule.explain.check.problem import Problem, Told
from deltarule.explain.check.report import Report
from deltarule.explain.check.reported import reported
from deltarule.explain.check.search import explain
from deltarule.explain.check.step import Claims
from deltarule.explain.network_file import NetworkFile, read_network
from deltarule.explain.small_files import Placed, as_number, plain_minus

_LAYERED = ("z", "a", "delta", "error", "weight_gradients", "bias_gradients")
_AFTER = ("new_weights", "new_biases")
_WHOLE = ("loss", "input_gradients", "output_after", "loss_after")
KNOWN = (*_LAYERED, *_AFTER, *_WHOLE)
_EXTRA = ("momentum", "velocity", "dropout_masks")


@dataclass(frozen=True)
class Worksheet:
    """A worksheet, read and checked.

    Attributes
    ----------
    name : str
    problem : Problem
    claims : mapping quantity -> layer -> Told
    printed : dict (quantity, layer, index) -> (str, tuple)
        Each claim as it is printed, and its index in the file.
    """

    name: str
    problem: Problem
    claims: Claims
    printed: dict[Place, tuple[str, tuple[int, ...]]]


def check_worksheet(
    source: NetworkFile | str | Path | Mapping[str, Any], *, most_mistakes: int = 2
) -> Report:
    """Check every number of a worksheet; find the first wrong one, and what explains it.

    Parameters
    ----------
    source : path, dict or published name
        A network file (.json, .toml, .yaml) with claims, what such a file holds, or "yehoshua",
        "mazur", "gashler".
    most_mistakes : int, default 2
        How many mistakes an explanation may combine.

    Returns
    -------
    Report

    Raises
    ------
    SpecError
        A file that is not a worksheet: with the place in it and what was expected.
    """
    options.count(None, most_mistakes=most_mistakes)
    sheet = read_worksheet(source)
    judgement = judge(sheet.problem, sheet.claims)
    return reported(
        sheet.name, judgement, explain(judgement, most_mistakes), lambda at: sheet.printed[at]
    )


def worksheet_schema() -> dict[str, Any]:
    """The JSON schema of a worksheet; ships with the package."""
    path = Path(__file__).parent / "worksheet.schema.json"
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def read_worksheet(source: NetworkFile | str | Path | Mapping[str, Any]) -> Worksheet:
    """The worksheet in a file or dict; see `check_worksheet`."""
    if isinstance(source, NetworkFile):
        return _Reader(source, source.name).read()
    file = read_network(source, _EXTRA)
    return _Reader(file, "" if isinstance(source, Mapping) else str(source)).read()


class _Reader(Placed):
    """Claims into arrays; every check knows the place in the file that it is at."""

    def __init__(self, file: NetworkFile, name: str) -> None:
        super().__init__(name, file.raw)
        self.file = file
        self.printed: dict[Place, tuple[str, tuple[int, ...]]] = {}
        self.claims: dict[str, dict[int, Told]] = {}

    def read(self) -> Worksheet:
        file = self.file
        if file.X is None or file.Y is None:
            self.wrong("inputs" if file.X is None else "targets", "missing: a worksheet needs them")
        case = case_of(file)
        problem = Problem(
            case.net,
            case.X,
            case.Y,
            1.0 if case.learning_rate is None else case.learning_rate,
            case.edges,
            case.trainable_biases,
            case.reduction,
            case.l2,
            self.not_negative("momentum") or 0.0,
            self.velocity(),
            self.masks(),
        )
        if problem.momentum and problem.velocity is None:
            self.wrong("velocity", "missing: momentum needs {weights, biases} before the step")
        claims = self.raw.get("claims")
        if not isinstance(claims, dict):
            self.wrong("claims", "missing: an object with the claimed numbers")
        for quantity, given in claims.items():
            if quantity not in KNOWN:
                self.wrong(f"claims.{quantity}", f"unknown; known: {', '.join(KNOWN)}")
            if given is not None:
                self.quantity(problem, quantity, given)
        steps = {*_AFTER, "output_after", "loss_after"} & self.claims.keys()
        if steps and file.learning_rate is None:
            self.wrong("learning_rate", f"missing: claims.{min(steps)} needs it")
        if not self.printed:
            self.wrong("claims", "nothing is claimed: every entry is null")
        name = str(self.raw.get("name") or self.prefix.removesuffix(": ") or "worksheet")
        return Worksheet(name, problem, self.claims, self.printed)

    def velocity(self) -> tuple[list[Array], list[Array | None]] | None:
        """What the parameters moved by in the step before."""
        given, net = self.raw.get("velocity"), self.file.net
        if given is None:
            return None
        if not isinstance(given, dict) or not {*given} <= {"weights", "biases"}:
            self.wrong("velocity", "an object with weights and biases is needed")
        weights = self.layers(given.get("weights"), "velocity.weights")
        biases = self.layers(given.get("biases") or [None] * len(weights), "velocity.biases")
        return (
            [
                self.filled(one, W.shape, f"velocity.weights[{l}]")
                for l, (one, W) in enumerate(zip(weights, net.weights, strict=True))
            ],
            [
                None if b is None else self.filled(one, b.shape, f"velocity.biases[{l}]")
                for l, (one, b) in enumerate(zip(biases, net.biases, strict=True))
            ],
        )

    def masks(self) -> list[Array | None] | None:
        """What each activation is multiplied by: dropout, already scaled."""
        given, sizes = self.raw.get("dropout_masks"), self.file.net.sizes
        if given is None:
            return None
        if not isinstance(given, list) or len(given) != len(sizes):
            self.wrong(
                "dropout_masks", f"a list of {len(sizes)} entries is needed, one for a_0..a_L"
            )
        assert self.file.X is not None
        shapes = [(len(self.file.X), width) for width in sizes]
        return [
            None if one is None else self.filled(one, shape, f"dropout_masks[{l}]")
            for l, (one, shape) in enumerate(zip(given, shapes, strict=True))
        ]

    def layers(self, given: Any, place: str) -> list[Any]:
        L = len(self.file.net.weights)
        if not isinstance(given, list) or len(given) != L:
            self.wrong(place, f"a list of {L} entries, one per layer, is needed")
        return given

    def filled(self, given: Any, shape: tuple[int, ...], place: str) -> Array:
        """An array of numbers without gaps; null stands for 0, as where an edge is absent."""
        value = np.zeros(shape)

        def take(index: tuple[int, ...], _: Any, number: Any, at: str) -> None:
            found = as_number(number)
            if found is None:
                self.wrong(at, f"a number is needed, got {number!r}")
            value[index] = found

        self.fill(given, shape, (), place, 0, take)
        return value

    def quantity(self, problem: Problem, quantity: str, given: Any) -> None:
        place = f"claims.{quantity}"
        sign = -1.0 if quantity == "error" else 1.0  # document D's e = -delta
        name = "delta" if quantity == "error" else quantity
        if name in self.claims:
            self.wrong(place, "delta and error (= -delta) are both claimed: give one of them")
        if quantity in _WHOLE:
            self.array(problem, name, 0, given, place, sign)
            return
        if not isinstance(given, list) or len(given) != problem.L:
            self.wrong(place, f"a list of {problem.L} entries, one per layer, is needed")
        for l, layer in enumerate(given, start=1):
            if layer is not None:
                self.array(problem, name, l, layer, f"{place}[{l - 1}]", sign)

    def array(
        self, problem: Problem, name: str, l: int, given: Any, place: str, sign: float
    ) -> None:
        shape = self.shape(problem, name, l, place)
        single = shape[:-1] == (1,) and name not in ("weight_gradients", "new_weights")
        if single and not (isinstance(given, list) and given and isinstance(given[0], list)):
            given, dropped = [given], 1  # one sample may stand without the list of samples
        else:
            dropped = 0
        value, unit = np.full(shape, np.nan), np.zeros(shape)
        self.fill(
            given, shape, (), place, dropped, lambda *at: self.take(name, l, sign, value, unit, *at)
        )
        if not np.isnan(value).all():
            self.claims.setdefault(name, {})[l] = Told(value, unit)

    def take(
        self,
        name: str,
        l: int,
        sign: float,
        value: Any,
        unit: Any,
        index: tuple[int, ...],
        shown: tuple[int, ...],
        given: Any,
        place: str,
    ) -> None:
        number = as_number(given)
        if number is None:
            self.wrong(place, f"a number or null is needed, got {given!r}")
        text = plain_minus(str(given).strip())
        value[index], unit[index] = sign * number, last_digit(text)
        if sign < 0:
            text = text[1:] if text.startswith("-") else f"-{text}"
        self.printed[Place(name, l, index)] = (text, shown)

    def fill(
        self,
        given: Any,
        shape: tuple[int, ...],
        index: tuple[int, ...],
        place: str,
        dropped: int,
        take: Any,
    ) -> None:
        if given is None:
            return
        if not shape:
            take(index, index[dropped:], given, place)
            return
        if not isinstance(given, list) or len(given) != shape[0]:
            got = f"a list of {len(given)}" if isinstance(given, list) else repr(given)
            self.wrong(place, f"a list of {shape[0]} is needed, got {got}")
        for i, item in enumerate(given):
            inner = place if dropped and not index else f"{place}[{i}]"
            self.fill(item, shape[1:], (*index, i), inner, dropped, take)

    def shape(self, problem: Problem, name: str, l: int, place: str) -> tuple[int, ...]:
        sizes, n = problem.net.sizes, problem.n
        if name in ("weight_gradients", "new_weights"):
            return sizes[l - 1], sizes[l]
        if name in ("bias_gradients", "new_biases"):
            if not problem.net.bias[l - 1]:
                self.wrong(place, f"layer {l} has no biases: null is needed")
            return (sizes[l],)
        if name in ("loss", "loss_after"):
            return ()
        return n, {"input_gradients": sizes[0], "output_after": sizes[-1]}.get(name, sizes[l])


def last_digit(text: str) -> float:
    """One unit of the last digit of a printed number: 0.01 for "0.50"."""
    mantissa, _, exponent = text.lower().partition("e")
    return float(10.0 ** ((int(exponent) if exponent else 0) - len(mantissa.partition(".")[2])))
