"""The chain rule, step by step, for any weight, bias, input or activation of any network.

Document D's derivation, for one weight of one network, made for all (SPEC A3, B4, D2 to D5, X4); in
any of four notations, with every step checked as a number (`Derivation.verify`).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import Any

from deltarule import options
from deltarule.document import Formats
from deltarule.errors import DataError, SpecError, unknown_name
from deltarule.explain.case import Case, Source, case_of
from deltarule.explain.derive import layout as pages
from deltarule.explain.derive.data import as_dict, beside_as_dict
from deltarule.explain.derive.evaluate import Point
from deltarule.explain.derive.matrix import matrix_steps
from deltarule.explain.derive.scalar import scalar_steps
from deltarule.explain.derive.steps import Derived, Step
from deltarule.explain.derive.task import Task, make_task
from deltarule.explain.derive.verify import Numbers, Verification, verify, wanted
from deltarule.explain.derive.written_out import with_sums_written_out
from deltarule.formula import expression as ex
from deltarule.formula.expression import (
    Derivative,
)
from deltarule.formula.notation import Notation, get_notation
from deltarule.network.network import Network

#: In which a derivation can be written.
DERIVED = ("index", "delta", "row", "column")


@dataclass(frozen=True, eq=False)
class Derivation(Derived, Formats):
    """What `derive` gives: `print` it, or any of its formats."""

    def verify(self, rng: Any = 0, trials: int = 20) -> Verification:
        """Check every step as a number on random networks (SPEC X4).

        What still stands as a derivative is evaluated with forward-mode dual numbers, never by
        back-propagation. Each step must agree with the one before and with `dr.backward` to 1e-10,
        relatively; each term that a step names, with the engine's delta.

        Parameters
        ----------
        rng : None, int or Generator, default 0
        trials : int, default 20
            Random networks with random samples.

        Returns
        -------
        Verification
            `ok`, and the worst error of each step.

        Raises
        ------
        SpecError
            For a rng or a number of trials that is none.
        """
        return verify(self.steps, rng, trials, self.point)

    def with_step(self, step: Step) -> Derivation:
        """The same derivation with one step put in place of that of its number."""
        steps = [step if one.number == step.number else one for one in self.steps]
        return replace(self, steps=steps)

    def beside(self, other: Derivation | str) -> Beside:
        """This derivation and another side by side, or the same one in the notation named.

        Raises SpecError for an unknown notation.
        """
        if isinstance(other, str):
            task = replace(self.task, notation=_derivable(other))
            other = _derived(task, self.point)
        return Beside(self, other)

    def to_text(self, width: int | None = None) -> str:
        """Plain Unicode in lines of at most `width` (the terminal's, or 100)."""
        return pages.text(self, _checked_width(width))

    def to_latex(self, standalone: bool = False) -> str:
        """An enumeration for a LaTeX document, or a whole document (it needs only amsmath)."""
        return pages.latex(self, standalone)

    def to_html(self) -> str:
        """A page with MathML; it needs no scripts, fonts or network."""
        return pages.page(self)

    def to_markdown(self) -> str:
        """Markdown with formulas between dollars."""
        return pages.markdown(self)

    def to_dict(self) -> dict[str, Any]:
        """The steps with their reasons, formulas as plain text and as LaTeX."""
        return as_dict(self)

    def _repr_latex_(self) -> str:
        return pages.display(self)

    def _repr_html_(self) -> str:
        return pages.fragment(self)


@dataclass(frozen=True, eq=False)
class Beside(Formats):
    """Two derivations side by side, steps that say the same next to each other."""

    first: Derivation
    second: Derivation

    def to_text(self, width: int | None = None) -> str:
        """Two columns of plain Unicode in lines of at most `width` (the terminal's, or 100)."""
        return pages.text_beside(self.first, self.second, _checked_width(width, least=60))

    def to_latex(self, standalone: bool = False) -> str:
        """Two columns for a LaTeX document, or a whole document."""
        return pages.latex_beside(self.first, self.second, standalone)

    def to_html(self) -> str:
        """A page with a table of two columns."""
        return pages.page_beside(self.first, self.second)

    def to_markdown(self) -> str:
        """A table of two columns."""
        return pages.markdown_beside(self.first, self.second)

    def to_dict(self) -> dict[str, Any]:
        """Both, and the numbers of the steps that stand side by side."""
        return beside_as_dict(self.first, self.second)

    def _repr_html_(self) -> str:
        return pages.fragment_beside(self.first, self.second)


def derive(
    layers: int | None = None,
    *,
    weight: Any = None,
    bias: Any = None,
    input: Any = None,
    activation: Any = None,
    notation: str = "index",
    net: Source | None = None,
    loss: Any = None,
    biases: bool | None = None,
    cached: bool = False,
    x: Any = None,
    y: Any = None,
    edges: Any = None,
) -> Derivation:
    """Derive the gradient with respect to one weight, bias, input or activation, step by step.

    Layers are counted from 1 (0 is the inputs) and units from 1 in every notation's arguments,
    whatever numbers the notation itself shows.

    Parameters
    ----------
    layers : int, 1 to 100
        Layers of the network, without the inputs; or give `net`.
    weight : (layer, node, node before)
        Such as (1, 7, 3): document D's w_173, into node 7 of layer 1 from input 3.
    bias, activation : (layer, node)
    input : int
        Which input.
    notation : {"index", "delta", "row", "column"}, default "index"
        Document D's, C's, B's or A's. The first two derive in single units, the others in whole
        layers. `Derivation.beside` shows two of them.
    net : Network, TableModel, fitted estimator, path, dict or published name, optional
        A network that exists, in place of `layers`: its loss, biases and output activation hold,
        its sums are written out at the end if they are small. Or the path of a model file
        (.safetensors) or network file (.json, .toml, .yaml), what such a file holds, or
        "yehoshua", "mazur", "gashler". What a file says holds where the arguments below do not;
        of its samples the first is taken.
    loss : str or Loss, default "squared_error"
        With `layers`. A loss whose canonical output activation is not the identity is taken with
        it, fused (SPEC C10); else the output activation is left open.
    biases : bool, default: only if one is sought
        With `layers`: whether layers have biases.
    cached : bool, default False
        Go on and name the terms that other gradients need too (SPEC D4, B5).
    x : (n_0,), y : (n_L,), optional
        One sample for `net`: its numbers are put in. In their place x may be a table of one row
        (see `trace`).
    edges : list of L bool arrays (n_{l-1}, n_l), optional
        Which edges `net` has. The weights of the others are 0, and where sums are written out,
        their terms are left out.

    Returns
    -------
    Derivation

    Raises
    ------
    SpecError
        For a layer, unit or edge that does not exist, an unknown notation, more than one thing to
        derive or none.
    DataError
        For an x or y that the network cannot take.
    """
    wanted = {"weight": weight, "bias": bias, "input": input, "activation": activation}
    case = None if net is None else _case(net, x, y, edges)
    known, there = (None, edges) if case is None else (case.net, case.edges)
    task = make_task(_derivable(notation), layers, known, loss, biases, cached, wanted, there)
    if case is None and not (x is None and y is None):
        raise SpecError("x and y are numbers for a network that exists: give net= too")
    return _derived(task, None if case is None else _point(case))


def _derivable(name: str) -> Notation:
    if name not in DERIVED:
        raise unknown_name("notation", name, DERIVED)
    return get_notation(name)


def _derived(task: Task, point: Point | None) -> Derivation:
    steps = matrix_steps(task) if task.whole else scalar_steps(task)
    if task.net is None:
        return Derivation(task, steps)
    if not task.whole:
        steps = with_sums_written_out(task, steps, point)
    if point is None:
        return Derivation(task, steps)
    numbers = Numbers(task, point.net, point.a[0], point.y)
    for step in steps[:-1]:
        numbers.define(step)
    value = numbers.of(steps[-1])
    if value.size > 1 or steps[-1].equal_to != Derivative(ex.Total(), task.target):
        steps = [*steps, _the_one_sought(steps[-1])]
    sought = float(wanted(value, task)[0])
    return Derivation(task, steps, numbers.point, sought, {steps[-1].number: sought})


def _the_one_sought(last: Step) -> Step:
    """Of the gradient by a whole layer the one element, so that its number can be shown."""
    one = Derivative(ex.Total(), last.task.target)
    reason = ("Of all these the one element sought, with the numbers of the sample.",)
    step = replace(last, number=last.number + 1, rule="simplify", expression=one, reason=reason)
    return replace(step, equal_to=one, names=(), phase="result")


def _case(net: Source, x: Any, y: Any, edges: Any) -> Case:
    """The network and at most one sample: what is given, or the first that its file has."""
    case = case_of(net, x, y, heeds=["reduction"], edges=edges, names=("x", "y"))
    if x is None and y is None:
        of_file = case.X is not None and case.Y is not None
        return case.with_samples(case.X[:1], case.Y[:1]) if of_file else replace(case, X=None)
    if case.X is None or case.Y is None:
        raise SpecError("give both x and y: the numbers of a gradient need a sample and its target")
    if len(case.Y) != 1:
        raise DataError(f"x: one sample is derived at a time, got shape {case.X.shape}")
    return case


def _point(case: Case) -> Point | None:
    """The sample, in float64, its biases not folded into the weights."""
    if case.X is None:
        return None
    net = case.net
    own = Network(net.sizes, net.activations, net.loss, list(net.bias), check_derivatives=False)
    own.theta = net.theta
    return Point(own, case.dense[0], case.Y[0])


def _checked_width(width: int | None, least: int = 30) -> int:
    if width is None:
        return max(least, shutil.get_terminal_size((100, 24)).columns)
    options.count(None, width=width)
    if width < least:
        raise SpecError(f"width must be at least {least}, got {width}")
    return width
