"""The operations of ``vector`` in plain Python, for runs with Numba's JIT switched off.

A buffer is a one-dimensional NumPy array here. The fused multiply-add is rounded twice, in a wider
type first, so results may differ from the compiled ones in the last bit.
"""

from typing import Any

import numpy as np

from lstm_ref.kernels.geometry import VECTOR_BYTES


def lanes(p: Any) -> int:
    """How many numbers make a vector of the buffer p."""
    return int(VECTOR_BYTES // p.dtype.itemsize)


def at(p: Any, n: int) -> Any:
    """The buffer that starts at p's n-th number."""
    return p[n:]


def stack_vectors(p: Any, count: int) -> Any:
    """A buffer of ``count`` vectors, of p's kind of number."""
    return np.empty(count * lanes(p), p.dtype)


def copy_vector(target: Any, i: int, source: Any, j: int) -> None:
    """target[i : i + lanes] = source[j : j + lanes]."""
    target[i : i + lanes(target)] = source[j : j + lanes(target)]


def fma_vector(total: Any, i: int, s: Any, p: Any, j: int) -> None:
    """total[i : i + lanes] += s * p[j : j + lanes]."""
    part = slice(i, i + lanes(total))
    total[part] = fma(p[j : j + lanes(total)], s, total[part])


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
