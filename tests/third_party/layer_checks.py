"""What Keras' ``run_layer_test`` checks of a layer, checked of ours."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.layers import Layer, constraints, initializers, regularizers
from lstm_ref.layers.carried_mask import carried_mask
from lstm_ref.layers.composite import Composite
from lstm_ref.training import optimizers, schedules
from lstm_ref.training.optimizers import Optimizer
from tests.third_party.stand_ins import is_stand_in


@dataclass
class LayerChecks:
    """The arguments are those of Keras' ``run_layer_test``, as far as the tests give them.

    What differs: instead of a symbolic call the shape is computed for a batch of unknown size;
    instead of half precision, which is refused, float64 is tried; a layer without weights is not
    ``built`` from the start, but computes without it; a model with the layer is saved and loaded.
    """

    layer_cls: type[Layer]
    init_kwargs: Mapping[str, Any]
    folder: Path
    input_shape: tuple[int, ...] | None = None
    input_dtype: str = "float32"
    input_data: np.ndarray | None = None
    call_kwargs: Mapping[str, Any] = field(default_factory=dict)
    expected_output_shape: tuple[int, ...] | None = None
    expected_output: np.ndarray | None = None
    expected_num_trainable_weights: int | None = None
    expected_num_non_trainable_weights: int | None = None
    expected_num_seed_generators: int | None = None
    expected_num_losses: int | None = None
    supports_masking: bool | None = None
    custom_objects: Mapping[str, Any] | None = None
    assert_built_after_instantiation: bool = False

    def __post_init__(self) -> None:
        check_no_custom_classes(self.custom_objects)
        if self.input_data is None:
            assert self.input_shape is not None
            numbers = np.random.default_rng(0).uniform(0, 3, self.input_shape)
            self.x = numbers.astype(self.input_dtype)
        else:
            assert self.input_shape is None
            self.x = self.input_data

    def new_layer(self, **more: Any) -> Layer:
        return self.layer_cls(**self.init_kwargs, **more)

    def run(self) -> None:
        self.check_build()
        self.check_call()
        self.check_shapes()
        self.check_mask()
        self.check_dtypes()
        self.check_fit_and_file()

    def check_build(self) -> None:
        layer = self.new_layer()
        if self.assert_built_after_instantiation:
            assert not layer.weight_shapes((None,)), "there are weights to build"
        layer.build(self.x.shape)
        assert layer.built
        self.check_counts(layer)

    def check_counts(self, layer: Layer) -> None:
        counted = {
            "trainable weights": len(layer.trainable_weights),
            "non-trainable weights": len(layer.non_trainable_weights),
            "losses": len(layer.losses),
            "sources of randomness": random_sources(layer),
        }
        expected = (
            self.expected_num_trainable_weights, self.expected_num_non_trainable_weights,
            self.expected_num_losses, self.expected_num_seed_generators,
        )  # fmt: skip
        for (what, count), wanted in zip(counted.items(), expected, strict=True):
            assert wanted is None or count == wanted, f"{count} {what}, not {wanted}"

    def check_call(self) -> None:
        layer = self.new_layer()
        y = layer(self.x, **self.call_kwargs)
        assert layer.built
        self.check_counts(layer)
        assert y.dtype == lr.floatx()
        if self.expected_output_shape is not None:
            assert y.shape == self.expected_output_shape, f"an output of shape {y.shape}"
        if self.expected_output is not None:
            assert type(y) is type(self.expected_output)
            np.testing.assert_allclose(y, self.expected_output, rtol=1e-6, atol=1e-6)
        if self.call_kwargs.get("training"):  # dropout: another draw, and none without training
            draws = [layer(self.x, **self.call_kwargs) for _ in range(20)]
            assert bool(random_sources(layer)) == any(np.any(draw != y) for draw in draws)
            np.testing.assert_array_equal(layer(self.x), layer(self.x))

    def check_shapes(self) -> None:
        y_shape = self.new_layer()(self.x).shape
        for batch in (self.x.shape[0], None):
            shape = self.new_layer().compute_output_shape((batch, *self.x.shape[1:]))
            assert shape == (batch, *y_shape[1:])

    def check_mask(self) -> None:
        if self.supports_masking is None:
            return
        layer = self.new_layer()
        plain = layer(self.x)
        mask = np.ones(self.x.shape[:2], bool)
        if not self.supports_masking:
            assert layer.compute_mask(self.x, mask) is None
            assert carried_mask(plain) is None
            return
        masked = layer(self.x, mask=mask)
        np.testing.assert_array_equal(masked, plain)
        if plain.shape[:2] == mask.shape:
            assert carried_mask(masked) is not None, "the mask is not passed on"
            assert carried_mask(masked).shape == mask.shape
        if not layer.makes_masks and len(self.x) > 1:
            mask[0, 1:] = False
            handed_on = carried_mask(layer(self.x, mask=mask))
            assert handed_on is None or np.array_equal(handed_on, mask)

    def check_dtypes(self) -> None:
        if any(isinstance(value, Layer | list) for value in self.init_kwargs.values()):
            return  # a layer inside has a dtype of its own already
        with pytest.raises(lr.UnsupportedError, match="dtype='mixed_float16'"):
            self.new_layer(dtype="mixed_float16")
        layer = self.new_layer(dtype="float64")
        assert layer(self.x, **self.call_kwargs).dtype == np.float64
        assert all(weight.dtype == np.float64 for weight in layer.weights)

    def check_fit_and_file(self) -> None:
        model = lr.Sequential([self.new_layer()])
        y = model(self.x)
        before = model.get_weights()
        model.compile(optimizer="sgd", loss="mse")
        with nullcontext() if before else pytest.warns(UserWarning, match="no trainable weights"):
            model.fit(self.x, y + 1, epochs=1, verbose=0)
        for old, new in zip(before, model.get_weights(), strict=True):
            assert np.isfinite(new).all()
            assert not np.array_equal(old, new), "a weight that is not trained"
        model.save(path := self.folder / "model.npz")
        loaded = lr.load_model(path)
        np.testing.assert_array_equal(loaded(self.x), model(self.x))
        assert loaded.get_config() == model.get_config()


def random_sources(layer: Layer) -> int:
    """How many parts of a layer drop something at random. Keras' ``SeedGenerator`` is as many."""
    if isinstance(layer, Composite):
        return sum(map(random_sources, layer.parts.values()))
    rates = (getattr(layer, name, 0) for name in ("rate", "dropout", "recurrent_dropout"))
    return int(any(rates))


def check_no_custom_classes(custom_objects: Mapping[str, Any] | None) -> None:
    """Fail for a class that lstm_ref could not read back from a config."""
    assert all(map(is_stand_in, (custom_objects or {}).values())), custom_objects


def home_of(thing: Any) -> Any:
    """What reads and writes things of this kind: mostly their module."""
    homes: dict[type, Any] = {
        initializers.Initializer: initializers,
        regularizers.Regularizer: regularizers,
        constraints.Constraint: constraints,
        Optimizer: optimizers,
        lr.losses.Loss: lr.losses,
        lr.metrics.Metric: lr.metrics,
        schedules.LearningRateSchedule: SimpleNamespace(
            get=schedules.deserialize, serialize=schedules.serialize
        ),
    }
    (home,) = (home for kind, home in homes.items() if isinstance(thing, kind))
    return home
