"""Types of the compiled core (see native/binding.cpp)."""

from typing import Any

from numpy.typing import NDArray

ACTIVATIONS: tuple[str, ...]
LOSSES: tuple[str, ...]
OPTIMIZERS: tuple[str, ...]

class NetworkSpec:
    def __init__(
        self,
        sizes: list[int],
        activations: list[int],
        parameters: list[float],
        bias: list[bool],
        loss: int,
        loss_parameter: float,
        groups: list[int],
        loss_groups: list[int],
    ) -> None: ...

class OptimizerSpec:
    def __init__(
        self,
        kind: int,
        momentum: float,
        nesterov: bool,
        rho: float,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        weight_decay: float,
    ) -> None: ...

class _Run:
    def __init__(
        self,
        spec: NetworkSpec,
        theta: NDArray[Any],
        x: Any,
        y: NDArray[Any],
        weight: NDArray[Any] | None,
        batch_size: int,
        optimizer: OptimizerSpec,
        first_moment: NDArray[Any] | None,
        second_moment: NDArray[Any] | None,
        l1: float,
        l2: float,
        penalties_per_sample: bool,
        clip_norm: float,
        seed: int,
        stop: NDArray[Any],
        objective: NDArray[Any] | None,
    ) -> None: ...

class Run32(_Run): ...
class Run64(_Run): ...

class Stretch:
    loss_sum: float
    weight_sum: float
    done: int
    bad_batch: int
    gradient_norms: list[float]
    def __init__(self, steps_before: int) -> None: ...

class _Network:
    def __init__(self, spec: NetworkSpec, rows: int, dropout: list[float]) -> None: ...
    def gradients(
        self,
        theta: NDArray[Any],
        x: Any,
        y: NDArray[Any],
        weight: NDArray[Any] | None,
        gradient: NDArray[Any],
    ) -> float: ...
    def steps(
        self,
        run: _Run,
        stretch: Stretch,
        order: NDArray[Any],
        rates: NDArray[Any],
        first: int,
        last: int,
    ) -> None: ...

class Network32(_Network): ...
class Network64(_Network): ...

def predict(
    spec: NetworkSpec, theta: NDArray[Any], x: Any, scores: bool, out: NDArray[Any]
) -> None: ...
def predict_checked(
    spec: NetworkSpec, theta: NDArray[Any], x: NDArray[Any], out: NDArray[Any]
) -> bool: ...
def cpu_level() -> str: ...
def get_num_threads() -> int: ...
def set_num_threads(n: int) -> None: ...
