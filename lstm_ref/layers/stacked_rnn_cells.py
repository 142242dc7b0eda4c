"""Cells on top of each other, one step of all of them. Keras: ``keras.layers.StackedRNNCells``."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from lstm_ref.conventions import Array
from lstm_ref.layers.base import Layer, Shape
from lstm_ref.layers.composite import Composite
from lstm_ref.layers.lstm_cell import LSTMCell, checked_states, refuse_activity_regularizer
from lstm_ref.layers.registry import deserialize, serialize


class StackedRNNCells(Composite):
    """Each cell reads the output of the one below it, at the same time step.

    Args:
        cells: `LSTMCell` objects, the lowest first.
    """

    def __init__(self, cells: Sequence[LSTMCell], **common: Any) -> None:
        cells = [checked_cell(cell) for cell in cells]
        if not cells:
            raise ValueError("StackedRNNCells([]): at least one cell is needed")
        super().__init__(**{"dtype": cells[0].dtype, **common})
        refuse_activity_regularizer(self)
        self.cells = cells
        names = [cell.name for cell in cells]
        if len(set(names)) < len(names):
            raise ValueError(f"cells on top of each other need names of their own, not {names}")

    @property
    def parts(self) -> Mapping[str, Layer]:
        """The cells by their names."""
        return {cell.name: cell for cell in self.cells}

    def part_shapes(self, input_shape: Shape) -> list[Shape]:
        """The lowest cell reads the input, every other one what the cell below it gives."""
        below = [(input_shape[0], cell.units) for cell in self.cells[:-1]]
        return [input_shape, *below]

    def check_input(self, shape: Shape) -> None:
        """As the lowest cell."""
        self.cells[0].check_input(shape)

    @property
    def state_size(self) -> list[list[int]]:
        """The widths of h and c of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """The width of the output: that of the highest cell."""
        return self.cells[-1].units

    def get_initial_state(self, batch_size: int) -> list[list[Array]]:
        """Zeros for h and c of each cell."""
        return [cell.get_initial_state(batch_size) for cell in self.cells]

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """[B,H] of the highest cell, and those of h and c of each."""
        states = [[(input_shape[0], cell.units)] * 2 for cell in self.cells]
        return states[-1][0], states

    def __call__(  # type: ignore[override]  # cells are not called as other layers are
        self, x: Any, states: Sequence[Sequence[Any]], training: bool | None = None
    ) -> tuple[Array, list[list[Array]]]:
        """One time step: ``h_t, [[h_t, c_t], ...]``, the states of each cell, lowest first.

        Args:
            x: x_t[B,D].
            states: [[h, c], ...], one pair for each cell.
            training: True lets dropout drop.

        Raises:
            ShapeError: another number of states.
        """
        x = self.read(x)
        needs = "[[h, c], ...], one pair for each cell"
        pairs = checked_states(states, len(self.cells), f"{self.name!r}", needs)
        after = []
        for cell, before in zip(self.cells, pairs, strict=True):
            x, state = cell(x, before, training)
            after.append(state)
        return x, after

    def get_config(self) -> dict[str, Any]:
        """See `Layer.get_config`."""
        return {**super().get_config(), "cells": [serialize(cell) for cell in self.cells]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """See `Layer.from_config`."""
        cells = [deserialize(entry) for entry in config.get("cells", ())]
        return super().from_config({**config, "cells": cells})


def checked_cell(cell: Any) -> LSTMCell:
    """``cell``, if it is one.

    Raises:
        TypeError: something else.
    """
    if not isinstance(cell, LSTMCell):
        raise TypeError(
            f"RNN and StackedRNNCells run LSTMCell objects, and {cell!r} came: other cells are not "
            "supported"
        )
    return cell
