"""Random LSTMs to compare on: sizes down to 1, masks of every kind, no two gates alike."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import lstm_ref as lr

MASKS = ("none", "all real", "right", "left", "scattered", "nothing real")
CONTRACTIVE = ("tanh", "sigmoid", "relu", "softsign", "hard_sigmoid")


def make_mask(kind: str, B: int, T: int, rng: np.random.Generator) -> np.ndarray | None:
    """bool [B,T]. "right" pads at the end; "nothing real" has a row without a valid step."""
    if kind == "none":
        return None
    steps, lengths = np.arange(T), rng.integers(0, T + 1, B)
    if kind == "all real":
        return np.ones((B, T), bool)
    if kind == "right":
        return steps < lengths[:, None]
    if kind == "left":
        return steps >= lengths[:, None]
    mask = rng.random((B, T)) < 0.6
    if kind == "nothing real" and B:
        mask[0] = False
    return mask


def random_params(D: int, H: int, dtype: Any, rng: np.random.Generator, bias: bool = True) -> Any:
    """Contractive weights, no two alike, and each gate with a scale and a mean of its own."""
    gate_scale = np.repeat([0.6, 0.8, 1.0, 1.2], H)
    gate_bias = np.repeat([0.3, -0.2, 0.1, -0.4], H)
    W = rng.normal(size=(D, 4 * H)) * gate_scale / np.sqrt(D)
    U = rng.normal(size=(H, 4 * H)) * gate_scale * 0.5 / np.sqrt(H)
    b = rng.normal(scale=0.3, size=4 * H) + gate_bias
    return lr.LSTMParams(W.astype(dtype), U.astype(dtype), b.astype(dtype) if bias else None)


@dataclass
class Case:
    """One forward and backward pass: its inputs, and random gradients on all it returns."""

    x: np.ndarray
    params: lr.LSTMParams
    config: lr.LSTMConfig
    mask: np.ndarray | None
    h0: np.ndarray | None
    c0: np.ndarray | None
    d_hs: np.ndarray
    d_h: np.ndarray
    d_c: np.ndarray

    def forward(self, backend: str, **changes: Any) -> lr.LSTMOutput:
        arguments = {
            "x": self.x, "params": self.params, "config": self.config, "mask": self.mask,
            "h0": self.h0, "c0": self.c0, "keep_cache": True, "backend": backend,
        }  # fmt: skip
        return lr.lstm_forward(**arguments | changes)

    def backward(self, output: lr.LSTMOutput) -> lr.LSTMGradients:
        return lr.lstm_backward(self.d_hs, self.d_h, self.d_c, output.cache)

    def loss(self, **changes: Any) -> Any:
        """The scalar whose gradients ``backward`` gives, by the specification."""
        out = self.forward("numpy", keep_cache=False, **changes)
        return np.sum(out.hs * self.d_hs) + np.sum(out.h * self.d_h) + np.sum(out.c * self.d_c)


def make_case(
    seed: int,
    sizes: tuple[int, int, int, int],
    dtype: Any = "float64",
    mask: str = "none",
    bias: bool = True,
    states: bool = True,
    **config: Any,
) -> Case:
    """A case of that seed. Masked inputs are NaN, so that one that is read shows."""
    rng = np.random.default_rng(seed)
    B, T, D, H = sizes
    params = random_params(D, H, dtype, rng, bias)
    x = rng.normal(size=(B, T, D)).astype(dtype)
    steps = make_mask(mask, B, T, rng)
    if steps is not None:
        x[~steps] = np.nan
    normal: Callable[..., np.ndarray] = lambda *size: rng.normal(size=size).astype(dtype)  # noqa: E731
    h0, c0 = (normal(B, H), normal(B, H)) if states else (None, None)
    return Case(
        x, params, lr.LSTMConfig(**config), steps, h0, c0, normal(B, T, H), normal(B, H),
        normal(B, H),
    )  # fmt: skip


CASES = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "sizes": st.tuples(
            st.integers(1, 4), st.integers(1, 7), st.integers(1, 6), st.integers(1, 9)
        ),
        "mask": st.sampled_from(MASKS),
        "bias": st.booleans(),
        "states": st.booleans(),
        "activation": st.sampled_from(CONTRACTIVE),
        "recurrent_activation": st.sampled_from(("sigmoid", "hard_sigmoid", "tanh")),
        "go_backwards": st.booleans(),
        "masked_output": st.sampled_from(("hold", "zero")),
    }
)
"""Arguments of ``make_case``."""
