"""Expressions in whole vectors and matrices as arrays, in row or column form.

All is evaluated as its document writes it: a row vector is (1, n), a column (n, 1), so that a
product in the wrong order or a transpose too few does not pass unseen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deltarule.equations.params import Array
from deltarule.explain.derive.evaluate import Definition, EvaluationError, Point, evaluate
from deltarule.formula import expression as ex
from deltarule.formula.expression import Expression, Symbol


class ArrayPoint:
    """A network at one sample, for expressions in arrays.

    Parameters
    ----------
    point : Point
    column : bool
        Vectors are columns, and W_l is (n_l, n_{l-1}); else rows, and (n_{l-1}, n_l).
    """

    def __init__(self, point: Point, column: bool) -> None:
        self.point, self.column = point, column
        self._definitions: dict[Symbol, Expression] = {}
        self._cached: dict[Symbol, Array] = {}

    def define(self, definitions: Sequence[Definition]) -> None:
        """Take on the cached terms that a step names, in place of others with the same symbols."""
        for one in definitions:
            if one.symbol in self._definitions:
                self._cached.clear()
            self._definitions[one.symbol] = one.expression

    def value(self, node: Expression) -> Array:
        """An expression's array. Raises EvaluationError if it has none here."""
        if isinstance(node, ex.MatrixProduct):
            return self._product(node)
        if isinstance(node, ex.Hadamard):
            arrays = [self.value(one) for one in node.factors]
            if len({one.shape for one in arrays}) > 1:
                raise EvaluationError("arrays of unlike shapes, element by element")
            return np.asarray(np.prod(arrays, axis=0))
        if isinstance(node, ex.Plus):
            arrays = [self.value(one) for one in node.terms]
            if len({one.shape for one in arrays}) > 1:
                raise EvaluationError("arrays of unlike shapes added")
            return np.asarray(np.sum(arrays, axis=0))
        if isinstance(node, ex.Negative):
            return -self.value(node.body)
        if isinstance(node, ex.Transpose):
            return self.value(node.body).T
        if isinstance(node, ex.Derivative):
            return self._derivative(node)
        if isinstance(node, ex.Call):
            return self._call(node)
        return self._leaf(node)

    def _product(self, node: ex.MatrixProduct) -> Array:
        result = self.value(node.factors[0])
        for factor in node.factors[1:]:
            after = self.value(factor)
            if result.shape[-1] != after.shape[0]:
                raise EvaluationError(f"shapes {result.shape} and {after.shape} do not multiply")
            result = result @ after
        return result

    def _vector(self, values: Array) -> Array:
        return values[:, None] if self.column else values[None]

    def _derivative(self, node: ex.Derivative) -> Array:
        """The gradient of the error by an array, in the array's own shape."""
        assert isinstance(node.by, Symbol)
        if node.by.indices:
            return np.atleast_2d(evaluate(self.point, ex.Derivative(ex.Total(), node.by)).value)
        self._require_error(node.body)
        _, da = self.point.tangents(node.by)
        flat = self.point.loss_slopes() @ da[-1]
        if node.by.kind != "w":
            return self._vector(flat)
        W = flat.reshape(self.point.weights[node.by.layer - 1].shape)
        return W.T if self.column else W

    def _require_error(self, body: Expression) -> None:
        """The body must be the error of the sample, whichever way it is written."""
        value, error = self._number(body), self.point.loss()
        if not abs(value - error) <= 1e-12 * max(abs(value), abs(error), 1e-300):
            raise EvaluationError("what stands under the derivative is not the error")

    def _number(self, node: Expression) -> float:
        if isinstance(node, ex.Product):
            return float(np.prod([self._number(one) for one in node.factors]))
        if isinstance(node, ex.SquaredNorm):
            return float(np.sum(self.value(node.body) ** 2))
        return float(evaluate(self.point, node).value)

    def _call(self, node: ex.Call) -> Array:
        self.point._require_layer(node.layer, 1)
        f = self.point.net.activations[node.layer - 1]
        return np.asarray((f.df if node.slope else f.f)(self.value(node.argument)))

    def _leaf(self, node: Expression) -> Array:
        if isinstance(node, ex.LossSlope) and node.index is None:
            return self._vector(self.point.loss_slopes())
        if isinstance(node, ex.MixedSlope) and node.index is None:
            self.point._require_layer(node.layer, 1)
            return self.point.jacobian(node.layer)
        if not isinstance(node, Symbol):
            return np.atleast_2d(evaluate(self.point, node).value)
        if node.indices:
            return self._unit(node)
        if node.kind == "delta":
            if node not in self._definitions:
                raise EvaluationError(f"no step names the cached term of layer {node.layer}")
            if node not in self._cached:
                self._cached[node] = np.full((1, 1), np.nan)  # for a term defined by itself
                self._cached[node] = self.value(self._definitions[node])
            return self._cached[node]
        array = self.point.array(node)  # of w as (n_l, n_{l-1})
        if node.kind == "w":
            return array if self.column else array.T
        return self._vector(array)

    def _unit(self, node: Symbol) -> Array:
        if node.kind != "delta":
            return np.atleast_2d(evaluate(self.point, node).value)
        whole = self.value(Symbol("delta", node.layer)).ravel()
        j = node.indices[0]
        if not (isinstance(j, int) and 1 <= j <= len(whole)):
            raise EvaluationError(f"there is no unit {j} in layer {node.layer}")
        return np.atleast_2d(whole[j - 1])

    def scalar(self, node: Expression) -> Array:
        """A product of single elements."""
        factors = node.factors if isinstance(node, ex.Product) else (node,)
        return np.asarray(np.prod([self.value(one) for one in factors], axis=0))
