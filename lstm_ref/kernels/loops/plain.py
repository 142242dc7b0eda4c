"""The operations of ``vector`` in plain Python, for runs with Numba's JIT switched off.

A buffer is a place in a one-dimensional NumPy array here, and every number and vector that is read
or written through it is checked to lie inside: what would be silent damage in compiled code is an
IndexError. The fused multiply-add is rounded twice, in a wider type first, so results may differ
from the compiled ones in the last bit.
"""

from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.kernels.geometry import VECTOR_BYTES


class Buffer:
    """A pointer: ``p[n]`` is the n-th number after ``start`` in ``numbers``."""

    def __init__(self, numbers: Array, start: int = 0) -> None:
        self.numbers, self.start, self.dtype = numbers, start, numbers.dtype

    def part(self, n: int, count: int = 1) -> slice:
        """Where the ``count`` numbers from the n-th lie.

        Raises:
            IndexError: outside the memory that was handed over.
        """
        first = self.start + int(n)
        if first < 0 or first + count > len(self.numbers):  # pragma: no cover (only by a mistake)
            raise IndexError(f"{count} numbers from {first} on, of a buffer of {len(self.numbers)}")
        return slice(first, first + count)

    def __getitem__(self, n: int) -> Any:
        return self.numbers[self.part(n)][0]

    def __setitem__(self, n: int, value: Any) -> None:
        self.numbers[self.part(n)] = value


def lanes(p: Buffer) -> int:
    """How many numbers make a vector of the buffer p."""
    return int(VECTOR_BYTES // p.dtype.itemsize)


def at(p: Any, n: int) -> Any:
    """The buffer that starts at p's n-th number; nothing, where p is no buffer but 0."""
    return Buffer(p.numbers, p.start + int(n)) if isinstance(p, Buffer) else p


def stack_vectors(p: Buffer, count: int) -> Buffer:
    """A buffer of ``count`` vectors, of p's kind of number; NaN until they are written."""
    return Buffer(np.full(count * lanes(p), np.nan, p.dtype))


def copy_vector(target: Buffer, i: int, source: Buffer, j: int) -> None:
    """target[i : i + lanes] = source[j : j + lanes]."""
    count = lanes(target)
    target.numbers[target.part(i, count)] = source.numbers[source.part(j, count)]


def fma_vector(total: Buffer, i: int, s: Any, p: Buffer, j: int) -> None:
    """total[i : i + lanes] += s * p[j : j + lanes]."""
    count = lanes(total)
    into = total.part(i, count)
    total.numbers[into] = fma(p.numbers[p.part(j, count)], s, total.numbers[into])


def real(x: Any, value: float) -> Any:
    """The constant ``value`` as a number of x's kind."""
    return x.dtype.type(value)


def is_single(x: Any) -> bool:
    """Whether x is a float32."""
    return bool(x.dtype == np.float32)


def fma(a: Any, b: Any, c: Any) -> Any:
    """a·b + c."""
    wide = np.float64 if is_single(a) else np.longdouble
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(wide(1) * a * b + c, a.dtype)[()]


def copysign(magnitude: Any, sign: Any) -> Any:
    """The magnitude of one number with the sign of another."""
    return np.copysign(magnitude, sign)


def power_of_two(n: Any) -> Any:
    """2ⁿ for a whole number n, given as a float."""
    return n.dtype.type(2) ** n
