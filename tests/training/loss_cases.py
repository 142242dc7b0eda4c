"""Targets, predictions, masks and weights for losses and metrics, with what Keras makes of them."""

from typing import Any, NamedTuple

import numpy as np

B, T, K = 4, 5, 3

LOSSES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in ("MeanSquaredError", "MeanAbsoluteError", "LogCosh", "Huber")),
    ("Huber", {"delta": 0.3}),
    ("MeanAbsolutePercentageError", {}),
    ("MeanSquaredLogarithmicError", {}),
    *(
        (f"{kind}Crossentropy", {"from_logits": from_logits, "label_smoothing": smoothing})
        for kind in ("Binary", "Categorical")
        for from_logits in (False, True)
        for smoothing in (0.0, 0.1)
    ),
    *(
        ("SparseCategoricalCrossentropy", {"from_logits": from_logits, "ignore_class": ignored})
        for from_logits in (False, True)
        for ignored in (None, 1, -1)
    ),
]
"""Every loss by its class and the arguments that change what it computes."""


def name_of(case: tuple[str, dict[str, Any]]) -> str:
    return "-".join([case[0], *(f"{key}={value}" for key, value in case[1].items())])


class Arrays(NamedTuple):
    """A batch: y_true, y_pred[B,T,K], and a mask with a row of no real step."""

    y_true: np.ndarray
    y_pred: np.ndarray
    mask: np.ndarray


def arrays(
    name: str,
    options: dict[str, Any],
    rng: np.random.Generator,
    dtype: str = "float64",
    scale: float = 2.0,
    steps: int = T,
) -> Arrays:
    """What a loss or metric of that name may be given; ``scale`` is that of logits."""
    shape = (B, steps, K)
    mask = rng.random(shape[:2]) < 0.6
    mask[0, 0], mask[2] = True, False
    z = rng.normal(scale=scale, size=shape)
    labels = rng.integers(0, K, shape[:2])
    if options.get("ignore_class") is not None:
        labels[rng.random(shape[:2]) < 0.3] = options["ignore_class"]
    if name.startswith("Sparse"):
        return Arrays(labels, probabilities(z, options, "softmax").astype(dtype), mask)
    if name.startswith(("Categorical", "TopK")):
        columns = np.eye(K)[labels].astype(dtype)
        return Arrays(columns, probabilities(z, options, "softmax").astype(dtype), mask)
    if name.startswith("Binary"):
        yes = rng.integers(0, 2, shape).astype(dtype)
        return Arrays(yes, probabilities(z, options, "sigmoid").astype(dtype), mask)
    y_true, y_pred = (rng.normal(size=shape).astype(dtype) for _ in range(2))
    y_pred[0, 0] = y_true[0, 0]  # an error of exactly 0, where some have a kink
    if name == "Accuracy":
        y_pred[:, ::2] = y_true[:, ::2]
    return Arrays(y_true, y_pred, mask)


def probabilities(z: np.ndarray, options: dict[str, Any], activation: str) -> np.ndarray:
    """Probabilities of logits, as those are where a loss reads them; a few are exactly 0 or 1."""
    if options.get("from_logits"):
        return z
    if activation == "sigmoid":
        p = 0.5 * (1 + np.tanh(z / 2))
        p[0, 1] = [0, 1, 1e-9]
        return p
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    p[:, 1::2] *= 1.3  # Keras divides by the sum where targets have columns
    p[0, 1] = [0, 1, 1e-9]
    return p


def weights(shape: tuple[int, ...] | None, rng: np.random.Generator) -> np.ndarray | None:
    return None if shape is None else rng.uniform(0.2, 3, size=shape)


def masked_tensor(y_pred: np.ndarray, mask: np.ndarray | None) -> Any:
    """The prediction as Keras hands it to a loss: with its mask attached."""
    import tensorflow as tf
    from keras.src import backend

    tensor = tf.convert_to_tensor(y_pred)
    if mask is not None:
        backend.set_keras_mask(tensor, tf.convert_to_tensor(mask))
    return tensor
