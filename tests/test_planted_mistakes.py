"""A test of the tests: the classical mistakes, planted one at a time, and who notices.

Each mistake is a change of one line of the specification or of the kernels' loops, and names the
test that must fail. The same test passes on the sound source (it runs elsewhere in this suite, and
here once more), so it is the mistake that it sees.
"""

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


def slopes(**changes: Any) -> Callable[[], None]:
    """The comparison of the specification's gradients with finite differences, on one case."""
    return partial(gradients_are_slopes.hypothesis.inner_test, "numpy", CASE | changes)


def twins(**changes: Any) -> Callable[[], None]:
    """The comparison of the kernels with the specification, on one case."""
    case = CASE | {"sizes": (7, 5, 3, 19)} | changes
    seed, sizes, mask = case.pop("seed"), case.pop("sizes"), case.pop("mask")
    return partial(twins_agree.hypothesis.inner_test, "float64", seed, sizes, mask, "plain", case)


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
        "activation on the output forgotten", CELL, "h = o * activate(φ, c)", "h = o * c", keras()
    ),
    Mistake(
        "output from the old cell state", CELL, "h = o * activate(φ, c)",
        "h = o * activate(φ, c_prev)", keras(),
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
        "d_c = d_c + d_h * o * activation_derivative(φ, c, a)", "d_c = d_c + 0 * d_h",
        slopes(mask="none"),
    ),
    Mistake(
        "a derivative forgotten", CELL, "d_o * activation_derivative(σ, z_o, o)", "d_o", slopes()
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
        "y = np.zeros((B, H), x.dtype)  # the output", "y = h0  # the output", keras(mask="left"),
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
        "d_x=d_x[:, ::-1] if config.go_backwards else d_x", "d_x=d_x", slopes(go_backwards=True),
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
    # The kernels.
    Mistake(
        "kernel: gates f and g swapped", LOOPS,
        "i, f, g, o = z, at(z, count), at(z, 2 * count), at(z, 3 * count)",
        "i, g, f, o = z, at(z, count), at(z, 2 * count), at(z, 3 * count)", twins(),
    ),
    Mistake(
        "kernel: the carry forgotten on a masked step", LOOPS,
        "copy_vector(h_after, h_at, h_before, h_at)",
        "copy_vector(h_after, h_at, h_new, (n * rows + m) * L)", twins(),
    ),
    Mistake(
        "kernel: the two halves of the state confused", LOOPS, "at(xh, (1 - t % 2) * B",
        "at(xh, (t % 2) * B", twins(mask="none"),
    ),
    Mistake(
        "kernel: the last unit of a panel forgotten", LOOPS,
        "width = min(H - unit, L)  # units", "width = min(H - unit, L - 1)  # units",
        twins(mask="none"),
    ),
    Mistake("kernel: c_t for c_{t-1}", LOOPS, "d_f[u] = d * c_before[u]", "d_f[u] = d * c_t[u]",
            twins()),
    Mistake(
        "kernel: the gradient lost on a masked step", LOOPS,
        "if masked == 0 or mask[(b + m) * T + t] != 0:  # [EQ 18]", "if True:  # [EQ 18]", twins(),
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
    spoilt = ModuleType(name)
    exec(compile(source.replace(mistake.right, mistake.wrong), name, "exec"), spoilt.__dict__)
    if mistake.file.startswith("kernels/loops/"):
        monkeypatch.setitem(sys.modules, name, spoilt)
        compile_anew(name.rpartition(".")[2], monkeypatch)
        return
    for function in ("cell_forward", "cell_backward", "lstm_forward", "lstm_backward",
                     "dense_forward", "dense_backward"):  # fmt: skip
        if function in spoilt.__dict__:
            for place in (name, "lstm_ref.spec.lstm"):
                if hasattr(sys.modules[place], function):
                    monkeypatch.setattr(sys.modules[place], function, getattr(spoilt, function))


def compile_anew(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels of a module of loops, compiled from what stands in its place now."""
    float64 = np.dtype("float64")
    for kernel in (name for name, home in runtime.KERNELS.items() if home == module):
        code, address = runtime.compile_kernel(kernel, float64)
        function = runtime.c_function(address, code.parameters)
        compiled = runtime.Kernel(kernel, float64, code.parameters, function)
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
