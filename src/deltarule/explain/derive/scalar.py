"""The derivation in single units, as in document D (index) and, with C's symbols, in delta form.

The error is differentiated from the outputs down. What has been taken out of the derivative stands
before it as a chain of sums and factors; every step changes the end of the chain or the derivative
(the tail).
"""

from __future__ import annotations

from typing import NamedTuple

from deltarule.explain.derive.evaluate import Definition
from deltarule.explain.derive.loss import LossRules
from deltarule.explain.derive.steps import Step, Steps
from deltarule.explain.derive.task import Task
from deltarule.formula import expression as ex
from deltarule.formula.expression import Derivative, Expression, Index, Plus, Sum, product, signed


class Over(NamedTuple):
    """A sum in a chain: all that follows it is its body."""

    letter: str
    layer: int


Link = Over | Expression
#: A second letter for the outputs where they mix: one for a_i, one for the net inputs in it.
SECOND = "v"


def joined(sign: int, chain: list[Link], tail: Expression) -> Expression:
    """The chain and its tail as one tree."""
    body = tail
    factors: list[Expression] = []
    for link in reversed(chain):
        if isinstance(link, Over):
            body = Sum(link.letter, link.layer, product(*reversed(factors), body))
            factors = []
        else:
            factors.append(link)
    return signed(sign, product(*reversed(factors), body))


class Scalar:
    """Writes the steps of one task."""

    def __init__(self, task: Task) -> None:
        self.task, self.steps = task, Steps(task)
        self.by = task.target
        self.T = task.target.layer
        self.J = task.target.indices[0]
        self.of_activation = task.target.kind == "a"
        self.sign = 1
        self.segments: list[list[Link]] = []  # what each layer put into the chain, from the outputs
        self.tail: Expression = ex.ONE

    def run(self) -> list[Step]:
        """All steps."""
        self._loss()
        if not (self.of_activation and self.T == self.task.L):
            self._layers()
        if self.T < self.task.L or not self.of_activation:
            if self.task.cached:
                self._cache()
            elif self.of_activation:
                self._jump()
        return self.steps.done

    # -- writing down ---------------------------------------------------------------------------

    def _add(self, rule: str, *reason: str | Expression, phase: str = "derive") -> int:
        chain = [link for segment in self.segments for link in segment]
        return self.steps.add(rule, joined(self.sign, chain, self.tail), *reason, phase=phase)

    def d(self, body: Expression) -> Derivative:
        """The derivative of a body by the variable sought."""
        return Derivative(body, self.by)

    # -- the loss ---------------------------------------------------------------------------------

    def _loss(self) -> None:
        task, rules = self.task, LossRules(self.task)
        i = task.letter(task.L)
        given = rules.given(i)
        self.steps.add("given", self.d(given), *rules.words(), phase="given")
        self.steps.add("chain rule", rules.chained(i, self.d), *rules.chain_reason(i))
        self.sign, slope = rules.slope(i)
        self.segments, self.tail = [[Over(i, task.L), slope]], self.d(task.a(task.L, i))
        if rules.simplified:
            self._add("simplify", *rules.simplify_reason(i))
        if self.T == task.L and (self.of_activation or not task.mixes):
            self._keep_output(i)
            if self.of_activation:
                self.tail = ex.ONE
                self._add("simplify", "The derivative of ", self.by, " by itself is 1.")

    def _keep_output(self, i: str) -> None:
        """Of the sum over the outputs only the unit sought is left."""
        last = self.segments[0][-1]
        assert isinstance(last, Expression)  # the loss's slope, not a sum's mark
        only = [ex.substituted(last, i, self._int(self.J))]
        kept = self.task.a(self.T, self.J)
        self.segments, self.tail = [list(only)], self.d(kept)
        self._add("drop constants", *self._constants(i))

    def _constants(self, letter: str) -> tuple[str | Expression, ...]:
        """Why all terms of a sum but one are dropped."""
        unit = self.by.indices[-1] if letter == self._source_letter() else self.J
        return (
            f"All terms of the sum over {letter} are constants with respect to ",
            self.by,
            f", except the one with {letter} = {unit}.",
        )

    def _source_letter(self) -> str:
        return self.task.letter(self.T - 1) if self.by.kind == "w" else ""

    @staticmethod
    def _int(index: Index) -> int:
        assert isinstance(index, int)
        return index

    # -- down the layers ------------------------------------------------------------------------

    def _layers(self) -> None:
        task = self.task
        unit: Index = task.letter(task.L)
        if self.T == task.L and not task.mixes:
            unit = self.J
        self._expand_unit(task.L, unit)
        first: list[int] = []  # the numbers of the steps that are repeated later
        for l in range(task.L, 0, -1):
            if l < task.L and l > self.T + 1:
                unit = self._repeat(l, unit, first)
                continue
            first.append(self._chain_unit(l, unit))
            if l == task.L:
                unit = self._output_rules(unit)
            if l == self.T:
                self._parameter(l)
                return
            first.append(self._expand_net(l, unit))
            if l - 1 == self.T:
                self._into_unit(l, unit)
                if self.of_activation:
                    return
                unit = self.J
                self._expand_unit(l - 1, unit)
            else:
                unit = self._out_of_sum(l, unit)
                first.append(
                    self._add(
                        "simplify",
                        "A derivative goes into a sum, and the weights are constants"
                        f"{', as are the biases' if task.biases[l - 1] else ''}.",
                    )
                )
                first.append(self._expand_unit(l - 1, unit))

    def _expand_unit(self, l: int, unit: Index) -> int:
        mixes = self.task.mixes and l == self.task.L
        a = self.task.a(l, unit)
        inside = ex.MixedUnit(l, unit) if mixes else ex.Call(l, self.task.z(l, unit))
        self.tail = self.d(inside)
        return self._add("expand a term", a, " is the activation function of its net input.")

    def _chain_unit(self, l: int, unit: Index) -> int:
        if not (self.task.mixes and l == self.task.L):
            self.segments[-1].append(ex.Call(l, self.task.z(l, unit), slope=True))
            self.tail = self.d(self.task.z(l, unit))
            return self._add(
                "chain rule", "The derivative of the function times the derivative of its inside."
            )
        k = SECOND
        self.segments[-1] += [Over(k, l), LossRules(self.task).mixed_slope(unit, k)]
        self.tail = self.d(self.task.z(l, k))
        return self._add(
            "chain rule", "Each output depends on the net inputs of all outputs: a sum over them."
        )

    def _output_rules(self, unit: Index) -> Index:
        """The fused form at the outputs; afterwards, the unit whose net input stands there."""
        task, L = self.task, self.task.L
        if task.fused:
            self.sign, error = LossRules(task).output_error(unit)
            over = self.segments[0][:1] if isinstance(self.segments[0][0], Over) else []
            self.segments = [[*over, error]]
            self.tail = self.d(task.z(L, unit))
            self._add("simplify", *LossRules(task).fused_reason(unit))
        elif task.mixes:
            unit = SECOND
        if self.T == L and task.mixes:
            letter = str(unit)
            chain = [
                link if isinstance(link, Over) else ex.substituted(link, letter, self._int(self.J))
                for link in self.segments[0]
                if not (isinstance(link, Over) and link.letter == letter)
            ]
            self.segments, self.tail = [chain], self.d(task.z(L, self.J))
            self._add("drop constants", *self._constants(letter))
            unit = self.J
        return unit

    def _net(self, l: int, unit: Index) -> Expression:
        task, m = self.task, self.task.letter(l - 1)
        total = Sum(m, l - 1, product(task.w(l, unit, m), task.a(l - 1, m)))
        return Plus((total, ex.Symbol("b", l, (unit,)))) if task.biases[l - 1] else total

    def _expand_net(self, l: int, unit: Index) -> int:
        self.tail = self.d(self._net(l, unit))
        bias = " and a bias" if self.task.biases[l - 1] else ""
        edges = "; the weight of an edge that is not there is 0" * self.task.lacks_edges(l)
        return self._add(
            "expand a term",
            self.task.z(l, unit),
            f" is a weighted sum of the layer before{bias}{edges}.",
        )

    def _out_of_sum(self, l: int, unit: Index) -> Index:
        m = self.task.letter(l - 1)
        self.segments.append([Over(m, l - 1), self.task.w(l, unit, m)])
        self.tail = self.d(self.task.a(l - 1, m))
        return m

    def _repeat(self, l: int, unit: Index, first: list[int]) -> Index:
        self.segments[-1].append(ex.Call(l, self.task.z(l, unit), slope=True))
        m = self._out_of_sum(l, unit)
        self.tail = self.d(ex.Call(l - 1, self.task.z(l - 1, m)))
        run = list(range(first[0], first[-1] + 1)) == first
        which = f"{first[0]} through {first[-1]}" if run else _listed(first)
        self._add("repeat", f"Steps {which} again, for layer {l}.")
        return m

    def _into_unit(self, l: int, unit: Index) -> None:
        """From the sum over the layer sought to its one unit that depends on the variable."""
        w, a = self.task.w(l, unit, self.J), self.task.a(l - 1, self.J)
        self.tail = self.d(product(w, a))
        self._add("drop constants", *self._constants(self.task.letter(l - 1)))
        self.segments.append([w])
        self.tail = self.d(a)
        self._add("simplify", w, " is a constant with respect to ", self.by, ".")
        if self.of_activation:
            self.tail = ex.ONE
            self._add("simplify", "The derivative of ", self.by, " by itself is 1.")

    def _parameter(self, l: int) -> None:
        """The last steps of a weight or a bias: its own net input."""
        self._expand_net(l, self.J)
        if self.by.kind == "b":
            self.tail = self.d(self.by)
            self._add(
                "drop constants", "The sum over the layer before does not hold ", self.by, "."
            )
            self.tail = ex.ONE
            self._add("simplify", "The derivative of ", self.by, " by itself is 1.")
            return
        a = self.task.a(l - 1, self.by.indices[1])
        self.tail = self.d(product(self.by, a))
        self._add("drop constants", *self._constants(self.task.letter(l - 1)))
        self.tail = a
        self._add(
            "simplify",
            a,
            " is a constant factor, and the derivative of ",
            self.by,
            " by itself is 1.",
        )

    # -- cached terms ---------------------------------------------------------------------------

    def _definitions(self) -> list[tuple[Definition, list[Link]]]:
        """Each cached term, from the outputs, and the chain that it takes the place of."""
        task, N = self.task, self.task.notation
        last = self.segments if not self.of_activation else self.segments[:-1]
        done: list[tuple[Definition, list[Link]]] = []
        above: ex.Symbol | None = None
        for l, segment in zip(range(task.L, -1, -1), last, strict=False):
            overs = [link for link in segment if isinstance(link, Over)]
            factors = [link for link in segment if isinstance(link, Expression)]
            unit: Index = overs[-1].letter if overs else self.J
            if l == self.T and not self.of_activation:
                unit = self.J
            term = task.delta(l, unit)
            if above is None:
                inner = [link for link in segment if not _is_over(link, unit)]
                body = joined(self.sign * N.sign, inner, ex.ONE)
            else:
                body = self._recursion(above, l + 1, factors)
            outer: list[Link] = [Over(unit, l)] if isinstance(unit, str) else []
            done.append((Definition(term, body), [*outer, term]))
            above = term
        return done

    def _recursion(self, above: ex.Symbol, l: int, factors: list[Expression]) -> Expression:
        """The delta rule: a unit's term from those of the layer after it."""
        letter, (w, slope) = above.indices[0], factors
        if not self.task.notation.weight_first_back:
            body = product(above, w, slope)
            return Sum(letter, l, body) if isinstance(letter, str) else body
        inner = product(w, above)
        return product(slope, Sum(letter, l, inner) if isinstance(letter, str) else inner)

    def _cache(self) -> None:
        task = self.task
        for number, (definition, chain) in enumerate(self._definitions()):
            rest = [link for segment in self.segments[number + 1 :] for link in segment]
            l = definition.symbol.layer
            self.steps.add(
                "name a cached term",
                joined(task.notation.sign, [*chain, *rest], self.tail),
                *_naming(definition, number, l == self.T and not self.of_activation),
                names=[definition],
                phase=f"cache {l}",
            )

    def _jump(self) -> None:
        """The error terms of a weight's derivation, all at once (step 17 of document D)."""
        named = self._definitions()
        rest = self.segments[-1]
        self.steps.add(
            "name a cached term",
            joined(self.task.notation.sign, [*named[-1][1], *rest], self.tail),
            "The sums are those of a weight's derivation, so its cached terms serve here too.",
            names=[definition for definition, _ in named],
            phase=f"cache {self.T + 1}",
        )


def _is_over(link: Link, unit: Index) -> bool:
    return isinstance(link, Over) and link.letter == unit


def _naming(definition: Definition, number: int, single: bool) -> tuple[str | Expression, ...]:
    if number == 0:
        why = "is computed once and kept: the gradients of all other weights need it too"
    elif single:
        why = "is the same again, for one unit only"
    else:
        why = "is the same for a layer further back, from the terms just kept"
    return ("The term ", definition.symbol, f" {why}.")


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"


def scalar_steps(task: Task) -> list[Step]:
    """The derivation of a task in single units."""
    return Scalar(task).run()
