"""The number of threads changes the time and nothing else: every bit is the same, however cut."""

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref import threads
from lstm_ref.kernels.geometry import CUT_ROWS
from tests.cases import Case, computing, make_case, present
from tests.kernels.test_bits import LSTMS
from tests.peers import OTHER_PLATFORM, ROOT

COUNTS = (1, 2, 4)


@pytest.fixture(autouse=True)
def the_usual_number() -> Iterator[None]:
    """Whatever a test sets is gone after it."""
    yield
    lr.config.set_threads(None)


@pytest.fixture
def cuts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """However little there is to do, it is shared; in how many pieces is noted here."""
    pieces, run = [], threads.run

    def noting(calls: list[Callable[[], None]]) -> None:
        pieces.append(len(calls))
        run(calls)

    monkeypatch.setattr(threads, "LEAST_WORK", 1)
    monkeypatch.setattr(threads, "run", noting)
    return pieces


def forward_and_backward(case: Case) -> dict[str, np.ndarray]:
    """Every array that the two passes give."""
    out = case.forward("numba")
    cache = {name: getattr(out.cache, name) for name in ("z", "gates", "h", "c")}
    return {"hs": out.hs, **cache, **present(case.backward(out))}


def assert_same_bits(compute: Callable[[], dict[str, Any]], cuts: list[int]) -> None:
    """The same from 1, 2 and 4 threads; with several, the work was in fact shared."""
    lr.config.set_threads(1)
    expected = compute()
    assert set(cuts) <= {1}
    for count in COUNTS[1:]:
        lr.config.set_threads(count)
        cuts.clear()
        got = compute()
        assert max(cuts) == count
        assert got.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(got[name], array, err_msg=f"{name}, {count} threads")


# Rows that make whole tiles and such that do not; few rows a block; steps beyond the group of 12.
SIZES = [(25, 5, 3, 21), (24, 3, 1, 16), (19, 14, 2, 5), (40, 2, 70, 35)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mask", ["none", "scattered", "left"])
@pytest.mark.parametrize("options", LSTMS, ids=str)
@pytest.mark.parametrize("sizes", SIZES)
def test_forward_and_backward(
    sizes: tuple[int, int, int, int],
    options: dict[str, Any],
    mask: str,
    dtype: str,
    cuts: list[int],
) -> None:
    config = {"go_backwards": mask == "left", "masked_output": "zero" if mask == "left" else "hold"}
    case = make_case(41, sizes, dtype, mask, **options, **config)
    assert_same_bits(lambda: forward_and_backward(case), cuts)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("N", "H", "K"), [(50, 30, 3), (50, 30, 70), (9, 300, 1), (300, 20, 33)])
def test_the_dense_head(N: int, H: int, K: int, dtype: str, cuts: list[int]) -> None:
    rng = np.random.default_rng(42)
    h, W, b, d_y = (rng.normal(size=s).astype(dtype) for s in ((N, H), (H, K), (K,), (N, K)))

    def compute() -> dict[str, np.ndarray]:
        out = lr.dense_forward(h, W, b, "tanh", keep_cache=True, backend="numba")
        return {"y": out.y, **present(lr.dense_backward(d_y, out.cache))}

    assert_same_bits(compute, cuts)


def test_without_a_cache(cuts: list[int]) -> None:
    case = make_case(43, (25, 30, 3, 21), "float32", "scattered")
    assert_same_bits(lambda: {"hs": case.forward("numba", keep_cache=False).hs}, cuts)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_whole_fit(dtype: str, cuts: list[int]) -> None:
    """Two LSTM layers, one of them both ways, masked rows of several lengths, a last batch of 6."""
    rng = np.random.default_rng(44)
    x, y = (rng.normal(size=(30, 7, n)).astype(dtype) for n in (3, 2))
    x[np.arange(7) >= rng.integers(1, 8, 30)[:, None]] = 0
    layers = lr.layers

    def compute() -> dict[str, Any]:
        lr.set_seed(3)
        with computing("numba"):
            model = lr.Sequential(
                [
                    layers.Input((7, 3), dtype=dtype),
                    layers.Masking(0.0, dtype=dtype),
                    layers.Bidirectional(layers.LSTM(9, return_sequences=True, dtype=dtype)),
                    layers.LSTM(5, return_sequences=True, dropout=0.2, seed=1, dtype=dtype),
                    layers.Dense(2, dtype=dtype),
                ]
            )
            model.compile("adam", "mse")
            history = model.fit(x, y, batch_size=24, epochs=3, verbose=0)
        weights = {str(n): weight for n, weight in enumerate(model.get_weights())}
        return {"loss": np.array(history.history["loss"]), **weights}

    assert_same_bits(compute, cuts)


@pytest.mark.parametrize("options", LSTMS, ids=str)
def test_threads_that_work_at_the_same_time_do_not_meet(options: dict[str, Any]) -> None:
    """Enough steps that both are at work for a while, and would meet in what is scratch."""
    case = make_case(45, (26, 600, 4, 48), "float32", "right", **options)
    lr.config.set_threads(1)
    expected = forward_and_backward(case)
    lr.config.set_threads(2)
    for _ in range(3):
        for name, array in forward_and_backward(case).items():
            np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_work_that_is_worth_it_is_shared() -> None:
    """Nothing is patched here: a training batch is shared, a step of a stream is not."""
    lr.config.set_threads(2)
    assert threads.shares(32, CUT_ROWS, 2.0 * 32 * 100 * 4 * 128 * 192) == [(0, 16), (16, 32)]
    assert threads.shares(18, CUT_ROWS, 2.0 * 18 * 100 * 4 * 128 * 192) == [(0, 8), (8, 18)]
    assert threads.shares(1, CUT_ROWS, 2.0 * 4 * 128 * 168) == [(0, 1)]


# How rows are cut.


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("rows", [0, 1, 5, 6, 7, 12, 13, 32, 100])
def test_shares_cover_every_row_once_in_whole_units(rows: int, count: int) -> None:
    lr.config.set_threads(count)
    found = threads.shares(rows, 6, 1e12)
    assert [row for first, end in found for row in range(first, end)] == list(range(rows))
    assert len(found) == max(1, min(count, -(-rows // 6)))
    assert all(first % 6 == 0 for first, _ in found)
    units = [-(-(end - first) // 6) for first, end in found]
    assert max(units) - min(units) <= 1


def test_no_share_is_smaller_than_it_is_worth() -> None:
    lr.config.set_threads(4)
    least = threads.LEAST_WORK
    for work, wanted in ((0, 1), (least, 1), (2 * least - 1, 1), (2 * least, 2), (3.5 * least, 3)):
        assert len(threads.shares(100, 1, work)) == wanted


# How many threads.


@pytest.mark.parametrize("count", [0, -1, 1.5, 2.0, True, "2", [2], np.array([1, 2])])
def test_a_number_that_is_none_is_refused(count: Any) -> None:
    with pytest.raises(
        ValueError, match=r"set_threads got .*: a whole number of threads from 1 on"
    ):
        lr.config.set_threads(count)
    assert lr.config.threads() == threads.processors()


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", " "])
def test_a_variable_that_is_no_number_is_refused(text: str, monkeypatch: Any) -> None:
    monkeypatch.setenv(threads.VARIABLE, text)
    with pytest.raises(ValueError, match=r"LSTM_REF_THREADS got .*: a whole number of threads"):
        lr.config.threads()


def test_set_before_variable_before_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(threads.VARIABLE, raising=False)
    assert lr.config.threads() == threads.processors() >= 1
    monkeypatch.setenv(threads.VARIABLE, "3")
    assert lr.config.threads() == 3
    lr.config.set_threads(np.int64(2))
    assert lr.config.threads() == 2
    assert type(lr.config.threads()) is int
    lr.config.set_threads(None)
    assert lr.config.threads() == 3
    monkeypatch.setenv(threads.VARIABLE, "")
    assert lr.config.threads() == threads.processors()


def test_processors_where_the_system_does_not_tell_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    threads.processors.cache_clear()
    assert threads.processors() == 1
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    threads.processors.cache_clear()
    assert threads.processors() == 12
    threads.processors.cache_clear()


def test_no_thread_is_started_before_one_is_needed() -> None:
    program = """
import threading
import numpy as np, lstm_ref as lr
before = threading.active_count()
lr.config.set_threads(4)
x = np.zeros((2, 3, 1), np.float32)
params = lr.LSTMParams(*(np.zeros(s, np.float32) for s in ((1, 32), (8, 32), 32)))
lr.lstm_forward(x, params, backend="numba")
assert threading.active_count() == before == 1
x = np.zeros((64, 50, 1), np.float32)
params = lr.LSTMParams(*(np.zeros(s, np.float32) for s in ((1, 512), (128, 512), 512)))
lr.lstm_forward(x, params, backend="numba")
print(threading.active_count())
"""
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert int(process.stdout) > 1


# Running pieces.


def test_every_piece_is_done_once_by_the_caller_and_its_helpers() -> None:
    lock, done, who = threading.Lock(), [], set()
    both_at_work = threading.Barrier(2)

    def piece(n: int) -> Callable[[], None]:
        def call() -> None:
            both_at_work.wait(30)  # only two threads at once pass
            with lock:
                done.append(n)
                who.add(threading.get_ident())

        return call

    threads.run([piece(0), piece(1)])
    assert sorted(done) == [0, 1]
    assert len(who) == 2
    assert threading.get_ident() in who


def test_a_caller_whose_helpers_are_busy_does_it_all() -> None:
    """Nobody waits for a piece that nobody has begun."""
    busy, free = threading.Event(), threading.Event()

    def block() -> None:
        busy.set()
        free.wait(30)

    blocked = [threads._team.at_least(1).submit(block) for _ in range(threads._team.size)]
    busy.wait(30)
    mine: list[int] = []
    threads.run([lambda n=n: mine.append(n) for n in range(3)])  # type: ignore[misc]
    assert mine == [0, 1, 2]
    assert not any(b.done() for b in blocked)
    free.set()
    for b in blocked:
        b.result(30)


def test_where_no_thread_can_be_started_the_caller_does_it_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(count: int) -> Any:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads._team, "at_least", refuse)
    mine: list[int] = []
    threads.run([lambda n=n: mine.append(n) for n in range(3)])  # type: ignore[misc]
    assert mine == [0, 1, 2]


@pytest.mark.parametrize("where", ["caller", "helper"])
def test_an_error_in_a_piece_reaches_the_caller(where: str) -> None:
    caller = threading.get_ident()
    met = threading.Barrier(2)

    def piece() -> None:
        met.wait(30)
        if (threading.get_ident() == caller) == (where == "caller"):
            raise IndexError("out of bounds")

    with pytest.raises(IndexError, match="out of bounds"):
        threads.run([piece, piece])


def test_more_helpers_take_over_from_fewer() -> None:
    first = threads._team.at_least(1)
    size = threads._team.size
    more = threads._team.at_least(size + 2)
    assert more is not first
    assert threads._team.size == size + 2
    assert threads._team.at_least(1) is more
    assert more.submit(lambda: 5).result(30) == 5


def test_many_python_threads_at_once(cuts: list[int]) -> None:
    """Each with calls of its own, all with the same helpers."""
    cases = [make_case(50 + n, (26, 9, 3, 19), "float32", "scattered") for n in range(6)]
    lr.config.set_threads(1)
    expected = [forward_and_backward(case) for case in cases]
    lr.config.set_threads(3)
    wrong: list[Any] = []

    def check(n: int) -> None:
        try:
            for _ in range(10):
                for name, array in forward_and_backward(cases[n]).items():
                    np.testing.assert_array_equal(array, expected[n][name])
        except BaseException as error:
            wrong.append(error)

    workers = [threading.Thread(target=check, args=(n,)) for n in range(len(cases))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert not wrong
    assert max(cuts) == 3


def in_a_child(case: Case, expected: np.ndarray, answer: Any) -> None:
    """What the forked process does."""
    answer.put(np.array_equal(case.forward("numba").hs, expected))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_starts_threads_of_its_own(cuts: list[int]) -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip(OTHER_PLATFORM + "processes do not fork")
    case = make_case(60, (26, 9, 3, 19), "float32")
    lr.config.set_threads(2)
    expected = case.forward("numba").hs
    assert max(cuts) == 2
    fork = multiprocessing.get_context("fork")
    answer = fork.Queue()
    with threads._team.lock:  # as if another thread were just starting helpers
        child = fork.Process(target=in_a_child, args=(case, expected, answer))
        child.start()
    assert answer.get(timeout=60)
    child.join(60)
    assert child.exitcode == 0
