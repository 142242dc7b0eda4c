"""The LSTM module: layers on top of each other, in one direction or both.

PyTorch: ``torch.nn.LSTM``.
"""

import warnings
from typing import Any

import numpy as np

from lstm_ref.backend import lstm_backward, lstm_forward
from lstm_ref.checks import real_array, shaped, step_counts
from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.layers.session import fresh_seed
from lstm_ref.nn.arguments import flag, positive, probability, projection_size
from lstm_ref.nn.module import ModuleShapeError
from lstm_ref.nn.recurrent import Recurrent, RecurrentCache, run_shapes
from lstm_ref.spec.parameters import LSTMConfig

DIRECTIONS = {
    "": LSTMConfig(masked_output="zero"),
    "_reverse": LSTMConfig(masked_output="zero", go_backwards=True),
}
"""The two directions, by the ending of their weights' names."""

State = tuple[Array, Array]
"""h and c of every run."""


class LSTM(Recurrent):
    """Reads x[T,B,D] step by step; gives the last layer's output at every step, and the states.

    The arguments, their order and their defaults are PyTorch's. P is `proj_size`, or H where that
    is 0. A run is one layer in one direction, and N is how many directions there are.

    A call ``lstm(x, (h_0, c_0), lengths)`` gives ``out, (h_n, c_n)``:

    - x is [T,B,D], or [B,T,D] with `batch_first`. [T,D] is one sequence; the axis B is then missing
      in everything. out is [T,B,N·P] or [B,T,N·P], the two directions side by side.
    - h_0 and h_n are [runs,B,P], c_0 and c_n are [runs,B,H], whatever `batch_first` is: layer 0,
      its reverse direction, layer 1, its reverse direction, ... None for zeros.
    - lengths[B] do what PyTorch's packed sequences do (``pack_padded_sequence`` with
      ``enforce_sorted=False``): each row is as if it were alone and so long. The reverse direction
      begins at its last real step, h_n and c_n are those of that step, and out is 0 beyond it. x
      may hold anything there, NaN included. out keeps all T steps of x, where
      ``pad_packed_sequence`` gives the first max(lengths) of them.

    ``forward`` and ``backward`` mirror each other, arrays of the same shapes going in and out;
    `gradients` is a dict under the names of the weights::

        (out, (h_n, c_n)), cache = lstm.forward(x, (h_0, c_0), lengths, keep_cache=True)
        d_x, (d_h_0, d_c_0), gradients = lstm.backward(d_out, (d_h_n, d_c_n), cache)

    Args:
        input_size: D. hidden_size: H, the width of the cell state.
        num_layers: each reads the outputs of the one below, [B,T,N·P].
        bias: with ``bias_ih`` and ``bias_hh``, which are added.
        batch_first: (batch, time, features) instead of (time, batch, features).
        dropout: the probability with which, in training mode, an output of a layer but the last
            is dropped on its way to the next; the others are multiplied by 1/(1 - dropout).
        bidirectional: each layer reads from the end too, with weights of its own for that.
        proj_size: the width of the hidden state; 0 for H.
        device, dtype: see `Module`.

    Raises:
        TypeError, ValueError: an argument that makes no sense, named.
    """

    constructor_weights = "num_layers, bidirectional, bias and proj_size"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        D, H = positive(input_size, "input_size"), positive(hidden_size, "hidden_size")
        bias = flag(bias, "bias")
        self.num_layers = positive(num_layers, "num_layers")
        self.batch_first = flag(batch_first, "batch_first")
        self.dropout = probability(dropout)
        self.bidirectional = flag(bidirectional, "bidirectional")
        self.proj_size = projection_size(proj_size, H)
        if self.dropout and self.num_layers == 1:
            warnings.warn(
                f"LSTM(dropout={dropout}) with num_layers=1 drops nothing: dropout acts on the "
                "outputs of all layers but the last, so it expects num_layers greater than 1",
                stacklevel=2,
            )
        endings = tuple(DIRECTIONS) if bidirectional else ("",)
        self._directions = tuple(DIRECTIONS[ending] for ending in endings)
        N, P = len(endings), self.proj_size or H
        runs = {
            f"_l{layer}{ending}": run_shapes(N * P if layer else D, H, P, bias, self.proj_size > 0)
            for layer in range(self.num_layers)
            for ending in endings
        }
        super().__init__(D, H, bias, runs, (), device, dtype)

    def __call__(
        self,
        input: Any,  # noqa: A002 (PyTorch's name)
        hx: Any = None,
        lengths: Any = None,
    ) -> tuple[Array, State]:
        """The outputs and the final states, as the class says.

        Raises:
            ShapeError: x, a state or lengths do not fit; for x and states a `ModuleShapeError`.
            TypeError: states that are no pair. DTypeError: something else than real numbers.
            UnsupportedError: a packed sequence.
        """
        result, _ = self.forward(input, hx, lengths)
        return result

    # The two passes.

    def forward(
        self,
        input: Any,  # noqa: A002 (PyTorch's name)
        hx: Any = None,
        lengths: Any = None,
        keep_cache: bool = False,
    ) -> tuple[tuple[Array, State], RecurrentCache | None]:
        """What a call gives, and what ``backward`` needs when it was asked for.

        The cache holds the input itself: leave it unchanged until then.
        """
        x, batched = self._read(input)
        B, T, _ = x.shape
        lengths = self._read_lengths(lengths, B, T, batched)
        h_0, c_0 = self._read_states(hx, ("h_0", "c_0"), B, batched)
        h_n, c_n = np.empty_like(h_0), np.empty_like(c_0)

        caches, factors = [], []
        y = x  # what the layer reads: [B,T,D], then [B,T,N·P]
        for layer in range(self.num_layers):
            sides = []
            for run, config in self._runs(layer):
                output = lstm_forward(
                    y,
                    self.core_params[run],
                    config,
                    h0=h_0[run],
                    c0=c_0[run],
                    keep_cache=keep_cache,
                    lengths=lengths,
                )
                h_n[run], c_n[run] = output.h, output.c
                sides.append(reordered(output.hs, config))
                if output.cache is not None:
                    caches.append(output.cache)
            y = np.concatenate(sides, axis=-1) if len(sides) > 1 else sides[0]
            if self.training and self.dropout and layer + 1 < self.num_layers:
                factors.append(self.draw_dropout(y.shape))
                y = y * factors[-1]

        cache = RecurrentCache(tuple(caches), batched, tuple(factors)) if keep_cache else None
        return (self._give(y, batched), give_states(h_n, c_n, batched)), cache

    def backward(
        self, d_out: Any, d_state: Any, cache: RecurrentCache | None
    ) -> tuple[Array, State, dict[str, Array]]:
        """The gradients on the input, on the initial states, and on the weights by name.

        Args:
            d_out: on the outputs, of their shape; None for zeros. What it holds beyond a row's
                length is not read.
            d_state: (d_h_n, d_c_n), on the final states; None for zeros, also in place of one.
            cache: from ``forward(..., keep_cache=True)``.

        Raises:
            ShapeError, DTypeError: a gradient does not fit what it belongs to.
            TypeError: the cache is something else.
        """
        cache = self._checked(cache)
        B, T = cache.runs[0].x.shape[:2]
        d_y = self._read_gradient(d_out, B, T, cache.batched)  # [B,T,N·P]
        d_h_n, d_c_n = self._read_states(d_state, ("d_h_n", "d_c_n"), B, cache.batched)
        d_h_0, d_c_0 = np.empty_like(d_h_n), np.empty_like(d_c_n)

        gradients = {}
        for layer in reversed(range(self.num_layers)):
            if cache.dropout and layer + 1 < self.num_layers:
                d_y = d_y * cache.dropout[layer]
            sides = np.split(d_y, len(self._directions), axis=-1)
            for (run, config), d_hs in zip(self._runs(layer), sides, strict=True):
                g = lstm_backward(reordered(d_hs, config), d_h_n[run], d_c_n[run], cache.runs[run])
                d_h_0[run], d_c_0[run], gradients[run] = g.d_h0, g.d_c0, g
            d_y = np.add.reduce([gradients[run].d_x for run, _ in self._runs(layer)])
        in_order = [gradients[run] for run in range(len(gradients))]
        d_x = self._give(d_y, cache.batched)
        return d_x, give_states(d_h_0, d_c_0, cache.batched), self._named(in_order)

    def draw_dropout(self, shape: tuple[int, ...]) -> Array:
        """Factors for one layer's outputs [B,T,N·P]: 0 or 1/(1 - dropout), drawn one by one.

        The random numbers come from the session's seed (`lstm_ref.set_seed`), and are not
        PyTorch's. Replace this method to bring other factors, of this shape and the module's dtype.
        """
        kept = np.random.default_rng(fresh_seed()).random(shape) >= self.dropout
        scale = 1 / (1 - self.dropout) if self.dropout < 1 else 0  # PyTorch: 1 drops everything
        return np.asarray(kept * scale, self.dtype)

    def _runs(self, layer: int) -> list[tuple[int, LSTMConfig]]:
        """The runs of a layer: their numbers, in the order of the states, and their directions."""
        first = layer * len(self._directions)
        return list(enumerate(self._directions, start=first))

    # The door: PyTorch's axes become [B,T,·] and [runs,B,·], and back.

    def _take(self, array: Array, batched: bool) -> Array:
        """An array in the axes of the input as [B,T,·]."""
        if not batched:
            return array[None]
        return array if self.batch_first else array.swapaxes(0, 1)

    def _give(self, array: Array, batched: bool) -> Array:
        """[B,T,·] in the axes of the input."""
        if not batched:
            return np.asarray(array[0])
        return array if self.batch_first else array.swapaxes(0, 1)

    def _axes(self, batched: bool) -> str:
        """The axes of the input, in words."""
        if not batched:
            return "(time, features)"
        return "(batch, time, features)" if self.batch_first else "(time, batch, features)"

    def _read(self, x: Any) -> tuple[Array, bool]:
        """The input as [B,T,D], and whether it had a batch axis."""
        if hasattr(x, "batch_sizes"):
            raise UnsupportedError(
                "a packed sequence is not supported as input: give the padded array, and lengths="
                "[...] with one length for each row, to the same effect"
            )
        x = real_array(x, "input", np.dtype(self.dtype))
        if x.ndim not in (2, 3):
            raise ModuleShapeError(
                f"LSTM: expected input to be 2D or 3D, got {x.ndim}D, of shape {x.shape}: it is "
                f"{self._axes(batched=True)}, or {self._axes(batched=False)} for one sequence; for "
                "one feature per step use x[..., None]"
            )
        batched = x.ndim == 3
        if x.shape[-1] != self.input_size:
            raise ModuleShapeError(
                f"input has shape {x.shape}, {x.shape[-1]} features a step, and input_size is "
                f"{self.input_size}: the axes are {self._axes(batched)}"
                + ("; they may be swapped" if self.input_size in x.shape else "")
            )
        return self._take(x, batched), batched

    def _read_lengths(self, lengths: Any, B: int, T: int, batched: bool) -> Array | None:
        """The lengths as int64 [B], from 1 to T; None for None."""
        if lengths is None:
            return None
        if not batched:
            raise ShapeError(
                "lengths are those of the rows of a batch, and one sequence came: cut it, x[:n]"
            )
        meaning = f"one length for each row; the axes of the input are {self._axes(batched)}"
        counts = shaped(step_counts(lengths, T), (B,), "lengths", meaning)
        if not counts.all():
            raise ShapeError(
                f"lengths[{int(np.argmin(counts))}] is 0, and PyTorch has no sequence without a "
                "step: leave such rows out"
            )
        return counts

    def _read_states(self, given: Any, names: tuple[str, str], B: int, batched: bool) -> State:
        """A pair of states, or of gradients on them, as [runs,B,P] and [runs,B,H]."""
        runs, H, rows = len(self._suffixes), self.hidden_size, (B,) if batched else ()
        shapes = (runs, *rows, self.proj_size or H), (runs, *rows, H)
        axes = (
            "(layers · directions, batch, width), whatever batch_first is"
            if batched
            else "(layers · directions, width), for one sequence"
        )
        h, c = self._pair(given, names, shapes, axes)
        return (h, c) if batched else (h[:, None], c[:, None])

    def _read_gradient(self, d_out: Any, B: int, T: int, batched: bool) -> Array:
        """The gradient on the outputs as [B,T,N·P]; zeros for None."""
        width = len(self._directions) * (self.proj_size or self.hidden_size)
        dtype = np.dtype(self.dtype)
        if d_out is None:
            return np.zeros((B, T, width), dtype)
        steps_and_rows = ((B, T) if self.batch_first else (T, B)) if batched else (T,)
        d_out = shaped(
            real_array(d_out, "d_out", dtype), (*steps_and_rows, width), "d_out", "as the outputs"
        )
        return self._take(d_out, batched)

    def extra_repr(self) -> str:
        """The sizes, and the other arguments where they are not the defaults."""
        defaults = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0,
            "bidirectional": False,
        }
        others = [
            f"{name}={getattr(self, name)}"
            for name, default in defaults.items()
            if getattr(self, name) != default
        ]
        return ", ".join([str(self.input_size), str(self.hidden_size), *others])


def give_states(h: Array, c: Array, batched: bool) -> State:
    """[runs,B,P] and [runs,B,H], without the batch axis where the input had none."""
    return (h, c) if batched else (h[:, 0], c[:, 0])


def reordered(hs: Array, config: LSTMConfig) -> Array:
    """[B,T,·] in the order of processing becomes that in the order of time, or back."""
    return hs[:, ::-1] if config.go_backwards else hs
