"""The place where a number stopped being finite."""

from dataclasses import dataclass

GATE_WORDS = {"i": "input gate", "f": "forget gate", "g": "candidate", "o": "output gate"}

WORDS = {
    "x": "the input x",
    "h0": "the initial hidden state h0",
    "c0": "the initial cell state c0",
    **{f"z_{n}": f"the pre-activation z_{n} of the {word}" for n, word in GATE_WORDS.items()},
    **{n: f"the {word} {n}" for n, word in GATE_WORDS.items()},
    "c": "the cell state c",
    "h": "the hidden state h",
    "z": "the pre-activation z",
    "y": "the output y",
    "target": "the target y",
    "sample_weight": "the sample weight",
    "loss": "the loss",
    "activity penalty": "the activity penalty",
    "d_y": "the gradient on the output y",
    "d_x": "the gradient on the input x",
    "d_h": "the gradient on the hidden state h",
    "d_c": "the gradient on the cell state c",
    **{f"d_z_{n}": f"the gradient on the pre-activation z_{n}" for n in GATE_WORDS},
}
"""The quantities of a trace, and what surrounds them, in words."""


@dataclass(frozen=True)
class Origin:
    """The first number that is not finite, in the order of computation. ``str`` is a sentence.

    Attributes:
        symptom: where it showed: "the loss is nan".
        quantity: a name of a trace (``z_f``, ``f``, ``c``, ``h``, ``y``, ``d_h``, ...), or what
            is no layer's: ``"x"``, ``"target"``, ``"label"`` (one that is no class),
            ``"sample_weight"``, ``"loss"``, ``"activity penalty"``; ``"weight"``, ``"gradient"``,
            ``"penalty"`` or ``"new weight"``, the `weight` being named; ``"unknown"`` where the
            batch came out finite when it was run again.
        value: NaN or an infinity.
        cause: why, and what helps: sentences.
        layer: the layer of the model, by name; None where it is none's.
        direction: "forward" or "backward" inside a `Bidirectional`.
        cell: the cell's name where several stand on top of each other.
        steps: the time step, in the order of the layer's input, also where it is read backwards;
            more of them where a layer has further axes between batch and units; empty where there
            is no time.
        row: its number in the caller's data.
        unit: its place on the last axis.
        weight: the whole name of a weight, ``"lstm/kernel"``.
        index: where in that weight.
    """

    symptom: str
    quantity: str
    value: float
    cause: str
    layer: str | None = None
    direction: str | None = None
    cell: str | None = None
    steps: tuple[int, ...] = ()
    row: int | None = None
    unit: int | None = None
    weight: str | None = None
    index: tuple[int, ...] | None = None

    @property
    def step(self) -> int | None:
        """The time step; None where there is no time."""
        return self.steps[0] if self.steps else None

    @property
    def place(self) -> str:
        """``"of layer 'lstm' at step 3, row 17, unit 0"``."""
        parts = [f"layer {self.layer!r}" if self.layer else "", self.direction or ""]
        parts += [f"cell {self.cell!r}" if self.cell else ""]
        where = ", ".join(part for part in parts if part)
        found = [f"step {self.steps[0]}"] if self.steps else []
        found += [f"inner step {step}" for step in self.steps[1:]]
        found += [f"row {self.row}"] if self.row is not None else []
        found += [f"unit {self.unit}"] if self.unit is not None else []
        at = ", ".join(found)
        return " ".join(part for part in (where and f"of {where}", at and f"at {at}") if part)

    def __str__(self) -> str:
        if self.quantity in ("label", "unknown"):
            return f"{self.symptom}: {self.cause}"
        if self.weight is not None:
            at = f" at {list(self.index)}" if self.index is not None else ""
            what = f"the {self.quantity} {self.weight}{at}"
            if self.quantity in ("gradient", "penalty"):
                what = f"the {self.quantity} on {self.weight}{at}"
        else:
            what = WORDS[self.quantity]
        first = " ".join(part for part in (what, self.place if self.weight is None else "") if part)
        return (
            f"{self.symptom}. The first number that is not finite is {first}: {self.value}. "
            f"{self.cause}"
        )
