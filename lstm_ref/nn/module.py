"""What every module is: weights under PyTorch's names, and a mode. PyTorch: ``torch.nn.Module``.

The weights are replaced when they change, never written into, so an array taken from a module
stays what it was.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from lstm_ref.checks import real_array
from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.layers.base import read_only
from lstm_ref.layers.initializers import RandomUniform
from lstm_ref.layers.session import dtype_name
from lstm_ref.spec.parameters import fixed


class ModuleShapeError(ShapeError, RuntimeError):
    """A ShapeError where PyTorch raises RuntimeError, for code that catches that."""


class IncompatibleKeys(NamedTuple):
    """What `Module.load_state_dict` with ``strict=False`` left as it was, and what it left out."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """The part common to all modules.

    A weight is an attribute under its name, read-only; ``module.weight = array`` replaces it by a
    copy of the array, which must have the same shape.

    Args:
        shapes: the weights by name, in PyTorch's order.
        absent: weights that would be there with other arguments, and are None.
        bound: the weights begin uniformly within ±bound.
        device: None or "cpu".
        dtype: "float32" or "float64", NumPy's or PyTorch's; None for `lstm_ref.floatx`.

    Attributes:
        training: whether the module is in training mode, as each is in the beginning.
        dtype: the name of the dtype it computes in; inputs are converted to it.
    """

    constructor_weights = "bias"
    """The arguments that decide which weights there are, for messages."""

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        absent: tuple[str, ...],
        bound: float,
        device: Any,
        dtype: Any,
    ) -> None:
        if device is not None and str(device) != "cpu":
            raise UnsupportedError(
                f"{type(self).__name__}(device={str(device)!r}) is not supported: modules compute "
                "on the CPU"
            )
        if str(dtype).startswith("torch."):  # no dtype to NumPy, but named like one
            dtype = str(dtype).removeprefix("torch.")
        self.dtype = dtype_name(dtype)
        self.training = True
        self._shapes, self._absent, self._bound = dict(shapes), absent, bound
        self._weights: dict[str, Array] = {}
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew, from the session's seed (`lstm_ref.set_seed`).

        The distribution is PyTorch's, the random numbers are not.
        """
        self._replace(
            {
                name: RandomUniform(-self._bound, self._bound)(shape, self.dtype)
                for name, shape in self._shapes.items()
            }
        )

    def _replace(self, weights: Mapping[str, Array]) -> None:
        """The one place where weights change."""
        self._weights = self._weights | {name: fixed(w) for name, w in weights.items()}

    # The mode.

    def train(self, mode: bool = True) -> Self:
        """Switch training mode on or off; only an LSTM's dropout looks at it."""
        if not isinstance(mode, bool):
            raise ValueError(f"training mode is expected to be boolean, and {mode!r} came")
        self.training = mode
        return self

    def eval(self) -> Self:
        """Switch training mode off."""
        return self.train(mode=False)

    # The weights.

    def named_parameters(self) -> Iterator[tuple[str, Array]]:
        """The weights with their names, in PyTorch's order, as read-only arrays."""
        for name in self._shapes:
            yield name, read_only(self._weights[name])

    def parameters(self) -> Iterator[Array]:
        """The weights, in PyTorch's order, as read-only arrays."""
        for _, weight in self.named_parameters():
            yield weight

    def state_dict(self) -> dict[str, Array]:
        """Copies of the weights by name, in PyTorch's order."""
        return {name: weight.copy() for name, weight in self.named_parameters()}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Take over the weights in `state_dict`, converted to the module's dtype.

        Args:
            state_dict: arrays by name, or anything else that NumPy reads, PyTorch's tensors on the
                CPU among them.
            strict: whether every weight must be there, and nothing else. Otherwise those that are
                there are taken. A shape must always fit.

        Returns:
            `IncompatibleKeys`: the lists ``missing_keys`` and ``unexpected_keys``.

        Raises:
            ModuleShapeError: naming all that is missing, unexpected or of another shape. The
                weights are then as before (PyTorch would have taken over those that fit).
            TypeError: something else than a mapping.
            DTypeError: a weight that does not hold real numbers.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"state_dict is a {type(state_dict).__name__}, and a mapping from names to arrays "
                "is needed; a list of Keras' weights has no names: LSTMParams(*weights), then "
                "lstm_ref.layouts.params_to_torch"
            )
        missing = [name for name in self._shapes if name not in state_dict]
        unexpected = [name for name in state_dict if name not in self._shapes]
        weights = {
            name: real_array(state_dict[name], name, np.dtype(self.dtype))
            for name in self._shapes
            if name in state_dict
        }
        complaints = [
            f"{name} has shape {weights[name].shape}, and {shape} is needed"
            + transposed_advice(weights[name].shape, shape)
            for name, shape in self._shapes.items()
            if name in weights and weights[name].shape != shape
        ]
        if strict and missing:
            complaints.append(f"there is no {', '.join(missing)}")
        if strict and unexpected:
            complaints.append(f"nothing here is called {', '.join(map(str, unexpected))}")
        if complaints:
            if strict and (missing or unexpected):
                complaints.append(self._keys_advice(unexpected))
            raise ModuleShapeError(f"the state_dict does not fit {self!r}: {'; '.join(complaints)}")
        self._replace(weights)
        return IncompatibleKeys(missing, unexpected)

    def _keys_advice(self, unexpected: list[str]) -> str:
        """The usual reason for keys that do not fit."""
        if "kernel" in unexpected:
            return (
                "these are Keras' names: lstm_ref.layouts.params_to_torch brings an LSTM's weights "
                "to PyTorch's layout, and a dense kernel is transposed"
            )
        for name in self._shapes:
            for key in unexpected:
                if (prefix := str(key).removesuffix(f".{name}")) != key:
                    return (
                        f"the keys of a larger model begin with a module's name: take those of "
                        f"{prefix!r} and cut {prefix + '.'!r} off"
                    )
        return f"which weights there are is decided by {self.constructor_weights}"

    def __getattr__(self, name: str) -> Any:
        # Called for what is no ordinary attribute; also by `copy`, before there are any.
        weights = self.__dict__.get("_weights", {})
        if name in weights:
            return read_only(weights[name])
        if name in self.__dict__.get("_absent", ()):
            return None
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        shapes = self.__dict__.get("_shapes", {})
        if name in shapes:
            weight = real_array(value, name, np.dtype(self.dtype))
            if weight.shape != (shape := shapes[name]):
                raise ModuleShapeError(
                    f"{name} of {self!r} has shape {shape}, and an array of shape {weight.shape} "
                    f"came for it{transposed_advice(weight.shape, shape)}"
                )
            self._replace({name: weight})
        elif name in self.__dict__.get("_absent", ()) or name.startswith(("weight", "bias_")):
            raise AttributeError(f"{self!r} has no weight {name!r}: there are {', '.join(shapes)}")
        else:
            super().__setattr__(name, value)

    def extra_repr(self) -> str:
        """What stands between the parentheses of the module's representation."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"


def transposed_advice(shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """What to do with a weight of this shape, where that is plain."""
    if shape == wanted[::-1]:
        return " (it looks transposed: Keras has inputs first, PyTorch outputs; use its .T)"
    return ""
