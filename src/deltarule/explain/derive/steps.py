"""What is derived, and the steps that a derivation is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from deltarule.explain.derive.evaluate import Definition, Point
from deltarule.explain.derive.task import Task
from deltarule.formula.expression import Expression
from deltarule.formula.latex import Latex
from deltarule.formula.text import Text
from deltarule.formula.writer import TIED

#: The rules that a step may apply.
RULES = (
    "given",
    "chain rule",
    "simplify",
    "expand a term",
    "repeat",
    "drop constants",
    "name a cached term",
)


@dataclass(frozen=True)
class Step:
    """One step of a derivation.

    Attributes
    ----------
    number : int
        From 1.
    rule : str
        Given, chain rule, simplify, expand a term, repeat, drop constants or name a cached term
        (in small letters).
    expression : Expression
    reason : tuple of str and Expression
        The sentence that says why, with its symbols as expressions.
    equal_to : Expression
        What it is equal to: the derivative that is sought.
    names : tuple of Definition
        The cached terms that it names.
    phase : str
        "given", "derive", "cache 5" for the term of layer 5, "result" or "numbers": by this, steps
        of two notations are set side by side.
    numeric : bool
        Whether numbers are put in, so that it holds at one sample only.
    task : Task
    """

    number: int
    rule: str
    expression: Expression
    reason: tuple[str | Expression, ...]
    equal_to: Expression
    names: tuple[Definition, ...] = ()
    phase: str = "derive"
    numeric: bool = False
    task: Task = field(repr=False, kw_only=True)

    @property
    def why(self) -> str:
        """Why, in one sentence of plain text."""
        return self.task.writer(Text).sentence(self.reason).replace(TIED, " ")

    @property
    def text(self) -> str:
        """The expression in plain text."""
        return self.task.writer(Text).plain(self.expression)

    @property
    def latex(self) -> str:
        """The expression in LaTeX, for a formula."""
        return self.task.writer(Latex).write(self.expression)

    def __str__(self) -> str:
        return f"{self.number}. {self.rule}: {self.text}"


class Steps:
    """Collects steps; each is numbered and knows what it is equal to."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.done: list[Step] = []

    @property
    def last(self) -> int:
        """The number of the last step."""
        return len(self.done)

    def add(
        self,
        rule: str,
        expression: Expression,
        *reason: str | Expression,
        names: Sequence[Definition] = (),
        phase: str = "derive",
        equal_to: Expression | None = None,
    ) -> int:
        """Add a step; its number."""
        assert rule in RULES
        self.done.append(
            Step(
                len(self.done) + 1,
                rule,
                expression,
                reason,
                equal_to or self.task.wanted,
                tuple(names),
                phase,
                task=self.task,
            )
        )
        return len(self.done)


@dataclass(frozen=True, eq=False)
class Derived:
    """The steps of a derivation, and the numbers of its sample.

    Attributes
    ----------
    task : Task
        What is derived.
    steps : list of Step
        Each with its rule, its expression, why, and what it is equal to.
    point : Point or None
        The network and the sample, where numbers were given.
    value : float or None
        The derivative sought at that sample, if there is one.
    values : dict
        By the number of a step, what is shown that it comes to: for the last one.
    """

    task: Task
    steps: list[Step]
    point: Point | None = field(default=None, repr=False)
    value: float | None = None
    values: dict[int, float] = field(default_factory=dict, repr=False)
