"""Learning: fit, and one step of it.

A step reads top to bottom in `Trainer.train_step`: forward, loss and its gradient, backward
through the layers, optimizer.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ModelFormatError, NonFiniteError, UnsupportedError
from lstm_ref.layers.base import Layer
from lstm_ref.layers.session import fresh_seed
from lstm_ref.training import losses, optimizers, sources
from lstm_ref.training.batches import Batch
from lstm_ref.training.bptt import Learned
from lstm_ref.training.callbacks import CallbackList, History, TerminateOnNaN
from lstm_ref.training.diagnosis import all_finite, find_bad_update, find_non_finite
from lstm_ref.training.evaluator import Evaluator, values
from lstm_ref.training.feeds import ArrayFeed, Epochs, Feed
from lstm_ref.training.numbers import whole_number
from lstm_ref.training.optimizers.state import Step
from lstm_ref.training.progress import Progress, Verbose, say, verbosity
from lstm_ref.training.reading import reading
from lstm_ref.training.targets import PADDING_ADVICE, looks_padded


class TrainingState(NamedTuple):
    """What a training remembers besides the weights: with it, it goes on as if never interrupted.

    Attributes:
        arrays: the optimizer's memory, ``"optimizer/momentum/lstm/kernel"``, and the states of
            stateful layers, ``"states/lstm/h"``.
        numbers: JSON-able: the optimizer's step count, the seed of the shuffling, and where the
            generators of dropout stand.
    """

    arrays: dict[str, Array]
    numbers: dict[str, Any]


class Trainer(Evaluator):
    """Layers that learn.

    Attributes:
        history: of the last ``fit``.
        stop_training: set by a callback, it ends the ``fit`` that is running.
    """

    def __init__(self, layers: Sequence[Layer], name: str) -> None:
        super().__init__(layers, name)
        self.history: History | None = None
        self.stop_training = False
        self._shuffle_seed: int | None = None

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
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> History:
        """Train, and return the loss and metrics of every epoch.

        Interrupted by Ctrl-C, it leaves the model and its optimizer as they were after the last
        whole step, and the finished epochs in ``model.history``.

        Args:
            x: [N,T,D], the inputs. Or batches (x, y) or (x, y, sample_weight): a `PyDataset`, or
                a generator or another iterable, which is asked for one batch at a time. An
                ``np.memmap`` is read batch by batch.
            y: [N,T,K] or [N,K], the targets, of the shape of the predictions; a last axis of 1
                may be left out. Whole numbers [N,T] or [N] for sparse_categorical_crossentropy.
            batch_size: rows a step, 32 by default; the last batch may be smaller, and counts.
            epochs, initial_epoch: the epochs run are ``initial_epoch`` to ``epochs - 1``. With an
                ``initial_epoch``, the data go on as if the training had not stopped, in their
                order and, with ``steps_per_epoch``, in their place; also after the model was saved
                and loaded. (Keras begins with the first row.)
            verbose: see `lstm_ref.training.progress`.
            callbacks: see `lstm_ref.callbacks`.
            validation_split: this part of the rows, the last ones, is not trained on. Their loss
                is not weighted by class.
            validation_data: (x, y) or (x, y, sample_weight), or batches of them, to evaluate after
                each epoch.
            shuffle: deal the rows in a new order each epoch (from `set_seed`); of a `PyDataset`,
                the batches. Iterators keep their order.
            class_weight: a factor on the loss of each class, {0: 1.0, 1: 5.0}.
            sample_weight: one for each step, (N,T) or (N,T,1), or each row, (N,1); where there
                is one prediction a row, (N,).
            steps_per_epoch: so many batches are an epoch, and the next one goes on from there.
            validation_steps: so many batches of the validation data are evaluated.
            validation_batch_size: `batch_size` when None.
            validation_freq: evaluate after every so many epochs, or after those in a list, whose
                numbers begin at 1.

        Raises:
            ShapeError: y or sample_weight do not fit the predictions, or x the model.
            ValueError: the model is not compiled, or a target that counts is NaN.
            NonFiniteError: the loss has become NaN; it names the place where that began. With a
                `TerminateOnNaN` training stops without an error, as in Keras.
            UnsupportedError: naming what is not supported.

        Warns:
            UserWarning: rows look padded and no layer masks them; no weight is trainable; the data
                ran out.
        """
        optimizer, loss = self.compiled("fit")
        epochs = whole_number(epochs, "epochs", least=0)
        initial_epoch = whole_number(initial_epoch, "initial_epoch", least=0)
        if shuffle not in (True, False):
            raise UnsupportedError(f"fit(shuffle={shuffle!r}) is not supported: True or False is")
        held_out, first = validation_data, 0
        if held_out is None and validation_split:
            (x, y, sample_weight), held_out, first = sources.split(
                x, y, sample_weight, validation_split
            )
        feed = sources.feed(
            *(self, "fit", x, y, sample_weight, batch_size),
            class_weight=class_weight,
            steps=steps_per_epoch,
        )
        validation = None
        if held_out is not None:
            validation = self._validation(
                held_out, validation_batch_size or batch_size, validation_steps, first
            )
        judges = _epochs_judged(validation_freq)
        self._warn_about(feed, loss)

        training, level = Epochs(feed, steps_per_epoch), verbosity(verbose)
        run = {"verbose": verbose, "epochs": epochs, "steps": training.steps}
        calls = CallbackList.of(callbacks, self, run, add_history=True)
        updates = optimizer.iterations
        self.stop_training = False
        if initial_epoch == 0 or self._shuffle_seed is None:
            self._shuffle_seed = fresh_seed()
        calls.on_train_begin()
        begin = calls.first_step(initial_epoch)  # an epoch and a step, further on after a restart
        training.seed = self._shuffle_seed if shuffle else None
        logs: dict[str, float] = {}
        for epoch in range(begin.epoch, epochs):
            if level and epochs > 1:
                say(f"Epoch {epoch + 1}/{epochs}")
            self.report.reset()
            calls.on_epoch_begin(epoch)
            done = begin.step if epoch == begin.epoch else 0
            batches = training.epoch(epoch, done)
            with Progress(training.steps, level) as progress:
                seen = self._learn_from(batches, optimizer, loss, progress, calls)
                if not seen and not done:
                    warnings.warn(USED_UP, stacklevel=2)
                    break
                logs = self.report.result()
                if validation is not None and judges(epoch):
                    logs |= self._validated(validation, loss, calls)
                progress.finish(logs)
            calls.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        if optimizer.iterations != updates:
            self.assign_params(optimizer.finalized(self.trainable_params()))
        calls.on_train_end(logs)
        assert calls.history is not None
        return calls.history

    def _validation(
        self, held_out: Any, batch_size: int | None, steps: int | None, first: int
    ) -> Epochs:
        """The batches of ``validation_data``; ``first`` is the number of its first row."""
        if sources.gives_batches(held_out):
            x, y, weight, rows = held_out, None, None, None
        else:
            x, y, weight = sources.unpacked(held_out, "validation_data")
            rows = None if sources.gives_batches(x) else batch_size
        method = "fit(validation_data)"
        feed = sources.feed(self, method, x, y, weight, rows, steps=steps, first=first)
        return Epochs(feed, steps)

    def _validated(
        self, validation: Epochs, loss: losses.Loss, calls: CallbackList
    ) -> dict[str, float]:
        """The loss and metrics on the validation data under their names in the logs."""
        judged = self.judge_all(validation, loss, 0, calls)
        if judged is None:
            warnings.warn(f"validation_data: {sources.NO_BATCH}", stacklevel=3)
        return {f"val_{name}": value for name, value in (judged or {}).items()}

    def _learn_from(
        self,
        batches: Iterator[tuple[int, Batch]],
        optimizer: optimizers.Optimizer,
        loss: losses.Loss,
        progress: Progress,
        calls: CallbackList,
    ) -> bool:
        """Learn from the batches of an epoch; whether there was one."""
        stops_itself = any(isinstance(each, TerminateOnNaN) for each in calls.callbacks)
        seen = False
        for number, batch in batches:
            seen = True
            calls.on_train_batch_begin(number)
            self.train_step(batch, optimizer, loss, refuse_nan=not stops_itself)
            self.batch_ended(number, calls.on_train_batch_end, progress)
            if self.stop_training:
                break
        return seen

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One step of training on all of x; the loss and metrics before it."""
        optimizer, loss = self.compiled("train_on_batch")
        batch = self.batch("train_on_batch", x, y, sample_weight, class_weight)
        self.report.reset()
        self.train_step(batch, optimizer, loss)
        logs = self.report.result()
        return logs if return_dict else values(logs)

    # A step of training.

    @np.errstate(over="ignore", invalid="ignore")  # what diverges shows as inf or NaN in the loss
    def train_step(
        self,
        batch: Batch,
        optimizer: optimizers.Optimizer,
        loss: losses.Loss,
        refuse_nan: bool = True,
    ) -> None:
        """Learn from one batch, and add it to the report as it was before.

        Raises:
            NonFiniteError: the loss is NaN, or a weight would be, and `refuse_nan`. Weights,
                optimizer and the states of stateful layers are then as they were.
        """
        learned = self.learn(batch, loss)
        forward = learned.forward
        self.add_to_report(batch, learned, loss, None if forward is None else forward.logits)
        if refuse_nan and np.isnan(learned.value):
            raise NonFiniteError(find_non_finite(self, batch, loss, forward))
        step = optimizer.propose(self.trainable_params(), learned.gradients)
        new = self.constrain(step.weights)
        if refuse_nan and not all_finite(new.values()):
            raise NonFiniteError(find_bad_update(self, batch, loss, new, forward))
        try:
            self._take(new, optimizer, step, learned)
        except KeyboardInterrupt:
            self._take(new, optimizer, step, learned)  # all of the step or none
            raise

    def _take(
        self,
        new: Mapping[str, Array],
        optimizer: optimizers.Optimizer,
        step: Step,
        learned: Learned,
    ) -> None:
        """Take over the weights, the optimizer's memory and the states of stateful layers."""
        self.assign_params(new)
        optimizer.accept(step)
        self.keep_states(learned.states)

    def learn(self, batch: Batch, loss: losses.Loss) -> Learned:
        """The loss of a batch, and its gradient on every trainable weight.

        The model stays as it is, but for the generators of dropout, which have drawn.
        """
        if self.bptt is not None:
            return self.bptt.learn(self, batch, loss)
        forward = self.run_piece(batch.x, None, training=True, keep_cache=True, link=loss.link)
        value, y, mask = self.judged(batch, forward, loss)
        judge, of, from_logits = reading(forward, loss)
        d = judge.gradient(batch.y, of, batch.weight, mask)
        gradients = self.backpropagate(d, forward.kept, from_logits)
        return Learned(value, y, mask, gradients, forward.states, forward)

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
        learned = self.learn(self.batch("loss_and_gradients", x, y, sample_weight), loss)
        return learned.value, learned.gradients

    # What a training goes on from.

    def training_state(self, states: bool = True) -> TrainingState:
        """What to keep beside the weights, so that a later training goes on as if uninterrupted.

        Args:
            states: with the states of stateful layers.
        """
        optimizer, _ = self.compiled("training_state")
        arrays = {f"optimizer/{name}": a for name, a in optimizer.state_arrays().items()}
        if states:
            arrays |= {f"states/{name}": a for name, a in self.layer_states().items()}
        numbers = {
            "optimizer": optimizer.state_numbers(),
            "shuffle_seed": self._shuffle_seed,
            "dropout": self.dropout_state(),
        }
        return TrainingState(arrays, numbers)

    def restore_training_state(
        self, arrays: Mapping[str, Array], numbers: Mapping[str, Any]
    ) -> None:
        """Go on from a `TrainingState`. The weights are not part of it.

        Raises:
            ModelFormatError, ShapeError: it is not the state of such a model and optimizer.
        """
        optimizer, _ = self.compiled("restore_training_state")
        of_optimizer, of_layers = (
            {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
            for start in ("optimizer/", "states/")
        )
        if set(numbers) != {"optimizer", "shuffle_seed", "dropout"} or len(of_optimizer) + len(
            of_layers
        ) != len(arrays):
            raise ModelFormatError(
                f"this is not what a training keeps: numbers {sorted(numbers)} and arrays "
                f"{sorted(arrays)}"
            )
        optimizer.build(self.trainable_params())
        optimizer.restore_state(of_optimizer, numbers["optimizer"])
        seed = numbers["shuffle_seed"]
        self._shuffle_seed = None if seed is None else whole_number(seed, "shuffle_seed", least=0)
        self.restore_dropout_state(numbers["dropout"])
        self.restore_layer_states(of_layers)

    def _warn_about(self, feed: Feed, loss: losses.Loss) -> None:
        """Say what would make this training useless."""
        if (doubt := loss.doubt(self.layers[-1].final_activation)) is not None:
            warnings.warn(doubt, stacklevel=3)
        if self.built and not self.trainable_params():
            warnings.warn("the model has no trainable weights: fit changes none", stacklevel=3)
        if isinstance(feed, ArrayFeed) and not self.makes_masks():
            some = next(feed.data.batches(max(feed.batch_size, LOOKED_AT)))
            if looks_padded(some.x, some.y):
                warnings.warn(PADDING_ADVICE, stacklevel=3)


USED_UP = (
    "the data gave no batch for this epoch, so training ends: a generator, like every iterator, is "
    "used up after the first epoch; set steps_per_epoch, or let it go on for ever"
)

LOOKED_AT = 100
"""So many rows, or a batch, are looked at to see whether they are padded."""


def _epochs_judged(validation_freq: Any) -> Callable[[int], bool]:
    """Says for an epoch, counted from 0, whether it is followed by a validation.

    Raises:
        ValueError: neither a whole number above 0 nor a list of epochs.
    """
    if isinstance(validation_freq, list | tuple | set):
        return lambda epoch: epoch + 1 in validation_freq
    every = whole_number(validation_freq, "validation_freq")
    return lambda epoch: (epoch + 1) % every == 0
