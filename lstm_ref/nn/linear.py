"""The dense head. PyTorch: ``torch.nn.Linear``."""

import math
from typing import Any

import numpy as np

from lstm_ref.backend import dense_backward, dense_forward
from lstm_ref.checks import real_array
from lstm_ref.conventions import Array
from lstm_ref.nn.arguments import flag, positive
from lstm_ref.nn.module import Module, ModuleShapeError
from lstm_ref.spec.parameters import DenseCache


class Linear(Module):
    """``x Wᵀ + b`` on the last axis: x[..., in_features] becomes [..., out_features].

    ``forward`` and ``backward`` mirror each other::

        y, cache = linear.forward(x, keep_cache=True)
        d_x, gradients = linear.backward(d_y, cache)

    Args:
        in_features, out_features: the sizes; ``weight`` is [out_features, in_features].
        bias: with ``bias`` [out_features]; otherwise it is None.
        device, dtype: see `Module`.

    Raises:
        TypeError, ValueError: an argument that makes no sense, named.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.in_features = positive(in_features, "in_features")
        self.out_features = positive(out_features, "out_features")
        shapes: dict[str, tuple[int, ...]] = {"weight": (self.out_features, self.in_features)}
        if flag(bias, "bias"):
            shapes["bias"] = (self.out_features,)
        # PyTorch draws the weight by Kaiming's rule with a = √5, which comes to the same bound.
        bound = 1 / math.sqrt(self.in_features)
        super().__init__(shapes, () if bias else ("bias",), bound, device, dtype)

    def __call__(self, input: Any) -> Array:  # noqa: A002
        """The outputs.

        Raises:
            ModuleShapeError: another number of features. DTypeError: no real numbers.
        """
        y, _ = self.forward(input)
        return y

    def forward(
        self,
        input: Any,  # noqa: A002 (PyTorch's name)
        keep_cache: bool = False,
    ) -> tuple[Array, DenseCache | None]:
        """What a call gives, and what ``backward`` needs when it was asked for."""
        x = real_array(input, "input", np.dtype(self.dtype))
        if x.shape[-1:] != (self.in_features,):
            raise ModuleShapeError(
                f"input has shape {x.shape}, and in_features is {self.in_features}: the last axis "
                "holds the features"
            )
        output = dense_forward(x, self.weight.T, self.bias, keep_cache=keep_cache)
        return output.y, output.cache

    def backward(self, d_y: Any, cache: DenseCache | None) -> tuple[Array, dict[str, Array]]:
        """The gradients on the input, and on the weights by name.

        Args:
            d_y: on the outputs, of their shape; None for zeros.
            cache: from ``forward(..., keep_cache=True)``.

        Raises:
            ShapeError, DTypeError: d_y does not fit the outputs.
            TypeError: the cache is something else.
        """
        if not isinstance(cache, DenseCache):
            raise TypeError(
                f"cache is {cache!r}: run Linear's forward(..., keep_cache=True), which gives its "
                "result and the cache"
            )
        gradients = dense_backward(np.zeros_like(cache.y) if d_y is None else d_y, cache)
        by_name = {"weight": gradients.d_kernel.T}
        if gradients.d_bias is not None:
            by_name["bias"] = gradients.d_bias
        return gradients.d_h, by_name

    def extra_repr(self) -> str:
        """As PyTorch shows it."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )
