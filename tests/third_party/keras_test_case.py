"""Keras' ``testing.TestCase`` for lstm_ref: the same assertions, on its arrays and its messages."""
# ruff: noqa: N802 (the names of the methods are unittest's)

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_ref.layers import Layer, registry
from tests.third_party import (
    layer_checks,
    methods_callbacks,
    methods_losses,
    methods_optimizers,
)

parameterized = pytest.importorskip(
    "absl.testing.parameterized",
    reason='absl comes with keras, which is not installed: pip install -e ".[test]"',
)

SENTENCES: dict[tuple[type[Exception], str], tuple[type[Exception], str]] = {
    (
        ValueError,
        "Invalid value received for argument `rate`. Expected a float value between 0 and 1.",
    ): (ValueError, "a number from 0 to below 1 is needed"),
    **{
        (ValueError, f"Invalid value received for argument `noise_shape`. Expected {what}."): (
            ValueError,
            "a tuple of whole numbers, 1 or more, or None is needed",
        )
        for what in (
            "a tuple or list of integers",
            "all elements to be integers or None",
            "all dimensions to be positive integers or None",
        )
    },
    (TypeError, "Expected an integer value for `n`"): (
        ValueError,
        "a positive whole number is needed",
    ),
    (ValueError, "should be a positive integer"): (ValueError, "a positive whole number is needed"),
    (ValueError, "positive integer"): (ValueError, "a positive whole number is needed"),
    **{
        (error, f"`{argument}` must be a positive integer"): (
            ValueError,
            rf"{argument}=.* a positive whole number is needed",
        )
        for argument in ("input_dim", "output_dim")
        for error in (ValueError, TypeError)
    },
    (ValueError, r"The `mask` passed to the `TimeDistributed` layer has a shape.*"): (
        ValueError,
        "TimeDistributed.* got a mask of shape .* batch and time, must be the same",
    ),
    (ValueError, "Argument `scale` must be positive float."): (
        ValueError,
        r"VarianceScaling\(scale=.*a variance is positive",
    ),
    (ValueError, "Invalid `mode` argument:"): (ValueError, "mode='invalid_mode' is not one of"),
    (ValueError, "Invalid `distribution` argument:"): (
        ValueError,
        "distribution='invalid_dist' is not one of",
    ),
    (ValueError, "incompatible with the layer"): (
        ValueError,
        "got an input of shape .*, and its weights were made for",
    ),
    (ValueError, "expected a non-negative float"): (
        ValueError,
        "a finite number is needed, 0 or more",
    ),
    (
        ValueError,
        (
            'Invalid value for argument `mode`. Expected one of {"rows", "columns"}. '
            "Received: mode=invalid_mode"
        ),
    ): (ValueError, "mode='invalid_mode' is not one of 'rows', 'columns'"),
    (
        ValueError,
        "Inputs to OrthogonalRegularizer must have rank 2. Received: inputs.shape=(4, 4, 4)",
    ): (ValueError, r"compares the rows of a matrix, and w has shape \(4, 4, 4\)"),
    **methods_optimizers.SENTENCES,
    **methods_callbacks.SENTENCES,
    **methods_losses.SENTENCES,
}
"""What Keras raises, and what is raised here in its place: the error and a part of its sentence.

A sentence that is not here is a failure.
"""


class KerasTestCase(parameterized.TestCase):
    """The methods that Keras' tests call, except that the numbers are judged by subclasses."""

    folder: Path
    """Where files may be written."""

    def get_temp_dir(self) -> str:
        return str(self.folder)

    # Numbers.

    def assertAllClose(
        self,
        actual: Any,
        desired: Any,
        atol: float = 1e-6,
        rtol: float = 1e-6,
        tpu_atol: float | None = None,  # for TPUs alone, in Keras as well
        tpu_rtol: float | None = None,
        msg: str | None = None,
    ) -> None:
        raise NotImplementedError

    def assertNotAllClose(self, x1: Any, x2: Any) -> None:
        assert not np.allclose(x1, x2, atol=1e-6, rtol=1e-6), "the two are close everywhere"

    def assertAlmostEqual(  # Keras has 3 decimals, not unittest's 7
        self, actual: Any, desired: Any, decimal: int = 3, tpu_decimal: int | None = None
    ) -> None:
        np.testing.assert_almost_equal(actual, desired, decimal=decimal)

    def assertAllEqual(self, actual: Any, desired: Any) -> None:
        np.testing.assert_array_equal(actual, desired)

    def assertLen(self, container: Any, expected_len: int, msg: str | None = None) -> None:
        assert len(container) == expected_len, msg

    # Errors, and their sentences.

    def assertRaisesRegex(self, expected: Any, expected_regex: Any) -> Any:
        ours, regex = SENTENCES[expected, expected_regex]
        return pytest.raises(ours, match=regex)

    def assertEqual(self, first: Any, second: Any, msg: Any = None) -> None:
        if isinstance(second, str) and (ValueError, second) in SENTENCES:
            assert re.search(SENTENCES[ValueError, second][1], first)
        else:
            assert first == second, msg

    # Whole things.

    def run_class_serialization_test(
        self, instance: Any, custom_objects: dict[str, Any] | None = None
    ) -> None:
        """From the config, and from what is written into a file of it, comes the same thing."""
        layer_checks.check_no_custom_classes(custom_objects)
        config = instance.get_config()
        home = registry if isinstance(instance, Layer) else layer_checks.home_of(instance)
        read = home.deserialize if isinstance(instance, Layer) else home.get
        written = json.loads(json.dumps(home.serialize(instance)))
        for again in (type(instance).from_config(config), read(written)):
            assert type(again) is type(instance)
            assert json.dumps(again.get_config()) == json.dumps(config)
            assert set(vars(again)) == set(vars(instance))
            assert plain_attributes(again) == plain_attributes(instance)

    def run_layer_test(self, layer_cls: type, init_kwargs: Any, **expected: Any) -> None:
        """See `layer_checks.LayerChecks`; an argument that it does not have is an error."""
        self.run_class_serialization_test(layer_cls(**init_kwargs), expected.get("custom_objects"))
        layer_checks.LayerChecks(layer_cls, init_kwargs, self.folder, **expected).run()


def plain_attributes(thing: Any) -> dict[str, Any]:
    """The attributes of an object that hold numbers, words and truths."""
    plain = (int, float, str, bool, tuple, type(None))
    return {name: value for name, value in vars(thing).items() if isinstance(value, plain)}


class AsItStands(KerasTestCase):
    """The numbers are those that stand in the test."""

    def assertAllClose(
        self,
        actual: Any,
        desired: Any,
        atol: float = 1e-6,
        rtol: float = 1e-6,
        tpu_atol: float | None = None,
        tpu_rtol: float | None = None,
        msg: str | None = None,
    ) -> None:
        np.testing.assert_allclose(actual, desired, rtol, atol, err_msg=msg or "")


class Recording(KerasTestCase):
    """The numbers are what Keras gives now; they are kept."""

    numbers: list[np.ndarray]

    def assertAllClose(self, actual: Any, desired: Any, **_: Any) -> None:
        self.numbers.append(np.array(actual))


class Beside(KerasTestCase):
    """The numbers are those that were kept, one after the other."""

    numbers: list[np.ndarray]

    def assertAllClose(self, actual: Any, desired: Any, **_: Any) -> None:
        np.testing.assert_allclose(actual, self.numbers.pop(0), rtol=1e-6, atol=1e-6)
