"""Random nodes of ONNX's operator LSTM: every input and attribute, in all their combinations."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

DIRECTIONS = ("forward", "reverse", "bidirectional")
OPTIONAL = ("B", "sequence_lens", "initial_h", "initial_c", "P")

# Values of α and β that make something of a node: none is near that of another function.
ALPHA = {
    "HardSigmoid": (0.1, 0.4),
    "LeakyRelu": (0.0, 0.5),
    "ThresholdedRelu": (-0.2, 0.3),
    "ScaledTanh": (0.4, 0.9),
    "Affine": (0.2, 0.6),
    "Elu": (0.2, 1.2),
}
BETA = {"HardSigmoid": (0.2, 0.6), "ScaledTanh": (0.4, 1.1), "Affine": (-0.2, 0.3)}
FUNCTIONS = ("Sigmoid", "Tanh", "Relu", "Softsign", "Softplus", *ALPHA)
STEADY_GATES = ("Sigmoid", "HardSigmoid")
"""Gates from 0 to 1: with them no state grows from step to step."""


@dataclass
class Node:
    """The inputs of one node, in layout 0, and its attributes."""

    inputs: dict[str, np.ndarray]
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def directions(self) -> int:
        return len(self.inputs["W"])

    @property
    def padding(self) -> np.ndarray:
        """bool [T,batch], the steps beyond the length of their row."""
        T, batch, _ = self.inputs["X"].shape
        lengths = self.inputs.get("sequence_lens", np.full(batch, T))
        return np.arange(T)[:, None] >= lengths

    def with_nan_padding(self) -> dict[str, np.ndarray]:
        """The inputs, with NaN wherever nothing may be read."""
        X = self.inputs["X"].copy()
        X[self.padding] = np.nan
        return self.inputs | {"X": X}

    def cast(self, dtype: Any) -> dict[str, np.ndarray]:
        """The inputs in another floating-point dtype."""
        return {n: v if v.dtype.kind == "i" else v.astype(dtype) for n, v in self.inputs.items()}


def make_node(
    seed: int,
    sizes: tuple[int, int, int, int],
    inputs: frozenset[str] | tuple[str, ...] = OPTIONAL,
    dtype: Any = "float64",
    **attributes: Any,
) -> Node:
    """A node of that seed and of sizes T, batch, D, H.

    The weights are contractive, and every gate and direction has a scale and a mean of its own. (A
    peephole of the forget gate beyond 0.5 lets some cell states part from each other.) The first of
    several rows is empty, where there are lengths.
    """
    rng = np.random.default_rng(seed)
    T, batch, D, H = sizes
    dirs = 2 if attributes.get("direction") == "bidirectional" else 1
    scale = np.repeat([0.5, 0.7, 0.9, 1.1], H)[:, None]
    mean = np.repeat([0.2, -0.3, -0.1, 0.1], H)
    lengths = rng.integers(0, T + 1, batch)
    if batch > 1:
        lengths[0] = 0
        lengths[-1] = T
    drawn = {
        "X": rng.normal(size=(T, batch, D)),
        "W": rng.normal(size=(dirs, 4 * H, D)) * scale * 0.6 / np.sqrt(D),
        "R": rng.normal(size=(dirs, 4 * H, H)) * scale * 0.4 / np.sqrt(H),
        "B": np.concatenate(
            [rng.normal(scale=0.2, size=(dirs, 4 * H)) + sign * mean for sign in (1, 0.5)], axis=1
        ),
        "sequence_lens": lengths,
        "initial_h": rng.normal(size=(dirs, batch, H)) * 0.5,
        "initial_c": rng.normal(size=(dirs, batch, H)) * 0.7,
        "P": rng.uniform(-1, 1, size=(dirs, 3 * H)) * np.repeat([0.15, 0.35, 0.2], H),
    }
    wanted = {"X", "W", "R", *inputs}
    return Node(
        {
            name: value.astype(np.int32 if name == "sequence_lens" else dtype)
            for name, value in drawn.items()
            if name in wanted
        },
        attributes,
    )


@st.composite
def attributes(draw: st.DrawFn, gates: tuple[str, ...] = FUNCTIONS) -> dict[str, Any]:
    """Attributes in any combination; the lists of α and β may end before the functions do."""
    direction = draw(st.sampled_from(DIRECTIONS))
    found: dict[str, Any] = {
        "direction": direction,
        "input_forget": draw(st.sampled_from((0, 1))),
    }
    if draw(st.booleans()):
        found["clip"] = draw(st.floats(0.125, 4, width=32))
    if draw(st.integers(0, 3)):
        directions = 2 if direction == "bidirectional" else 1
        roles = [st.sampled_from(role) for role in (gates, FUNCTIONS, FUNCTIONS)] * directions
        names = [draw(role) for role in roles]
        for attribute, ranges in (("activation_alpha", ALPHA), ("activation_beta", BETA)):
            values = [
                draw(st.floats(*map(np.float32, ranges[name]), width=32))
                for name in names
                if name in ranges
            ]
            if draw(st.booleans()):
                values = values[: draw(st.integers(0, len(values)))]
            if values:
                found[attribute] = values
        change = draw(st.sampled_from((str, str.lower, str.upper)))
        found["activations"] = [change(name) for name in names]
    return found


def sizes(most: int) -> st.SearchStrategy[tuple[int, int, int, int]]:
    """T, batch, D and H."""
    return st.tuples(*[st.integers(1, most)] * 4)


INPUTS = st.frozensets(st.sampled_from(OPTIONAL))
SEEDS = st.integers(0, 2**32 - 1)
