"""The attributes of ONNX's operator LSTM, and what they mean to the core.

The rules stand in the docstring of ``lstm_ref.onnx_op``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from lstm_ref.spec.activations import ActivationId
from lstm_ref.spec.parameters import LSTMConfig

Item = TypeVar("Item")

DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
"""For each of the directions along the first axis of the weights: whether it reads backwards."""

ROLES = ("f", "g", "h")
"""ONNX's names for the functions of the gates, of the candidate and of the output."""

DEFAULT_ACTIVATIONS = ("Sigmoid", "Tanh", "Tanh")

ACTIVATIONS: dict[str, tuple[str | float, ...]] = {
    "Relu": ("relu",),
    "Tanh": ("tanh",),
    "Sigmoid": ("sigmoid",),
    "Affine": ("affine", 0.0, 0.0),
    "LeakyRelu": ("leaky_relu", 0.01),
    "ThresholdedRelu": ("thresholded_relu", 0.0),
    "ScaledTanh": ("scaled_tanh", 0.0, 0.0),
    "HardSigmoid": ("hard_sigmoid_keras2", 0.2, 0.5),
    "Elu": ("elu", 1.0),
    "Softsign": ("softsign",),
    "Softplus": ("softplus",),
}
"""ONNX's functions: each one's name in ``spec.activations``, then α and β, where it has them, as
they are when a node does not say."""


@dataclass(frozen=True)
class Attributes:
    """The attributes of one node. The defaults are those of a node that has none.

    Strings may be bytes, as ``onnx.helper.get_attribute_value`` gives them.
    """

    activations: Sequence[str | bytes] | None = None
    activation_alpha: Sequence[float] | None = None
    activation_beta: Sequence[float] | None = None
    clip: float | None = None
    direction: str | bytes = "forward"
    hidden_size: int | None = None
    input_forget: int = 0
    layout: int = 0

    def configs(self) -> list[LSTMConfig]:
        """What the core has to do, for each direction.

        Raises:
            ValueError: a value that the operator does not know.
        """
        for name, value in (("input_forget", self.input_forget), ("layout", self.layout)):
            if value not in (0, 1):
                raise ValueError(f"{name} is {value!r}: 0 or 1 is needed")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(
                f"clip is {self.clip!r}: a positive number is needed; leave it out for no clipping"
            )
        direction = text(self.direction)
        if direction not in DIRECTIONS:
            known = ", ".join(map(repr, DIRECTIONS))
            raise ValueError(f"direction is {direction!r}: one of {known} is needed, in lower case")
        backwards = DIRECTIONS[direction]
        functions = iter(self._functions(len(backwards)))
        return [
            LSTMConfig(
                recurrent_activation=next(functions),
                activation=next(functions),
                output_activation=next(functions),
                go_backwards=reads_backwards,
                masked_output="zero",
                clip=self.clip,
                input_forget=self.input_forget == 1,
            )
            for reads_backwards in backwards
        ]

    def _functions(self, directions: int) -> list[ActivationId]:
        """f, g and h of each direction, with the α and β that fall to them."""
        given = [text(name) for name in listed(self.activations, "activations")]
        names = given or [*DEFAULT_ACTIVATIONS] * directions
        if len(names) != len(ROLES) * directions:
            raise ValueError(
                f"activations has {len(names)} names, {', '.join(names)}, and "
                f"direction={text(self.direction)!r} needs {len(ROLES) * directions}: f, g and h "
                "for each direction"
            )
        left = {
            "activation_alpha": listed(self.activation_alpha, "activation_alpha"),
            "activation_beta": listed(self.activation_beta, "activation_beta"),
        }
        functions: list[ActivationId] = []
        for name in names:
            function, *usual = known_function(name)
            takes = zip(left.values(), usual, strict=False)  # α, then β, as far as it has them
            functions.append((function, *(v.pop(0) if v else default for v, default in takes)))
        for attribute, surplus in left.items():
            if surplus:
                raise ValueError(
                    f"{attribute} has {len(surplus)} more than {', '.join(names)} take, and "
                    f"{', '.join(map(str, surplus))} would have no effect: a function takes one if "
                    "it has it, from left to right"
                )
        return functions


def known_function(name: str) -> tuple[str | float, ...]:
    """The row of ``ACTIVATIONS`` of that name, in upper or lower case.

    Raises:
        ValueError: there is none.
    """
    for known, function in ACTIVATIONS.items():
        if known.lower() == name.lower():
            return function
    raise ValueError(
        f"activations has {name!r}, and the operator knows {', '.join(ACTIVATIONS)}, in upper or "
        "lower case"
    )


def listed(values: Sequence[Item] | None, attribute: str) -> list[Item]:
    """A list attribute; one that the node does not have is empty.

    Raises:
        ValueError: one value in place of a list.
    """
    if values is None:
        return []
    if isinstance(values, str | bytes) or not np.iterable(values):
        raise ValueError(f"{attribute} is {values!r}: a list is needed, [{values!r}, ...]")
    return list(values)


def text(value: Any) -> str:
    """A string attribute, which ``onnx`` gives as bytes.

    Raises:
        ValueError: something else.
    """
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise ValueError(f"an attribute holds {value!r} where a name is needed")
    return value
