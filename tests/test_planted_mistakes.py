"""A test of the tests: the classical mistakes, planted one at a time, and who notices.

Each mistake is a change of one line of the specification or of the kernels' loops, and names the
test that must fail. The same test passes on the sound source (it runs elsewhere in this suite, and
here once more), so it is the mistake that it sees.
"""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import lstm_ref
from lstm_ref.kernels import runtime
from tests.kernels.test_twins import test_activation_twins_agree as activations_agree
from tests.kernels.test_twins import test_dense_twins_agree as dense_twins_agree
from tests.kernels.test_twins import test_lstm_twins_agree as twins_agree
from tests.spec.test_cell import test_a_step_is_the_textbooks as step_is_the_textbooks
from tests.spec.test_gradients import (
    test_gradients_are_slopes_in_a_random_direction as gradients_are_slopes,
)
from tests.spec.test_lstm_against_keras import (
    test_forward_and_backward_equal_keras as equals_keras,
)

PACKAGE = Path(lstm_ref.__file__).parent
CASE = {
    "seed": 41,
    "sizes": (3, 6, 3, 5),
    "mask": "scattered",
    "bias": True,
    "states": True,
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "go_backwards": False,
    "masked_output": "hold",
}


def keras(**changes: Any) -> Callable[[], None]:
    """The comparison with Keras, forward and backward, on one case."""
    return partial(equals_keras.hypothesis.inner_test, "float64", CASE | changes)


def slopes(options: dict[str, Any] | None = None, **changes: Any) -> Callable[[], None]:
    """The comparison of the specification's gradients with finite differences, on one case."""
    roles = ("tanh", "softplus")
    return partial(
        gradients_are_slopes.hypothesis.inner_test, "numpy", CASE | changes, options or {}, roles
    )


def twins(options: dict[str, Any] | None = None, **changes: Any) -> Callable[[], None]:
    """The comparison of the kernels with the specification, on one case."""
    case = CASE | {"sizes": (7, 5, 3, 19)} | changes
    seed, sizes, mask = case.pop("seed"), case.pop("sizes"), case.pop("mask")
    return partial(
        twins_agree.hypothesis.inner_test,
        "float64",
        seed,
        sizes,
        mask,
        "plain",
        case,
        options or {},
    )


def dense_twins(sizes: tuple[int, int, int]) -> Callable[[], None]:
    """The comparison of the two dense heads, for (N, H, K)."""
    return partial(
        dense_twins_agree.hypothesis.inner_test, "float64", 42, sizes, True, "tanh", "plain"
    )


@dataclass(frozen=True)
class Mistake:
    """One line made wrong, and the test that must see it."""

    name: str
    file: str
    right: str
    wrong: str
    noticed_by: Callable[[], None]


CELL, LSTM, LOOPS = "spec/cell.py", "spec/lstm.py", "kernels/loops/lstm.py"

MISTAKES = [
    # The cell, forward.
    Mistake(
        "gates f and g swapped", CELL, "z_i, z_f, z_g, z_o = split_gates(z)\n\n",
        "z_i, z_g, z_f, z_o = split_gates(z)\n\n", keras(),
    ),
    Mistake(
        "gates i and o swapped", CELL, "z_i, z_f, z_g, z_o = split_gates(z)\n\n",
        "z_o, z_f, z_g, z_i = split_gates(z)\n\n", keras(),
    ),
    Mistake(
        "gates i and f swapped", CELL, "c = f * c_prev + i * g", "c = i * c_prev + f * g", keras()
    ),
    Mistake("bias added twice", CELL, "z = z + b", "z = z + 2 * b", keras()),
    Mistake("bias forgotten", CELL, "z = z + b", "z = z + 0 * b", keras()),
    Mistake(
        "activation on the output forgotten", CELL, "h = o * activate(φ_h, c)", "h = o * c", keras()
    ),
    Mistake(
        "output from the old cell state", CELL, "h = o * activate(φ_h, c)",
        "h = o * activate(φ_h, c_prev)", keras(),
    ),
    Mistake(
        "the wrong activation on the candidate", CELL, "g = activate(φ, z_g)",
        "g = activate(σ, z_g)", keras(),
    ),
    # The cell, backward.
    Mistake(
        "c_t for c_{t-1}", CELL, "d_f = d_c * c_prev", "d_f = d_c * c", slopes(mask="none")
    ),
    Mistake(
        "the gradient on h_t left out of that on c_t", CELL,
        "d_c = d_c + d_h * o * activation_derivative(φ_h, c, a)", "d_c = d_c + 0 * d_h",
        slopes(mask="none"),
    ),
    Mistake(
        "a derivative forgotten", CELL, "d_z_o = through_gate(d_o, σ, z_o, o, config)",
        "d_z_o = d_o", slopes(),
    ),
    # The sequence.
    Mistake(
        "the carry forgotten on a masked step", LSTM,
        "h, c = np.where(m, h_new, h), np.where(m, c_new, c)", "h, c = h_new, c_new", keras(),
    ),
    Mistake(
        "only h carried on a masked step", LSTM,
        "h, c = np.where(m, h_new, h), np.where(m, c_new, c)",
        "h, c = np.where(m, h_new, h), c_new",
        keras(),
    ),
    Mistake(
        "h0 as the output before the first step", LSTM,
        "y = np.zeros((B, P), x.dtype)  # the output", "y = h0  # the output", keras(mask="left"),
    ),
    Mistake(
        "zeros where the output should hold", LSTM, 'if config.masked_output == "hold" else',
        'if config.masked_output == "zero" else', keras(),
    ),
    Mistake(
        "time not reversed", LSTM, "x, mask = x[:, ::-1], None if mask is None else mask[:, ::-1]",
        "x, mask = x, mask", keras(go_backwards=True),
    ),
    Mistake(
        "the mask not reversed with the input", LSTM, "None if mask is None else mask[:, ::-1]",
        "mask", keras(go_backwards=True),
    ),
    Mistake(
        "the gradient of x left in reversed time", LSTM,
        "d_x = d_x[:, ::-1]", "d_x = d_x", slopes(go_backwards=True),
    ),
    Mistake(
        "the gradient lost on a masked step", LSTM,
        "d_h, d_c = np.where(m, d_h_prev, d_h), np.where(m, d_c_prev, d_c)",
        "d_h, d_c = d_h_prev, d_c_prev", slopes(),
    ),
    Mistake(
        "the gradient of a held output dropped", LSTM, "np.where(m | (not holds), 0, d_y)",
        "np.where(True, 0, d_y)", slopes(),
    ),
    Mistake(
        "h_t for h_{t-1} in the gradient of U", LSTM,
        "h_prev = before_each_step(cache.h0, cache.h)", "h_prev = cache.h", slopes(mask="none"),
    ),
    # What some LSTMs do besides: the specification.
    Mistake(
        "the output gate looks at the old cell state", CELL, "z_o = z_o + p_o * c  #",
        "z_o = z_o + p_o * c_prev  #", twins({"peephole": True}),
    ),
    Mistake(
        "the peepholes of i and f swapped", CELL,
        "z_i, z_f = z_i + p_i * c_prev, z_f + p_f * c_prev",
        "z_i, z_f = z_i + p_f * c_prev, z_f + p_i * c_prev", twins({"peephole": True}),
    ),
    Mistake(
        "the clip before the peephole", CELL, "z_o = np.clip(z_o, -κ, κ)  #",
        "z_o = np.clip(z_o - p_o * c, -κ, κ) + p_o * c  #", twins({"peephole": True, "clip": 0.4}),
    ),
    Mistake(
        "one side of the clip only", CELL, "np.clip(z_n, -κ, κ)", "np.minimum(z_n, κ)",
        twins({"clip": 0.4}),
    ),
    Mistake(
        "f for i in the coupled gates", CELL, "f = 1 - i  #", "i = 1 - f  #",
        twins({"input_forget": True}),
    ),
    Mistake(
        "the projection forgotten in the state", LSTM,
        "h_states[:, t], c_states[:, t] = z, gate, h, c",
        "h_states[:, t], c_states[:, t] = z, gate, 0 * h, c", twins({"projection": 5}),
    ),
    Mistake(
        "the candidate's activation on the output", CELL, "h = o * activate(φ_h, c)",
        "h = o * activate(φ, c)", twins({"output_activation": "relu"}),
    ),
    Mistake(
        "no gradient through the peephole of o", CELL, "d_c = d_c + d_z_o * p_o",
        "d_c = d_c + 0 * p_o",
        slopes({"peephole": True}),
    ),
    Mistake(
        "no gradient through the peephole of f", CELL, "d_c_prev + d_z_i * p_i + d_z_f * p_f",
        "d_c_prev + d_z_i * p_i", slopes({"peephole": True}),
    ),
    Mistake(
        "c_t for c_{t-1} in the gradient of the peepholes", LSTM,
        "d_z_i * c_prev, d_z_f * c_prev, d_z_o * c", "d_z_i * c_prev, d_z_f * c, d_z_o * c",
        slopes({"peephole": True}),
    ),
    Mistake(
        "a gradient through the clip", CELL, "np.abs(z) < config.clip", "np.abs(z) < np.inf",
        slopes({"clip": 0.4}),
    ),
    Mistake(
        "coupled gates whose gradients are not", CELL, "d_i = d_i - d_f", "d_i = d_i + 0 * d_f",
        slopes({"input_forget": True}),
    ),
    Mistake(
        "the gradient of the state not projected back", LSTM,
        "np.where(m, d_h_t, 0)", "np.where(m, d_hs[:, t], 0)", slopes({"projection": 4}),
    ),
    Mistake(
        "the factors of one gate for all", "spec/dropout.py",
        "np.concatenate([(s * v) @ weights_n for s, weights_n in each]",
        "np.concatenate([(factors[0] * v) @ weights_n for s, weights_n in each]",
        twins({"dropout": "each gate"}),
    ),
    Mistake(
        "dropout forgotten on the way back", "spec/dropout.py",
        "return factors * (d_z @ weights.T)", "return d_z @ weights.T",
        slopes({"dropout": "all gates"}),
    ),
    Mistake(
        "dropout forgotten in the gradient of the weights", "spec/dropout.py",
        "return as_rows(factors * v).T", "return as_rows(v).T", slopes({"dropout": "all gates"}),
    ),
    # The kernels.
    Mistake(
        "kernel: gates f and g swapped", LOOPS,
        "i, f, g, o = z, at(z, count), at(z, 2 * count), at(z, 3 * count)",
        "i, g, f, o = z, at(z, count), at(z, 2 * count), at(z, 3 * count)", twins(),
    ),
    Mistake(
        "kernel: the carry forgotten on a masked step", LOOPS,
        "copy_vector(h_after, state, h_before, state)", "copy_vector(h_after, state, h_new, 0)",
        twins(),
    ),
    Mistake(
        "kernel: the slots of the states confused", LOOPS,
        "now, after = t % slots, (t + 1) % slots", "now, after = t % slots, t % slots",
        twins(mask="none"),
    ),
    Mistake(
        "kernel: the cell state forgotten on a masked step", LOOPS,
        "copy_vector(c_next, c_at, c_t, c_at)", "copy_vector(c_next, c_at, c_new, new)", twins(),
    ),
    Mistake(
        "kernel: the way back a step too late", LOOPS,
        "at(c, (row + B) * H_padded), at(c, row * H_padded)",
        "at(c, row * H_padded), at(c, row * H_padded)", twins(mask="none"),
    ),
    Mistake(
        "kernel: the weight of the bias is not 1", LOOPS, "row[0] = real(row[0], 1.0)",
        "row[0] = real(row[0], 1.5)", twins(mask="none"),
    ),
    Mistake(
        "kernel: one gate's weights in all panels", "kernels/loops/packing.py",
        "(v * columns + n * width) * column", "(n * width) * column", twins(mask="none"),
    ),
    Mistake(
        "kernel: columns for rows in a panel", "kernels/loops/packing.py",
        "source[k * row + u * column]", "source[k * row + u]", twins(mask="none"),
    ),
    Mistake(
        "kernel: the last unit of a panel forgotten", LOOPS,
        "min(P - unit, lanes(h_new))", "min(P - unit, lanes(h_new) - 1)",
        twins(mask="none"),
    ),
    Mistake("kernel: c_t for c_{t-1}", LOOPS, "d_f[u] = d * c_before[u]", "d_f[u] = d * c_t[u]",
            twins()),
    Mistake(
        "kernel: the gradient lost on a masked step", LOOPS,
        "continue  # [EQ 18] d_h stays", "pass  # [EQ 18]", twins(),
    ),
    Mistake(
        "kernel: the output gate looks at the old cell state", LOOPS,
        "o[k] = fma(p_o[u], c_new[k], o[k])", "o[k] = fma(p_o[u], h_new[k] - h_new[k], o[k])",
        twins({"peephole": True}),
    ),
    Mistake(
        "kernel: one side of the clip only", LOOPS, "p[n] = -bound if p[n] < -bound else (",
        "p[n] = (", twins({"clip": 0.4}),
    ),
    Mistake(
        "kernel: what was projected last is added to", LOOPS, "qR[k] = real(qR[k], 0.0)",
        "qR[k] = qR[k]", twins({"projection": 5}),
    ),
    Mistake(
        "kernel: the factors of one gate for all", LOOPS,
        "z_v, rows_v = at(z_n, v * count), at(rows_b, v * copy_size)",
        "z_v, rows_v = at(z_n, v * count), at(rows_b, 0 * copy_size)",
        twins({"dropout": "each gate"}),
    ),
    Mistake(
        "kernel: the state itself is dropped", LOOPS,
        "seen[u] = r[u] * h_after[state + u]",
        "h_after[state + u] *= r[u]; seen[u] = h_after[state + u]",
        twins({"dropout": "all gates"}),
    ),
    Mistake(
        "kernel: a gradient through the clip", LOOPS,
        "d_z[n] if abs(z[n]) < bound else real(d_z[n], 0.0)", "d_z[n]", twins({"clip": 0.4}),
    ),
    Mistake(
        "kernel: dropout forgotten on the way back", LOOPS, "product[row + u] *= r[u]",
        "product[row + u] *= r[u] / r[u]", twins({"dropout": "all gates"}),
    ),
    Mistake(
        "kernel: no gradient through the peephole of o", LOOPS,
        "d_c[u] = fma(d_o[u], p_o[u], d_c[u])",
        "d_c[u] = fma(d_o[u], p_o[u] - p_o[u], d_c[u])",
        twins({"peephole": True}),
    ),
    Mistake(
        "kernel: f for i in the coupled gates", LOOPS, "f[k] = real(i[k], 1.0) - i[k]",
        "f[k] = i[k]", twins({"input_forget": True}),
    ),
    Mistake(
        "kernel: coupled gates whose gradients are not", LOOPS, "d_i[u] -= d_f[u]",
        "d_i[u] -= d_f[u] - d_f[u]", twins({"input_forget": True}),
    ),
    Mistake(
        "kernel: the candidate's activation on the way back through the output", LOOPS,
        "scale_by_derivative(φ_h, φ_h_numbers", "scale_by_derivative(φ, φ_numbers",
        twins({"output_activation": "relu"}),
    ),
    Mistake(
        "kernel: no gradient through the peephole of f", LOOPS,
        "d_c[u] = fma(d_f[u], p_f[u], d)", "d_c[u] = d", twins({"peephole": True}),
    ),
    Mistake(
        "kernel: the factors of one gate for all on the way back", LOOPS,
        "r = at(factors, gate_n * B * P_wide + state)", "r = at(factors, state)",
        twins({"dropout": "each gate"}),
    ),
    Mistake(
        "kernel: the rest of a long sum lost", "kernels/loops/product.py",
        "for k in range(0, K, K_BLOCK):", "for k in range(0, min(K, K_BLOCK), K_BLOCK):",
        dense_twins((3, 300, 5)),
    ),
    Mistake(
        "kernel: a row of a tile taken twice", "kernels/loops/product.py",
        "at(a, 2 * a_row), left - 2", "at(a, 1 * a_row), left - 2", dense_twins((3, 4, 80)),
    ),
    Mistake(
        "kernel: a sign in the derivative of tanh", "kernels/loops/activations.py",
        "d[n] *= real(a[n], 1.0) - a[n] * a[n]", "d[n] *= real(a[n], 1.0) + a[n] * a[n]",
        partial(activations_agree, "tanh", "float64"),
    ),
    # The head.
    Mistake(
        "the head's bias forgotten", "spec/dense.py", "z = z + bias", "z = z + 0 * bias",
        dense_twins((3, 4, 5)),
    ),
    Mistake(
        "the head's derivative forgotten", "spec/dense.py",
        "d_z = d_y * activation_derivative(cache.activation, cache.z, cache.y)", "d_z = d_y",
        dense_twins((3, 4, 5)),
    ),
]  # fmt: skip


def plant(mistake: Mistake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the module with the mistake in it, and put its functions where the library finds them."""
    source = (PACKAGE / mistake.file).read_text("utf-8")
    assert source.count(mistake.right) == 1, "the line to spoil must stand there once"
    name = "lstm_ref." + mistake.file.removesuffix(".py").replace("/", ".")
    spoilt = module_of(name, source.replace(mistake.right, mistake.wrong))
    if mistake.file.startswith("kernels/loops/"):
        monkeypatch.setitem(sys.modules, name, spoilt)
        compile_anew(name.rpartition(".")[2], monkeypatch)
        anew = {name}
        for user in ("product", "lstm"):  # these copy what they import into their own code
            whole = f"lstm_ref.kernels.loops.{user}"
            text = (PACKAGE / "kernels" / "loops" / f"{user}.py").read_text("utf-8")
            if whole != name and any(f"from {module} import" in text for module in anew):
                monkeypatch.setitem(sys.modules, whole, module_of(whole, text))
                compile_anew(user, monkeypatch)
                anew.add(whole)
        return
    originals = dict(vars(sys.modules[name]))
    places = [module for place, module in sys.modules.items() if place.startswith("lstm_ref.spec.")]
    for function, wrong in vars(spoilt).items():
        for module in places:
            if inspect.isfunction(wrong) and vars(module).get(function) is originals[function]:
                monkeypatch.setattr(module, function, wrong)


def module_of(name: str, source: str) -> ModuleType:
    """A module of that name, made from this source and from what it imports now."""
    module = ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def compile_anew(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels of a module of loops, compiled from what stands in its place now."""
    float64 = np.dtype("float64")
    for kernel in (name for name, home in runtime.KERNELS.items() if home == module):
        code, address = runtime.compile_kernel(kernel, float64)
        function = runtime.c_function(address)
        compiled = runtime.Kernel(kernel, float64, code.parameters, code.buffers, function)
        monkeypatch.setitem(runtime._loaded, (kernel, float64), compiled)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name)
def test_the_mistake_is_noticed(mistake: Mistake, monkeypatch: pytest.MonkeyPatch) -> None:
    mistake.noticed_by()
    plant(mistake, monkeypatch)
    with pytest.raises(AssertionError):
        mistake.noticed_by()


def test_a_swapped_gate_is_noticed_in_a_single_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The textbook comparison names it too, without Keras."""
    plant(MISTAKES[0], monkeypatch)
    monkeypatch.setattr(
        "tests.spec.test_cell.cell_forward", sys.modules["lstm_ref.spec.lstm"].cell_forward
    )
    with pytest.raises(AssertionError):
        step_is_the_textbooks(np.random.default_rng(0))
