"""A layer of Keras' and ours, with the same weights: outputs, masks, gradients, configs compared.

Keras runs eagerly here, so its outputs carry their masks and its gradients come from a tape.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lstm_ref.layers.carried_mask import carried_mask
from tests.keras_peer import OURS, Library, assert_close, keras_library, random_weights
from tests.peers import require

ULPS = 8
"""For outputs; measured: at most 3."""

GRADIENT_ULPS = 40
"""For gradients, of the largest one: sums over all rows and steps; measured: at most 9."""


def twin_layers(
    build: Callable[[Library], Any], rng: np.random.Generator, input_shape: tuple[int | None, ...]
) -> tuple[Any, Any]:
    """(Keras' layer, ours) as `build` makes them, built, with the same random weights."""
    theirs, ours = build(keras_library()), build(OURS)
    for layer in (theirs, ours):
        layer.build(input_shape)
    shapes = [w.shape for w in ours.get_weights()]
    assert [tuple(w.shape) for w in theirs.weights] == shapes
    weights = random_weights(shapes, rng)
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return theirs, ours


def assert_same_outputs(got: Any, expected: Any, ulps: float = ULPS, what: str = "y") -> None:
    """The same arrays in the same tuples and lists."""
    if isinstance(expected, tuple | list):
        assert isinstance(got, tuple) is isinstance(expected, tuple), what
        assert len(got) == len(expected), what
        for n, (a, b) in enumerate(zip(got, expected, strict=True)):
            assert_same_outputs(a, b, ulps, f"{what}[{n}]")
    else:
        assert isinstance(got, np.ndarray), what
        assert_close(np.asarray(got), np.asarray(expected), ulps=ulps, what=what)


def assert_same_masks(got: Any, expected: Any) -> None:
    """The outputs carry the same masks, or none."""
    if isinstance(expected, tuple | list):
        for a, b in zip(got, expected, strict=True):
            assert_same_masks(a, b)
        return
    wanted = getattr(expected, "_keras_mask", None)
    if wanted is None:
        assert carried_mask(got) is None
    else:
        np.testing.assert_array_equal(carried_mask(got), np.asarray(wanted))


def assert_same_gradients(
    theirs: Any,
    ours: Any,
    x: np.ndarray,
    rng: np.random.Generator,
    mask: np.ndarray | None = None,
    training: bool = False,
    ulps: float = GRADIENT_ULPS,
) -> None:
    """Random gradients on what the layer gives (not its states) come back alike, on x too.

    Whole numbers have no gradient: for them the one on x is left out.
    """
    tf = require("tensorflow")
    y, cache = ours.forward(ours.read(x), mask, training, keep_cache=True)
    several = isinstance(y, tuple)
    upstream = [rng.normal(size=v.shape).astype(v.dtype) for v in (y if several else (y,))]
    d_x, gradients = ours.backward(tuple(upstream) if several else upstream[0], cache)
    assert set(gradients) == set(ours.params)
    call = {} if mask is None else {"mask": mask}
    with tf.GradientTape() as tape:
        inputs = tf.Variable(x)
        out = theirs(inputs, **_training(theirs, training), **call)
        outputs = out if isinstance(out, tuple | list) else (out,)
        target = sum(tf.reduce_sum(o * d) for o, d in zip(outputs, upstream, strict=False))
    sources = [w.value for w in theirs.weights]
    differentiable = x.dtype.kind == "f"
    wanted = tape.gradient(target, [inputs, *sources] if differentiable else sources)
    got = ([d_x] if differentiable else []) + [gradients[name] for name in ours.params]
    names = (["x"] if differentiable else []) + list(ours.params)
    wanted = [
        np.zeros(g.shape) if w is None else tf.convert_to_tensor(w).numpy()
        for g, w in zip(got, wanted, strict=True)
    ]
    scale = max((float(np.max(np.abs(w), initial=0)) for w in wanted), default=0.0)
    for name, a, b in zip(names, got, wanted, strict=True):
        assert_close(a, b.astype(a.dtype), ulps=ulps, scale=scale, what=f"d_{name}")


def _training(layer: Any, training: bool) -> dict[str, bool]:
    """The argument, for those of Keras' layers that take it."""
    return {"training": training} if layer._call_has_training_arg else {}


LEFT_OUT = {"dtype", "module", "registered_name", "build_config"}
"""What a config of Keras holds in a form of its own."""


def assert_same_config(ours: Any, theirs: Any, path: str = "config") -> None:
    """Every value of Keras' config stands in ours; what it leaves None may be left out.

    Initializers are written in another form, and compared in their own tests.
    """
    if isinstance(theirs, Mapping):
        for key, value in theirs.items():
            if key in LEFT_OUT or key.endswith("initializer"):
                continue
            if key not in ours:
                assert value is None, f"{path}.{key} is missing"
            else:
                assert_same_config(ours[key], value, f"{path}.{key}")
    elif isinstance(theirs, tuple | list):
        for n, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            assert_same_config(a, b, f"{path}[{n}]")
    else:
        assert ours == theirs, path


def assert_config_round_trip(layer: Any) -> None:
    """`from_config` makes a layer that describes itself in the same words."""
    config = layer.get_config()
    assert type(layer).from_config(config).get_config() == config
