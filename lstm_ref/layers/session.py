"""What the process remembers between calls: the default dtype, the random seed, the names used.

Keras keeps the same three things behind ``keras.config.set_floatx``,
``keras.utils.set_random_seed`` and ``keras.utils.clear_session``.
"""

import random
import re
from collections import defaultdict
from typing import Any

import numpy as np

from lstm_ref.conventions import DTYPES
from lstm_ref.errors import UnsupportedError

_DTYPE_NAMES = tuple(dtype.name for dtype in DTYPES)


class _Session:
    """The state itself; one instance, private to this module."""

    def __init__(self) -> None:
        self.floatx = "float32"
        self.generator = np.random.default_rng()
        self.names: defaultdict[str, int] = defaultdict(int)


_session = _Session()


def dtype_name(dtype: Any) -> str:
    """``"float32"`` or ``"float64"``, from a name, a NumPy dtype or type, or None for `floatx`.

    Raises:
        UnsupportedError: for any other dtype, naming it. Half precision and Keras' mixed
            policies are not there: the specification is about float32 and float64.
    """
    if dtype is None:
        return _session.floatx
    try:
        name = str(np.dtype(dtype).name)
    except (TypeError, ValueError):
        name = str(dtype)
    if name not in _DTYPE_NAMES:
        raise UnsupportedError(
            f"dtype={name!r} is not supported: layers compute in {' or '.join(_DTYPE_NAMES)}"
        )
    return name


def floatx() -> str:
    """The dtype of layers that are not told theirs: ``"float32"`` unless `set_floatx` changed it.

    Keras: ``keras.config.floatx``.
    """
    return _session.floatx


def set_floatx(value: Any) -> None:
    """Make ``"float32"`` or ``"float64"`` the dtype of every layer created from now on.

    Layers that exist keep theirs. Keras: ``keras.config.set_floatx`` (which leaves the layers'
    dtype policy alone; here there is only one setting).
    """
    _session.floatx = dtype_name(value)


def set_seed(seed: int) -> None:
    """Start the library's random numbers anew: initial weights and the order of shuffled rows.

    The numbers come from NumPy's ``default_rng``. They repeat from run to run, and they are not
    those that Keras draws from the same seed.
    """
    _session.generator = np.random.default_rng(seed)


def set_random_seed(seed: int) -> None:
    """`set_seed`, and seed Python's and NumPy's global generators too, as Keras does.

    Keras: ``keras.utils.set_random_seed``.
    """
    set_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (the global state that a program's own data comes from)


def fresh_seed() -> int:
    """The next seed of the session, for whatever was not given one."""
    return int(_session.generator.integers(2**32))


def snake_case(class_name: str) -> str:
    """``InputLayer`` becomes ``input_layer``, ``LSTM`` becomes ``lstm``."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def auto_name(class_name: str) -> str:
    """The name of an object that was not given one: ``lstm``, then ``lstm_1``, ``lstm_2``, ...

    The class name in snake case, counted per class since the process began or `clear_session`.
    """
    base = snake_case(class_name)
    count = _session.names[base]
    _session.names[base] += 1
    return f"{base}_{count}" if count else base


def clear_session() -> None:
    """Begin counting names from the start again. Keras: ``keras.utils.clear_session``."""
    _session.names.clear()
