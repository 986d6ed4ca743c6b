"""PyTorch in three forms: a hand-written step in place, autograd with SGD, and torch.compile."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.cases import Floats, Problem, Weights
from benchmarks.contenders.base import Timed

# The kernels that autograd itself calls: delta times the slope, in one pass and in place.
relu_backward: Any = torch.ops.aten.threshold_backward.grad_input
sigmoid_backward: Any = torch.ops.aten.sigmoid_backward.grad_input


class _Torch(Timed):
    quantum = 1

    def __init__(self, problem: Problem, threads: int) -> None:
        torch.set_num_threads(threads)
        case = problem.case
        self.problem, self.relu = problem, case.activation == "relu"
        self.scale = -case.learning_rate / case.batch
        shape = (case.batches, case.batch, -1)
        self.xs = list(torch.from_numpy(problem.X).reshape(shape).unbind(0))
        self.ys = list(torch.from_numpy(problem.Y).reshape(shape).unbind(0))
        self.reset()

    def reset(self) -> None:
        # W_l is stored as nn.Linear does, (n_l, n_{l-1}): measured a little faster than (in, out)
        pairs = self.problem.weights
        self.W = [torch.from_numpy(np.ascontiguousarray(W.T)).clone().t() for W, _ in pairs]
        self.b = [torch.from_numpy(b).clone() for _, b in pairs]
        self.at = 0

    def weights(self) -> Weights:
        return [
            (np.ascontiguousarray(W.detach().numpy()), b.detach().numpy().copy())
            for W, b in zip(self.W, self.b, strict=True)
        ]

    def to_input(self, X: Floats) -> Any:
        return torch.from_numpy(X)

    def infer(self, X: Any) -> Any:
        with torch.inference_mode():
            a = X
            for l in range(len(self.W)):
                a = torch.addmm(self.b[l], a, self.W[l])
                if l < len(self.W) - 1:
                    a = a.relu_() if self.relu else a.sigmoid_()
            return a


class TorchHand(_Torch):
    """No autograd, no allocation: addmm, mm with out=, the fused slope kernels, addmm_ into W."""

    def __init__(self, problem: Problem, threads: int) -> None:
        super().__init__(problem, threads)
        case = problem.case
        self.a = [torch.empty(case.batch, n) for n in case.sizes]
        self.delta = [torch.empty(case.batch, n) for n in case.sizes]
        self.aT, self.deltaT = [a.t() for a in self.a], [d.t() for d in self.delta]
        self.xTs = [x.t() for x in self.xs]
        self.ones = torch.ones(case.batch)

    @torch.no_grad()
    def train(self, steps: int) -> None:
        for _ in range(steps):
            self._step(self.xs[self.at], self.xTs[self.at], self.ys[self.at])
            self.at = (self.at + 1) % len(self.xs)

    def _step(self, x: Any, xT: Any, y: Any) -> None:
        W, b, delta, scale, last = self.W, self.b, self.delta, self.scale, len(self.W)
        a = x
        for l in range(1, last + 1):
            z = self.a[l]
            torch.addmm(b[l - 1], a, W[l - 1], out=z)
            if l < last:
                if self.relu:
                    z.relu_()
                else:
                    z.sigmoid_()
            a = z
        torch.sub(a, y, out=delta[last])
        for l in range(last, 0, -1):
            if l > 1:
                d = delta[l - 1]
                torch.mm(delta[l], W[l - 1].t(), out=d)
                if self.relu:
                    relu_backward(d, self.a[l - 1], 0.0, grad_input=d)
                else:
                    sigmoid_backward(d, self.a[l - 1], grad_input=d)
            W[l - 1].addmm_(self.aT[l - 1] if l > 1 else xT, delta[l], alpha=scale)
            b[l - 1].addmv_(self.deltaT[l], self.ones, alpha=scale)


class TorchAutograd(_Torch):
    """As most people write it: a loss, backward(), and the SGD of torch.optim."""

    def reset(self) -> None:
        super().reset()
        for parameter in (*self.W, *self.b):
            parameter.requires_grad_()
        case = self.problem.case
        # the fused form starts all threads however small the arrays are
        form: Any = {"fused": True} if case.parameters > 100_000 else {"foreach": True}
        parameters = [*self.W, *self.b]
        self.optimizer = torch.optim.SGD(parameters, lr=case.learning_rate, **form)

    def train(self, steps: int) -> None:
        factor = 0.5 / self.problem.case.batch
        for _ in range(steps):
            a = self.xs[self.at]
            for l in range(len(self.W)):
                a = torch.addmm(self.b[l], a, self.W[l])
                if l < len(self.W) - 1:
                    a = torch.relu(a) if self.relu else torch.sigmoid(a)
            loss: Any = torch.nn.functional.mse_loss(a, self.ys[self.at], reduction="sum") * factor
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            self.at = (self.at + 1) % len(self.xs)


def _step(Ws: list[Any], bs: list[Any], x: Any, y: Any, relu: bool, scale: float) -> None:
    """The functional step that torch.compile sees; it updates Ws and bs in place."""
    a = [x]
    for l in range(len(Ws)):
        z = torch.addmm(bs[l], a[-1], Ws[l])
        if l < len(Ws) - 1:
            z = torch.relu(z) if relu else torch.sigmoid(z)
        a.append(z)
    delta = a[-1] - y
    for l in range(len(Ws) - 1, -1, -1):
        d = delta
        if l > 0:
            slope = a[l] > 0 if relu else a[l] * (1 - a[l])
            delta = (d @ Ws[l].t()) * slope
        Ws[l].addmm_(a[l].t(), d, alpha=scale)
        bs[l].add_(d.sum(0), alpha=scale)


class TorchCompiled(_Torch):
    """torch.compile of the hand-written step: ten steps of a small network in a call."""

    def __init__(self, problem: Problem, threads: int) -> None:
        super().__init__(problem, threads)
        case = problem.case
        small = case.parameters < 100_000 and len(case.layers) < 10
        steps_per_call = range(1, 11 if small else 2)
        self.quantum = quantum = max(n for n in steps_per_call if case.batches % n == 0)
        relu, scale = self.relu, self.scale

        def steps(Ws: list[Any], bs: list[Any], x: Any, y: Any) -> None:
            for k in range(quantum):
                _step(Ws, bs, x[k], y[k], relu, scale)

        # the C++ wrapper saves time per call; on large networks it does not pay
        options: Any = {"cpp_wrapper": True} if small else None
        self.compiled = torch.compile(steps, fullgraph=True, dynamic=False, options=options)
        xs: Any = torch.stack(self.xs)
        ys: Any = torch.stack(self.ys)
        self.x_blocks, self.y_blocks = list(xs.split(quantum)), list(ys.split(quantum))

    @torch.no_grad()
    def train(self, steps: int) -> None:
        for _ in range(steps // self.quantum):
            block = self.at // self.quantum
            self.compiled(self.W, self.b, self.x_blocks[block], self.y_blocks[block])
            self.at = (self.at + self.quantum) % len(self.xs)
