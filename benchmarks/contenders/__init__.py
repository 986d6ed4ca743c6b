"""Who takes part. Each peer lives in its own file and is imported only in its own worker."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass

from benchmarks.cases import Case
from benchmarks.contenders.base import Contender


@dataclass(frozen=True)
class Entry:
    """A contender as the parent process knows it, without importing its library.

    Attributes
    ----------
    name : str
        Unique, such as `jax-grad`.
    family : str
        The library; the best form of each family stands for it.
    module, kind : str
        Where its class is.
    needs : tuple of str
        The modules that must be installed.
    label : str
        What form it is, in words.
    parallel : bool
        Whether it can use more than one thread.
    most_parameters : int or None
        Larger networks are left out: the form is not meant for them.
    most_layers : int or None
        Deeper ones are left out: they take minutes to compile.
    """

    name: str
    family: str
    module: str
    kind: str
    needs: tuple[str, ...]
    label: str
    parallel: bool = True
    most_parameters: int | None = None
    most_layers: int | None = None

    def installed(self) -> bool:
        """Whether everything that it needs can be imported."""
        return all(importlib.util.find_spec(module) is not None for module in self.needs)

    def suits(self, case: Case) -> bool:
        """Whether it takes part in a case."""
        small = self.most_parameters is None or case.parameters <= self.most_parameters
        return small and (self.most_layers is None or len(case.layers) <= self.most_layers)

    def load(self) -> type[Contender]:
        """Its class; imports its library."""
        module = importlib.import_module(f"benchmarks.contenders.{self.module}")
        kind: type[Contender] = getattr(module, self.kind)
        return kind


OURS = "deltarule"

ENTRIES: tuple[Entry, ...] = (
    Entry(OURS, OURS, "ours", "Deltarule", ("deltarule",), "`dr.train`, default engine"),
    Entry("numpy", "numpy", "numpy_blas", "NumpyBlas", ("scipy",), "NumPy, fused BLAS, in place"),
    Entry(
        "torch-hand", "torch", "torch_peer", "TorchHand", ("torch",), "PyTorch, hand-written step"
    ),
    Entry(
        "torch-autograd", "torch", "torch_peer", "TorchAutograd", ("torch",), "PyTorch, autograd"
    ),
    Entry(
        "torch-compile",
        "torch",
        "torch_peer",
        "TorchCompiled",
        ("torch",),
        "PyTorch, hand-written step under torch.compile",
        most_layers=100,
    ),
    Entry(
        "jax-hand",
        "jax",
        "jax_peer",
        "JaxHand",
        ("jax",),
        "JAX, jit + scan, hand-written",
        most_layers=100,
    ),
    Entry(
        "jax-grad",
        "jax",
        "jax_peer",
        "JaxGrad",
        ("jax",),
        "JAX, jit + scan, value_and_grad",
        most_layers=100,
    ),
    Entry("sklearn", "sklearn", "sklearn_peer", "Sklearn", ("sklearn",), "MLPRegressor.fit"),
    Entry(
        "keras",
        "keras",
        "keras_peer",
        "Keras",
        ("keras", "jax"),
        "Keras on JAX, fit",
        most_layers=100,
    ),
    Entry(
        "numba",
        "numba",
        "numba_peer",
        "NumbaLoop",
        ("numba",),
        "Numba, loops",
        parallel=False,
        most_parameters=500_000,
        most_layers=100,
    ),
)


def entry(name: str) -> Entry:
    """The contender of that name."""
    return next(e for e in ENTRIES if e.name == name)


def chosen(peers: list[str] | None) -> list[Entry]:
    """Ours and the installed peers, or those of the named contenders or families.

    Raises ValueError for a name that no contender or family has, or that is not installed.
    """
    if peers is None:
        return [e for e in ENTRIES if e.installed()]
    known = {e.name for e in ENTRIES} | {e.family for e in ENTRIES}
    for name in peers:
        if name not in known:
            raise ValueError(f"unknown peer {name!r}. Known: {', '.join(sorted(known))}")
    picked = [e for e in ENTRIES if {e.name, e.family} & set(peers) or e.name == OURS]
    for e in picked:
        if e.name != OURS and not e.installed():
            raise ValueError(f"peer {e.name!r} needs {', '.join(e.needs)}, not installed here")
    return [e for e in picked if e.installed()]
