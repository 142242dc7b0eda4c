"""How long one forward pass takes here, in ONNX Runtime and in PyTorch: side by side, in one run.

Every contender gets the same float32 weights and input, one thread, and its own favourite layout;
before it is timed, its output is compared with the others'. In each of ``--repeats`` rounds every
contender runs for some milliseconds, taking turns at going first, so that a slow moment of the
machine hits all of them. A figure is the median over the rounds.

    python benchmarks/forward.py [--repeats N] [--case B,T,D,H ...] [--json]
"""

import os

# One thread each. The libraries read these when they are imported.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LSTM_REF_THREADS"):
    os.environ[variable] = "1"

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from side_by_side import (
    Case,
    duration,
    medians,
    present,
    print_surroundings,
    repeated,
    surroundings,
)

import lstm_ref as lr

SAMPLE = 0.02  # seconds that one sample lasts at least; the clock and the loop vanish beside it
SEED = 20


CASES = [
    Case(1, 1, 1, 32),  # one step: what a stream costs
    Case(1, 1, 40, 128),
    Case(1, 1000, 1, 64),  # one long sequence
    Case(1, 500, 40, 256),
    Case(100, 10, 1, 64),  # many short ones
    Case(50, 20, 1, 128),
    Case(32, 100, 64, 128),  # a training batch
    Case(64, 128, 256, 512),
]


@dataclass(frozen=True)
class Problem:
    """The input and the weights of one case, all float32; the head is Dense(1)."""

    case: Case
    x: np.ndarray  # [B,T,D]
    params: lr.LSTMParams
    head: np.ndarray  # [H,1]
    head_bias: np.ndarray  # [1]


def problem(case: Case) -> Problem:
    """Seeded weights at the scale PyTorch draws them, which keeps long sequences contractive."""
    rng = np.random.default_rng(SEED)
    D, H = case.D, case.H

    def uniform(*shape: int) -> np.ndarray:
        return rng.uniform(-(H**-0.5), H**-0.5, shape).astype(np.float32)

    # Fixed, as in a model that is deployed; ONNX Runtime lays its weights out beforehand too.
    params = lr.LSTMParams(uniform(D, 4 * H), uniform(H, 4 * H), uniform(4 * H)).fixed()
    x = rng.normal(size=(case.B, case.T, D)).astype(np.float32)
    return Problem(case, x, params, uniform(H, 1), uniform(1))


Run = Callable[[], np.ndarray]  # one forward pass; its output is [B,T,1] or [T,B,1]


def with_lstm_ref(p: Problem) -> Run:
    """The functional core, as a user calls it: checks of shapes and dtypes included."""

    def run() -> np.ndarray:
        hs = lr.lstm_forward(p.x, p.params, backend="numba").hs
        return lr.dense_forward(hs, p.head, p.head_bias, backend="numba").y

    return run


def with_onnxruntime(p: Problem) -> Run:
    """One LSTM node, time first, and the head as MatMul and Add. Gate order i, o, f, c."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    B, T, D, H = p.case

    def gates_first(w: np.ndarray) -> np.ndarray:  # [..., 4H] in i, f, g, o -> [1, 4H, ...]
        i, f, g, o = np.split(w.T, 4)
        return np.concatenate([i, o, f, g])[None]

    bias = gates_first(p.params.bias)
    constants = {
        "W": gates_first(p.params.kernel),
        "R": gates_first(p.params.recurrent_kernel),
        "B": np.concatenate([bias, np.zeros_like(bias)], axis=1),
        "direction": np.array([1]),
        "head": p.head,
        "head_bias": p.head_bias,
    }
    graph = helper.make_graph(
        [
            helper.make_node("LSTM", ["x", "W", "R", "B"], ["Y"], hidden_size=H),
            helper.make_node("Squeeze", ["Y", "direction"], ["hs"]),
            helper.make_node("MatMul", ["hs", "head"], ["product"]),
            helper.make_node("Add", ["product", "head_bias"], ["y"]),
        ],
        "lstm_and_head",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [T, B, D])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [T, B, 1])],
        [numpy_helper.from_array(np.ascontiguousarray(w), name) for name, w in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feed = {"x": np.ascontiguousarray(p.x.swapaxes(0, 1))}
    return lambda: session.run(["y"], feed)[0]


def with_torch(p: Problem) -> Run:
    """nn.LSTM, time first, and nn.Linear, in inference mode."""
    import torch

    torch.set_num_threads(1)
    lstm = torch.nn.LSTM(p.case.D, p.case.H)
    head = torch.nn.Linear(p.case.H, 1)
    weights = {
        lstm.weight_ih_l0: p.params.kernel.T,
        lstm.weight_hh_l0: p.params.recurrent_kernel.T,
        lstm.bias_ih_l0: p.params.bias,
        lstm.bias_hh_l0: np.zeros_like(p.params.bias),
        head.weight: p.head.T,
        head.bias: p.head_bias,
    }
    x = torch.from_numpy(np.ascontiguousarray(p.x.swapaxes(0, 1)))
    with torch.no_grad():
        for parameter, value in weights.items():
            parameter.copy_(torch.tensor(value))

    def run() -> np.ndarray:
        with torch.inference_mode():
            return head(lstm(x)[0]).numpy()

    return run


# What each contender needs besides lstm_ref, and how it runs a problem.
CONTENDERS: dict[str, tuple[tuple[str, ...], Callable[[Problem], Run]]] = {
    "lstm_ref": ((), with_lstm_ref),
    "onnxruntime": (("onnxruntime", "onnx"), with_onnxruntime),
    "torch": (("torch",), with_torch),
}


def agree(case: Case, outputs: dict[str, np.ndarray]) -> None:
    """Raise AssertionError unless all contenders computed the same thing (time-first as well)."""
    ours = outputs["lstm_ref"]
    for name, y in outputs.items():
        y = y if name == "lstm_ref" else y.swapaxes(0, 1)
        # The peers differ among themselves by some 1e-7 in each of H products of the head.
        np.testing.assert_allclose(
            y, ours, rtol=0, atol=5e-6, err_msg=f"{name} and lstm_ref differ at {case}"
        )


def time_case(case: Case, names: list[str], repeats: int) -> dict[str, float]:
    """Seconds of one forward pass for each contender: the median over ``repeats`` rounds."""
    p = problem(case)
    runs = {name: CONTENDERS[name][1](p) for name in names}
    agree(case, {name: run() for name, run in runs.items()})
    return medians({name: repeated(run) for name, run in runs.items()}, repeats, SAMPLE)


def main(argv: list[str] | None = None) -> int:
    """Time the cases and print the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15, metavar="N", help="rounds (15)")
    parser.add_argument(
        "--case",
        nargs="+",
        metavar="B,T,D,H",
        help="batch, steps, features, units",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    arguments = parser.parse_args(argv)
    cases = [Case(*map(int, text.split(","))) for text in arguments.case or ()] or CASES

    names, rows = present(CONTENDERS), []
    about = surroundings(["numpy", "numba", "onnxruntime", "torch"])
    with_lstm_ref(problem(Case(1, 1, 1, 1)))()  # compiles, the first time, and says so
    if not arguments.json:
        print_surroundings(about, "one thread each, float32", CONTENDERS)
        header = "".join(f"{name:>13}" for name in names)
        print(f"{'B×T×D':<18}{header}{'GFLOP/s':>10}{'ratio':>8}")
    for case in cases:
        times = time_case(case, names, arguments.repeats)
        peers = [value for name, value in times.items() if name != "lstm_ref"]
        ratio = times["lstm_ref"] / min(peers) if peers else None
        gflops = case.flops / times["lstm_ref"] / 1e9
        rows.append({"case": case._asdict(), "seconds": times, "gflops": gflops, "ratio": ratio})
        if not arguments.json:
            figures = "".join(f"{duration(times[name]):>13}" for name in names)
            shown = "-" if ratio is None else f"{ratio:.2f}"
            print(f"{case!s:<18}{figures}{gflops:>10.3g}{shown:>8}", flush=True)
    if arguments.json:
        json.dump({**about, "repeats": arguments.repeats, "cases": rows}, sys.stdout, indent=2)
        print()
    else:
        print("\nGFLOP/s: of lstm_ref. ratio: lstm_ref to the fastest peer; below 1 it is faster.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
