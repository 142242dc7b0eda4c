"""All callbacks of one fit, told together."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

import numpy as np

from lstm_ref.errors import UnsupportedError
from lstm_ref.training.callbacks.callback import Begin, Callback, Logs
from lstm_ref.training.callbacks.history import History


class Moment:
    """One moment, told to the callbacks that act at it: called like a method of one callback.

    Attributes:
        called: whether there are any. Where not, nobody needs to compute logs for it.
    """

    def __init__(self, name: str, callbacks: Iterable[Callback]) -> None:
        self.methods: list[Callable[..., Any]] = [
            getattr(callback, name) for callback in callbacks if callback.acts_at(name)
        ]
        self.called = bool(self.methods)


class RunMoment(Moment):
    """The beginning or the end of a training, a test or a prediction."""

    def __call__(self, logs: Logs = None) -> None:
        """Tell them."""
        if self.called:
            logs = plain(logs)
            for method in self.methods:
                method(logs)


class EpochMoment(Moment):
    """The beginning or the end of an epoch."""

    def __call__(self, epoch: int, logs: Logs = None) -> None:
        """Tell them."""
        if self.called:
            logs = plain(logs)
            for method in self.methods:
                method(epoch, logs)


class BatchMoment(Moment):
    """The beginning or the end of a batch."""

    def __call__(self, batch: int, logs: Logs = None) -> None:
        """Tell them."""
        if self.called:
            logs = plain(logs)
            for method in self.methods:
                method(batch, logs=logs)


class CallbackList:
    """Several callbacks, told as if they were one. Keras: ``keras.callbacks.CallbackList``.

    Each is told in its turn, with the same logs, so that a later one sees what an earlier one has
    put in. Which methods they define is looked up once, here.

    Args:
        callbacks: one, or several in lists within lists; None for none.
        add_history: with a `History` at the end, unless there is one.
        add_progbar: refused.
        model: handed to each.
        params: handed to each, as a dict.

    Attributes:
        callbacks: all of them, in one list.
        history: the `History` among them, or None.

    Raises:
        TypeError: something that is no callback.
        UnsupportedError: a progress bar, which ``fit`` draws itself.
    """

    on_train_begin: RunMoment
    on_train_end: RunMoment
    on_test_begin: RunMoment
    on_test_end: RunMoment
    on_predict_begin: RunMoment
    on_predict_end: RunMoment
    on_epoch_begin: EpochMoment
    on_epoch_end: EpochMoment
    on_batch_begin: BatchMoment
    on_batch_end: BatchMoment
    on_train_batch_begin: BatchMoment
    on_train_batch_end: BatchMoment
    on_test_batch_begin: BatchMoment
    on_test_batch_end: BatchMoment
    on_predict_batch_begin: BatchMoment
    on_predict_batch_end: BatchMoment

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        if add_progbar:
            raise UnsupportedError(
                "CallbackList(add_progbar=True) is not supported: fit, evaluate and predict draw "
                "their progress themselves, see verbose"
            )
        self.callbacks = list(flat(callbacks))
        self.history = next((c for c in self.callbacks if isinstance(c, History)), None)
        if self.history is None and add_history:
            self.history = History()
            self.callbacks.append(self.history)
        in_turn = sorted(self.callbacks, key=lambda callback: callback.comes_last)
        for name, kind in CallbackList.__annotations__.items():
            setattr(self, name, kind(name, in_turn))
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)
        for callback in self.callbacks:
            callback.set_fellows(self.callbacks)

    @classmethod
    def of(
        cls, callbacks: Any, model: Any, params: dict[str, Any], add_history: bool = False
    ) -> Self:
        """What ``fit``, ``evaluate`` and ``predict`` make of their argument ``callbacks``.

        A list that is a `CallbackList` already is taken as it is, as in Keras.

        Raises:
            ValueError: such a list without the history that ``fit`` returns.
        """
        if isinstance(callbacks, cls):
            if add_history and callbacks.history is None:
                raise ValueError(
                    "fit returns the History among its callbacks, and this CallbackList has none: "
                    "make it with add_history=True"
                )
            if any(callback.model is None for callback in callbacks.callbacks):
                callbacks.set_model(model)
                callbacks.set_params(params)
            return callbacks
        return cls(callbacks, add_history, model=model, **params)

    def set_model(self, model: Any) -> None:
        """Tell each of them the model, and the model its history."""
        if self.history is not None:
            model.history = self.history
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        """Tell each of them what the call was given."""
        for callback in self.callbacks:
            callback.set_params(params)

    def first_step(self, initial_epoch: int) -> Begin:
        """Where ``fit(initial_epoch=...)`` begins: there, or where a killed one was.

        To be asked after `on_train_begin`, because callbacks begin from nothing then. The model
        and the callbacks have their old state afterwards.
        """
        begin = Begin(initial_epoch)
        for callback in self.callbacks:
            begin = callback.first_step(begin)
        return begin


def flat(callbacks: Any) -> Iterator[Callback]:
    """The callbacks in lists within lists."""
    if callbacks is None:
        return
    if isinstance(callbacks, list | tuple):
        for entry in callbacks:
            yield from flat(entry)
    elif isinstance(callbacks, Callback):
        yield callbacks
    else:
        is_class = isinstance(callbacks, type) and issubclass(callbacks, Callback)
        usual = "the class was given: call it, as in " if is_class else "such as "
        name = callbacks.__name__ if is_class else "EarlyStopping"
        raise TypeError(
            f"callbacks holds {callbacks!r}, and needs objects of a class that is derived from "
            f"lstm_ref.callbacks.Callback, {usual}{name}(...)"
        )


def plain(logs: Logs) -> dict[str, Any]:
    """The logs by name in alphabetical order, numbers as floats: what Keras hands out, too."""
    result: dict[str, Any] = {}
    for name, value in sorted((logs or {}).items()):
        if isinstance(value, dict):
            result |= plain(value)
        elif isinstance(value, float):
            result[name] = float(value)
        else:
            result[name] = float(value) if is_number(value) else value
    return result


def is_number(value: Any) -> bool:
    """Whether Python makes a float of it."""
    try:
        return np.ndim(value) == 0 and float(value) is not None
    except (TypeError, ValueError):
        return False
