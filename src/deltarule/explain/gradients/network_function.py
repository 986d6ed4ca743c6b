"""The error of a network as a function of each of its numbers: what a gradient check measures.

Only values are computed, by the equations of the forward pass in float64. One number moved by a
step changes one unit of one layer; everything below it is kept, so that a whole layer of numbers is
moved at the cost of the layers above it. Every move also tells whether a net input (or o - y)
passed a kink.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.equations import backprop
from deltarule.equations.params import Array
from deltarule.errors import SpecError
from deltarule.explain.gradients.differences import EPS, Change, takes_complex_steps
from deltarule.explain.gradients.rounding import near_kinks, of_gradients, of_values
from deltarule.explain.gradients.term import Term
from deltarule.network.network import Network

_AT_ONCE = 2**18  # numbers of the widest array
_VISITED = 64  # rows on which functions are tried with complex numbers
_USUAL = np.linspace(-3.05, 3.05, 13)  # further net inputs there


class NetworkFunction:
    """C = sum_s share_s J_s + l2/2 sum W^2 of a network, X and Y, in float64.

    Parameters
    ----------
    net : Network
        Its parameters are taken as they are; a float32 network's in float64.
    X : (n, n_0) array
    Y : (n, n_L) array
        Targets as `data.check_targets` gives them.
    share : (n,) array
    l2 : float
    """

    def __init__(self, net: Network, X: Array, Y: Array, share: Array, l2: float) -> None:
        self.net, self.l2 = net, l2
        self.X, self.Y, self.share = (one.astype(np.float64) for one in (X, Y, share))
        self.theta = net.theta.astype(np.float64)
        self.layers = net.layers(self.theta)
        self.L, self.f_L = len(self.layers), self.layers[-1].f
        with np.errstate(all="ignore"):
            self.z, self.a = backprop.forward(self.layers, self.X)
            self.J = np.asarray(net.loss.value(self.f_L, self.z[-1], self.Y))
        if not np.isfinite(self.J).all():
            sample = int(np.flatnonzero(~np.isfinite(self.J))[0])
            raise SpecError(
                f"the loss of sample {sample} is {self.J[sample]:g}: it has no gradient to check; "
                "give other parameters or inputs"
            )
        self.noise = EPS * of_values(self.layers, net.loss, self.z, self.a, self.Y, self.J)
        self.sides = [
            _sides(z, layer.f.kinks) for z, layer in zip(self.z, self.layers, strict=True)
        ]
        self.loss_sides = _sides(self.a[-1] - self.Y, net.loss.kinks)

    # -- the forward pass from some layer on ---------------------------------------------------

    def _crossed(self, l: int, z: Array, samples: NDArray[np.intp]) -> NDArray[np.bool_]:
        base = self.sides[l - 1]
        if base is None or z.dtype.kind == "c":
            return np.zeros(len(z), dtype=bool)
        return _differ(_sides(z, self.layers[l - 1].f.kinks), base[samples])

    def _onward(
        self, l: int, z: Array, samples: NDArray[np.intp]
    ) -> tuple[Array, NDArray[np.bool_]]:
        """J (rows,) of rows that enter layer l with net inputs z (rows, n_l), and crossings."""
        crossed = self._crossed(l, z, samples)
        for k in range(l, self.L):
            W, b, _ = self.layers[k]
            z = self.layers[k - 1].f.f(z) @ W
            z = z if b is None else z + b
            crossed |= self._crossed(k + 1, z, samples)
        Y = self.Y[samples]
        if self.loss_sides is not None and z.dtype.kind != "c":
            now = _sides(self.f_L.f(z) - Y, self.net.loss.kinks)
            crossed |= _differ(now, self.loss_sides[samples])
        return self.net.loss.value(self.f_L, z, Y), crossed

    def _with_unit(
        self, l: int, j: NDArray[np.intp], dz: Array, samples: NDArray[np.intp]
    ) -> tuple[Array, NDArray[np.bool_]]:
        """J (m, K, s) and crossings (m, K) where z_l[samples, j] moves by dz (m, K, s)."""
        shape, rows = dz.shape, np.broadcast_to(samples, dz.shape).reshape(-1)
        f = self.layers[l - 1].f
        if (
            l == self.L or not f.registered
        ):  # the units may be mixed, or have parameters of their own
            z = self.z[l - 1][rows].astype(dz.dtype)
            z[np.arange(len(z)), np.broadcast_to(j[:, None, None], shape).reshape(-1)] += dz.ravel()
            J, crossed = self._onward(l, z, rows)
        else:
            before = self.z[l - 1][samples][:, j].T[:, None, :]
            moved = (before + dz).reshape(-1, 1)
            da = f.f(moved).reshape(shape) - self.a[l][samples][:, j].T[:, None, :]
            z = self.z[l][rows] + (da[..., None] * self.layers[l].W[j][:, None, None, :]).reshape(
                len(rows), -1
            )
            J, crossed = self._onward(l + 1, z, rows)
            base = self.sides[l - 1]
            if base is not None and dz.dtype.kind != "c":
                sides = base[rows, np.repeat(j, dz[0].size)][:, None]
                crossed |= _differ(_sides(moved, f.kinks), sides)
        crossings = np.asarray(crossed.reshape(shape).any(axis=2))
        return J.reshape(shape), crossings

    def _moved_unit(
        self, l: int, j: NDArray[np.intp], t: Array, i: NDArray[np.intp] | None = None
    ) -> tuple[Array, NDArray[np.bool_], Array]:
        """Change of C (m, K), crossings, size of the change's parts, where z_l[:, j] moves.

        It moves by t (m, K) times a_{l-1}[:, i], or by t alone.
        """
        m, K = t.shape
        dC, crossed = np.zeros((m, K), dtype=t.dtype), np.zeros((m, K), dtype=bool)
        size = np.zeros((m, K))
        for samples, some in self._pieces(l, m, K):
            x = np.ones((1, 1)) if i is None else self.a[l - 1][samples][:, i[some]].T
            dz = t[some][:, :, None] * x[:, None, :]
            dz = np.broadcast_to(dz, (*dz.shape[:2], len(samples)))
            J, crossing = self._with_unit(l, j[some], dz, samples)
            dJ = (J - self.J[samples]) * self.share[samples]
            dC[some] += dJ.sum(axis=2)
            size[some] += np.abs(dJ.imag if dJ.dtype.kind == "c" else dJ).sum(axis=2)
            crossed[some] |= crossing
        return dC, crossed, size

    def _pieces(self, l: int, m: int, K: int) -> Iterator[tuple[NDArray[np.intp], slice]]:
        """Samples and coordinates that go through the layers above l together."""
        width = max(self.net.sizes[l:])
        n = len(self.X)
        samples = int(np.clip(_AT_ONCE // (K * width), 1, n))
        coordinates = int(np.clip(_AT_ONCE // (K * width * samples), 1, m))
        for start in range(0, n, samples):
            for first in range(0, m, coordinates):
                yield (
                    np.arange(start, min(start + samples, n)),
                    slice(first, min(first + coordinates, m)),
                )

    # -- its terms ----------------------------------------------------------------------------

    def terms(self, *, inputs: bool) -> list[Term]:
        """Weights and biases of each layer, and the inputs if asked for."""
        found = [self._inputs()] if inputs else []
        for l in range(1, self.L + 1):
            found.append(self._weights(l))
            if self.layers[l - 1].b is not None:
                found.append(self._biases(l))
        return found

    def _weights(self, l: int) -> Term:
        W = self.layers[l - 1].W
        w, n_out = W.ravel(), W.shape[1]

        def change(at: NDArray[np.intp], t: Array) -> tuple[Array, NDArray[np.bool_]]:
            i, j = np.divmod(at, n_out)
            dC, crossed, _ = self._moved_unit(l, j, t, i)
            return dC + self.l2 * t * (w[at][:, None] + 0.5 * t), crossed

        def imaginary(at: NDArray[np.intp], t: Array) -> tuple[Array, Array]:
            i, j = np.divmod(at, n_out)
            dC, _, size = self._moved_unit(l, j, t[:, None], i)
            penalty = self.l2 * t * w[at]
            return dC[:, 0] + penalty, size[:, 0] + np.abs(penalty.imag)

        rms = np.sqrt((self.a[l - 1] ** 2).mean(axis=0))
        scale = np.repeat(_bounded(1 / np.where(rms > 0, rms, 1)), n_out)
        return self._parameters("weights", l, W, scale, change, imaginary)

    def _biases(self, l: int) -> Term:
        b = self.layers[l - 1].b

        def change(at: NDArray[np.intp], t: Array) -> tuple[Array, NDArray[np.bool_]]:
            dC, crossed, _ = self._moved_unit(l, at, t)
            return dC, crossed

        def imaginary(at: NDArray[np.intp], t: Array) -> tuple[Array, Array]:
            dC, _, size = self._moved_unit(l, at, t[:, None])
            return dC[:, 0], size[:, 0]

        assert b is not None
        return self._parameters("biases", l, b, np.ones(b.size), change, imaginary)

    def _parameters(
        self, name: str, l: int, value: Array, scale: Array, change: Change, imaginary: Any
    ) -> Term:
        size_of_f = float(self.share @ np.abs(self.J))
        doubtful = np.broadcast_to(self._near_above[l] | self._near[l - 1].any(axis=0), value.shape)
        return Term(
            name,
            l,
            value,
            scale,
            np.full(value.size, float(self.share @ self.noise)),
            np.full(value.size, size_of_f),
            change,
            imaginary if self._complex_from(l) else None,
            doubtful=doubtful.reshape(-1),
            cost=self._cost(l, len(self.X)),
        )

    def _inputs(self) -> Term:
        n_in, W = self.X.shape[1], self.layers[0].W

        def rows(at: NDArray[np.intp], t: Array) -> tuple[Array, NDArray[np.bool_]]:
            s, i = np.divmod(at, n_in)
            dJ, crossed = np.empty(t.shape, dtype=t.dtype), np.empty(t.shape, dtype=bool)
            step = max(1, _AT_ONCE // (t.shape[1] * max(self.net.sizes)))
            for start in range(0, len(at), step):
                some = slice(start, start + step)
                z = self.z[0][s[some]][:, None, :] + t[some][:, :, None] * W[i[some]][:, None, :]
                samples = np.repeat(s[some], t.shape[1])
                J, crossing = self._onward(1, z.reshape(-1, z.shape[2]), samples)
                dJ[some] = (J - self.J[samples]).reshape(-1, t.shape[1])
                crossed[some] = crossing.reshape(-1, t.shape[1])
            return dJ, crossed

        def imaginary(at: NDArray[np.intp], t: Array) -> tuple[Array, Array]:
            dJ, _ = rows(at, t[:, None])
            return dJ[:, 0], np.abs(dJ[:, 0].imag)

        size_of_f = np.repeat(np.abs(self.J), n_in)
        largest = np.abs(W).max(axis=1)
        near = np.stack([one.any(axis=1) for one in self._near]).any(axis=0)
        return Term(
            "inputs",
            None,
            self.X,
            np.tile(_bounded(1 / np.where(largest > 0, largest, 1)), len(self.X)),
            np.repeat(self.noise, n_in),
            size_of_f,
            rows,
            imaginary if self._complex_from(1) else None,
            share=self.share[:, None],
            doubtful=np.repeat(near, n_in),
            cost=self._cost(1, 1) + self.net.sizes[1],
        )

    def _cost(self, l: int, rows: int) -> float:
        above = sum(
            a * b for a, b in zip(self.net.sizes[l + 1 :], self.net.sizes[l + 2 :], strict=False)
        )
        # an activation costs about as much as 20 multiplications
        return rows * (above + 20.0 * sum(self.net.sizes[l + 1 :]) + 20.0)

    # -- along a direction --------------------------------------------------------------------

    def along(self, moves: Sequence[tuple[Term, Array]]) -> Change:
        """C as a function of one step t: each of these terms moves by t times its array."""
        v, dX = np.zeros_like(self.theta), np.zeros_like(self.X)
        pairs = self.net.layout.matrices(v)
        for term, move in moves:
            if term.layer is None:
                dX[...] = move
            else:
                pairs[term.layer - 1][term.name == "biases"][...] = move
        of_weights = self.net.layout.weight_mask()
        w, dw = self.theta[of_weights], v[of_weights]

        def change(_: NDArray[np.intp], t: Array) -> tuple[Array, NDArray[np.bool_]]:
            found = [
                self._whole(self.theta + step * v if v.any() else self.theta, self.X + step * dX)
                for step in t[0]
            ]
            dC, crossed = (np.array([one]) for one in zip(*found, strict=True))
            return dC + self.l2 * t * (w @ dw + 0.5 * t * (dw @ dw)), crossed

        return change

    def _whole(self, theta: Array, X: Array) -> tuple[float, bool]:
        """Change of sum_s share_s J_s, and whether a kink was crossed, with all numbers moved."""
        z, a = backprop.forward(self.net.layers(theta), X)
        J = self.net.loss.value(self.f_L, z[-1], self.Y)
        moved = [_sides(one, layer.f.kinks) for one, layer in zip(z, self.layers, strict=True)]
        moved.append(_sides(a[-1] - self.Y, self.net.loss.kinks))
        crossed = any(
            now is not None and (now != base).any()
            for now, base in zip(moved, [*self.sides, self.loss_sides], strict=True)
        )
        return float(self.share @ (J - self.J)), crossed

    # -- what the functions allow ---------------------------------------------------------------

    def rounding(self) -> list[tuple[Array, Array, Array]]:
        """For l = 1..L the rounding of dC/dW_l, dC/db_l and dJ/da_{l-1}, in units of eps."""
        return of_gradients(self.layers, self.net.loss, self.z, self.a, self.Y, self.share)

    @cached_property
    def _near(self) -> list[NDArray[np.bool_]]:
        eps = float(np.finfo(self.net.dtype).eps)
        return near_kinks(self.layers, self.net.loss, self.z, self.a, self.Y, eps)

    @cached_property
    def _near_above(self) -> list[bool]:
        """For l = 0..L, whether a net input near a kink is in a layer above l."""
        any_of = [bool(one.any()) for one in self._near]
        return [any(any_of[l:]) for l in range(self.L + 1)]

    @cached_property
    def _complex(self) -> list[bool]:
        rng, found = np.random.default_rng(0), []
        for l, layer in enumerate(self.layers[:-1]):
            z = _with_usual(self.z[l])
            found.append(not layer.f.kinks and takes_complex_steps(layer.f.f, z, rng))
        z, Y = _with_usual(self.z[-1]), self.Y[np.arange(_VISITED + len(_USUAL)) % len(self.Y)]

        def J(z: Array) -> Array:
            return np.asarray(self.net.loss.value(self.f_L, z, Y))

        smooth = not (self.f_L.kinks or self.net.loss.kinks)
        return [*found, smooth and takes_complex_steps(J, z, rng)]

    def _complex_from(self, l: int) -> bool:
        return all(self._complex[l - 1 :])


def _with_usual(z: Array) -> Array:
    """Rows of z, cut or repeated to a fixed number, and rows that are not saturated."""
    rows = z[np.arange(_VISITED) % len(z)]
    return np.concatenate([rows, _USUAL[:, None] + 0.1 * np.arange(z.shape[1]) % 0.7])


def _sides(z: Array, kinks: Sequence[float]) -> Array | None:
    """On which side of each kink every number lies; None without kinks."""
    if not kinks:
        return None
    sides = (z > kinks[0]).astype(np.int8)
    for kink in kinks[1:]:
        sides += z > kink
    return sides


def _differ(now: Array | None, base: Array) -> NDArray[np.bool_]:
    """In which rows any number is on another side than before."""
    return np.asarray((now != base).any(axis=1))  # type: ignore[union-attr]  # arrays both


def _bounded(scale: Array) -> Array:
    return np.clip(scale, 1e-6, 1e6)
