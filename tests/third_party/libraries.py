"""The two libraries that Keras' test modules are run on: lstm_ref under Keras' names, and Keras."""

import importlib
from collections.abc import Mapping
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np

import lstm_ref as lr
from lstm_ref.layers import Layer
from lstm_ref.layers.base import read_only
from lstm_ref.spec.activations import ACTIVATIONS
from tests.third_party import keras_callbacks, keras_losses, keras_optimizers
from tests.third_party.keras_source import Absent, Library, Recorded
from tests.third_party.keras_test_case import KerasTestCase
from tests.third_party.stand_ins import STAND_INS, stand_ins

MODULES = (
    "layers", "initializers", "regularizers", "constraints", "losses", "metrics", "models",
    "optimizers", "utils",
)  # fmt: skip
"""Modules with the same name in both."""


def lstm_ref_library(test_case: type[KerasTestCase], with_an_lstm: bool) -> Library:
    """lstm_ref, and of Keras' other modules the little that tests of ours need."""
    library = Library({})
    own = stand_ins(lr.layers, lr.initializers.Constant) if with_an_lstm else {}
    own["Layer"] = LayerWithCall
    modules = {name: Recorded(getattr(lr, name), library.used, own) for name in MODULES}
    modules["schedules"] = Recorded(lr.optimizers.schedules, library.used, {})
    library.names = {
        **{f"keras.src.{name}": module for name, module in modules.items()},
        "keras.src.models.Sequential": modules["models"].Sequential,
        "keras.src.saving.load_model": modules["models"].load_model,
        "keras.src.regularizers.regularizers.validate_float_arg": validate_float_arg(
            modules["regularizers"]
        ),
        "keras.src.activations": SimpleNamespace(**{name: name for name in ACTIVATIONS}),
        "keras.src.backend": WithoutMore(
            "keras.src.backend",
            backend=lambda: "numpy",
            SUPPORTS_SPARSE_TENSORS=False,
            SUPPORTS_RAGGED_TENSORS=False,
            Variable=keras_optimizers.Variable,
            convert_to_tensor=np.asarray,
            floatx=lr.floatx,
            convert_to_numpy=np.asarray,
            **keras_losses.BACKEND,
        ),
        "keras.src.backend.common.keras_tensor.KerasTensor": np.zeros,
        "keras.src.ops": WithoutMore(
            "keras.src.ops",
            **vars(keras_optimizers.OPS) | keras_callbacks.OPS | keras_losses.OPS,
        ),
        **keras_optimizers.names(modules),
        **keras_callbacks.names(library.used),
        **keras_losses.names(modules, library.used),
        "conftest.skip_if_backend": lambda backend, reason: lambda method: method,
        **testing(test_case),
        **cells(own),
    }
    library.used.clear()
    return library


def keras_library(test_case: type[KerasTestCase]) -> Library:
    """Keras, with an LSTM for the recurrent layers that lstm_ref does not have."""
    library = Library({}, everything_else=True)
    layers = importlib.import_module("keras.src.layers")
    own = stand_ins(layers, importlib.import_module("keras.src.initializers").Constant)
    library.names = {
        "keras.src.layers": Recorded(layers, library.used, own),
        **testing(test_case),
        **cells(own),
    }
    return library


def testing(test_case: type[KerasTestCase]) -> dict[str, Any]:
    """``keras.src.testing``, for a machine without accelerators, and ``pytest``."""
    names = SimpleNamespace(
        TestCase=test_case, tensorflow_uses_gpu=lambda: False, jax_uses_gpu=lambda: False
    )
    return {
        "keras.src.testing": names,
        "keras.src.testing.test_case": names,
        "pytest": SimpleNamespace(mark=NoMarks()),
    }


class NoMarks:
    """``pytest.mark``: the marks say on which backends Keras runs a test, and change nothing."""

    def __getattr__(self, name: str) -> Any:
        def mark(*given: Any, **_: Any) -> Any:
            marked = given and isinstance(given[0], FunctionType | type)
            return given[0] if marked else lambda thing: thing

        return mark


def cells(own: Mapping[str, Any]) -> dict[str, Any]:
    """The cells that a test module takes from another one."""
    start = "keras.src.layers.rnn.rnn_test"
    of_tests = ("OneStateRNNCell", "TwoStatesRNNCell")
    assert set(of_tests) <= set(STAND_INS)
    return {f"{start}.{n}": own.get(n, Absent(f"{start}.{n}")) for n in of_tests}


class WithoutMore(SimpleNamespace):
    """A module of Keras of which only these names are there."""

    def __init__(self, name: str, **names: Any) -> None:
        super().__init__(**names)
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return Absent(f"{self._name}.{attribute}")


class LayerWithCall(Layer):
    """The base of layers that are written in a test: Keras calls ``call``, we ``forward``."""

    def forward(
        self, x: Any, mask: Any = None, training: bool = False, keep_cache: bool = False
    ) -> tuple[Any, None]:
        return self.call(x, mask=mask), None

    def call(self, inputs: Any, mask: Any = None) -> Any:
        raise NotImplementedError


def validate_float_arg(regularizers: Any) -> Any:
    """Keras' check of a regularizer's factor: here, what a regularizer makes of it."""
    return lambda value, name: regularizers.OrthogonalRegularizer(factor=value).factor


class Variable(np.ndarray):
    """A weight of a layer of ours, with what Keras' tests do with theirs."""

    layer: Layer
    name: str

    @property
    def value(self) -> np.ndarray:
        return self.numpy()

    @property
    def constraint(self) -> Any:
        return self.layer.constrained().get(self.name)

    def numpy(self) -> np.ndarray:
        return np.asarray(self)

    def assign(self, value: Any) -> None:
        self.layer.assign({self.name: value})


def variable(layer: Layer, name: str) -> Variable:
    """In the place of `Layer.weight`."""
    if not layer.built:
        raise AttributeError(name)
    view = read_only(layer.params[name]).view(Variable)
    view.layer, view.name = layer, name
    return view


def variables(layer: Layer) -> list[Variable]:
    """In the place of `Layer.weights`."""
    return [variable(layer, name) for name in layer.params]
