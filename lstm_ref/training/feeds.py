"""Where batches come from, epoch after epoch: arrays, datasets of batches, iterators.

What has a length (arrays, a `PyDataset`) deals the same batches again for the same seed and epoch,
so that a training that goes on from a checkpoint sees what an uninterrupted one would have seen.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from lstm_ref.training.batches import Batch, Data, steps_for

Read = Callable[[Any], Batch]
"""Makes a batch of what a dataset or an iterator gives."""


class Feed:
    """A source of batches.

    Attributes:
        steps: the batches in one pass over all of it; None where nobody can know.
    """

    steps: int | None

    def one_pass(self, order: np.random.Generator | None, first: int = 0) -> Iterator[Batch]:
        """The batches from number ``first`` on, in the order that the generator draws, or as is."""
        raise NotImplementedError

    def epoch_begins(self) -> None:
        """Told before each epoch."""

    def epoch_ended(self) -> None:
        """Told after each epoch."""


class ArrayFeed(Feed):
    """Rows of arrays, ``batch_size`` at a time; the rows are shuffled, not the batches."""

    def __init__(self, data: Data, batch_size: int) -> None:
        self.data, self.batch_size = data, batch_size
        self.steps = steps_for(data.rows, batch_size)

    def one_pass(self, order: np.random.Generator | None, first: int = 0) -> Iterator[Batch]:
        """See `Feed`."""
        rows = None if order is None else order.permutation(self.data.rows)
        return self.data.batches(self.batch_size, rows, first)


class DatasetFeed(Feed):
    """The batches of a `PyDataset`, or of anything else with a length and numbered batches."""

    def __init__(self, dataset: Any, read: Read) -> None:
        self.dataset, self.read = dataset, read

    @property
    def steps(self) -> int | None:  # type: ignore[override]
        """As many as the dataset has now: it may change between epochs."""
        return len(self.dataset)

    def one_pass(self, order: np.random.Generator | None, first: int = 0) -> Iterator[Batch]:
        """See `Feed`; whole batches change places."""
        steps = len(self.dataset)
        numbers = range(steps) if order is None else order.permutation(steps)
        for number in numbers[first:]:
            yield self.read(self.dataset[int(number)])

    def epoch_begins(self) -> None:
        """Tell the dataset, if it wants to know."""
        getattr(self.dataset, "on_epoch_begin", _nothing)()

    def epoch_ended(self) -> None:
        """Tell the dataset, if it wants to know."""
        getattr(self.dataset, "on_epoch_end", _nothing)()


class IteratorFeed(Feed):
    """Batches from a generator or another iterator, once; from an iterable, pass after pass."""

    steps = None

    def __init__(self, batches: Iterable[Any], read: Read) -> None:
        self.batches, self.read = batches, read

    def one_pass(self, order: np.random.Generator | None, first: int = 0) -> Iterator[Batch]:  # noqa: ARG002
        """See `Feed`. The order is the iterator's own, and so is where it begins."""
        return (self.read(batch) for batch in self.batches)


class Epochs:
    """The batches of each epoch.

    An epoch is one pass over all batches. With ``steps_per_epoch`` it is so many of them, and the
    next one goes on from there; a pass that ends within an epoch ends the epoch, too, with a
    warning. Both are Keras' (``keras.src.trainers.epoch_iterator``).

    Args:
        feed: where the batches come from.
        steps_per_epoch: None for all of them.

    Attributes:
        seed: a new order is drawn for every pass; None, at first, leaves the order as it is.
    """

    def __init__(self, feed: Feed, steps_per_epoch: int | None = None) -> None:
        self.feed, self.steps_per_epoch = feed, steps_per_epoch
        self.seed: int | None = None
        self._running: Iterator[Batch] | None = None  # the pass of an iterator

    @property
    def steps(self) -> int | None:
        """How many batches an epoch has; None where nobody can know."""
        return self.steps_per_epoch or self.feed.steps

    def epoch(self, number: int, done: int = 0) -> Iterator[tuple[int, Batch]]:
        """The batches of an epoch and their numbers in it, apart from the first ``done`` ones.

        (Of an iterator, what comes next: it must have gone on by itself.)
        """
        self.feed.epoch_begins()
        sized = self.feed.steps is not None
        batches = self._of_sized(number, done) if sized else self._of_iterator(done)
        yield from enumerate(batches, start=done)
        self.feed.epoch_ended()

    def _of_sized(self, number: int, done: int) -> Iterator[Batch]:
        in_a_pass = self.feed.steps or 0
        steps = self.steps_per_epoch or in_a_pass
        pass_number, first = self._position(number, in_a_pass)
        order = None if self.seed is None else np.random.default_rng([self.seed, pass_number])
        left = min(steps, in_a_pass - first)
        yield from islice(self.feed.one_pass(order, first + done), max(left - done, 0))
        if left < steps:
            _warn_that_it_ran_out(f"{in_a_pass} batches, after {first + left} of them")

    def _position(self, number: int, in_a_pass: int) -> tuple[int, int]:
        """The pass that an epoch is a part of, and the batch it begins with."""
        if self.steps_per_epoch is None:
            return number, 0
        pass_number = first = 0
        for _ in range(number):
            first += self.steps_per_epoch
            if first >= in_a_pass:
                pass_number, first = pass_number + 1, 0
        return pass_number, first

    def _of_iterator(self, done: int) -> Iterator[Batch]:
        if self._running is None:
            self._running = iter(self.feed.one_pass(None))
        count = done
        while self.steps_per_epoch is None or count < self.steps_per_epoch:
            batch = next(self._running, None)
            if batch is None:
                self._running = None
                break
            count += 1
            yield batch
        if self.steps_per_epoch is not None and count < self.steps_per_epoch:
            _warn_that_it_ran_out(f"{self.steps_per_epoch} batches an epoch, after {count} of them")


def _nothing() -> None:
    """What a dataset does that does not care about epochs."""


def _warn_that_it_ran_out(what: str) -> None:
    warnings.warn(
        f"the data ran out within an epoch of {what}: steps_per_epoch batches were asked for. "
        "Let an iterator go on for ever, or ask for fewer steps",
        stacklevel=2,
    )
