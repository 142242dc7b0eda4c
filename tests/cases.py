"""Random LSTMs to compare on: sizes down to 1, masks of every kind, no two gates alike."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

import lstm_ref as lr

BACKENDS = ("numpy", "numba")


@contextmanager
def computing(backend: str) -> Iterator[None]:
    """lstm_ref computes with this backend."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSTM_REF_BACKEND", backend)
        yield


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


def random_params(
    D: int,
    H: int,
    dtype: Any,
    rng: np.random.Generator,
    bias: bool = True,
    peephole: bool = False,
    projection: int | None = None,
) -> lr.LSTMParams:
    """Contractive weights, no two alike, and each gate with a scale and a mean of its own.

    ``projection`` is P, or None for none.
    """
    P = H if projection is None else projection
    gate_scale = np.repeat([0.6, 0.8, 1.0, 1.2], H)
    gate_bias = np.repeat([0.3, -0.2, 0.1, -0.4], H)
    W = rng.normal(size=(D, 4 * H)) * gate_scale / np.sqrt(D)
    U = rng.normal(size=(P, 4 * H)) * gate_scale * 0.5 / np.sqrt(P)
    b = rng.normal(scale=0.3, size=4 * H) + gate_bias
    p = rng.normal(scale=np.repeat([0.2, 0.3, 0.4], H))
    R = rng.normal(size=(H, P)) / np.sqrt(H)
    present = [W, U, b if bias else None, p if peephole else None, R if projection else None]
    return lr.LSTMParams(*(None if w is None else w.astype(dtype) for w in present))


def present(record: Any) -> dict[str, Any]:
    """The fields of a record that are not None."""
    return {name: value for name, value in vars(record).items() if value is not None}


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
    dropout: lr.Dropout | None = None

    def forward(self, backend: str, **changes: Any) -> lr.LSTMOutput:
        arguments = {
            "x": self.x, "params": self.params, "config": self.config, "mask": self.mask,
            "h0": self.h0, "c0": self.c0, "dropout": self.dropout, "keep_cache": True,
            "backend": backend,
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
    peephole: bool = False,
    projection: int | None = None,
    dropout: str = "none",
    **config: Any,
) -> Case:
    """A case of that seed. Masked inputs are NaN, so that one that is read shows.

    ``dropout`` has factors for "all gates" alike, or for "each gate" its own.
    """
    rng = np.random.default_rng(seed)
    B, T, D, H = sizes
    params = random_params(D, H, dtype, rng, bias, peephole, projection)
    P = params.outputs
    x = rng.normal(size=(B, T, D)).astype(dtype)
    steps = make_mask(mask, B, T, rng)
    if steps is not None:
        x[~steps] = np.nan
    normal: Callable[..., np.ndarray] = lambda *size: rng.normal(size=size).astype(dtype)  # noqa: E731
    h0, c0 = (normal(B, P), normal(B, H)) if states else (None, None)
    upstream = normal(B, T, P), normal(B, P), normal(B, H)
    return Case(
        x, params, lr.LSTMConfig(**config), steps, h0, c0, *upstream,
        make_dropout(dropout, B, D, P, dtype, rng),
    )  # fmt: skip


DROPOUTS = ("none", "all gates", "each gate", "x alone", "h alone", "h each gate")


def make_dropout(
    kind: str, B: int, D: int, P: int, dtype: Any, rng: np.random.Generator
) -> lr.Dropout | None:
    """Factors 0 and others, no two rows alike."""
    if kind == "none":
        return None
    gates = (4,) if "each gate" in kind else ()
    x, h = (
        (rng.uniform(0.8, 1.6, (*gates, B, n)) * (rng.random((*gates, B, n)) < 0.7)).astype(dtype)
        for n in (D, P)
    )
    return lr.Dropout(None if kind.startswith("h") else x, None if kind == "x alone" else h)


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
"""Arguments of ``make_case``: what Keras has, too."""

ROLES = (*CONTRACTIVE, ("elu", 0.5), ("leaky_relu", 0.1), ("scaled_tanh", 1.2, 0.7), "softplus")

OPTIONS = st.fixed_dictionaries(
    {
        "peephole": st.booleans(),
        "projection": st.one_of(st.none(), st.integers(1, 9)),
        "dropout": st.sampled_from(DROPOUTS),
        "clip": st.sampled_from((None, 0.4, 1.5)),
        "input_forget": st.booleans(),
        "activation": st.sampled_from(ROLES),
        "output_activation": st.sampled_from((None, *ROLES)),
        "recurrent_activation": st.sampled_from(("sigmoid", ("hard_sigmoid_keras2", 0.3, 0.4))),
    }
)
"""Arguments of ``make_case`` that only some LSTMs have; they replace those of ``CASES``."""
