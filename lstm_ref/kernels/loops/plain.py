"""The operations of ``vector`` in plain Python, for runs with Numba's JIT switched off.

A buffer is a one-dimensional NumPy array here. The fused multiply-add is rounded twice, in a wider
type first, so results may differ from the compiled ones in the last bit.
"""

from typing import Any

import numpy as np

VECTOR_BYTES = 64


def lanes(p: Any) -> int:
    return int(VECTOR_BYTES // p.dtype.itemsize)


def at(p: Any, n: int) -> Any:
    return p[n:]


def stack_vectors(p: Any, count: int) -> Any:
    return np.empty(count * lanes(p), p.dtype)


def copy_vector(target: Any, i: int, source: Any, j: int) -> None:
    target[i : i + lanes(target)] = source[j : j + lanes(target)]


def fma_vector(total: Any, i: int, s: Any, p: Any, j: int) -> None:
    part = slice(i, i + lanes(total))
    total[part] = fma(p[j : j + lanes(total)], s, total[part])


def real(x: Any, value: float) -> Any:
    return x.dtype.type(value)


def is_single(x: Any) -> bool:
    return bool(x.dtype == np.float32)


def fma(a: Any, b: Any, c: Any) -> Any:
    wide = np.float64 if is_single(a) else np.longdouble
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(wide(1) * a * b + c, a.dtype)[()]


def copysign(magnitude: Any, sign: Any) -> Any:
    return np.copysign(magnitude, sign)


def power_of_two(n: Any) -> Any:
    return n.dtype.type(2) ** n
