"""Backpropagation through time for long sequences, which takes less memory.

The gradient of a batch needs what every layer computed at every time step: for an LSTM 6·H numbers
a step and more. The strategies here walk through the sequences in pieces, and keep that of one
piece at a time. What grows with T is then x, the target, the predictions and their mask alone.

`TruncatedBPTT` (Williams and Peng, 1990; Sutskever's thesis, 2013, section 2.8.6) lets no gradient
cross the border between two pieces: what a state owes to earlier pieces is not learned.
`RecomputedBPTT` (Chen et al., "Training deep nets with sublinear memory cost", 2016) gives the
whole gradient, for one more pass forward.

Either is given to ``compile(bptt=...)``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import UnsupportedError
from lstm_ref.layers.pieces import check_pieces, mask_of_prediction, reading_pieces
from lstm_ref.layers.rnn import ends_sequences
from lstm_ref.layers.stack import Pass, Stack
from lstm_ref.training.batches import Batch
from lstm_ref.training.losses.base import Loss
from lstm_ref.training.numbers import whole_number
from lstm_ref.training.reading import reading


class Learned(NamedTuple):
    """What a model learns from a batch.

    Attributes:
        value: the loss, with the penalties of regularizers.
        y: the prediction for the whole batch.
        mask: its mask [B,T], or None.
        gradients: those of the loss on the trainable weights, by name.
        states: those that the layers ended with; stateful ones go on from them once the step is
            taken (`Stack.keep_states`).
        forward: the pass that predicted it; None where there were several.
    """

    value: float
    y: Array
    mask: Array | None
    gradients: dict[str, Array]
    states: Sequence[Any]
    forward: Pass | None = None


class BPTT:
    """A way to the gradient of a batch, in pieces of its sequences.

    The layers up to the first that gives one output for a whole sequence (``LSTM`` with
    ``return_sequences=False``) go through the pieces; those behind it come once, after the last.
    LSTM and RNN are supported there, and the layers that treat every time step by itself: Masking,
    Embedding, Dense, Activation, Softmax, Dropout, TimeDistributed.

    What an LSTM drops is drawn once for a batch; a Dropout layer draws for every piece, unless its
    `noise_shape` has one factor for all time steps.

    Args:
        steps: time steps in a piece. The last piece has those that are left; with as many as the
            sequences have, nothing is cut, and every number is that of training without a strategy.
    """

    def __init__(self, steps: int) -> None:
        self.steps = whole_number(steps, "steps")

    def learn(self, model: Any, batch: Batch, loss: Loss) -> Learned:
        """The loss of a batch, and its gradient on the trainable weights.

        A stateful layer begins with the state it kept, and the one it ends with is returned.

        Args:
            model: a `Sequential`, built.
            batch: that fits it. Of x, only a piece at a time is cast to what the first layer reads.
            loss: of which the gradient is.

        Raises:
            UnsupportedError: a layer that needs whole sequences, or a loss that needs whole
                batches.
            ShapeError: x has no time axis.
        """
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able."""
        return {"steps": self.steps}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(steps={self.steps})"


class TruncatedBPTT(BPTT):
    """States go from piece to piece, gradients do not: an approximation that takes little memory.

    The loss and the predictions are those of the whole sequences, and the gradients of all pieces
    make one update. Whether a step counts must be known at once, so a layer that finds padding is
    the first one.
    """

    def learn(self, model: Any, batch: Batch, loss: Loss) -> Learned:
        """See `BPTT.learn`."""
        walk = Walk(model, batch, loss, self)
        if not walk.judged_once:
            walk.find_mask()
            walk.find_divisor()
        states = None
        for n in range(walk.last + 1):
            states = self._learn_piece(walk, n, states)
        return walk.learned(states)

    @staticmethod
    def _learn_piece(walk: "Walk", n: int, states: Sequence[Any] | None) -> Sequence[Any]:
        """Once it returns, what the piece needed for its gradient is gone."""
        forward = walk.forward(n, states, keep_cache=True)
        walk.judge(n, forward)
        walk.backward(n, forward, None)
        return forward.states


class RecomputedBPTT(BPTT):
    """The whole gradient with little memory, for one more pass forward.

    The first pass keeps the states at the borders of the pieces alone. On the way back, from the
    last piece to the first, each is computed once more.
    """

    def learn(self, model: Any, batch: Batch, loss: Loss) -> Learned:
        """See `BPTT.learn`."""
        walk = Walk(model, batch, loss, self)
        borders: list[tuple[Any, Mapping[str, Any]]] = []  # states and dropout before each piece
        states: Sequence[Any] | None = None
        for n in range(walk.last + 1):
            borders.append((states, model.dropout_state()))
            forward = walk.forward(n, states, keep_cache=n == walk.last)
            walk.judge(n, forward)
            states = forward.states
        dropped = model.dropout_state()
        if not walk.judged_once:
            walk.find_divisor()
        d_states = walk.backward(walk.last, forward, None)
        del forward  # and with it the cache of the last piece
        try:
            for n in reversed(range(walk.last)):
                before, dropped_before = borders[n]
                model.restore_dropout_state(dropped_before)
                d_states = walk.backward(n, walk.forward(n, before, keep_cache=True), d_states)
        finally:
            model.restore_dropout_state(dropped)
        return walk.learned(states)


class Walk:
    """A batch on its way through a model, piece by piece, and what came of it so far.

    Attributes:
        last: the number of the last piece.
        judged_once: whether predictions come with the last piece alone: there is one for each
            sequence, or there is one piece.
    """

    def __init__(self, model: Stack, batch: Batch, loss: Loss, strategy: BPTT) -> None:
        self.name = type(strategy).__name__
        check_pieces(model.layers, batch.x.shape, self.name)
        self.model, self.batch, self.loss = model, batch, loss
        self.T, self.steps = batch.x.shape[1], strategy.steps
        self.last = max(0, self.T - 1) // self.steps
        *_, top = reading_pieces(model.layers)
        self.judged_once = ends_sequences(top) or self.last == 0
        self._divisor: float | None = None
        self._sum = 0.0
        self._penalty = 0.0
        self._y: Array | None = None
        self._mask: Array | None = None
        self._gradients: dict[str, Array] = {}

    def piece(self, n: int) -> slice:
        """Where piece n lies on the time axis."""
        return slice(n * self.steps, min((n + 1) * self.steps, self.T))

    def _put(self, whole: Array | None, n: int, part: Array) -> Array:
        """An array of all pieces, [B,T,...], with part n in its place; made when there is none."""
        if whole is None:
            B, _, *rest = part.shape
            whole = np.empty((B, self.T, *rest), part.dtype)
        whole[:, self.piece(n)] = part
        return whole

    def find_mask(self) -> None:
        """That of the predictions, before there are any."""
        for n in range(self.last + 1):
            x = self.batch.x[:, self.piece(n)]
            mask = mask_of_prediction(self.model.layers, x, self.name)
            if mask is None:
                return
            self._mask = self._put(self._mask, n, mask)

    def find_divisor(self) -> None:
        """Let the loss be that of a whole batch with the mask so far.

        Raises:
            UnsupportedError: the loss does not tell from the mask what it divides by.
        """
        shape = self.model.compute_output_shape(self.batch.x.shape)[:-1]
        self._divisor = self.loss.divisor(tuple(int(n or 0) for n in shape), self._mask)

    def forward(self, n: int, states: Sequence[Any] | None, keep_cache: bool) -> Pass:
        """Piece n, from the states that the one before it ended with."""
        return self.model.run_piece(
            self.batch.x[:, self.piece(n)],
            states,
            training=True,
            keep_cache=keep_cache,
            link=self.loss.link,
            last=n == self.last,
        )

    def judge(self, n: int, forward: Pass) -> None:
        """Add piece n to the loss and to the prediction."""
        self._penalty += forward.penalty
        if self.judged_once and n < self.last:
            return
        judge, of, _ = reading(forward, self.loss)
        y, weight = self._judged_by(n)
        divisor = None if self.judged_once else 1.0
        self._sum += judge.value(y, of, weight, forward.mask, divisor)
        if self.judged_once:
            self._y, self._mask = forward.y, forward.mask
            return
        self._y = self._put(self._y, n, forward.y)
        if forward.mask is not None:
            self._mask = self._put(self._mask, n, forward.mask)

    def _judged_by(self, n: int) -> tuple[Array, Array | None]:
        """The targets and sample weights that belong to the predictions of piece n."""
        y, weight = self.batch.y, self.batch.weight
        if self.judged_once:
            return y, weight
        piece = self.piece(n)
        return y[:, piece], None if weight is None else weight[:, piece]

    def backward(self, n: int, forward: Pass, d_states: Sequence[Any] | None) -> list[Any]:
        """Add the gradients of piece n.

        Args:
            n: its number.
            forward: with caches.
            d_states: the gradients on the states that it ended with, or None.

        Returns:
            Those on the states that it began from.
        """
        d: Array | None = None
        from_logits = False
        if n == self.last or not self.judged_once:
            judge, of, from_logits = reading(forward, self.loss)
            y, weight = self._judged_by(n)
            d = judge.gradient(y, of, weight, forward.mask, self._divisor)
        d_before: list[Any] = []
        for back in self.model.backward_pass(d, forward.kept, from_logits, d_states):
            d_before.insert(0, back.d_state)
            for name, gradient in back.weights.items():
                whole = f"{back.layer.name}/{name}"
                so_far = self._gradients.get(whole)
                self._gradients[whole] = gradient if so_far is None else so_far + gradient
        return d_before

    def learned(self, states: Sequence[Any] | None) -> Learned:
        """All of it, with the states that the layers ended with."""
        assert states is not None
        assert self._y is not None
        value = self._sum / (self._divisor or 1.0)
        value = value + self.model.weight_penalty() + self._penalty
        return Learned(
            value, self._y, self._mask, self.model.with_penalties(self._gradients), states
        )


STRATEGIES: dict[str, type[BPTT]] = {
    strategy.__name__: strategy for strategy in (TruncatedBPTT, RecomputedBPTT)
}
"""What `get` knows."""


def get(identifier: Any) -> BPTT | None:
    """The strategy meant by an object or by what `serialize` gave; None for None.

    Raises:
        UnsupportedError: for anything else, naming it.
    """
    if identifier is None or isinstance(identifier, BPTT):
        return identifier
    if isinstance(identifier, Mapping) and identifier.get("class_name") in STRATEGIES:
        return STRATEGIES[identifier["class_name"]](**identifier.get("config", {}))
    raise UnsupportedError(
        f"bptt={identifier!r} is not supported: TruncatedBPTT(steps) and RecomputedBPTT(steps) "
        "are, and None for whole sequences"
    )


def serialize(strategy: BPTT | None) -> dict[str, Any] | None:
    """What `get` reads back."""
    if strategy is None:
        return None
    return {"class_name": type(strategy).__name__, "config": strategy.get_config()}
