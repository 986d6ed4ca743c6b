"""Anyone's own function and its gradient, as terms that a gradient check can differentiate.

Parameters are an array, a dict of arrays or a list of arrays; the user's functions are given what
has the structure of `theta0`, as fresh copies, and everything here works on one flat vector.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.equations.params import Array
from deltarule.errors import SpecError
from deltarule.explain.gradients.differences import Change
from deltarule.explain.gradients.term import Term

Blocks = Mapping[str, slice | int | tuple[int, ...]]


def as_array(value: Any, what: str) -> Array:
    """Real numbers as an array, from NumPy, nested lists, or a tensor on any device.

    Raises SpecError if they are not numbers.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise SpecError(f"{what}: not a rectangular array: {error}") from None
    if array.dtype.kind not in "biuf":
        raise SpecError(f"{what}: real numbers are needed, got {str(value)[:60]} ({array.dtype})")
    return array


class Structure:
    """How the parameters are given: one array, or named or numbered ones."""

    def __init__(self, theta0: Any) -> None:
        if isinstance(theta0, Mapping):
            self.names = [str(name) for name in theta0]
            self.keys: list[Any] | None = list(theta0)
            arrays = [as_array(one, f"theta0[{key!r}]") for key, one in theta0.items()]
        elif isinstance(theta0, list | tuple) and any(np.ndim(one) for one in theta0):
            self.names = [f"theta0[{i}]" for i in range(len(theta0))]
            self.keys = list(range(len(theta0)))
            arrays = [as_array(one, name) for one, name in zip(theta0, self.names, strict=True)]
        else:
            self.names, self.keys = ["theta"], None
            arrays = [as_array(theta0, "theta0")]
        self.kind = type(theta0) if isinstance(theta0, tuple) else list
        self.mapping = isinstance(theta0, Mapping)
        self.shapes = [one.shape for one in arrays]
        self.dtypes = [one.dtype if one.dtype.kind == "f" else np.dtype(float) for one in arrays]
        self.gradient_dtype = np.dtype(float)
        if not any(one.size for one in arrays):
            raise SpecError("theta0 holds no numbers")
        self.theta = self.flat(arrays)
        if not np.isfinite(self.theta).all():
            raise SpecError("theta0 holds NaN or infinity")

    @staticmethod
    def flat(arrays: Sequence[Array]) -> Array:
        """All numbers in one float64 vector."""
        return np.concatenate([one.reshape(-1) for one in arrays]).astype(np.float64)

    def filled(self, theta: Array) -> Any:
        """Fresh arrays with these numbers, as `theta0` was given."""
        arrays, start = [], 0
        for shape, dtype in zip(self.shapes, self.dtypes, strict=True):
            size = int(np.prod(shape))
            kind = np.result_type(dtype, np.complex64) if theta.dtype.kind == "c" else dtype
            arrays.append(theta[start : start + size].reshape(shape).astype(kind))
            start += size
        if self.keys is None:
            return arrays[0]
        return dict(zip(self.keys, arrays, strict=True)) if self.mapping else self.kind(arrays)

    def gradient(self, given: Any) -> Array:
        """What a gradient function gave, as one flat vector; SpecError if it does not fit."""
        if self.keys is None:
            parts = [given]
        elif self.mapping:
            if not isinstance(given, Mapping) or set(given) != set(self.keys):
                got = f"keys {list(given)}" if isinstance(given, Mapping) else type(given).__name__
                raise SpecError(f"the gradient must be a dict with the keys {self.keys}, got {got}")
            parts = [given[key] for key in self.keys]
        else:
            parts = list(given)
            if len(parts) != len(self.keys):
                raise SpecError(
                    f"the gradient has {len(parts)} arrays for {len(self.keys)} of parameters"
                )
        arrays = []
        for name, part, shape in zip(self.names, parts, self.shapes, strict=True):
            array = as_array(part, f"the gradient of {name}")
            if array.shape != shape:
                raise SpecError(
                    f"the gradient of {name} has shape {array.shape}, its parameters have {shape}"
                )
            arrays.append(array)
        kinds = [one.dtype for one in arrays if one.dtype.kind == "f"]
        self.gradient_dtype = min(kinds, key=lambda kind: kind.itemsize, default=np.dtype(float))
        return self.flat(arrays)


class ObjectiveFunction:
    """A function of the user's and its gradient at theta0.

    Parameters
    ----------
    loss_fn, grad_fn, theta0, blocks, args : see `check_objective`.
    """

    def __init__(
        self, loss_fn: Any, grad_fn: Any, theta0: Any, blocks: Blocks | None, args: Sequence[Any]
    ) -> None:
        if not callable(loss_fn):
            raise SpecError(f"loss_fn must be a function of the parameters, got {loss_fn!r}")
        if grad_fn is not True and not callable(grad_fn):
            raise SpecError(
                "grad_fn must be a function of the parameters, or True if loss_fn returns "
                f"(loss, gradient); got {grad_fn!r}"
            )
        if not isinstance(args, list | tuple):
            raise SpecError(f"args must be a tuple of further arguments, got {args!r:.60}")
        self.structure = Structure(theta0)
        self.theta = self.structure.theta
        self.both = grad_fn is True
        self.loss_fn, self.args = loss_fn, tuple(args)
        self.F = self(self.theta)
        if not np.isfinite(self.F):
            raise SpecError(f"the loss at theta0 is {self.F:g}: it has no gradient to check")
        again = self(self.theta)
        if again != self.F:
            raise SpecError(
                f"loss_fn gives {self.F!r} and then {again!r} for the same parameters: fix what is "
                "random in it, or what it keeps from call to call"
            )
        given = (
            self._call(self.theta)[1]
            if self.both
            else grad_fn(self.structure.filled(self.theta), *args)
        )
        self.gradient = self.structure.gradient(given)
        self.blocks = _checked_blocks(blocks, self.structure)

    @property
    def eps(self) -> float:
        """Of the arithmetic that the arrays are in."""
        return float(np.finfo(f"f{self.bytes_of_a_number}").eps)

    @property
    def bytes_of_a_number(self) -> int:
        """8 if parameters and gradient are float64, 4 if any are float32, 2 if any are float16."""
        kinds = [*self.structure.dtypes, self.structure.gradient_dtype]
        return min(8, *(kind.itemsize for kind in kinds))

    def _call(self, theta: Array) -> Any:
        result = self.loss_fn(self.structure.filled(theta), *self.args)
        if not self.both:
            return result, None
        try:
            loss, gradient = result
        except (TypeError, ValueError):
            raise SpecError(
                f"with grad_fn=True, loss_fn must return (loss, gradient), got {str(result)[:60]}"
            ) from None
        return loss, gradient

    def __call__(self, theta: Array) -> float:
        loss = as_array(self._call(theta)[0], "the loss")
        if loss.size != 1:
            raise SpecError(f"loss_fn must return one number, got an array of shape {loss.shape}")
        return float(loss.reshape(-1)[0])

    # -- its terms ----------------------------------------------------------------------------

    def terms(self) -> list[Term]:
        """One for each block."""
        size, found = abs(self.F), []
        for name, (start, shape) in self.blocks.items():
            count = int(np.prod(shape))
            part = slice(start, start + count)
            value = self.theta[part].reshape(shape)
            typical = float(np.sqrt((value**2).mean())) or 1.0
            found.append(
                Term(
                    name,
                    None,
                    value,
                    np.maximum(np.abs(value.reshape(-1)), typical),
                    np.full(count, self.eps * size),
                    np.full(count, size),
                    self._change(start),
                    analytic={"": self.gradient[part].reshape(shape)},
                )
            )
        return found

    def _change(self, start: int) -> Change:
        def change(at: NDArray[np.intp], t: Array) -> tuple[Array, NDArray[np.bool_]]:
            dF = np.empty(t.shape)
            for row, (i, steps) in enumerate(zip(at, t, strict=True)):
                for column, step in enumerate(steps):
                    theta = self.theta.copy()
                    theta[start + i] += step
                    dF[row, column] = self(theta) - self.F
            return dF, np.zeros(t.shape, dtype=bool)

        return change

    def along(self, moves: Sequence[tuple[Term, Array]]) -> Change:
        """F as a function of one step t: each of these terms moves by t times its array."""
        v = self.direction(moves)

        def change(_: NDArray[np.intp], t: Array) -> tuple[Array, NDArray[np.bool_]]:
            dF = np.array([[self(self.theta + step * v) - self.F for step in t[0]]])
            return dF, np.zeros(t.shape, dtype=bool)

        return change

    def direction(self, moves: Sequence[tuple[Term, Array]]) -> Array:
        """One flat vector of the moves."""
        v = np.zeros_like(self.theta)
        for term, move in moves:
            start, _ = self.blocks[term.name]
            v[start : start + move.size] = move.reshape(-1)
        return v

    # -- complex steps ------------------------------------------------------------------------

    def complex_slope(self, v: Array, h: float) -> float | None:
        """The derivative along v by one complex step; None if the function takes none."""
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error")  # of a complex number that is made real
            try:
                loss = np.asarray(self._call(self.theta + 1j * h * v)[0])
            except Exception:  # whatever a user's function raises: it takes no complex arrays
                return None
        if loss.size != 1 or loss.dtype.kind != "c":
            return None
        value = complex(loss.reshape(-1)[0])
        if not abs(value.real - self.F) <= 1e-12 * (1 + abs(self.F)):
            return None
        return value.imag / h

    def imaginary(self, term: Term) -> Callable[[NDArray[np.intp], Array], tuple[Array, Array]]:
        """Changes of one coordinate each for complex steps, as `Term.imaginary`."""
        start, _ = self.blocks[term.name]

        def changes(at: NDArray[np.intp], t: Array) -> tuple[Array, Array]:
            values = np.zeros(len(at), dtype=complex)
            for row, (i, step) in enumerate(zip(at, t.imag, strict=True)):
                v = np.zeros_like(self.theta)
                v[start + i] = 1.0
                slope = self.complex_slope(v, float(step))
                values[row] = np.nan if slope is None else 1j * slope * step
            return values, np.abs(values.imag)

        return changes


def _block(name: Any, given: Any, size: int, end: int) -> tuple[int, tuple[int, ...]]:
    """Where a block starts, given as a slice or as a shape after those before it, and its shape."""
    try:
        if isinstance(given, slice):
            start, stop, step = given.indices(size)
            if step != 1 or stop <= start:
                raise SpecError(
                    f"blocks[{name!r}]: a slice with step 1 that is not empty is needed"
                )
            return start, (stop - start,)
        shape = tuple(map(index, given if np.iterable(given) else [given]))
    except TypeError:
        shape = (-1,)
    if min(shape, default=0) < 0:
        raise SpecError(
            f"blocks[{name!r}]: a shape of whole numbers or a slice is needed, got {given!r:.60}"
        )
    return end, shape


def _checked_blocks(
    blocks: Blocks | None, structure: Structure
) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Name -> (where it starts in the flat vector, its shape)."""
    if blocks is None:
        starts = np.cumsum([0, *(int(np.prod(shape)) for shape in structure.shapes)])
        return {
            name: (int(start), shape)
            for name, start, shape in zip(structure.names, starts, structure.shapes, strict=False)
        }
    if structure.keys is not None:
        raise SpecError("blocks name parts of one flat theta0; a dict or list has its own names")
    if not isinstance(blocks, Mapping):
        raise SpecError(f"blocks must be a dict of names and shapes or slices, got {blocks!r:.60}")
    size = structure.theta.size
    found: dict[str, tuple[int, tuple[int, ...]]] = {}
    end = 0
    for name, given in blocks.items():
        start, shape = _block(name, given, size, end)
        end = start + math.prod(shape)
        found[str(name)] = (start, shape)
    covered = np.zeros(size, dtype=int)
    for start, shape in found.values():
        covered[start : start + math.prod(shape)] += 1
    total = sum(math.prod(shape) for _, shape in found.values())
    if total != size or (covered != 1).any():
        raise SpecError(
            f"blocks must hold each of the {size} numbers of theta0 once; they hold {total}"
            + (f", and none holds number {int(np.argmin(covered))}" if (covered == 0).any() else "")
        )
    return found
