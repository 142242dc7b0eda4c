"""The drawings of the pages: the cell, a masked sequence, the head, the cell's options, shapes.

`for_equation` gives the drawing that goes with a numbered equation: the whole picture, with the
part at hand lit up. What is computed forward is lit in one colour ("on"), what flows back in
another, with the arrows reversed ("back"); values that are only read are marked too ("used").
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from _ext.equations import EquationError
from _ext.svg import Drawing, Point
from lstm_ref.conventions import GATES, PEEPHOLE_GATES
from lstm_ref.spec.lstm import lstm_forward
from lstm_ref.spec.parameters import LSTMConfig, LSTMParams


@dataclass(frozen=True)
class Focus:
    """The parts of a drawing that one equation is about, by the names the drawing gives them."""

    alt: str
    on: Sequence[str] = ()
    back: Sequence[str] = ()
    used: Sequence[str] = ()

    def state(self, name: str) -> str:
        """The class of a part."""
        for state in ("on", "back", "used"):
            if name in getattr(self, state):
                return state
        return ""


EVERYTHING = Focus("")
R = 9  # radius of the circles in which two arrows meet


# ----- one time step -----

COLUMN = {"i": 87, "f": 141, "g": 195, "o": 249}
"""Where each gate stands."""
CELL_EDGES: dict[str, list[Point]] = {
    "c_in": [(14, 44), (141 - R, 44)],
    "c_mid": [(141 + R, 44), (195 - R, 44)],
    "c_out": [(195 + R, 44), (348, 44)],
    "f_up": [(141, 160), (141, 44 + R)],
    "i_up": [(87, 160), (87, 104), (195 - R, 104)],
    "g_up": [(195, 160), (195, 104 + R)],
    "ig_up": [(195, 104 - R), (195, 44 + R)],
    "c_down": [(300, 44), (300, 72)],
    "φ_down": [(300, 96), (300, 130 - R)],
    "o_up": [(249, 160), (249, 130), (300 - R, 130)],
    "h_out": [(300, 130 + R), (300, 196), (348, 196)],
    **{f"z_{gate}": [(x, 212), (x, 184)] for gate, x in COLUMN.items()},
    "h_in": [(14, 268), (72, 268)],
    "U_up": [(87, 256), (87, 236)],
    "x_in": [(168, 306), (168, 280)],
    "W_up": [(168, 256), (168, 236)],
    "b_up": [(249, 256), (249, 236)],
}
HOPS = {"f_up": 104}
"""Where an edge crosses another one: at this y, it jumps."""
CELL_NODES = {"times_f": (141, 44, "⊙"), "plus": (195, 44, "+"), "times_ig": (195, 104, "⊙"),
              "times_o": (300, 130, "⊙")}  # fmt: skip
CELL_WEIGHTS = {"U": (87, 268), "W": (168, 268), "b": (249, 268)}
"""The centres of the boxes of numbers that training changes."""
CELL_ENDS = {"c_prev": (14, 32, "c_{t−1}", "start"), "c_t": (348, 32, "c_t", "end"),
             "h_prev": (14, 256, "h_{t−1}", "start"), "h_t": (348, 184, "h_t", "end"),
             "x_t": (176, 304, "x_t", "start")}  # fmt: skip


@dataclass(frozen=True)
class Option:
    """What a cell has besides, as an addition to the drawing of the plain one.

    Attributes:
        edges, nodes, weights, ends, hops: as those of the plain cell. One of a name that the plain
            cell has stands in its place.
        ramps: the centres of boxes with the graph of a clip in them.
        signs: what stands in the activation of a gate.
        unused: the gates whose part of z leads nowhere.
        room: how much lower z, and what is below it, stands.
        depth: how much lower the drawing ends besides.
    """

    edges: Mapping[str, list[Point]] = field(default_factory=dict)
    nodes: Mapping[str, tuple[float, float, str]] = field(default_factory=dict)
    weights: Mapping[str, Point] = field(default_factory=dict)
    ends: Mapping[str, tuple[float, float, str, str]] = field(default_factory=dict)
    hops: Mapping[str, float] = field(default_factory=dict)
    ramps: Mapping[str, Point] = field(default_factory=dict)
    signs: Mapping[str, str] = field(default_factory=dict)
    unused: str = ""
    room: float = 0
    depth: float = 0


PLAIN = Option()
UPPER = 200
"""Above this y is what does not move to make room."""


def cell(focus: Focus = EVERYTHING, classes: str = "", option: Option = PLAIN) -> Drawing:
    """One time step: what is made of x_t, h_{t−1} and c_{t−1}."""
    drawing = Drawing(360, 312 + option.room + option.depth, focus.alt, classes)
    state = focus.state

    def low(y: float) -> float:
        return y if y < UPPER else y + option.room

    edges = {name: [(x, low(y)) for x, y in points] for name, points in CELL_EDGES.items()}
    for name, points in {**edges, **option.edges}.items():
        if name not in {f"z_{gate}" for gate in option.unused}:
            points = points[::-1] if state(name) == "back" else points
            drawing.line(points, state(name), hop={**HOPS, **option.hops}.get(name, 0))
    for name, (x, y, sign) in {**CELL_NODES, **option.nodes}.items():
        drawing.circle(x, y, R, f"node {state(name)}")
        drawing.text(x, y + 4.5, sign, f"sign {state(name)}")
    for gate, x in COLUMN.items():
        kind = "gone" if gate in option.unused else "z"
        drawing.box(x - 27, low(212), 54, 24, f"{kind} {state(f'cell_{gate}')}", corner=0)
        drawing.text(x, low(228), f"∂z_{gate}" if state(f"cell_{gate}") == "back" else f"z_{gate}",
                     f"math {state(f'cell_{gate}')}")  # fmt: skip
        drawing.box(x - 17, 160, 34, 24, f"act {state(f'act_{gate}')}")
        sign = option.signs.get(gate, "φ" if gate == "g" else "σ")
        drawing.text(x, 177, sign, f"math {state(f'act_{gate}')}")
        backwards = state(gate) == "back"
        drawing.text(x + 6, 150, f"∂{gate}" if backwards else gate, f"math {state(gate)}", "start")
    drawing.box(283, 72, 34, 24, f"act {state('φ')}")
    drawing.text(300, 89, "φ", f"math {state('φ')}")
    for name, (x, y) in option.ramps.items():
        drawing.box(x - 17, y - 10, 34, 20, f"act {state(name)}")
        graph = [(x - 13, y + 5), (x - 6, y + 5), (x + 6, y - 5), (x + 13, y - 5)]
        drawing.line(graph, state(name), arrow=False)
    weights = {name: (x, low(y)) for name, (x, y) in CELL_WEIGHTS.items()}
    for name, (x, y) in {**weights, **option.weights}.items():
        drawing.box(x - 15, y - 12, 30, 24, f"weight {state(name)}")
        drawing.text(x, y + 5, f"∂{name}" if state(name) == "back" else name, f"math {state(name)}")
    ends = {name: (x, low(y), *rest) for name, (x, y, *rest) in CELL_ENDS.items()}
    for name, (x, y, words, anchor) in {**ends, **option.ends}.items():
        words = "∂" + words if state(name) == "back" else words
        drawing.text(x, y, words, f"math {state(name)}", anchor)
    return drawing


def _parts(names: str, gates: Sequence[str] = GATES) -> list[str]:
    """The names of parts of each gate; ``{}`` stands for its letter."""
    return [name.format(gate) for gate in gates for name in names.split()]


FROM_Z = "cell_{} z_{} act_{} {}"
"""The parts that make a gate from z."""
ALL_Z = _parts("cell_{}")

CELL_FOCUS: Mapping[int, Focus] = {
    1: Focus(
        "x_t goes through W, h of the step before through U, and both meet b in the row z, which "
        "has a part for each of i, f, g and o.",
        on=["x_t", "x_in", "W", "W_up", "h_prev", "h_in", "U", "U_up", "b", "b_up", *ALL_Z],
    ),
    2: Focus(
        "The parts i and f of z go through σ and become i and f.",
        on=_parts(FROM_Z, ("i", "f")),
    ),
    3: Focus("The part g of z goes through φ and becomes g.", on=_parts(FROM_Z, "g")),
    4: Focus(
        "The line of the cell state runs straight through the cell: c of the step before is "
        "multiplied by f, then the product of i and g is added, which gives c_t.",
        on=["c_prev", "c_in", "times_f", "c_mid", "plus", "c_out", "c_t", "f_up", "i_up", "g_up",
            "times_ig", "ig_up"],
        used=["i", "f", "g"],
    ),
    5: Focus("The part o of z goes through σ and becomes o.", on=_parts(FROM_Z, "o")),
    6: Focus(
        "c_t goes through φ and is multiplied by o, which gives h_t.",
        on=["c_down", "φ", "φ_down", "times_o", "o_up", "h_out", "h_t"],
        used=["o", "c_t"],
    ),
    7: Focus(
        "The gradient on h_t flows back through the product with o, and into o.",
        back=["h_t", "h_out", "times_o", "o_up", "o"],
        used=["φ", "φ_down"],
    ),
    8: Focus(
        "The gradient on h_t flows back through the product with o and through φ, and meets the "
        "gradient that the next step sent along the line of the cell state.",
        back=["h_t", "h_out", "times_o", "φ_down", "φ", "c_down", "c_out", "c_t"],
        used=["o", "o_up"],
    ),
    9: Focus(
        "The gradient on c_t flows back through the sum into the product of i and g and into the "
        "product with f, and so into i, f and g.",
        back=["plus", "c_mid", "times_f", "f_up", "ig_up", "times_ig", "i_up", "g_up",
              "i", "f", "g", "c_out", "c_t"],
        used=["c_prev", "c_in"],
    ),
    10: Focus(
        "The gradients on i, f, g and o flow back through their activations into the four parts "
        "of z.",
        back=_parts(FROM_Z),
    ),
    11: Focus(
        "The gradient on c_t flows back along the line of the cell state, through the product "
        "with f, to the step before.",
        back=["c_t", "c_out", "plus", "c_mid", "times_f", "c_in", "c_prev"],
        used=["f", "f_up"],
    ),
    12: Focus(
        "The gradient on z flows back through U to h of the step before.",
        back=[*ALL_Z, "U_up", "h_in", "h_prev"],
        used=["U"],
    ),
    13: Focus(
        "The gradient on z flows back through W to x_t.",
        back=[*ALL_Z, "W_up", "x_in", "x_t"],
        used=["W"],
    ),
    14: Focus(
        "The gradient on z flows back into W, U and b, where it meets x_t and h of the step "
        "before.",
        back=[*ALL_Z, "W_up", "U_up", "b_up", "W", "U", "b"],
        used=["x_t", "x_in", "h_prev", "h_in"],
    ),
}  # fmt: skip


# ----- a masked sequence -----

STEPS = {1: 72, 2: 156, 3: 240, 4: 324}
"""Where each of four steps stands. The third is padding."""
PADDED = 3


def masked(focus: Focus = EVERYTHING, classes: str = "") -> Drawing:
    """Four steps, the third masked: the state, and the output by the two rules."""
    drawing = Drawing(372, 238, focus.alt, classes)
    state = focus.state
    drawing.box(STEPS[PADDED] - 34, 8, 68, 222, "padding", corner=6)
    for words, y in (("zero", 30), ("hold", 78), ("h, c", 146), ("x", 206)):
        drawing.text(6, y, words, "row", "start")
    for t, x in STEPS.items():
        real = t != PADDED
        if t > 1:
            name = f"state_{t}"  # the state that goes from step t−1 to step t
            # It runs through the padding as one line, which is drawn with the step after it.
            ends: list[Point] = [(STEPS[t - 1] + 17, 142), (x - 17, 142)]
            if t == PADDED + 1:
                ends[0] = (STEPS[PADDED - 1] + 17, 142)
            if real:
                ends = ends[::-1] if state(name) == "back" else ends
                drawing.line(ends, f"{state(name)}")
        if real:
            drawing.line([(x, 192), (x, 154)], state(f"x_{t}"))
            drawing.box(x - 17, 130, 34, 24, f"act {state(f'cell_{t}')}")
            drawing.text(x, 146, "cell", f"small {state(f'cell_{t}')}")
            up: list[Point] = [(x, 130), (x, 87)]
            up = up[::-1] if state(f"y_{t}") == "back" else up
            drawing.line(up, state(f"y_{t}"))
        else:
            drawing.box(x - 17, 130, 34, 24, "gone")
        if t == PADDED:
            along: list[Point] = [(STEPS[t - 1] + 13, 73), (x - 13, 73)]
            along = along[::-1] if state("held") == "back" else along
            drawing.line(along, state("held"))
        drawing.circle(x, 73, 13, f"value {state(f'hold_{t}')}")
        back = state(f"hold_{t}") == "back"
        value = f"∂y_{t}" if back else f"h_{t if real else t - 1}"
        drawing.text(x, 77.5, value, state(f"hold_{t}"))
        drawing.circle(x, 26, 13, f"value {state(f'zero_{t}')}")
        drawing.text(x, 30.5, f"h_{t}" if real else "0", state(f"zero_{t}"))
        drawing.text(x, 209, f"x_{t}" if real else "?", state(f"x_{t}"))
        drawing.text(x, 226, f"m = {int(real)}", f"small {state(f'm_{t}')}")
    return drawing


MASKED_FOCUS: Mapping[int, Focus] = {
    15: Focus(
        "Four time steps, the third masked. The state goes from step 2 past step 3 straight into "
        "step 4; there is no cell at step 3.",
        on=["state_2", "state_4", "cell_1", "cell_2", "cell_4"],
        used=["m_3"],
    ),
    16: Focus(
        "Four time steps, the third masked. With the rule hold, the output of step 3 is that of "
        "step 2; with the rule zero, it is 0.",
        on=[f"{rule}_{t}" for rule in ("hold", "zero") for t in STEPS]
        + ["held", "y_1", "y_2", "y_4"],
        used=["m_3"],
    ),
    17: Focus(
        "Four time steps, the third masked. The gradient on the output of step 3 goes back to the "
        "output of step 2, and from there into the cell of step 2.",
        back=["hold_1", "hold_2", "hold_3", "hold_4", "held", "y_1", "y_2", "y_4"],
        used=["m_3"],
    ),
    18: Focus(
        "Four time steps, the third masked. The gradient on the state goes from step 4 past step 3 "
        "straight back into step 2.",
        back=["state_4", "state_2"],
        used=["cell_1", "cell_2", "cell_4", "m_3"],
    ),
}


# ----- the dense head -----


def head(focus: Focus = EVERYTHING, classes: str = "") -> Drawing:
    """The same W and b at every time step."""
    drawing = Drawing(320, 206, focus.alt, classes)
    state = focus.state
    for t, x in ((1, 60), (2, 160), (3, 260)):
        for name, points in {
            "h_up": [(x, 170), (x, 148)],
            "z_up": [(x, 124), (x, 100)],
            "y_up": [(x, 76), (x, 40)],
        }.items():
            drawing.line(points[::-1] if state(name) == "back" else points, state(name))
        drawing.text(x, 186, ("∂" if state("h") == "back" else "") + f"h_{t}", state("h"))
        drawing.box(x - 25, 124, 50, 24, f"weight {state('W')}")
        drawing.text(x, 141, "∂W, ∂b" if state("W") == "back" else "W, b", f"math {state('W')}")
        drawing.text(x + 6, 116, "∂z" if state("z") == "back" else "z", f"math {state('z')}",
                     "start")  # fmt: skip
        drawing.box(x - 17, 76, 34, 24, f"act {state('ψ')}")
        drawing.text(x, 93, "ψ", f"math {state('ψ')}")
        drawing.text(x, 30, ("∂" if state("y") == "back" else "") + f"y_{t}", state("y"))
    return drawing


HEAD_FOCUS: Mapping[int, Focus] = {
    19: Focus(
        "Three time steps side by side. At each, h goes through the same W and b, then through ψ, "
        "which gives y.",
        on=["h", "h_up", "W", "z", "z_up", "ψ", "y_up", "y"],
    ),
    20: Focus(
        "At each time step, the gradient on y flows back through ψ to z.",
        back=["y", "y_up", "ψ", "z"],
    ),
    21: Focus(
        "At each time step, the gradient on z flows back through W to h.",
        back=["z", "z_up", "h_up", "h"],
        used=["W"],
    ),
    22: Focus(
        "The gradients on z of all time steps flow back into the one W and the one b, where they "
        "meet h.",
        back=["z", "z_up", "W"],
        used=["h", "h_up"],
    ),
}


# ----- what some cells do besides -----

DROPOUT = Option(
    edges={
        "x_in": [(168, 346), (168, 310 + R)], "x_seen": [(168, 310 - R), (168, 280)],
        "h_in": [(14, 268), (43 - R, 268)], "h_seen": [(43 + R, 268), (72, 268)],
        "s_in": [(206, 310), (168 + R, 310)], "r_in": [(43, 306), (43, 268 + R)],
    },
    nodes={"times_s": (168, 310, "⊙"), "times_r": (43, 268, "⊙")},
    ends={"h_prev": (8, 252, "h_{t−1}", "start"), "x_t": (176, 344, "x_t", "start"),
          "s": (211, 314, "s", "start"), "r": (43, 320, "r", "middle")},
    depth=40,
)  # fmt: skip

JOIN = 212
"""Between z and the activations, where there is room for something."""

LOOKS = {gate: COLUMN[gate] - 27 for gate in PEEPHOLE_GATES}
"""Where each gate's look at the cell state goes down."""
PEEPHOLES = Option(
    edges={
        **{f"z_{gate}": [(COLUMN[gate], 252), (COLUMN[gate], JOIN + R)] for gate in LOOKS},
        **{f"sum_{gate}": [(COLUMN[gate], JOIN - R), (COLUMN[gate], 184)] for gate in LOOKS},
        **{f"look_{gate}": [(x, 44), (x, 60)] for gate, x in LOOKS.items()},
        **{f"p_{gate}_down": [(x, 84), (x, JOIN), (x + 27 - R, JOIN)] for gate, x in LOOKS.items()},
    },
    nodes={f"plus_{gate}": (COLUMN[gate], JOIN, "+") for gate in LOOKS},
    weights={f"p_{gate}": (x, 72) for gate, x in LOOKS.items()},
    hops={"p_f_down": 104},
    room=40,
)

CLIP = Option(
    edges={
        **{f"z_{gate}": [(x, 252), (x, JOIN + 10)] for gate, x in COLUMN.items()},
        **{f"clipped_{gate}": [(x, JOIN - 10), (x, 184)] for gate, x in COLUMN.items()},
    },
    ramps={f"clip_{gate}": (x, JOIN) for gate, x in COLUMN.items()},
    room=40,
)

COUPLED = Option(
    edges={"i_to_f": [(87, 160), (87, 134), (114, 134), (114, 172), (124, 172)]},
    signs={"f": "1−"},
    unused="f",
)

PROJECTION = Option(
    edges={"q_down": [(300, 130 + R), (300, 160)], "h_out": [(300, 184), (300, 196), (348, 196)]},
    weights={"R": (300, 172)},
    ends={"q": (307, 153, "q_t", "start")},
)


LOOK = "look_{0} p_{0} p_{0}_down plus_{0} sum_{0}"
"""The parts through which a gate looks at the cell state."""

OPTION_FOCUS: Mapping[int, tuple[Option, Focus]] = {
    23: (DROPOUT, Focus(
        "On its way to W, x_t is multiplied by the factors s; on its way to U, h of the step "
        "before is multiplied by the factors r.",
        on=["x_t", "x_in", "s", "s_in", "times_s", "x_seen", "W", "W_up", "h_prev", "h_in", "r",
            "r_in", "times_r", "h_seen", "U", "U_up", "b", "b_up", *ALL_Z],
    )),
    24: (PEEPHOLES, Focus(
        "From the line of the cell state, before the product with f, two ways lead down through "
        "the weights p of i and of f and are added to these parts of z. A third, through the p of "
        "o, begins after the sum, at c_t, and is added to the part of o.",
        on=_parts(LOOK, PEEPHOLE_GATES),
        used=["c_prev", "c_in", "c_t", "c_out", *_parts("cell_{} z_{}", PEEPHOLE_GATES)],
    )),
    25: (CLIP, Focus(
        "Between each part of z and its activation stands a clip: a line that rises from a lower "
        "to an upper bound and is flat on both sides.",
        on=_parts("z_{} clip_{} clipped_{}"),
        used=ALL_Z,
    )),
    26: (COUPLED, Focus(
        "f is made of i, as 1 − i. The part of z for f leads nowhere.",
        on=["i_to_f", "act_f", "f"],
        used=["i", "act_i"],
    )),
    27: (PROJECTION, Focus(
        "The product of o and φ of c_t is q_t. It goes through R, which gives h_t.",
        on=["c_down", "φ", "φ_down", "times_o", "o_up", "q_down", "q", "R", "h_out", "h_t"],
        used=["o", "c_t"],
    )),
    28: (PROJECTION, Focus(
        "The gradient on h_t flows back through R to q_t, and into R.",
        back=["h_t", "h_out", "R", "q_down", "q"],
    )),
    29: (COUPLED, Focus(
        "The gradient on f flows back through 1 − i to i. The part of z for f gets none.",
        back=["f", "act_f", "i_to_f", "i"],
    )),
    30: (CLIP, Focus(
        "The gradients flow back from the activations through the clips into the four parts of z.",
        back=_parts("clipped_{} clip_{} z_{} cell_{}"),
    )),
    31: (PEEPHOLES, Focus(
        "The gradient on the part of z for o flows back through its p to c_t; those on the parts "
        "for i and f flow back through theirs to c of the step before; and each flows into its p.",
        back=[*_parts(LOOK, PEEPHOLE_GATES), "c_t", "c_out", "c_in", "c_prev"],
    )),
    32: (DROPOUT, Focus(
        "The gradient on z flows back through W and the product with s to x_t, through U and the "
        "product with r to h of the step before, and into W and U.",
        back=[*ALL_Z, "W_up", "W", "x_seen", "times_s", "x_in", "x_t", "U_up", "U", "h_seen",
              "times_r", "h_in", "h_prev"],
        used=["s", "s_in", "r", "r_in"],
    )),
}  # fmt: skip


# ----- classes -----

OUTPUTS = {1: 60, 2: 160, 3: 260}
"""Where each of three outputs stands."""


def classes(focus: Focus = EVERYTHING, classes: str = "", logarithm: bool = False) -> Drawing:
    """The three outputs of one time step become probabilities, or their logarithms."""
    drawing = Drawing(372, 226, focus.alt, classes)
    state = focus.state
    sum_x, low, high, top = 334, 128, 76, 44
    for name, points in {
        "to_sum": [(OUTPUTS[1], low), (sum_x - 34, low)],
        "from_sum": [(sum_x, low - 12), (sum_x, high), (OUTPUTS[1] + 26, high),
                     (OUTPUTS[1] + 26, top), (OUTPUTS[1] + R, top)],
    }.items():  # fmt: skip
        drawing.line(points[::-1] if state(name) == "back" else points, state(name))
    drawing.box(sum_x - 34, low - 12, 68, 24, f"act {state('sum')}")
    drawing.text(sum_x, low + 5, "ln Σ exp" if logarithm else "Σ", f"math {state('sum')}")
    for k, x in OUTPUTS.items():
        bend: list[Point] = [(x + 26, high), (x + 26, top), (x + R, top)]
        if k > 1:
            drawing.line(bend[::-1] if state("from_sum") == "back" else bend, state("from_sum"))
        for name, points in {
            "z_up": [(x, 190), (x, 178 if not logarithm else top + R)],
            "e_up": [(x, 154), (x, top + R)],
            "a_up": [(x, top - R), (x, 22)],
        }.items():
            if name != "e_up" or not logarithm:
                points = points[::-1] if state(name) == "back" else points
                crosses = name == ("z_up" if logarithm else "e_up") and k > 1
                drawing.line(points, state(name), hop=high if crosses else 0)
        if not logarithm:
            drawing.box(x - 17, 154, 34, 24, f"act {state('e')}")
            drawing.text(x, 171, "exp", f"math {state('e')}")
        drawing.circle(x, top, R, f"node {state('node')}")
        drawing.text(x, top + 4.5, "−" if logarithm else "÷", f"sign {state('node')}")
        for name, y in (("z", 206), ("a", 14)):
            back = state(name) == "back"
            drawing.text(x, y, ("∂" if back else "") + f"{name}_{k}", f"math {state(name)}")
    return drawing


THROUGH = ["a", "a_up", "node", "from_sum", "sum", "to_sum", "z_up", "z"]
"""The parts from end to end."""

CLASSES_FOCUS: Mapping[int, tuple[bool, Focus]] = {
    33: (False, Focus(
        "Three outputs of one time step. e to the power of each goes up to a division, and on the "
        "way into one sum, by which all three are divided.",
        on=[*THROUGH, "e", "e_up"],
    )),
    34: (False, Focus(
        "The gradients on the three probabilities flow back through the divisions: straight down, "
        "and through the one sum into all three outputs.",
        back=[*THROUGH, "e", "e_up"],
    )),
    35: (True, Focus(
        "Three outputs of one time step. From each is taken the one logarithm of the sum of e to "
        "the power of all three.",
        on=THROUGH,
    )),
    36: (True, Focus(
        "The gradients on the three logarithms flow back straight down, and through the one sum "
        "into all three outputs.",
        back=THROUGH,
    )),
}  # fmt: skip


FOCUS = {
    **{number: (cell, focus) for number, focus in CELL_FOCUS.items()},
    **{number: (masked, focus) for number, focus in MASKED_FOCUS.items()},
    **{number: (head, focus) for number, focus in HEAD_FOCUS.items()},
    **{n: (partial(cell, option=option), focus) for n, (option, focus) in OPTION_FOCUS.items()},
    **{n: (partial(classes, logarithm=log), focus) for n, (log, focus) in CLASSES_FOCUS.items()},
}
"""For each equation its drawing, and the part to light up."""


def for_equation(number: int) -> Drawing:
    """The drawing that goes with an equation, its part lit up.

    Raises:
        EquationError: it has none.
    """
    draw, focus = _focus(number)
    return draw(focus, "focused")


def direction(number: int) -> str:
    """``"forward"`` or ``"backward"``, as the arrows of its drawing go.

    Raises:
        EquationError: it has none.
    """
    return "backward" if _focus(number)[1].back else "forward"


def _focus(number: int) -> tuple[Callable[..., Drawing], Focus]:
    try:
        return FOCUS[number]
    except KeyError:
        raise EquationError(f"equation {number} has no drawing in docs/_ext/drawings.py") from None


# ----- drawings that stand on a page by themselves -----


def whole_cell() -> Drawing:
    """The cell with nothing lit up."""
    alt = (
        "One time step of an LSTM. From below come h of the step before through U, x_t through W, "
        "and b: their sum is z, with a part for each of i, f, g and o, which go through σ, σ, φ "
        "and σ. Above, the cell state runs from left to right: it is multiplied by f, and the "
        "product of i and g is added. Through φ and multiplied by o, it becomes h_t."
    )
    return cell(Focus(alt), "tall")


def batch() -> Drawing:
    """(batch, time, features): sheets behind each other, a row a step, a column a feature."""
    drawing = Drawing(
        460, 220,
        "Four sheets behind each other, one for each sequence of the batch. A sheet has five rows, "
        "one for each time step, and three columns, one for each feature.",
        "large",
    )  # fmt: skip
    B, T, D, size, offset = 4, 5, 3, 26, 17
    for b in reversed(range(B)):
        left, top = 150 + b * offset, 30 + (B - 1 - b) * offset * 0.55
        drawing.box(left, top, D * size, T * size, f"sheet {'front' if b == 0 else ''}", corner=0)
        if b == 0:
            for t in range(T):
                for d in range(D):
                    drawing.box(left + d * size, top + t * size, size, size, "number", corner=0)
            x, y = left + size / 2, top + 2.5 * size + 4
            for d in range(D):
                drawing.text(x + d * size, y, "×", "on")
            drawing.box(left, top + 2 * size, D * size, size, "chosen", corner=0)
    top = 30 + (B - 1) * offset * 0.55
    bottom = top + T * size
    drawing.line([(136, top), (136, bottom)], "measure")
    drawing.text(128, (top + bottom) / 2 + 4, "time", "", "end")
    drawing.line([(150, bottom + 14), (150 + D * size, bottom + 14)], "measure")
    drawing.text(150 + D * size / 2, bottom + 31, "features")
    right = 150 + D * size
    drawing.line([(right + 10, bottom - 2), (right + 10 + 3 * offset, bottom - 2 - 28)], "measure")
    drawing.text(right + 44, bottom + 4, "batch", "", "start")
    drawing.text(right + 78, top + 2.5 * size + 4, "x[0, 2]: what is known", "small on", "start")
    drawing.text(right + 78, top + 2.5 * size + 19, "at step 2 of sequence 0", "small on", "start")
    return drawing


def return_sequences() -> Drawing:
    """What comes out with return_sequences False, and True."""
    drawing = Drawing(
        660, 190,
        "Left, return_sequences=False: four steps in a chain, and only the last one gives its h to "
        "the Dense layer, so there is one y. Right, return_sequences=True: every step gives its h "
        "to the same Dense layer, so there is a y at every step.",
        "large",
    )  # fmt: skip
    for left, every, title in ((0, False, "False"), (350, True, "True")):
        drawing.text(left + 155, 14, f"return_sequences={title}", "code")
        for t in range(1, 5):
            x = left + 20 + 68 * t - 40
            drawing.line([(x, 168), (x, 144)])
            drawing.text(x, 184, f"x_{t}")
            drawing.box(x - 20, 118, 40, 26, "act")
            drawing.text(x, 135, "LSTM", "small")
            if t < 4:
                drawing.line([(x + 20, 131), (x + 48, 131)])
            if every or t == 4:
                drawing.line([(x, 118), (x, 94)], "on")
                drawing.text(x + 5, 109, f"h_{t}", "on small", "start")
                drawing.box(x - 22, 68, 44, 26, "weight")
                drawing.text(x, 85, "Dense", "small")
                drawing.line([(x, 68), (x, 46)], "on")
                drawing.text(x, 38, f"y_{t}", "on")
    return drawing


def padded_values() -> Drawing:
    """A masked sequence with real values: h by both rules, and the state, as the source says."""
    mask = np.array([[0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0]], bool)
    T = mask.shape[1]
    rng = np.random.default_rng(3)
    x = np.where(mask[..., None], 0.9 + 0.6 * np.sin(1.4 * np.arange(T))[None, :, None], 0.0)
    params = LSTMParams(
        *(rng.normal(0, scale, shape) for scale, shape in ((1, (1, 8)), (0.5, (2, 8)))),
        np.repeat([0.6, 1.0, 0.3, 0.8], 2),
    )
    out = {
        rule: lstm_forward(x, params, LSTMConfig(masked_output=rule), mask, keep_cache=True)
        for rule in ("hold", "zero")
    }
    cache = out["hold"].cache
    assert cache is not None
    drawing = Drawing(
        660, 290,
        "Twelve time steps of one unit, those at 1, 2, 7, 8, 11 and 12 masked. The state h stays "
        "as it was through masked steps. With the rule hold, so does the output, which is 0 until "
        "the first real step. With the rule zero, the output is 0 at every masked step.",
        "large",
    )  # fmt: skip
    left, step, bar = 110, 44, 26
    for t in range(T):
        if not mask[0, t]:
            drawing.box(left + t * step, 8, step, 264, "padding", corner=0)
        drawing.text(left + t * step + step / 2, 286, str(t + 1), "small")
    drawing.text(left - 12, 286, "step", "small", "end")
    rows = {
        "x": x[0, :, 0] / np.abs(x).max(),
        "state h": cache.h[0, :, 0],
        "output, hold": out["hold"].hs[0, :, 0],
        "output, zero": out["zero"].hs[0, :, 0],
    }
    top = np.abs([v for name, v in rows.items() if name != "x"]).max()
    for n, (name, values) in enumerate(rows.items()):
        base = 66 + 66 * n
        drawing.text(left - 12, base - 16, name, "", "end")
        drawing.line([(left, base), (left + T * step, base)], "axis", arrow=False)
        for t, value in enumerate(values / (1 if name == "x" else top)):
            height = 46 * abs(float(value))
            real = bool(mask[0, t])
            if height > 0.05:
                drawing.box(
                    left + t * step + (step - bar) / 2, base - height, bar, height,
                    "bar" if real else "bar held", corner=1,
                )  # fmt: skip
            else:
                drawing.text(left + t * step + step / 2, base - 4, "?" if name == "x" else "0",
                             "small")  # fmt: skip
    return drawing


def panels() -> Drawing:
    """Weights in blocks of one gate each, and packed into panels."""
    drawing = Drawing(
        660, 236,
        "Above, the weights in Keras' layout: four blocks of columns, i, f, g and o, each with two "
        "halves of L units, W above U. Below, the two panels: the first holds the first half of "
        "each of i, f, g and o side by side, the second holds the second halves.",
        "large",
    )  # fmt: skip
    left, width, height = 70, 62, 64
    drawing.text(left - 12, 30, "W", "math", "end")
    drawing.text(left - 12, 62, "U", "math", "end")
    for n, gate in enumerate(GATES):
        drawing.text(left + n * 2 * width + width, 10, gate, "math")
        for half in (0, 1):
            x = left + (2 * n + half) * width
            drawing.box(x, 16, width, height, f"sheet half{half}", corner=0)
            drawing.text(x + width / 2, 35, f"{gate}_{half + 1}")
    drawing.line([(left, 16 + 0.45 * height), (left + 8 * width, 16 + 0.45 * height)], "axis",
                 arrow=False)  # fmt: skip
    gap = 24
    for half in (0, 1):
        start = left - gap / 2 + half * (4 * width + gap)
        for n, gate in enumerate(GATES):
            x = start + n * width
            drawing.box(x, 140, width, height, f"sheet half{half}", corner=0)
            drawing.text(x + width / 2, 176, f"{gate}_{half + 1}")
            from_x = left + (2 * n + half) * width + width / 2
            drawing.line([(from_x, 84), (x + width / 2, 136)], f"thin half{half}")
        drawing.text(start + 2 * width, 222, f"panel {half + 1}: {'first' if half == 0 else 'next'}"
                     " L units, all four gates", "small")  # fmt: skip
    return drawing


STANDALONE = {
    "cell": whole_cell,
    "batch": batch,
    "return_sequences": return_sequences,
    "padded_values": padded_values,
    "panels": panels,
}
"""The drawings a page can ask for by name."""
