"""Memory that is used again: never while somebody holds it, and without a trace in any result."""

import gc
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lstm_ref.kernels import memory
from tests.cases import make_case, present
from tests.kernels.test_bits import LSTMS

FLOAT32 = np.dtype("float32")
LARGE = (3, memory.SMALL)


@pytest.fixture(autouse=True)
def an_empty_shelf() -> Iterator[None]:
    memory._shelf.free.clear()
    yield
    memory._shelf.free.clear()


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (0, 7), LARGE, (2, *LARGE)])
@pytest.mark.parametrize("dtype", [FLOAT32, np.dtype("float64")])
def test_an_array_is_as_numpys_and_begins_with_a_vector(
    shape: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    array = memory.empty(shape, dtype)
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.writeable
    if array.size:
        assert array.ctypes.data % 64 == 0
    array[...] = 7
    assert (array == 7).all()
    assert not memory.zeros(shape, dtype).any()


def test_memory_is_used_again_when_its_last_array_is_gone() -> None:
    first = memory.empty(LARGE, FLOAT32)
    place, view = first.ctypes.data, first[1:, ::2].T
    del first
    other = memory.empty(LARGE, FLOAT32)
    assert other.ctypes.data != place  # a view holds it
    del view
    again = memory.empty(LARGE, FLOAT32)
    assert again.ctypes.data == place
    assert not np.shares_memory(again, other)


def test_sizes_that_are_close_share_memory() -> None:
    place = memory.empty((1000, 257), FLOAT32).ctypes.data
    assert memory.empty((1001, 256), FLOAT32).ctypes.data == place
    assert memory.empty((2000, 256), FLOAT32).ctypes.data != place


@pytest.mark.parametrize("size", [1, 15, 16, 17, 1000, 65537, 10**6, 2**30 + 1])
def test_at_most_an_eighth_is_taken_too_much(size: int) -> None:
    assert size <= memory.rounded(size) <= size * 1.125 + 1
    assert memory.rounded(memory.rounded(size)) == memory.rounded(size)


def test_no_more_is_kept_than_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    size = memory.rounded(4 * memory.SMALL)
    monkeypatch.setattr(memory, "KEPT", 2 * size)
    arrays = [memory.empty((memory.SMALL,), FLOAT32) for _ in range(2)]
    del arrays
    assert memory._shelf.kept == 2 * size
    another = memory.empty((memory.SMALL + 20_000,), FLOAT32)
    del another  # makes it too much: what was there goes, what came last stays
    assert memory._shelf.kept == memory.rounded(4 * (memory.SMALL + 20_000))
    huge = memory.empty((memory.SMALL * 3,), FLOAT32)
    del huge  # is too much by itself
    assert memory._shelf.kept == 0


def test_many_threads_take_and_give_back() -> None:
    """No two arrays that live at the same time share memory."""
    wrong: list[str] = []

    def work(n: int) -> None:
        rng = np.random.default_rng(n)
        held: list[np.ndarray] = []
        for _ in range(300):
            array = memory.empty((int(rng.integers(1, 4)), memory.SMALL), FLOAT32)
            array[0, :5] = n
            held.append(array)
            if len(held) > 3:
                if (held.pop(int(rng.integers(0, 3)))[0, :5] != n).any():
                    wrong.append("written by another")
                if rng.random() < 0.1:
                    gc.collect()

    workers = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert not wrong


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mask", ["none", "scattered", "nothing real"])
@pytest.mark.parametrize("options", LSTMS, ids=str)
def test_no_result_shows_what_was_in_the_memory(
    options: dict[str, Any], mask: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the loops read they have written before, except what came as zeros."""
    results = []
    for rubbish in (0.0, np.nan, -3e30):
        empty = memory.empty

        def filled(shape: Any, dtype: Any, empty: Any = empty, rubbish: float = rubbish) -> Any:
            array = empty(shape, dtype)
            array.fill(rubbish)
            return array

        with monkeypatch.context() as patch:
            patch.setattr(memory, "empty", filled)
            found = {}
            for sizes in ((7, 5, 3, 21), (3, 14, 2, 9), (13, 2, 70, 16)):
                case = make_case(71, sizes, dtype, mask, states=sizes[0] != 7, **options)
                out = case.forward("numba")
                cache = {name: getattr(out.cache, name) for name in ("z", "gates", "h", "c")}
                arrays = {"hs": out.hs, "h_T": out.h, "c_T": out.c, **cache}
                arrays |= present(case.backward(out))
                found |= {(sizes, name): array for name, array in arrays.items()}
                found[sizes, "alone"] = case.forward("numba", keep_cache=False).hs
        results.append(found)
    for other in results[1:]:
        for name, array in results[0].items():
            np.testing.assert_array_equal(other[name], array, err_msg=str(name))


def test_two_caches_do_not_disturb_each_other() -> None:
    """Backward twice from one cache, with other passes in between, gives the same twice."""
    one, two = (make_case(80 + n, (40, 30, 3, 40), "float32", "scattered") for n in range(2))
    out = one.forward("numba")
    first = present(one.backward(out))
    kept = {name: array.copy() for name, array in first.items()}
    other = two.forward("numba")
    two.backward(other)
    del other
    two.backward(two.forward("numba"))
    for name, array in present(one.backward(out)).items():
        np.testing.assert_array_equal(array, kept[name], err_msg=name)
        np.testing.assert_array_equal(first[name], kept[name], err_msg=name)
