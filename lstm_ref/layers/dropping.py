"""What dropout drops: factors of 0, and of 1/(1 - rate) for what is kept, from NumPy's generator.

The distribution is Keras', the draws are not: the same seed drops other numbers there.
"""

from collections.abc import Mapping
from operator import index
from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ModelFormatError, UnsupportedError
from lstm_ref.layers.session import fresh_seed


class Dropper:
    """A source of dropout factors.

    Args:
        seed: where it begins; None takes the next seed of the session, when first used.
        kind: whose it is, for messages.
    """

    def __init__(self, seed: int | None, kind: str) -> None:
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int | np.integer)):
            raise UnsupportedError(
                f"{kind}(seed={seed!r}): a seed is an integer or None (Keras' SeedGenerator is not "
                "supported)"
            )
        self.seed = None if seed is None else int(seed)
        self._begin = self.seed
        self._generator: np.random.Generator | None = None

    def restart(self) -> None:
        """Begin again: the next factors are the first ones."""
        self._generator = None

    def state(self) -> dict[str, Any]:
        """Where it stands, JSON-able: with it, another one goes on as this one will.

        One that has not begun begins, since it could not go on from nowhere.
        """
        generator = self._begun()
        return {"seed": self._begin, "generator": generator.bit_generator.state}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state` was asked for.

        Raises:
            ModelFormatError: it is no such state.
        """
        try:
            seed = index(state["seed"])
            generator = np.random.default_rng(seed)
            generator.bit_generator.state = state["generator"]
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise ModelFormatError(
                f"{state!r} is not the state of a generator of dropout: {error}"
            ) from error
        self._begin, self._generator = seed, generator

    def _begun(self) -> np.random.Generator:
        if self._generator is None:
            self._begin = fresh_seed() if self._begin is None else self._begin
            self._generator = np.random.default_rng(self._begin)
        return self._generator

    def factors(self, rate: float, shape: tuple[int, ...], dtype: Any) -> Array:
        """Factors of this shape; each is 0 with the probability ``rate``."""
        kept = self._begun().random(shape) >= rate
        scale = np.dtype(dtype).type(1 / (1 - rate))
        return np.where(kept, scale, 0).astype(dtype)


def dropout_rate(rate: Any, kind: str, argument: str = "rate") -> float:
    """``rate`` as a float.

    Raises:
        ValueError: not a number from 0 to below 1. Keras takes 1 too: its ``Dropout`` then gives
            zeros, and its ``LSTM`` drops nothing.
    """
    number = isinstance(rate, int | float | np.integer | np.floating)
    if isinstance(rate, bool) or not number or not 0 <= rate < 1:
        advice = (
            "; 1 would drop everything, and Keras' LSTM then drops nothing" if rate == 1 else ""
        )
        raise ValueError(
            f"{kind}({argument}={rate!r}): a number from 0 to below 1 is needed{advice}"
        )
    return float(rate)
