"""Memory for caches and scratch: aligned for vectors, and used again.

A step of training needs the same large arrays as the step before. Asking the system for them anew
costs more than filling them: it hands out every page singly, and wipes it first. So the memory of
an array that is gone is kept for the next one of its size.
"""

import ctypes
import math
from collections import defaultdict, deque
from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.kernels.geometry import VECTOR_BYTES

SMALL = 1 << 16
"""Bytes below which an array is left to NumPy, which is quick there."""

KEPT = 256 << 20
"""Bytes that are kept at most."""


class _Shelf:
    """The memory that is free, by size.

    It has no locks, only operations that are whole by themselves: an array may be collected, and
    come back, in the middle of any of them.
    """

    def __init__(self) -> None:
        self.free: defaultdict[int, deque[Array]] = defaultdict(deque)

    def take(self, size: int) -> Array:
        """So many bytes, at the start of a vector."""
        try:
            return self.free[size].pop()
        except IndexError:
            return aligned_bytes(size)

    def give_back(self, memory: Array) -> None:
        """Keep these bytes for the next of their size, unless too much is kept."""
        if memory.nbytes + self.kept > KEPT:
            self.free.clear()  # so that what is not asked for any more goes at last
        if memory.nbytes <= KEPT:
            self.free[memory.nbytes].append(memory)

    @property
    def kept(self) -> int:
        """How many bytes are free."""
        return sum(size * len(self.free[size]) for size in list(self.free))


_shelf = _Shelf()


class Loan:
    """Bytes that go back when the last array in them is gone: NumPy keeps this as their owner."""

    def __init__(self, memory: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.memory = memory
        self.__array_interface__ = {
            "data": (address(memory), False),
            "shape": shape,
            "typestr": dtype.str,
            "version": 3,
        }

    def __del__(self, shelf: _Shelf = _shelf) -> None:  # at hand also when the process ends
        shelf.give_back(self.memory)


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array that begins with a vector; its numbers are whatever was there."""
    size = math.prod(shape) * dtype.itemsize
    if size < SMALL:
        return aligned_bytes(size).view(dtype).reshape(shape)
    return np.asarray(Loan(_shelf.take(rounded(size)), shape, dtype))


def zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """The same, all 0."""
    array = empty(shape, dtype)
    array.fill(0)
    return array


def rounded(size: int) -> int:
    """The size that is taken for so many bytes: up to an eighth more, so that many fit many."""
    step = 1 << max(size.bit_length() - 4, 0)
    return -(-size // step) * step


def aligned_bytes(size: int) -> Array:
    """New bytes that begin where a vector, and so a line of the processor's cache, does."""
    memory = np.empty(size + VECTOR_BYTES, np.uint8)
    start = -address(memory) % VECTOR_BYTES
    return memory[start : start + size]


def address(array: Array) -> int:
    """Where the numbers of an array begin."""
    if array.flags.writeable and array.size:
        numbers: Any = array
        return ctypes.addressof(ctypes.c_char.from_buffer(numbers))  # a third of the time
    return array.ctypes.data
