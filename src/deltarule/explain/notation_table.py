"""The dictionary between the four documents' notations, ours and the code.

The symbols are those of `formula/notation.py`, of one layer of a network: so the shift of the layer
numbers, the order of a weight's indices and the signs can be seen, not only told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from deltarule import options
from deltarule.document import (
    Code,
    Document,
    Heading,
    Item,
    Items,
    Lines,
    Phrase,
    Shown,
    Table,
    Title,
    latex,
    markdown,
)
from deltarule.document.blocks import Block
from deltarule.document.formulas import Tree
from deltarule.errors import SpecError
from deltarule.explain.case import Source, case_or_none
from deltarule.formula.expression import HALF, Derivative, Expression, Sum, signed
from deltarule.formula.function import Equation, Variable
from deltarule.formula.inline import Inline
from deltarule.formula.notation import get_notation
from deltarule.formula.plain import Plain
from deltarule.formula.symbols import OUTPUT, TARGET, Symbols

#: The columns: who writes so.
COLUMNS = {
    "column": "A: column",
    "row": "B: row",
    "delta": "C: delta",
    "index": "D: index",
    "canonical": "ours",
    "code": "code",
}
_HEAD = ("", *COLUMNS.values())
_UNBIASED = ("column", "index")  # documents whose networks have no biases


@dataclass(frozen=True)
class Row:
    """One line of the dictionary.

    Attributes
    ----------
    key : str
        What it is, as a name for programs.
    quantity : str
        What it is, in words.
    cells : dict
        By "column", "row", "delta", "index", "canonical" and "code": how it is written there.
    kind : "words", "symbol" or "equation"
    trees : dict
        By notation: a symbol or an equation as a tree.
    """

    key: str
    quantity: str
    cells: dict[str, str]
    kind: str
    trees: dict[str, Expression] = field(default_factory=dict, repr=False)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({"trees": {}} | state)  # rows pickled by 0.1.0 have none


@dataclass(frozen=True)
class NotationTable(Shown):
    """What `notation_table` gives: `print` it, or one of `to_markdown`, `to_html`, `to_latex`.

    Attributes
    ----------
    layers : int
        L of the network whose symbols are shown.
    layer : int
        l, the layer whose symbols are shown, counted as the code does.
    rows : list of Row
    """

    layers: int
    layer: int
    rows: list[Row]

    def __getitem__(self, key: str) -> Row:
        """The row of that key."""
        for row in self.rows:
            if row.key == key:
                return row
        raise KeyError(key)

    @property
    def title(self) -> str:
        """Which symbols these are."""
        return (
            f"One layer in four documents and in the code: layer {self.layer} of a network of "
            f"{self.layers} layers"
        )

    def document(self) -> Document:
        """Symbols as a table, then each equation in every notation."""
        blocks: list[Block] = [Title(self.title), self._symbols()]
        for row in self.rows:
            if row.kind == "equation":
                blocks += [Heading(row.quantity), _equation(row)]
        return Document([*blocks, *(Lines([note], width=80) for note in NOTES)])

    def _symbols(self, *, typewriter: bool = False) -> Table:
        """Those of the rows that say what is written how, short enough for columns.

        With `typewriter` the code's column is code throughout, where it says words too.
        """
        short = [one for one in self.rows if one.kind != "equation"]
        rows = [_row(one) for one in short]
        if typewriter:
            rows = [[*_row(one)[:-1], Code(one.cells["code"])] for one in short]
        return Table(_HEAD, rows, "l" * len(_HEAD))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "layers": self.layers,
            "layer": self.layer,
            "rows": [
                {"key": one.key, "quantity": one.quantity, "cells": one.cells, "kind": one.kind}
                for one in self.rows
            ],
            "notes": list(NOTES),
        }

    def to_markdown(self) -> str:
        """One Markdown table, equations in it."""
        table = Table(_HEAD, list(map(_row, self.rows)), "l" * len(_HEAD))
        notes = Items([Item(note) for note in NOTES])
        return markdown.write(Document([table, notes])).rstrip("\n")

    def to_latex(self, *, standalone: bool = False) -> str:
        """Tables in LaTeX: the symbols, then each equation. With `standalone` a whole document."""
        lines = latex.table(self._symbols(typewriter=True))
        for row in self.rows:
            if row.kind == "equation":  # each a table of its own, so that pages may break
                name = latex.phrase(row.quantity)
                lines += ["", rf"\medskip\noindent\textbf{{{name}}}\par\noindent"]
                lines += latex.table(_equation(row))
                lines[-1] += r"\par"
        text = "\n".join(lines)
        if not standalone:
            return text
        return "\n".join(
            [
                r"\documentclass{article}",
                r"\usepackage[a4paper,margin=1cm]{geometry}",
                r"\renewcommand{\arraystretch}{1.4}",
                r"\begin{document}\scriptsize\noindent",
                text,
                r"\end{document}",
            ]
        )


def _row(row: Row) -> list[Phrase]:
    """What it is, and how each column writes it."""
    return [row.quantity, *(_cell(row, one) for one in COLUMNS)]


def _equation(row: Row) -> Table:
    """An equation in every notation, one below the other."""
    rows = [(name, _cell(row, one)) for one, name in COLUMNS.items()]
    return Table((), rows, "ll", indent=2)


def _cell(row: Row, column: str) -> Phrase:
    cell = row.cells[column]
    if row.kind == "words" and not (row.key == "C" and column == "code"):
        return cell
    tree = row.trees.get(column)
    return Code(cell) if tree is None else Tree(tree, Inline(get_notation(column)))


NOTES = (
    "Code: p = dr.forward(net, X), g = dr.backward(net, X, Y); s is the sample; samples, units and "
    "lists of layers count from 0, so z_1 is p.z[0].",
    "g.delta and g.activations are of each sample; g.weights and g.biases are of C, the mean.",
    "D's error terms are negative: e = -delta. A writes no delta: it is dJ/dnet, the gradient of "
    "the layer above by its net input.",
    "A and D have no biases; b there is what one would be called.",
    "A prime after a matrix of B transposes it, after a function it is the slope; .* multiplies "
    "element by element.",
)


def notation_table(layers: int | Source = 3, layer: int | None = None) -> NotationTable:
    """The dictionary between the notations of documents A to D, ours and the code.

    Parameters
    ----------
    layers : int, 2 to 9, default 3; or a network of so many layers
        L of the network whose symbols are shown; or a Network, TableModel, fitted estimator, path
        (.safetensors, .json, .toml, .yaml), dict or published name, whose depth is taken.
    layer : int, 1 to L - 1, default 2, or 1 of two layers
        The layer whose symbols are shown, counted as the code does (the inputs are layer 0).

    Raises
    ------
    SpecError
        For other layers.
    """
    case = case_or_none(layers)
    L: Any = layers if case is None else len(case.net.sizes) - 1
    options.count(None, layers=L)
    if not 2 <= L <= 9:
        raise SpecError(f"layers must be 2 to 9, got {L}")
    layer = min(2, L - 1) if layer is None else layer
    options.count(None, layer=layer)
    if layer >= L:
        raise SpecError(f"layer must be a hidden one, 1 to {L - 1} of {L} layers, got {layer}")
    symbols = {name: Symbols(name, [2] * (L + 1)) for name in COLUMNS if name != "code"}
    rows = []
    for key, quantity, kind, write, code in _rows(layer, L):
        written = {name: write(one) for name, one in symbols.items()}
        trees = {name: one for name, one in written.items() if isinstance(one, Expression)}
        cells = {name: str(one) for name, one in written.items()} | {"code": code}
        cells |= {name: Plain(get_notation(name)).write(tree) for name, tree in trees.items()}
        rows.append(Row(key, quantity, cells, kind, trees))
    return NotationTable(L, layer, rows)


_SAMPLE = {
    "column": "a column",
    "row": "a row",
    "delta": "unit by unit",
    "index": "node by node",
    "canonical": "a row",
}
_ERROR = {
    "column": "sum of J",
    "row": "one sample",
    "delta": "mean of J",
    "index": "one sample",
    "canonical": "mean (or sum)",
}


Write = Callable[[Symbols], str | Expression]
#: Key, quantity, kind, how a notation writes it, and the code.
Entry = tuple[str, str, str, Write, str]


def _rows(l: int, L: int) -> list[Entry]:
    return [*_names(l, L), *_forward(l), *_deltas(l, L), *_gradients(l)]


def _names(l: int, L: int) -> list[Entry]:
    """What each thing is called, and what is told in words."""
    k = l - 1  # of lists that begin with layer 1
    weight = f"net.weights[{k}][i, j]"
    delta = f"g.delta[{k}][s, j]"
    return [
        ("inputs_layer", "the inputs are layer", "words", _shift, "0"),
        ("sample", "a sample is", "words", lambda s: _SAMPLE[s.notation.name], "a row"),
        ("letters", "unit, one before, one after", "words", _letters, "j, i, k"),
        ("input", "input", "symbol", lambda s: s.a(0, s.source), "X[s, i]"),
        ("z", "net input", "symbol", lambda s: s.z(l, s.unit), f"p.z[{k}][s, j]"),
        ("a", "output of a unit", "symbol", lambda s: s.a(l, s.unit), f"p.a[{l}][s, j]"),
        ("o", "output of the network", "symbol", lambda s: s.a(L, s.unit), "p.output[s, j]"),
        ("f", "activation function", "symbol", lambda s: s.f(l), f"net.activations[{k}].f"),
        ("slope", "its slope", "symbol", lambda s: s.f(l, slope=True), f"net.activations[{k}].df"),
        ("W", "weight", "symbol", lambda s: s.W(l, s.source, s.unit), weight),
        ("order", "its indices", "words", _order, "from, to"),
        ("b", "bias", "symbol", lambda s: s.b(l, s.unit), f"net.biases[{k}][j]"),
        ("y", "target", "symbol", lambda s: s.y(s.unit), "Y[s, j]"),
        ("C", "error of all samples", "words", lambda s: _ERROR[s.notation.name], "g.loss"),
        ("delta_name", "the delta is called", "words", lambda s: s.notation.delta_name, "delta"),
        ("delta", "delta", "symbol", lambda s: s.delta(l, s.unit), delta),
        ("delta_is", "it is", "symbol", lambda s: _delta_is(s, l), delta),
        ("alpha", "learning rate", "symbol", lambda s: Variable("alpha"), "alpha"),
    ]


def _forward(l: int) -> list[Entry]:
    """The equations of the forward pass."""
    k = l - 1
    code = f"p.z[{k}][s] == p.a[{k}][s] @ net.weights[{k}] + net.biases[{k}]"
    output = f"p.a[{l}] == net.activations[{k}].f(p.z[{k}])"
    return [
        (
            "net_input",
            "net input",
            "equation",
            lambda s: s.net_input(l, s.notation.name not in _UNBIASED),
            code,
        ),
        ("activation", "output of a unit", "equation", lambda s: s.activation(l, None), output),
    ]


def _deltas(l: int, L: int) -> list[Entry]:
    """The equations from the loss down to the inputs."""
    k, top = l - 1, L - 1
    loss = "net.loss.J(p.output, Y)[s] == 0.5 * ((p.output[s] - Y[s]) ** 2).sum()"
    output = f"g.delta[{top}] == (p.output - Y) * net.activations[{top}].df(p.z[{top}])"
    slope = f"net.activations[{k}].df(p.z[{k}])"
    below = f"g.delta[{l}] @ net.weights[{l}].T"
    return [
        ("loss", "squared error of one sample", "equation", lambda s: _loss(s, L), loss),
        (
            "delta_output",
            "delta of an output (squared error)",
            "equation",
            lambda s: s.output_delta(),
            output,
        ),
        (
            "delta_rule",
            "delta rule",
            "equation",
            lambda s: s.delta_rule(l),
            f"g.delta[{k}] == {below} * {slope}",
        ),
        (
            "activation_gradient",
            "gradient by an output of a unit",
            "equation",
            lambda s: s.activation_gradient(l),
            f"g.activations[{l}] == {below}",
        ),
        (
            "input_gradient",
            "gradient by an input",
            "equation",
            lambda s: s.activation_gradient(0),
            "g.inputs == g.delta[0] @ net.weights[0].T",
        ),
    ]


def _gradients(l: int) -> list[Entry]:
    """The equations of the parameters' gradients, and their update."""
    k = l - 1
    return [
        (
            "weight_gradient",
            "gradient by a weight",
            "equation",
            lambda s: s.weight_gradient(l),
            f"g.weights[{k}] == p.a[{k}].T @ g.delta[{k}] / len(X)",
        ),
        (
            "bias_gradient",
            "gradient by a bias",
            "equation",
            lambda s: s.bias_gradient(l),
            f"g.biases[{k}] == g.delta[{k}].mean(axis=0)",
        ),
        (
            "update",
            "update of a weight",
            "equation",
            lambda s: _update(s, l),
            "net.theta -= alpha * g.theta",
        ),
    ]


def _letters(s: Symbols) -> str:
    """Those of a unit, of one before and of one after."""
    return f"{s.unit}, {s.source}, {s.next}"


def _order(s: Symbols) -> str:
    return "to, from" if s.notation.to_first else "from, to"


def _shift(s: Symbols) -> str:
    """The number of the input layer."""
    return "1" if "m" in s.notation.a.sub + s.notation.a.sup else "0"


def _delta_is(s: Symbols, l: int) -> Expression:
    return signed(s.notation.sign, Derivative(s.J, s.z(l, s.unit)))


def _loss(s: Symbols, L: int) -> Expression:
    error = s.of_output(TARGET - OUTPUT if s.notation.target_first else OUTPUT - TARGET) ** 2
    return Equation(s.J, HALF * (error if s.notation.matrix else Sum(s.unit, L, error)))


def _update(s: Symbols, l: int) -> Expression:
    return s.update(s.W(l, *(() if s.notation.matrix else (s.source, s.unit))))
