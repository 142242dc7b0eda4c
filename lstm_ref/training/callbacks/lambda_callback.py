"""A callback made of functions."""

from collections.abc import Callable
from typing import Any

from lstm_ref.training.callbacks.callback import Callback


class LambdaCallback(Callback):
    """Call functions at some moments. Keras: ``keras.callbacks.LambdaCallback``.

    Args:
        on_epoch_begin, on_epoch_end: called with ``(epoch, logs)``.
        on_train_begin, on_train_end: called with ``(logs)``.
        on_train_batch_begin, on_train_batch_end: called with ``(batch, logs=logs)``.
        more: any other method of `Callback` by its name; names that do not begin with ``on_`` are
            kept as attributes.

    Raises:
        TypeError: a moment that is not there, or something that cannot be called.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **more: Any,
    ) -> None:
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        given = {name: function for name, function in given.items() if function is not None}
        for name, function in (given | more).items():
            is_moment = name.startswith("on_")
            if is_moment and not hasattr(Callback, name):
                moments = ", ".join(n for n in dir(Callback) if n.startswith("on_"))
                raise TypeError(f"LambdaCallback({name}=...): there are {moments}")
            if is_moment and not callable(function):
                raise TypeError(f"LambdaCallback({name}={function!r}): a function is needed")
            setattr(self, name, function)
