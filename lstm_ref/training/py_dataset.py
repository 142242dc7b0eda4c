"""Data as numbered batches, made by a class of one's own. Keras: ``keras.utils.PyDataset``."""

from typing import Any

from lstm_ref.errors import UnsupportedError


class PyDataset:
    """Batches by number: a subclass defines ``__len__`` and ``__getitem__``.

    ``__getitem__(n)`` gives batch number n as (x, y) or (x, y, sample_weight). ``on_epoch_begin``
    and ``on_epoch_end`` may be defined as well. Keras: ``keras.utils.PyDataset``.

    Args:
        workers, use_multiprocessing, max_queue_size: how Keras would read ahead; batches are read
            here when they are needed, and more than one worker is refused.
    """

    def __init__(
        self,
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
    ) -> None:
        if workers > 1 or use_multiprocessing:
            raise UnsupportedError(
                "PyDataset(workers=..., use_multiprocessing=...): batches are read in the thread "
                "that trains, one at a time; leave both at their defaults"
            )
        self.workers, self.use_multiprocessing = workers, use_multiprocessing
        self.max_queue_size = max_queue_size

    def __len__(self) -> int:
        """How many batches there are.

        Raises:
            UnsupportedError: the subclass does not say.
        """
        raise UnsupportedError(f"{type(self).__name__} defines no __len__: the number of batches")

    def __getitem__(self, index: int) -> Any:
        """Batch number ``index``.

        Raises:
            UnsupportedError: the subclass does not say.
        """
        raise UnsupportedError(
            f"{type(self).__name__} defines no __getitem__: batch number n as (x, y)"
        )

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""
