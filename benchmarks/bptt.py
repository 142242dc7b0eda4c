"""What a gradient costs in time and memory: whole sequences, recomputed pieces, truncated ones.

The loss and the gradient of one batch are computed in each way, with one thread: before that is
timed, the recomputed gradient is compared with the whole one. Memory is the most that NumPy's
arrays take on the way, beside the batch and the model, in a process of its own. A time is the
median over ``--repeats`` rounds, in which the ways take turns at going first.

    python benchmarks/bptt.py [--repeats N] [--case B,T,D,H ...] [--steps N ...] [--json]
"""

import os

# One thread. The libraries read these when they are imported.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LSTM_REF_THREADS"):
    os.environ[variable] = "1"

import argparse
import json
import multiprocessing
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from side_by_side import Case, duration, medians, print_surroundings, repeated, surroundings

import lstm_ref as lr
import lstm_ref.utils
from lstm_ref.layers import LSTM, Dense, Input
from lstm_ref.training.bptt import BPTT, Learned, RecomputedBPTT, TruncatedBPTT

SAMPLE = 0.02  # seconds that one sample lasts at least
SEED = 21


CASES = [Case(32, 1000, 8, 64), Case(32, 10_000, 8, 64)]
STEPS = [25, 100]

Ways = dict[str, Callable[[], Learned]]


def ways(case: Case, lengths: list[int]) -> Ways:
    """The gradient of one random batch by each strategy, float32."""
    lr.utils.set_random_seed(SEED)
    rng = np.random.default_rng(SEED)
    model = lr.Sequential([Input((None, case.D)), LSTM(case.H, return_sequences=True), Dense(1)])
    model.compile("sgd", "mse")
    x = rng.normal(size=(case.B, case.T, case.D)).astype(np.float32)
    y = rng.normal(size=(case.B, case.T, 1)).astype(np.float32)
    batch, loss = model.batch("benchmark", x, y), model.loss

    def by(strategy: BPTT) -> Callable[[], Learned]:
        return lambda: strategy.learn(model, batch, loss)

    made: Ways = {"whole": by(RecomputedBPTT(case.T))}  # in one piece: nothing is recomputed
    for steps in lengths:
        made[f"recomputed {steps}"] = by(RecomputedBPTT(steps))
    for steps in lengths:
        made[f"truncated {steps}"] = by(TruncatedBPTT(steps))
    return made


def agree(case: Case, learned: dict[str, Learned]) -> None:
    """Raise AssertionError unless losses, and gradients that are not truncated, are the same."""
    whole = learned["whole"]
    largest = max(float(np.max(np.abs(g))) for g in whole.gradients.values())
    for name, other in learned.items():
        np.testing.assert_allclose(
            other.value, whole.value, rtol=1e-6, err_msg=f"the loss of {name} differs at {case}"
        )
        if name.startswith("recomputed"):
            for weight, gradient in other.gradients.items():
                np.testing.assert_allclose(
                    gradient,
                    whole.gradients[weight],
                    rtol=0,
                    atol=1e-4 * largest,  # sums over B·T steps in another order
                    err_msg=f"the gradient of {name} on {weight} differs at {case}",
                )


def peak_memory(case: Case, lengths: list[int], name: str) -> int:
    """The most bytes that are allocated at once, found in a process of its own.

    There, no memory is left from an earlier run, which the kernels would use again.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(_peak_memory, case, lengths, name).result()


def _peak_memory(case: Case, lengths: list[int], name: str) -> int:
    ways(Case(1, 1, 1, 1), [])["whole"]()  # loads the kernels
    learn = ways(case, lengths)[name]
    tracemalloc.start()
    learn()
    return tracemalloc.get_traced_memory()[1]


def main(argv: list[str] | None = None) -> int:
    """Time the cases and print the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="rounds (7)")
    parser.add_argument(
        "--case", nargs="+", metavar="B,T,D,H", help="batch, steps, features, units"
    )
    parser.add_argument("--steps", nargs="+", type=int, default=STEPS, help="steps in a piece")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    arguments = parser.parse_args(argv)
    cases = [Case(*map(int, text.split(","))) for text in arguments.case or ()] or CASES

    about, rows = surroundings(["numpy", "numba"]), []
    if not arguments.json:
        print_surroundings(about, "one thread, float32", {})
        print(f"{'B×T×D':<22}{'way':<18}{'time':>10}{'ratio':>8}{'memory':>12}{'ratio':>8}")
    for case in cases:
        made = ways(case, arguments.steps)
        agree(case, {name: learn() for name, learn in made.items()})
        memory = {name: peak_memory(case, arguments.steps, name) for name in made}
        runs = {name: repeated(learn) for name, learn in made.items()}
        seconds = medians(runs, arguments.repeats, SAMPLE)
        rows.append({"case": case._asdict(), "seconds": seconds, "bytes": memory})
        if not arguments.json:
            for name in made:
                slower, less = seconds[name] / seconds["whole"], memory[name] / memory["whole"]
                print(
                    f"{case!s:<22}{name:<18}{duration(seconds[name]):>10}{slower:>8.2f}"
                    f"{memory[name] / 1e6:>9.3g} MB{less:>8.3f}",
                    flush=True,
                )
    if arguments.json:
        json.dump({**about, "repeats": arguments.repeats, "cases": rows}, sys.stdout, indent=2)
        print()
    else:
        print("\nratio: to that of whole sequences. memory: beside the batch and the model.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
