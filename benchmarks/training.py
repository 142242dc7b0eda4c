"""How long an epoch of training takes here, in Keras' fit and in a plain PyTorch loop.

Every contender gets the same float32 weights and the same rows in the same order. Before anything
is timed, each trains two epochs, and its losses and weights are compared with ours. In each of
``--repeats`` rounds every contender trains for some tenths of a second, taking turns at going
first, so that a slow moment of the machine hits all of them. A figure is the median over the
rounds.

Each number of threads has a process of its own, since TensorFlow takes its number once. Our losses
and weights must come out the same in all of them, to the last bit.

    python benchmarks/training.py [--threads N ...] [--repeats N] [--case CASE ...] [--json]

A case is one of the names in the table, or N,T,D,H: rows, time steps, features, units.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from side_by_side import duration, medians, present, print_surroundings, surroundings

import lstm_ref as lr
from lstm_ref import layers

SAMPLE = 0.3  # seconds that one sample lasts at least
SEED = 21
CHECKED_EPOCHS = 2


@dataclass(frozen=True)
class Case:
    """A model and its data.

    N rows of T steps and D features, an LSTM of H units, Dense(K) at all steps, mean squared error.
    ``layers`` LSTMs stand on each other; ``bidirectional`` ones read both ways. With ``masked``,
    rows have 1 to T steps, the rest of a row being padding.
    """

    name: str
    N: int
    T: int
    D: int
    H: int
    K: int = 1
    batch_size: int = 32
    activation: str = "tanh"
    optimizer: str = "adam"
    layers: int = 1
    bidirectional: bool = False
    masked: bool = False

    @property
    def size(self) -> str:
        """N×T×D, H=…."""
        return f"{self.N}×{self.T}×{self.D}, H={self.H}"


CASES = [
    Case("relu", 100, 10, 1, 64, activation="relu"),  # one value in, one out, at every step
    Case("tanh", 100, 10, 1, 64),  # the same, with what nn.LSTM has built in
    Case("rmsprop", 50, 20, 1, 128, K=3, optimizer="rmsprop"),  # one value in, three out
    Case("masked", 64, 30, 8, 32, masked=True),
    Case("two layers", 64, 30, 8, 32, layers=2),
    Case("bidirectional", 64, 30, 8, 32, bidirectional=True),
    Case("batch", 32, 100, 64, 128),  # one batch an epoch
    Case("large", 64, 128, 256, 512, batch_size=64),
]


@dataclass(frozen=True)
class Problem:
    """The data and the first weights of a case, in Keras' layout and order, all float32."""

    case: Case
    x: np.ndarray  # [N,T,D], 0 where it is padding
    y: np.ndarray  # [N,T,K]
    lengths: np.ndarray  # [N], the real steps of each row
    weights: list[np.ndarray]

    @property
    def mask(self) -> np.ndarray:
        """True where a step is real, [N,T]."""
        return np.arange(self.case.T) < self.lengths[:, None]


def problem(case: Case) -> Problem:
    """Seeded numbers; the weights at the scale PyTorch draws them."""
    rng = np.random.default_rng(SEED)
    N, T, D, H, K = case.N, case.T, case.D, case.H, case.K

    def uniform(*shape: int) -> np.ndarray:
        return rng.uniform(-(H**-0.5), H**-0.5, shape).astype(np.float32)

    weights, width = [], D
    for _ in range(case.layers):
        for _ in range(2 if case.bidirectional else 1):
            weights += [uniform(width, 4 * H), uniform(H, 4 * H), uniform(4 * H)]
        width = 2 * H if case.bidirectional else H
    weights += [uniform(width, K), uniform(K)]
    lengths = rng.integers(1, T + 1, N) if case.masked else np.full(N, T)
    x = rng.normal(size=(N, T, D)).astype(np.float32)
    x[np.arange(T) >= lengths[:, None]] = 0
    return Problem(case, x, rng.normal(size=(N, T, K)).astype(np.float32), lengths, weights)


@dataclass(frozen=True)
class Training:
    """A model that can be trained further.

    Attributes:
        run: trains so many epochs; gives the loss of each.
        weights: what they are by now, as in `Problem`.
    """

    run: Callable[[int], list[float]]
    weights: Callable[[], list[np.ndarray]]


def with_keras_names(p: Problem, optimizer: str, layers: Any, Sequential: Any) -> Training:
    """The program that Keras and lstm_ref share."""
    case = p.case
    stack = [layers.Input((case.T, case.D))]
    if case.masked:
        stack.append(layers.Masking(0.0))
    for _ in range(case.layers):
        lstm = layers.LSTM(case.H, activation=case.activation, return_sequences=True)
        stack.append(layers.Bidirectional(lstm) if case.bidirectional else lstm)
    model = Sequential([*stack, layers.Dense(case.K)])
    model.set_weights(p.weights)
    model.compile(optimizer=optimizer, loss="mse")

    def run(epochs: int) -> list[float]:
        fitted = model.fit(
            p.x, p.y, batch_size=case.batch_size, epochs=epochs, shuffle=False, verbose=0
        )
        return fitted.history["loss"]

    return Training(run, model.get_weights)


def with_lstm_ref(p: Problem, optimizer: str) -> Training:
    """Sequential.fit."""
    return with_keras_names(p, optimizer, layers, lr.Sequential)


def with_keras(p: Problem, optimizer: str) -> Training:
    """Keras' Sequential.fit on TensorFlow, compiled as it does by itself."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    if not tf.config.threading.get_intra_op_parallelism_threads():
        tf.config.threading.set_intra_op_parallelism_threads(lr.config.threads())
        tf.config.threading.set_inter_op_parallelism_threads(lr.config.threads())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras' own, about NumPy
        import keras

        return with_keras_names(p, optimizer, keras.layers, keras.Sequential)


def with_torch(p: Problem, optimizer: str) -> Training:
    """The loop from PyTorch's tutorials, over batches that are cut and laid out beforehand.

    nn.LSTM has tanh only; for another activation the cell is written out, as one has to.
    """
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    torch.set_num_threads(lr.config.threads())
    case = p.case
    make = torch.nn.LSTM if case.activation == "tanh" else torch_lstm(case.activation)
    # Time first: its own favourite layout.
    lstm = make(case.D, case.H, num_layers=case.layers, bidirectional=case.bidirectional)
    head = torch.nn.Linear(case.H * (2 if case.bidirectional else 1), case.K)
    parameters = [
        getattr(lstm, f"{kind}_l{layer}{direction}")
        for layer in range(case.layers)
        for direction in ("", "_reverse")[: 2 if case.bidirectional else 1]
        for kind in ("weight_ih", "weight_hh", "bias_ih")
    ]
    parameters += [head.weight, head.bias]
    with torch.no_grad():
        for parameter, value in zip(parameters, p.weights, strict=True):
            parameter.copy_(torch.from_numpy(value.T.copy()))
        for name, parameter in lstm.named_parameters():
            if name.startswith("bias_hh"):  # there is one bias to learn, as in Keras
                parameter.zero_().requires_grad_(False)
    step = {
        "adam": lambda: torch.optim.Adam(parameters, lr=0.001, eps=1e-7),
        "rmsprop": lambda: torch.optim.RMSprop(parameters, lr=0.001, alpha=0.9, eps=1e-7),
        "sgd": lambda: torch.optim.SGD(parameters, lr=0.01),
    }[optimizer]()

    def time_first(array: np.ndarray) -> Any:
        return torch.from_numpy(np.ascontiguousarray(array.swapaxes(0, 1)))

    batches = []
    for start in range(0, case.N, case.batch_size):
        rows = slice(start, start + case.batch_size)
        lengths = torch.from_numpy(p.lengths[rows])
        mask = time_first(p.mask[rows, :, None].astype(np.float32))
        batches.append((time_first(p.x[rows]), time_first(p.y[rows]), lengths, mask))

    def predict(x: Any, lengths: Any) -> Any:
        if not case.masked:
            return head(lstm(x)[0])
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        return head(pad_packed_sequence(lstm(packed)[0], total_length=case.T)[0])

    def run(epochs: int) -> list[float]:
        losses = []
        for _ in range(epochs):
            total = 0.0
            for x, y, lengths, mask in batches:
                step.zero_grad()
                y_pred = predict(x, lengths)
                if case.masked:
                    loss = (((y_pred - y) ** 2).mean(-1, keepdim=True) * mask).sum() / mask.sum()
                else:
                    loss = torch.nn.functional.mse_loss(y_pred, y)
                loss.backward()
                step.step()
                total += loss.item() * x.shape[1]
            losses.append(total / case.N)
        return losses

    return Training(run, lambda: [w.detach().numpy().T.copy() for w in parameters])


def torch_lstm(activation: str) -> Any:
    """An LSTM with another activation, as one writes it with PyTorch: a loop over time."""
    import torch

    φ = getattr(torch, activation)

    class WrittenOut(torch.nn.Module):
        """Reads x[T,B,D]; gives (hs[T,B,H], None), with the parameters of nn.LSTM."""

        def __init__(self, D: int, H: int, num_layers: int, bidirectional: bool) -> None:
            super().__init__()
            assert num_layers == 1
            assert not bidirectional
            self.weight_ih_l0 = torch.nn.Parameter(torch.empty(4 * H, D))
            self.weight_hh_l0 = torch.nn.Parameter(torch.empty(4 * H, H))
            self.bias_ih_l0 = torch.nn.Parameter(torch.empty(4 * H))

        def forward(self, x: Any) -> tuple[Any, None]:
            xW = torch.nn.functional.linear(x, self.weight_ih_l0, self.bias_ih_l0)  # [T,B,4H]
            h = c = xW.new_zeros(x.shape[1], self.weight_hh_l0.shape[1])
            hs = []
            for xW_t in xW:
                i, f, g, o = (xW_t + h @ self.weight_hh_l0.T).chunk(4, dim=1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * φ(g)
                h = torch.sigmoid(o) * φ(c)
                hs.append(h)
            return torch.stack(hs), None

    return WrittenOut


# What each contender needs besides lstm_ref, and how it trains a problem with an optimizer.
CONTENDERS: dict[str, tuple[tuple[str, ...], Callable[[Problem, str], Training]]] = {
    "lstm_ref": ((), with_lstm_ref),
    "keras": (("keras", "tensorflow"), with_keras),
    "torch": (("torch",), with_torch),
}


def agree(name: str, p: Problem) -> Training:
    """What the contender of that name is timed with; it has been compared with ours.

    Keras is compared with the optimizer of the case. PyTorch's Adam and RMSprop have their ε in
    other places, so it is compared with SGD, where nothing can differ.

    Raises:
        AssertionError: losses or weights differ.
    """
    make = CONTENDERS[name][1]
    optimizer = "sgd" if name == "torch" else p.case.optimizer
    ours, theirs = with_lstm_ref(p, optimizer), make(p, optimizer)
    losses = [training.run(CHECKED_EPOCHS) for training in (theirs, ours)]
    differ = f"{name} and lstm_ref differ at {p.case.name}: "
    np.testing.assert_allclose(*losses, rtol=1e-5, err_msg=differ + "losses")
    for a, b in zip(theirs.weights(), ours.weights(), strict=True):
        # An update of Adam has the size of its learning rate, 1e-3, and few digits of it where the
        # gradient is not much more than the sum of its roundings.
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5, err_msg=differ + "weights")
    return theirs if optimizer == p.case.optimizer else make(p, p.case.optimizer)


def digest(p: Problem) -> str:
    """Of our losses and weights after the same epochs: a hash, to be compared between processes."""
    training = with_lstm_ref(p, p.case.optimizer)
    found = hashlib.sha256(np.array(training.run(CHECKED_EPOCHS)).tobytes())
    for weight in training.weights():
        found.update(np.ascontiguousarray(weight).tobytes())
    return found.hexdigest()


def time_case(case: Case, repeats: int) -> dict[str, Any]:
    """Seconds of an epoch for each contender, ours over theirs, and the hash of our results."""
    p = problem(case)
    runs = {name: agree(name, p).run for name in present(CONTENDERS)}
    times = medians(runs, repeats, SAMPLE)
    ratios = {name: times["lstm_ref"] / value for name, value in times.items()}
    del ratios["lstm_ref"]
    return {"case": asdict(case), "seconds": times, "ratios": ratios, "digest": digest(p)}


def report(cases: Sequence[Case], repeats: int, threads: int) -> dict[str, Any]:
    """What the cases take in this process, with so many threads for each contender."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)  # read when the peers are imported
    lr.config.set_threads(threads)
    about = surroundings(["numpy", "numba", "keras", "tensorflow", "torch"])
    with_lstm_ref(problem(Case("first", 1, 1, 1, 1)), "sgd").run(1)  # compiles, and says so
    rows = [time_case(case, repeats) for case in cases]
    return {**about, "threads": threads, "repeats": repeats, "cases": rows}


def report_of_a_process(arguments: Sequence[str], threads: int) -> dict[str, Any]:
    """The same from a process of its own.

    Raises:
        SystemExit: it failed, and has said why on standard error.
    """
    command = [sys.executable, __file__, *arguments, "--threads", str(threads), "--json"]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if child.returncode:
        raise SystemExit(child.returncode)
    (found,) = json.loads(child.stdout)
    return found


def print_report(about: dict[str, Any]) -> None:
    """The table of one number of threads."""
    how = f"{about['threads']} thread{'s' if about['threads'] > 1 else ''} each, float32"
    print_surroundings(about, how, CONTENDERS)
    names = present(CONTENDERS)
    peers = names[1:]
    heads = "".join(f"{name:>11}" for name in names) + "".join(f"{'to ' + n:>10}" for n in peers)
    print(f"{'case':<15}{'N×T×D':<20}{heads}")
    for row in about["cases"]:
        case = Case(**row["case"])
        figures = "".join(f"{duration(row['seconds'][name]):>11}" for name in names)
        ratios = "".join(f"{row['ratios'][name]:>10.3f}" for name in peers)
        print(f"{case.name:<15}{case.size:<20}{figures}{ratios}")
    print()


def same_bits(reports: Sequence[dict[str, Any]]) -> bool:
    """Whether our losses and weights are the same in all reports, to the last bit."""
    return len({tuple(row["digest"] for row in about["cases"]) for about in reports}) == 1


def chosen(texts: Sequence[str] | None) -> list[Case]:
    """The cases of those names or sizes; all of `CASES` for None.

    Raises:
        ValueError: neither a name nor four numbers.
    """
    named = {case.name: case for case in CASES}
    if texts is None:
        return CASES
    return [
        named[text] if text in named else Case(text, *map(int, text.split(","))) for text in texts
    ]


def main(argv: list[str] | None = None) -> int:
    """Time the cases and print the tables; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], metavar="N")
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="rounds (7)")
    parser.add_argument(
        "--case", nargs="+", metavar="CASE", help="names of the table, or rows,steps,features,units"
    )
    parser.add_argument("--json", action="store_true", help="reports as JSON instead of tables")
    arguments = parser.parse_args(argv)
    cases, repeats = chosen(arguments.case), arguments.repeats

    if len(arguments.threads) == 1:
        reports = [report(cases, repeats, arguments.threads[0])]
    else:
        given = ["--repeats", str(repeats)]
        given += ["--case", *arguments.case] if arguments.case else []
        reports = [report_of_a_process(given, threads) for threads in arguments.threads]
    if arguments.json:
        json.dump(reports, sys.stdout, indent=2)
        print()
    else:
        for about in reports:
            print_report(about)
        print("The time of an epoch. to ...: lstm_ref to that peer; below 1 it is faster.")
        if len(reports) > 1:
            same = "the same, to the last bit" if same_bits(reports) else "NOT THE SAME"
            print(f"Our losses and weights with {arguments.threads} threads: {same}.")
    return 0 if same_bits(reports) else 1


if __name__ == "__main__":
    sys.exit(main())
