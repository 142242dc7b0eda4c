"""Learning: fit, and one step of it.

A step reads top to bottom in `Trainer.train_step`: forward, loss and its gradient, backward
through the layers, optimizer.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import UnsupportedError
from lstm_ref.layers.base import refuse
from lstm_ref.layers.session import fresh_seed
from lstm_ref.layers.stack import Kept
from lstm_ref.training import losses, optimizers
from lstm_ref.training.batches import Batch, Data, checked_batch_size, steps_for
from lstm_ref.training.evaluator import Evaluator, values
from lstm_ref.training.history import History
from lstm_ref.training.progress import Progress, Verbose, say, verbosity
from lstm_ref.training.targets import PADDING_ADVICE, looks_padded


class Trainer(Evaluator):
    """The learning half of a model."""

    def __init__(self) -> None:
        super().__init__()
        self.history: History | None = None

    # What a model provides.

    def trainable_params(self) -> dict[str, Array]:
        """The trainable weights by name."""
        raise NotImplementedError

    def assign_params(self, weights: Mapping[str, Array]) -> None:
        """Replace weights by name."""
        raise NotImplementedError

    def backpropagate(self, d_y: Array, kept: list[Kept]) -> dict[str, Array]:
        """The gradients on the trainable weights by name, from that on the prediction."""
        raise NotImplementedError

    def constrain(self, weights: Mapping[str, Array]) -> dict[str, Array]:
        """New weights by name, those with a constraint made to satisfy it."""
        raise NotImplementedError

    def makes_masks(self) -> bool:
        """Whether some layer says which steps are padding."""
        raise NotImplementedError

    # Keras' methods.

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Verbose = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Sequence[Any] | None = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> History:
        """Train, and return the loss and metrics of every epoch.

        Args:
            x: [N,T,D], the inputs.
            y: [N,T,K] or [N,K], the targets, of the shape of the predictions; a last axis of 1
                may be left out.
            batch_size: rows a step, 32 by default; the last batch may be smaller, and counts.
            epochs, initial_epoch: the epochs run are ``initial_epoch`` to ``epochs - 1``.
            verbose: see `lstm_ref.training.progress`.
            validation_split: this part of the rows, the last ones, is not trained on.
            validation_data: (x, y) or (x, y, sample_weight) to evaluate after each epoch.
            shuffle: deal the rows in a new order each epoch (from `set_seed`).
            sample_weight: one for each step, (N,T) or (N,T,1), or each row, (N,1); where there
                is one prediction a row, (N,).
            validation_batch_size: `batch_size` when None.
            validation_freq: evaluate after every so many epochs.
            callbacks, class_weight, steps_per_epoch, validation_steps: refused.

        Raises:
            ShapeError: y or sample_weight do not fit the predictions, or x the model.
            ValueError: the model is not compiled, or a target that counts is NaN.
            UnsupportedError: naming what is not supported.

        Warns:
            UserWarning: rows look padded and no layer masks them; no weight is trainable.
        """
        refuse(
            "fit",
            {
                "callbacks": callbacks,
                "class_weight": class_weight,
                "steps_per_epoch": steps_per_epoch,
                "validation_steps": validation_steps,
            },
        )
        if shuffle not in (True, False):
            raise UnsupportedError(f"fit(shuffle={shuffle!r}) is not supported: True or False is")
        if not isinstance(validation_freq, int):
            raise UnsupportedError(f"fit(validation_freq={validation_freq!r}): a number is needed")
        optimizer, loss = self.compiled("fit")
        rows = checked_batch_size(batch_size)
        data, held_out = self.data("fit", x, y, sample_weight, rows), None
        if validation_data is not None:
            held_out = self.data("fit(validation_data=...)", *_unpack(validation_data), rows)
        elif validation_split:
            data, held_out = data.split(validation_split)
        self._warn_about(data)

        steps, level = steps_for(data.rows, rows), verbosity(verbose)
        run = {"verbose": verbose, "epochs": epochs, "steps": steps}
        history = self.history = History(run, self)
        generator = np.random.default_rng(fresh_seed())
        for epoch in range(initial_epoch, epochs):
            if level and epochs > 1:
                say(f"Epoch {epoch + 1}/{epochs}")
            order = generator.permutation(data.rows) if shuffle else None
            self.report.reset()
            with Progress(steps, level) as progress:
                for batch in data.batches(rows, order):
                    self.train_step(batch, optimizer, loss)
                    progress.advance(self.report.result())
                logs = self.report.result()
                if held_out is not None and (epoch + 1) % validation_freq == 0:
                    held_rows = checked_batch_size(validation_batch_size or rows)
                    judged = self.judge_all(held_out, loss, held_rows, verbose=0)
                    logs.update({f"val_{name}": value for name, value in judged.items()})
                progress.finish(logs)
            history.add(epoch, logs)
        return history

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """One step of training on all of x; the loss and metrics before it."""
        refuse("train_on_batch", {"class_weight": class_weight})
        optimizer, loss = self.compiled("train_on_batch")
        data = self.data("train_on_batch", x, y, sample_weight)
        self.report.reset()
        self.train_step(data.whole(), optimizer, loss)
        logs = self.report.result()
        return logs if return_dict else values(logs)

    # A step of training.

    @np.errstate(over="ignore", invalid="ignore")  # what diverges shows as inf or NaN in the loss
    def train_step(self, batch: Batch, optimizer: optimizers.Optimizer, loss: losses.Loss) -> None:
        """Learn from one batch, and add it to the report as it was before."""
        forward = self.run(batch.x, training=True, keep_cache=True)
        self.add_to_report(batch, forward, loss)
        d_y = loss.gradient(batch.y, forward.y, batch.weight, forward.mask)
        gradients = self.backpropagate(d_y, forward.kept)
        new = optimizer.apply(self.trainable_params(), gradients)
        self.assign_params(self.constrain(new))

    def loss_and_gradients(
        self, x: Any, y: Any, sample_weight: Any = None
    ) -> tuple[float, dict[str, Array]]:
        """The loss on all of x as one batch, and its gradient on every trainable weight.

        It is the loss that ``fit`` makes small: with dropout, and with the penalties of
        regularizers.

        Returns:
            The loss, and gradients by name ("lstm/kernel", ...), each of its weight's shape.
        """
        _, loss = self.compiled("loss_and_gradients")
        batch = self.data("loss_and_gradients", x, y, sample_weight).whole()
        forward = self.run(batch.x, training=True, keep_cache=True)
        d_y = loss.gradient(batch.y, forward.y, batch.weight, forward.mask)
        return self.total_loss(batch, forward, loss), self.backpropagate(d_y, forward.kept)

    def _warn_about(self, data: Data) -> None:
        """Say what would make this training useless."""
        if not self.trainable_params():
            warnings.warn("the model has no trainable weights: fit changes none", stacklevel=3)
        if not self.makes_masks() and looks_padded(data.x, data.y):
            warnings.warn(PADDING_ADVICE, stacklevel=3)


def _unpack(validation_data: Sequence[Any]) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight or None).

    Raises:
        UnsupportedError: something else.
    """
    if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
        raise UnsupportedError("validation_data must be (x, y) or (x, y, sample_weight)")
    x, y, *weight = validation_data
    return x, y, weight[0] if weight else None
