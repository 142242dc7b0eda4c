"""Keras' way to call an optimizer, for ours: lists of variables instead of weights by name."""

from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.training.optimizers import Optimizer


class Variable(np.ndarray):
    """``backend.Variable``, as far as the tests use it."""

    name: str

    def __new__(
        cls, initializer: Any, dtype: Any = None, name: str = "variable", trainable: bool = True
    ) -> Self:
        del trainable
        variable = np.array(initializer, dtype or lr.floatx()).view(cls)
        variable.name = name
        return variable

    def assign(self, value: Any) -> None:
        self[...] = value

    def numpy(self) -> np.ndarray:
        return np.array(self)


def key(variable: Variable) -> str:
    """A name of its own for every variable."""
    return f"{id(variable)}/{variable.name}"


def by_key(variables: Iterable[Variable]) -> dict[str, np.ndarray]:
    """Weights by name. One without axes gets one, as the weights of layers have."""
    return {key(v): np.atleast_1d(v.numpy()) for v in variables}


_apply, _build = Optimizer.apply, Optimizer.build
_exclude = Optimizer.exclude_from_weight_decay


def apply_gradients(self: Optimizer, grads_and_vars: Iterable[tuple[Any, Variable]]) -> None:
    pairs = list(grads_and_vars)
    gradients = {key(v): None if g is None else np.atleast_1d(g) for g, v in pairs}
    new = _apply(self, by_key(v for _, v in pairs), gradients)
    for _, variable in pairs:
        variable.assign(new[key(variable)].reshape(variable.shape))


def build(self: Optimizer, variables: Any) -> None:
    _build(self, variables if isinstance(variables, Mapping) else by_key(variables))


def exclude_from_weight_decay(
    self: Optimizer, var_list: Iterable[Any] | None = None, var_names: Any = None
) -> None:
    names = [v if isinstance(v, str) else key(v) for v in var_list or ()]
    _exclude(self, names, var_names)


def clip_gradients(self: Optimizer, gradients: list[Any]) -> list[Any]:
    given = {str(place): np.asarray(g, lr.floatx()) for place, g in enumerate(gradients)}
    return list(self._clipped(given).values())


def finalize_variable_values(self: Optimizer, variables: list[Variable]) -> None:
    for variable in variables:
        variable.assign(self.finalized(by_key([variable]))[key(variable)])


def trainable_variables(model: lr.Sequential) -> list[Variable]:
    return [weight.view(Variable) for weight in model.trainable_weights]


KERAS_METHODS = {
    "apply_gradients": apply_gradients,
    "build": build,
    "exclude_from_weight_decay": exclude_from_weight_decay,
    "_clip_gradients": clip_gradients,
    "finalize_variable_values": finalize_variable_values,
    "_iterations": property(lambda self: self.state.iterations),
    "_accumulated_gradients": property(lambda self: list(self.state.waiting.values())),
    "_model_variables_moving_average": property(
        lambda self: [array.view(Variable) for array in self.state.averages.values()]
    ),
}
"""What the tests call besides our methods, or in another way."""


def speak_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let our optimizers take and give what Keras' do, and models give their variables."""
    monkeypatch.setattr(
        lr.Sequential, "trainable_variables", property(trainable_variables), raising=False
    )
    for name, method in KERAS_METHODS.items():
        monkeypatch.setattr(Optimizer, name, method, raising=False)


def names(modules: Mapping[str, Any]) -> dict[str, Any]:
    """What the test modules of optimizers and schedules import, under Keras' names.

    Args:
        modules: the modules that have the same name in both libraries.
    """
    classes = ("SGD", "Adam", "AdamW", "Nadam", "Adagrad", "RMSprop")
    return {
        **{
            f"keras.src.optimizers.{name.lower()}.{name}": taken(modules["optimizers"], name)
            for name in classes
        },
        "keras.src.optimizers.schedules": modules["schedules"],
        "keras.Sequential": modules["models"].Sequential,
        "keras.layers": modules["layers"],
        "keras.ops": OPS,
    }


def taken(module: Any, name: str) -> Callable[..., Any]:
    """A class that is taken from its module only when a test calls it."""
    return lambda *args, **kwargs: getattr(module, name)(*args, **kwargs)


def _floats(array: Any, dtype: Any = None) -> np.ndarray:
    return np.asarray(array, dtype or lr.floatx())


OPS = SimpleNamespace(
    convert_to_tensor=np.asarray,
    array=_floats,
    zeros=lambda shape: np.zeros(shape, lr.floatx()),
    ones=lambda shape: np.ones(shape, lr.floatx()),
    arange=lambda *limits: _floats(np.arange(*limits)),
    full=lambda shape, value: np.full(shape, value, lr.floatx()),
)
"""``keras.ops``, as far as the tests use it."""
