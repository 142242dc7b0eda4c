"""A layer made of layers: their weights are its weights, and so is all that belongs to them."""

from collections.abc import Mapping, Sequence
from typing import Any

from lstm_ref.conventions import Array
from lstm_ref.errors import UnsupportedError
from lstm_ref.layers.base import Layer, Shape
from lstm_ref.layers.constraints import Constraint
from lstm_ref.layers.dropping import Dropper
from lstm_ref.layers.regularizers import Regularizer


class Composite(Layer):
    """The part common to layers that hold layers.

    A weight of a part is named after the part and by its own name there,
    ``"forward_lstm/kernel"``; by its own name alone where the part's name in `parts` is empty.
    """

    def part_shapes(self, input_shape: Shape) -> list[Shape]:
        """The shape of the input of each part."""
        return [input_shape] * len(self.parts)

    def weight_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        """The weights of all parts."""
        parts = zip(self.parts.items(), self.part_shapes(input_shape), strict=True)
        return {
            joined(prefix, name): weight_shape
            for (prefix, part), shape in parts
            for name, weight_shape in part.weight_shapes(shape).items()
        }

    def build(
        self, input_shape: Sequence[int | None], weights: Mapping[str, Array] | None = None
    ) -> None:
        """See `Layer.build`; every part is built.

        Raises:
            UnsupportedError: a part has another dtype.
        """
        if self.built:
            return
        for part in self.parts.values():
            if part.dtype != self.dtype:
                raise UnsupportedError(
                    f"layer {self.name!r} ({type(self).__name__}) has the dtype {self.dtype}, and "
                    f"{part.name!r} inside it {part.dtype}: give both the same"
                )
        shape = tuple(input_shape)
        self.check_input(shape)
        for (prefix, part), part_shape in zip(
            self.parts.items(), self.part_shapes(shape), strict=True
        ):
            names = part.weight_shapes(part_shape)
            given = None if weights is None else {n: weights[joined(prefix, n)] for n in names}
            part.build(part_shape, given)
        self.build_shape = shape
        self.built = True

    @property
    def params(self) -> Mapping[str, Array]:
        """See `Layer.params`."""
        return self._gathered("params")

    def take_over(self, weights: Mapping[str, Array]) -> None:
        """See `Layer.take_over`."""
        for prefix, part in self.parts.items():
            names = {joined(prefix, name): name for name in part.params}
            part.take_over({names[n]: array for n, array in weights.items() if n in names})

    @property
    def trainable_names(self) -> list[str]:
        """See `Layer.trainable_names`; a part that is not trainable keeps its weights."""
        if not self.trainable:
            return []
        parts = self.parts.items()
        return [joined(prefix, name) for prefix, part in parts for name in part.trainable_names]

    def regularized(self) -> dict[str, Regularizer]:
        """See `Layer.regularized`."""
        found = self._gathered("regularized")
        names = set(self.trainable_names) if found else ()
        return {n: r for n, r in found.items() if n in names}

    def constrained(self) -> dict[str, Constraint]:
        """See `Layer.constrained`."""
        return self._gathered("constrained")

    def restart_dropout(self) -> None:
        """See `Layer.restart_dropout`."""
        for part in self.parts.values():
            part.restart_dropout()

    @property
    def droppers(self) -> Mapping[str, Dropper]:
        """See `Layer.droppers`."""
        return self._gathered("droppers")

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Layer.state_shapes`."""
        return self._gathered("state_shapes")

    def kept_states(self) -> dict[str, Array]:
        """See `Layer.kept_states`."""
        return self._gathered("kept_states")

    def restore_states(self, states: Mapping[str, Array]) -> None:
        """See `Layer.restore_states`."""
        for prefix, part in self.parts.items():
            names = part.state_shapes()
            part.restore_states(
                {n: states[whole] for n in names if (whole := joined(prefix, n)) in states}
            )

    def _gathered(self, what: str) -> dict[str, Any]:
        """A mapping by the names of weights (or of what else parts have), from all parts."""
        gathered: dict[str, Any] = {}
        for prefix, part in self.parts.items():
            found = getattr(part, what)
            own = found() if callable(found) else found
            if prefix:
                own = {joined(prefix, name): value for name, value in own.items()}
            gathered.update(own)
        return gathered


def joined(prefix: str, name: str) -> str:
    """``"forward_lstm/kernel"``, or the one alone where the other is empty."""
    return f"{prefix}/{name}" if prefix and name else prefix or name


def named_gradients(prefix: str, gradients: Mapping[str, Array]) -> dict[str, Array]:
    """The gradients of a part by the names they have in the whole."""
    return {joined(prefix, name): gradient for name, gradient in gradients.items()}
