"""What `LSTM` and `LSTMCell` share: LSTM weights under PyTorch's names, and states in pairs.

A run is one pass over the sequence, of one layer in one direction; a cell has just one. A run's
weights have PyTorch's names and the run's suffix.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_ref.checks import real_array
from lstm_ref.conventions import GATES, Array
from lstm_ref.layouts import TORCH, params_from_torch, params_to_torch
from lstm_ref.nn.module import Module, ModuleShapeError
from lstm_ref.spec.parameters import LSTMCache, LSTMGradients, LSTMParams

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class RecurrentCache:
    """What the backward pass of a recurrent module needs.

    Attributes:
        runs: the core's cache of each run, in the order of the states.
        batched: whether the input had a batch axis.
        dropout: the factors behind each layer but the last, [B,T,·]; empty without dropout.
    """

    runs: tuple[LSTMCache, ...]
    batched: bool
    dropout: tuple[Array, ...] = ()


class Recurrent(Module):
    """A module of LSTM weights, one set for each run.

    Args:
        runs: the shapes of each run's weights (`run_shapes`), by the run's suffix.
        absent: as in `Module`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        runs: Mapping[str, Mapping[str, Shape]],
        absent: tuple[str, ...],
        device: Any,
        dtype: Any,
    ) -> None:
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        self._suffixes = tuple(runs)
        shapes = {name + s: shape for s, run in runs.items() for name, shape in run.items()}
        super().__init__(shapes, absent, 1 / math.sqrt(hidden_size), device, dtype)

    def _replace(self, weights: Mapping[str, Array]) -> None:
        super()._replace(weights)
        self._core_params: tuple[LSTMParams, ...] | None = None

    @property
    def core_params(self) -> tuple[LSTMParams, ...]:
        """Each run's weights for the functional core; the same objects until a weight changes."""
        if self._core_params is None:
            self._core_params = tuple(
                params_from_torch(
                    {
                        name: self._weights[name + suffix]
                        for name in TORCH.weights
                        if name + suffix in self._weights
                    }
                ).fixed()
                for suffix in self._suffixes
            )
        return self._core_params

    def _named(self, runs: Sequence[LSTMGradients]) -> dict[str, Array]:
        """The gradients of the runs on their weights, under PyTorch's names and in its order."""
        named: dict[str, Array] = {}
        for g, suffix in zip(runs, self._suffixes, strict=True):
            weights = params_to_torch(
                LSTMParams(g.d_kernel, g.d_recurrent_kernel, g.d_bias, projection=g.d_projection)
            )
            if g.d_bias is not None:  # z holds the sum of both biases, so both have its gradient
                weights["bias_hh"] = g.d_bias.copy()
            named |= {name + suffix: weights[name] for name in TORCH.weights if name in weights}
        return named

    def _pair(
        self, given: Any, names: tuple[str, str], shapes: tuple[Shape, Shape], axes: str
    ) -> tuple[Array, Array]:
        """A pair of arrays of these shapes: states, or gradients on them; zeros for None.

        Raises:
            TypeError: something else than a pair.
            ModuleShapeError, DTypeError: another shape, or something else than real numbers.
        """
        given = (None, None) if given is None else given
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise TypeError(
                f"{type(self).__name__} takes the pair ({', '.join(names)}), and something else "
                f"came: a {type(given).__name__}"
                + (f" of {len(given)}" if isinstance(given, tuple | list) else "")
            )
        dtype = np.dtype(self.dtype)
        arrays = []
        for value, name, shape in zip(given, names, shapes, strict=True):
            array = np.zeros(shape, dtype) if value is None else real_array(value, name, dtype)
            if array.shape != shape:
                raise ModuleShapeError(
                    f"{name} has shape {array.shape}, and {shape} is needed: {axes}"
                )
            arrays.append(array)
        return arrays[0], arrays[1]

    def _checked(self, cache: Any) -> RecurrentCache:
        """The cache of a forward pass.

        Raises:
            TypeError: something else.
        """
        if not isinstance(cache, RecurrentCache):
            raise TypeError(
                f"cache is {cache!r}: run {type(self).__name__}'s forward(..., keep_cache=True), "
                "which gives its result and the cache"
            )
        mine = [vars(params) for params in self.core_params]
        theirs = [vars(run.params) for run in cache.runs]
        if [_shapes(run) for run in mine] != [_shapes(run) for run in theirs]:
            raise TypeError(
                f"this cache is another module's: its weights are not those of {self!r}"
            )
        return cache


def _shapes(weights: Mapping[str, Array | None]) -> dict[str, Shape | None]:
    return {name: None if w is None else w.shape for name, w in weights.items()}


def run_shapes(
    features: int, units: int, outputs: int, bias: bool, projected: bool
) -> dict[str, Shape]:
    """The shapes of one run's weights, by PyTorch's names and in its order."""
    width = len(GATES) * units
    shapes: dict[str, Shape] = {"weight_ih": (width, features), "weight_hh": (width, outputs)}
    if bias:
        shapes |= {"bias_ih": (width,), "bias_hh": (width,)}
    if projected:
        shapes["weight_hr"] = (outputs, units)
    return shapes
