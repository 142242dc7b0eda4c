"""A vector for each number of a vocabulary. Keras: ``keras.layers.Embedding``."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstm_ref.checks import real_numbers
from lstm_ref.conventions import Array
from lstm_ref.errors import DTypeError
from lstm_ref.layers import constraints, initializers, regularizers
from lstm_ref.layers.base import Layer, Shape, constraint_of, positive, refuse, regularizer_of


class Embedding(Layer):
    """Whole numbers x[B,T] become vectors [B,T,D], rows of a table that is learned.

    Args:
        input_dim: how many numbers there are; they are 0 to ``input_dim - 1``.
        output_dim: D, the width of the vectors.
        embeddings_initializer, embeddings_regularizer, embeddings_constraint: as in Keras.
        mask_zero: 0 is padding: its steps are masked.
        weights: the table to begin with, or a list of it alone.
        The LoRA and quantization of Keras are refused by name.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: Any = None,
        lora_alpha: Any = None,
        quantization_config: Any = None,
        *,
        input_length: int | None = None,
        **common: Any,
    ) -> None:
        if input_length is not None:  # Keras 2's way to say how long the sequences are
            common.setdefault("input_shape", (input_length,))
        super().__init__(**common)
        refused = {
            "lora_rank": lora_rank,
            "lora_alpha": lora_alpha,
            "quantization_config": quantization_config,
        }
        refuse("Embedding", refused)
        self.input_dim = positive(input_dim, "Embedding", "input_dim")
        self.output_dim = positive(output_dim, "Embedding", "output_dim")
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self._regularizers = {"embeddings": regularizers.get(embeddings_regularizer)}
        self._constraints = {"embeddings": constraints.get(embeddings_constraint)}
        self.mask_zero = bool(mask_zero)
        if weights is not None:
            self.build()
            alone = len(weights) == 1 and np.ndim(weights[0]) == 2
            self.set_weights(weights if alone else [weights])

    @property
    def makes_masks(self) -> bool:  # type: ignore[override]
        """Whether 0 is padding."""
        return self.mask_zero

    def cast(self, x: Any, name: str) -> Array:
        """``x`` as whole numbers, int64.

        Raises:
            DTypeError: numbers with fractions, which Keras cuts off, NaN or infinity.
        """
        array = real_numbers(x, name)
        if array.dtype.kind == "f":
            with np.errstate(invalid="ignore"):
                whole = np.isfinite(array) & (array == np.floor(array))
            if not whole.all():
                raise DTypeError(
                    f"{name} goes into an Embedding, which reads whole numbers, and it holds "
                    f"{array[~whole][0]}: numbers that are measured go into an LSTM as they are, "
                    "x[..., None]"
                )
        return array.astype(np.int64)

    def weight_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:  # noqa: ARG002
        """embeddings [input_dim,D]."""
        return {"embeddings": (self.input_dim, self.output_dim)}

    def first_weight(self, name: str, shape: tuple[int, ...]) -> Array:  # noqa: ARG002
        """From the initializer."""
        return self.embeddings_initializer(shape, self.dtype)

    def build(
        self,
        input_shape: Sequence[int | None] = (None, None),
        weights: Mapping[str, Array] | None = None,
    ) -> None:
        """See `Layer.build`; the table is the same for every input, so no shape is needed."""
        super().build(input_shape, weights)
        self.build_shape = tuple(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """One more axis, of D."""
        return (*input_shape, self.output_dim)

    def compute_mask(self, x: Array, mask: Array | None = None) -> Array | None:  # noqa: ARG002
        """True where x is not 0, with `mask_zero`; else there is none, as in Keras."""
        return np.not_equal(x, 0) if self.mask_zero else None

    def forward(
        self,
        x: Array,
        mask: Array | None = None,  # noqa: ARG002
        training: bool = False,  # noqa: ARG002
        keep_cache: bool = False,
    ) -> tuple[Array, Array | None]:
        """The rows of the table, and what ``backward`` needs.

        Raises:
            ValueError: a number that the table has no row for.
        """
        outside = (x < 0) | (x >= self.input_dim)
        if outside.any():
            place = tuple(int(n) for n in np.argwhere(outside)[0])
            raise ValueError(
                f"layer {self.name!r} (Embedding) got the number {x[place]} at {place}, and has "
                f"rows for 0 to {self.input_dim - 1}: input_dim is the largest number plus 1"
            )
        return self.params["embeddings"][x], x if keep_cache else None

    def backward(self, d_y: Array, cache: Array) -> tuple[Array, dict[str, Array]]:
        """Whole numbers have no gradient: 0 for them. A row's is the sum over where it stood."""
        d_table = np.zeros_like(self.params["embeddings"])
        np.add.at(d_table, cache, d_y)
        return np.zeros(cache.shape, d_y.dtype), {"embeddings": d_table}

    @property
    def embeddings(self) -> Array:
        """The table [input_dim,D], read-only."""
        return self.weight("embeddings")

    embeddings_regularizer = regularizer_of("embeddings")
    embeddings_constraint = constraint_of("embeddings")

    def get_config(self) -> dict[str, Any]:
        """See `Layer.get_config`."""
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self._regularizers["embeddings"]),
            "embeddings_constraint": constraints.serialize(self._constraints["embeddings"]),
            "mask_zero": self.mask_zero,
        }
