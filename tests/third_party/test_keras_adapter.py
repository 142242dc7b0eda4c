"""What Keras' tests are run through can fail: each of its checks, on something that is wrong."""
# ruff: noqa: PT009, PT027 (the assertions of Keras' tests are what is tested)

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.layers import LSTM, Dense, Dropout, Layer
from tests.third_party import test_keras_own_tests as own
from tests.third_party.keras_source import Absent, AbsentError, Library
from tests.third_party.keras_test_case import AsItStands, Beside
from tests.third_party.layer_checks import LayerChecks


class Forgets(Dense):
    """A layer whose config leaves something out."""

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["activation"]
        return config


class DropsTheMask(Dense):
    def compute_mask(self, x: Any, mask: Any = None) -> None:
        return None


class ReadsTheMask(Dense):
    def forward(self, x: Any, mask: Any = None, *rest: Any, **more: Any) -> Any:
        y, cache = super().forward(x, mask, *rest, **more)
        return (y if mask is None else y + 1), cache


class Untrained(Dense):
    """A bias that nothing changes."""

    def backward(self, d_y: Any, cache: Any) -> Any:
        d_x, gradients = super().backward(d_y, cache)
        return d_x, gradients | {"bias": 0 * gradients["bias"]}


class WrongShape(Dense):
    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.units + 1)


class AlwaysFloat32(Dense):
    def forward(self, *args: Any, **more: Any) -> Any:
        y, cache = super().forward(*args, **more)
        return y.astype("float32"), cache


class NeverDrops(Dropout):
    def forward(self, x: Any, *args: Any, **more: Any) -> Any:
        return x, np.ones((), x.dtype)


SEQUENCE = (3, 2, 4)


@pytest.mark.parametrize(
    ("layer", "init", "checks"),
    [
        (LSTM, {"units": 3}, {"expected_output_shape": (3, 2, 3)}),
        (LSTM, {"units": 3}, {"expected_num_trainable_weights": 2}),
        (LSTM, {"units": 3}, {"expected_num_non_trainable_weights": 1}),
        (LSTM, {"units": 3, "bias_regularizer": "l1"}, {"expected_num_losses": 0}),
        (LSTM, {"units": 3, "dropout": 0.5}, {"expected_num_seed_generators": 0}),
        (LSTM, {"units": 3}, {"assert_built_after_instantiation": True}),
        (LSTM, {"units": 3, "return_sequences": True}, {"supports_masking": False}),
        (DropsTheMask, {"units": 3}, {"supports_masking": True}),
        (ReadsTheMask, {"units": 3}, {"supports_masking": True}),
        (Untrained, {"units": 3}, {}),
        (WrongShape, {"units": 3}, {}),
        (AlwaysFloat32, {"units": 3}, {}),
        (NeverDrops, {"rate": 0.5}, {"call_kwargs": {"training": True}}),
    ],
)
def test_a_wrong_layer_is_noticed(
    layer: type[Layer], init: dict[str, Any], checks: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(AssertionError):
        LayerChecks(layer, init, tmp_path, SEQUENCE, **checks).run()


def test_a_wrong_output_is_noticed(tmp_path: Path) -> None:
    x = np.ones((2, 5), "float32")
    arguments = (lr.layers.RepeatVector, {"n": 3}, tmp_path)
    right = np.ones((2, 3, 5), "float32")
    LayerChecks(*arguments, input_data=x, expected_output=right).run()
    with pytest.raises(AssertionError):
        LayerChecks(*arguments, input_data=x, expected_output=right + 1e-4).run()


def new_case(base: type, tmp_path: Path, numbers: list[Any] | None = None) -> Any:
    return own.case(base, tmp_path, numbers or [])("assertAllClose")


def test_what_a_config_leaves_out_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(lr.layers.LAYERS, "Forgets", Forgets)
    case = new_case(AsItStands, tmp_path)
    case.run_class_serialization_test(Forgets(3))
    with pytest.raises(AssertionError):
        case.run_class_serialization_test(Forgets(3, "tanh"))


@pytest.mark.parametrize("argument", ["input_sparse", "expected_mask_shape", "never_heard_of"])
def test_an_argument_that_is_not_understood_is_an_error(argument: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=argument):
        new_case(AsItStands, tmp_path).run_layer_test(
            LSTM, {"units": 3}, input_shape=SEQUENCE, **{argument: True}
        )


def test_a_class_of_the_tests_own_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        LayerChecks(LSTM, {"units": 3}, tmp_path, SEQUENCE, custom_objects={"Forgets": Forgets})


def test_other_numbers_are_noticed(tmp_path: Path) -> None:
    x = np.ones(3)
    new_case(AsItStands, tmp_path).assertAllClose(x, x)
    for case in (new_case(AsItStands, tmp_path), new_case(Beside, tmp_path, [x])):
        with pytest.raises(AssertionError):
            case.assertAllClose(x + 1e-5, x)
    with pytest.raises(AssertionError):
        new_case(AsItStands, tmp_path).assertNotAllClose(x, x)
    with pytest.raises(AssertionError):
        new_case(AsItStands, tmp_path).assertAlmostEqual(x + 0.01, x)


def test_another_sentence_is_noticed(tmp_path: Path) -> None:
    case = new_case(AsItStands, tmp_path)
    with pytest.raises(KeyError):
        case.assertRaisesRegex(ValueError, "a sentence that nobody has looked at")
    with pytest.raises(AssertionError), case.assertRaisesRegex(ValueError, "positive integer"):
        raise ValueError("something else")
    with pytest.raises(AssertionError):
        case.assertEqual("something else", "positive integer")


def test_names_that_are_not_there() -> None:
    nothing = Library({}).find("keras.src.quantizers")
    for use in (lambda: nothing.QuantizeMe, nothing, lambda: nothing[0], lambda: list(nothing)):
        with pytest.raises(AbsentError, match=r"keras\.src\.quantizers"):
            use()

    class OfTwo(Layer, Absent("keras.src.layers.SomeMixin")):  # type: ignore[misc]
        pass

    assert OfTwo.__bases__ == (Layer,)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("pass", "has not touched the library"),
        ("self.skipTest('no GPU')", "skips itself: no GPU"),
        ("layers.LSTM(3); self.assertEqual(1, 2)", "None"),
    ],
)
def test_a_method_that_does_nothing_fails(
    body: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "from keras.src import layers, testing\n"
        "class OwnTest(testing.TestCase):\n"
        f"    def test_it(self):\n        {body}\n"
    )

    def run_module(module: str, library: Library) -> dict[str, Any]:
        names = {
            "__name__": module,
            "__builtins__": {**vars(builtins), "__import__": library.do_import},
        }
        exec(source, names)
        return names

    monkeypatch.setattr(own, "run_module", run_module)
    library = own.libraries.lstm_ref_library(own.case(AsItStands, tmp_path, []), False)
    with pytest.raises(AssertionError, match=message):
        own.run(own.Method("own_test", "test_it", "OwnTest", "test_it"), library)
