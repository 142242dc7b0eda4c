"""Sequences in pieces: a batch walked through a few time steps at a time.

What a layer computes at a time step it may compute from the steps so far: an LSTM does, with its
state in between, and a layer that treats every step by itself does anyway. So the pieces of a
sequence can go through all layers one after the other (`Stack.run_piece`), until a layer gives one
output for a whole sequence. It and what stands behind it come after the last piece.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.layers.activation import Activation
from lstm_ref.layers.base import Layer, Shape
from lstm_ref.layers.bidirectional import Bidirectional
from lstm_ref.layers.dense import Dense
from lstm_ref.layers.dropout import Dropout
from lstm_ref.layers.embedding import Embedding
from lstm_ref.layers.masking import Masking
from lstm_ref.layers.regularizers import L1L2
from lstm_ref.layers.rnn import RNN, ends_sequences
from lstm_ref.layers.time_distributed import TimeDistributed


def reading_pieces(layers: Sequence[Layer]) -> Iterator[Layer]:
    """The layers up to the one that gives one output for a whole sequence, if there is one."""
    for layer in layers:
        yield layer
        if ends_sequences(layer):
            return


def check_pieces(layers: Sequence[Layer], input_shape: tuple[int, ...], asked_by: str) -> None:
    """Raise when sequences cannot go through the layers in pieces.

    Args:
        layers: of the model.
        input_shape: of the batch, the time axis second.
        asked_by: for messages.

    Raises:
        UnsupportedError: naming the layer, and why it needs whole sequences.
        ShapeError: the input has no time axis.
    """
    shape: Shape = input_shape
    for layer in reading_pieces(layers):
        if (reason := needs_whole_sequences(layer)) is not None:
            raise UnsupportedError(
                f"{asked_by} goes through sequences piece by piece, and layer {layer.name!r} "
                f"({type(layer).__name__}) needs them whole: {reason}"
            )
        shape = layer.compute_output_shape(shape)
        if not ends_sequences(layer) and (len(shape) < 3 or shape[1] != input_shape[1]):
            raise ShapeError(
                f"{asked_by} goes through sequences (batch, time, ...) piece by piece, and layer "
                f"{layer.name!r} ({type(layer).__name__}) gives the shape {shape} for an input of "
                f"shape {input_shape}: without a time axis there is nothing to cut"
            )


def needs_whole_sequences(layer: Layer) -> str | None:
    """Why a layer cannot read a sequence in pieces; None where it can."""
    penalty = layer.activity_regularizer
    if penalty is not None and not isinstance(penalty, L1L2) and not ends_sequences(layer):
        return f"its activity_regularizer, {type(penalty).__name__}, is no sum over time steps"
    match layer:
        case Bidirectional():
            return "its backward layer begins at their end, which comes with the last piece"
        case RNN(go_backwards=True):
            return "with go_backwards it begins at their end, which comes with the last piece"
        case Dropout(noise_shape=(_, int(steps), *_)) if steps > 1:
            return f"its noise_shape has a factor for each of {steps} time steps"
        case RNN() | Masking() | Embedding() | Dense() | Activation() | Dropout():
            return None
        case TimeDistributed():
            return None
    return "it is not one of those that treat every time step by itself"


def mask_of_prediction(layers: Sequence[Layer], x: Array, asked_by: str) -> Array | None:
    """The mask [B,T] that comes with the prediction for x, found before anything is computed.

    Raises:
        UnsupportedError: a layer behind the first one looks for padding in what comes to it.
    """
    if not any(map(_looks_for_padding, layers)):
        return None
    x = layers[0].cast(x, "x")
    mask: Array | None = None
    for n, layer in enumerate(layers):
        if n and _looks_for_padding(layer):
            raise UnsupportedError(
                f"{asked_by} needs to know how many steps count before it learns from the first "
                f"piece, and layer {layer.name!r} ({type(layer).__name__}) finds padding in what "
                "the layers before it compute: make it the first layer, or use RecomputedBPTT"
            )
        mask = layer.compute_mask(x, mask)
        shape = layer.compute_output_shape(x.shape)
        x = np.broadcast_to(np.zeros((), x.dtype), shape)  # of which only the shape is looked at
    return mask


def _looks_for_padding(layer: Layer) -> bool:
    """Whether the mask of a layer's output depends on the numbers that come to it."""
    return layer.makes_masks or any(map(_looks_for_padding, layer.parts.values()))
