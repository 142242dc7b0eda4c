"""One time step of an LSTM. PyTorch: ``torch.nn.LSTMCell``."""

from typing import Any

import numpy as np

from lstm_ref.backend import lstm_backward, lstm_forward
from lstm_ref.checks import real_array
from lstm_ref.conventions import Array
from lstm_ref.nn.arguments import flag, positive
from lstm_ref.nn.module import ModuleShapeError
from lstm_ref.nn.recurrent import Recurrent, RecurrentCache, run_shapes


class LSTMCell(Recurrent):
    """From x_t and the state before the step to the state after it.

    A call ``cell(x, (h, c))`` gives ``(h, c)``. x is [B,D] and the states are [B,H], or [D] and
    [H] for one row; None for states of zeros. ``forward`` and ``backward`` mirror each other::

        (h_1, c_1), cache = cell.forward(x, (h_0, c_0), keep_cache=True)
        d_x, (d_h_0, d_c_0), gradients = cell.backward((d_h_1, d_c_1), cache)

    Args:
        input_size: D. hidden_size: H.
        bias: with ``bias_ih`` and ``bias_hh``, which are added; otherwise both are None.
        device, dtype: see `Module`.

    Raises:
        TypeError, ValueError: an argument that makes no sense, named.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        D, H = positive(input_size, "input_size"), positive(hidden_size, "hidden_size")
        absent = () if flag(bias, "bias") else ("bias_ih", "bias_hh")
        runs = {"": run_shapes(D, H, H, bias, projected=False)}
        super().__init__(D, H, bias, runs, absent, device, dtype)

    def __call__(self, input: Any, hx: Any = None) -> tuple[Array, Array]:  # noqa: A002
        """The state after the step.

        Raises:
            ModuleShapeError: x or a state of another shape.
            TypeError: states that are no pair. DTypeError: something else than real numbers.
        """
        state, _ = self.forward(input, hx)
        return state

    def forward(
        self,
        input: Any,  # noqa: A002 (PyTorch's name)
        hx: Any = None,
        keep_cache: bool = False,
    ) -> tuple[tuple[Array, Array], RecurrentCache | None]:
        """What a call gives, and what ``backward`` needs when it was asked for."""
        x = real_array(input, "input", np.dtype(self.dtype))
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ModuleShapeError(
                f"input has shape {x.shape}, and a cell reads one step, (batch, {self.input_size}) "
                f"or ({self.input_size},)"
                + ("; whole sequences are for LSTM" if x.ndim == 3 else "")
            )
        batched = x.ndim == 2
        h_0, c_0 = self._states(hx, ("h_0", "c_0"), x.shape[:-1])
        x, h_0, c_0 = (a if batched else a[None] for a in (x, h_0, c_0))
        (params,) = self.core_params
        output = lstm_forward(x[:, None], params, h0=h_0, c0=c_0, keep_cache=keep_cache)
        cache = None if output.cache is None else RecurrentCache((output.cache,), batched)
        state = (output.h, output.c) if batched else (output.h[0], output.c[0])
        return state, cache

    def backward(
        self, d_state: Any, cache: RecurrentCache | None
    ) -> tuple[Array, tuple[Array, Array], dict[str, Array]]:
        """The gradients on the input, on the state before the step, and on the weights by name.

        Args:
            d_state: (d_h, d_c), on the state after the step; None for zeros, also in place of one.
            cache: from ``forward(..., keep_cache=True)``.

        Raises:
            ModuleShapeError, DTypeError: a gradient does not fit what it belongs to.
            TypeError: the cache is something else.
        """
        cache = self._checked(cache)
        (run,) = cache.runs
        if run.x.shape[1] != 1:
            raise TypeError(
                "this cache is an LSTM's, of a whole sequence: a cell goes back one step"
            )
        rows = run.x.shape[:1] if cache.batched else ()
        d_h, d_c = self._states(d_state, ("d_h_1", "d_c_1"), rows)
        if not cache.batched:
            d_h, d_c = d_h[None], d_c[None]
        g = lstm_backward(None, d_h, d_c, run)
        row = slice(None) if cache.batched else 0
        return g.d_x[row, 0], (g.d_h0[row], g.d_c0[row]), self._named([g])

    def _states(
        self, given: Any, names: tuple[str, str], rows: tuple[int, ...]
    ) -> tuple[Array, Array]:
        """The pair of states, or of gradients on them, in the caller's axes."""
        shape = (*rows, self.hidden_size)
        axes = "(batch, hidden_size), as the input" if rows else "(hidden_size,), as the input"
        return self._pair(given, names, (shape, shape), axes)

    def extra_repr(self) -> str:
        """The sizes, and bias where it is not the default."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")
