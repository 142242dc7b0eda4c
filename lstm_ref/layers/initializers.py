"""Where weights begin: Keras' initializers, drawn from NumPy's generator.

The distributions are Keras', the random numbers are not: the same seed gives other weights there.
As in Keras, one initializer object always draws the same values for the same shape, also when it
was not given a seed: its seed is then drawn once, when it is made. Everything is drawn in float64
and rounded to the dtype asked for.
"""

import math
from typing import Any, ClassVar

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.layers import named
from lstm_ref.layers.session import dtype_name, fresh_seed

Shape = tuple[int, ...]


class Initializer(named.Named):
    """``initializer(shape, dtype=None)`` gives an array. Its arguments are its config."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Array:
        """An array of this shape; dtype None means `floatx`."""
        return self._draw(tuple(shape)).astype(dtype_name(dtype))

    def _draw(self, shape: Shape) -> Array:
        """The values in float64."""
        raise NotImplementedError


class Zeros(Initializer):
    """All 0."""

    def _draw(self, shape: Shape) -> Array:
        return np.zeros(shape)


class Ones(Initializer):
    """All 1."""

    def _draw(self, shape: Shape) -> Array:
        return np.ones(shape)


class Constant(Initializer):
    """All `value`."""

    arguments: ClassVar[tuple[str, ...]] = ("value",)

    def __init__(self, value: float = 0.0) -> None:
        if not isinstance(value, int | float | np.integer | np.floating):
            raise UnsupportedError(
                f"Constant(value={value!r}): one number is needed; to begin from given values, "
                "build the layer and use set_weights"
            )
        self.value = value

    def _draw(self, shape: Shape) -> Array:
        return np.full(shape, float(self.value))


class Identity(Initializer):
    """`gain` on the diagonal of a matrix, 0 elsewhere."""

    arguments: ClassVar[tuple[str, ...]] = ("gain",)

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def _draw(self, shape: Shape) -> Array:
        if len(shape) != 2:
            raise ShapeError(f"Identity fills matrices: it was asked for the shape {shape}")
        return self.gain * np.eye(*shape)


class RandomInitializer(Initializer):
    """An initializer that draws. `seed` None takes the next one of the session."""

    arguments: ClassVar[tuple[str, ...]] = ("seed",)

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None and not isinstance(seed, int | np.integer):
            raise UnsupportedError(
                f"{type(self).__name__}(seed={seed!r}): a seed is an integer or None "
                "(Keras' SeedGenerator is not supported)"
            )
        self.seed = seed
        self._drawn_seed = fresh_seed() if seed is None else int(seed)

    def generator(self) -> np.random.Generator:
        """A generator at its beginning, so that every call draws the same."""
        return np.random.default_rng(self._drawn_seed)


class RandomUniform(RandomInitializer):
    """Evenly between `minval` and `maxval`."""

    arguments: ClassVar[tuple[str, ...]] = ("minval", "maxval", "seed")

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def _draw(self, shape: Shape) -> Array:
        return self.generator().uniform(self.minval, self.maxval, shape)


class RandomNormal(RandomInitializer):
    """A normal distribution."""

    arguments: ClassVar[tuple[str, ...]] = ("mean", "stddev", "seed")

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def _draw(self, shape: Shape) -> Array:
        return self.generator().normal(self.mean, self.stddev, shape)


class TruncatedNormal(RandomNormal):
    """A normal distribution without the values more than two `stddev` from the mean."""

    def _draw(self, shape: Shape) -> Array:
        return self.mean + self.stddev * _truncated_normal(self.generator(), shape)


class VarianceScaling(RandomInitializer):
    """A variance of ``scale / n``, n from the shape of the weight.

    n is the number of inputs (`mode` "fan_in"), of outputs ("fan_out") or their mean
    ("fan_avg"); `distribution` is "uniform", "truncated_normal" or "untruncated_normal".
    `input_axes` and `output_axes` stand in every config of Keras 3.15, and are None there unless
    somebody has set them; that is refused.
    """

    arguments: ClassVar[tuple[str, ...]] = ("scale", "mode", "distribution", "seed")

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: None = None,
        output_axes: None = None,
    ) -> None:
        super().__init__(seed)
        for argument, axes in {"input_axes": input_axes, "output_axes": output_axes}.items():
            if axes is not None:
                raise UnsupportedError(
                    f"{type(self).__name__}({argument}={axes!r}) is not supported: the last axis "
                    "of a weight is that of its outputs, the one before it that of its inputs"
                )
        if scale <= 0:
            raise ValueError(f"VarianceScaling(scale={scale}): a variance is positive")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"mode={mode!r} is not one of 'fan_in', 'fan_out', 'fan_avg'")
        if distribution not in ("uniform", "truncated_normal", "untruncated_normal"):
            raise ValueError(
                f"distribution={distribution!r} is not one of "
                "'uniform', 'truncated_normal', 'untruncated_normal'"
            )
        self.scale, self.mode, self.distribution = scale, mode, distribution

    def _draw(self, shape: Shape) -> Array:
        fan_in, fan_out = fans(shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return self.generator().uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return self.generator().normal(0.0, math.sqrt(variance), shape)
        stddev = math.sqrt(variance) / _TRUNCATED_STDDEV
        return stddev * _truncated_normal(self.generator(), shape)


class _Scheme(VarianceScaling):
    """A variance scaling with a name of its own, whose only argument is the seed."""

    arguments: ClassVar[tuple[str, ...]] = ("seed",)
    scheme: ClassVar[tuple[float, str, str]]

    def __init__(
        self, seed: int | None = None, input_axes: None = None, output_axes: None = None
    ) -> None:
        super().__init__(*self.scheme, seed=seed, input_axes=input_axes, output_axes=output_axes)


class GlorotUniform(_Scheme):
    """U(±√(6 / (fan_in + fan_out))): Glorot and Bengio (2010), eq. 16. Keras' default kernel."""

    scheme = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scheme):
    """Truncated normal of variance 2 / (fan_in + fan_out): Glorot and Bengio (2010)."""

    scheme = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Scheme):
    """U(±√(6 / fan_in)): He et al. (2015), for relu."""

    scheme = (2.0, "fan_in", "uniform")


class HeNormal(_Scheme):
    """Truncated normal of variance 2 / fan_in: He et al. (2015), for relu."""

    scheme = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Scheme):
    """U(±√(3 / fan_in)): LeCun et al. (1998), Efficient BackProp."""

    scheme = (1.0, "fan_in", "uniform")


class LecunNormal(_Scheme):
    """Truncated normal of variance 1 / fan_in: LeCun et al. (1998), Efficient BackProp."""

    scheme = (1.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):
    """`gain` times a matrix Q with orthonormal rows (or columns, where there are more rows).

    Q comes from the QR decomposition of a normal draw, its signs fixed by those of R's diagonal
    so that it is uniform over the orthogonal group: Saxe et al. (2014), Mezzadri (2007). For a
    recurrent kernel U[H,4H] this means U Uᵀ = 1 over the whole of U, not within each gate.
    """

    arguments: ClassVar[tuple[str, ...]] = ("gain", "seed")

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def _draw(self, shape: Shape) -> Array:
        if len(shape) < 2:
            raise ShapeError(f"Orthogonal needs a matrix: it was asked for the shape {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = self.generator().normal(size=(max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        q = q * np.sign(np.diag(r))
        return self.gain * (q.T if rows < columns else q).reshape(shape)


_TRUNCATED_STDDEV = 0.87962566103423978
"""The standard deviation of a standard normal cut at ±2; Keras divides by it."""


def _truncated_normal(generator: np.random.Generator, shape: Shape) -> Array:
    """A standard normal without the values beyond ±2: those are drawn again."""
    values = generator.normal(size=shape)
    while (beyond := np.abs(values) > 2).any():
        values[beyond] = generator.normal(size=int(beyond.sum()))
    return values


def fans(shape: Shape) -> tuple[int, int]:
    """How many inputs and outputs a weight of this shape joins: (fan_in, fan_out)."""
    if len(shape) < 2:
        n = math.prod(shape)
        return n, n
    field = math.prod(shape[:-2])
    return field * shape[-2], field * shape[-1]


_CLASSES: tuple[type[Initializer], ...] = (
    *(Zeros, Ones, Constant, Identity, RandomUniform, RandomNormal, TruncatedNormal),
    *(VarianceScaling, GlorotUniform, GlorotNormal, HeUniform, HeNormal),
    *(LecunUniform, LecunNormal, Orthogonal),
)
INITIALIZERS: dict[str, type[Initializer]] = {
    **named.by_name(_CLASSES),
    "zero": Zeros,
    "one": Ones,
    "uniform": RandomUniform,
    "normal": RandomNormal,
    "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
}
"""Every initializer by name: its class name in both spellings, and Keras' older names."""


def get(identifier: Any) -> Initializer:
    """The initializer meant by a name, a class, an object or a ``{"class_name", "config"}`` dict.

    Raises:
        ValueError, ModelFormatError, UnsupportedError: as `named.find`.
    """
    advice = "to begin from given values, build the layer and use set_weights"
    return named.find(identifier, Initializer, INITIALIZERS, advice)


def serialize(initializer: Initializer) -> dict[str, Any]:
    """What `get` reads back: the class name and the config."""
    return named.serialize(initializer)
