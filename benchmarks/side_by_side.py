"""What the benchmarks share: who is installed, turns and medians, and the lines above a table."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import lstm_ref as lr


class Case(NamedTuple):
    """Batch, time steps, features, units. The head has one output at every step."""

    B: int
    T: int
    D: int
    H: int

    def __str__(self) -> str:
        return f"{self.B}×{self.T}×{self.D}, H={self.H}"

    @property
    def flops(self) -> int:
        """Additions and multiplications of the matrix products; the gates are not counted."""
        return 2 * self.B * self.T * (4 * self.H * (self.D + self.H) + self.H)


def repeated(run: Callable[[], Any]) -> Callable[[int], None]:
    """What does ``run`` so many times, one after the other."""

    def several(count: int) -> None:
        for _ in range(count):
            run()

    return several


def installed(package: str) -> str | None:
    """The package's version, None where it is absent."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def present(contenders: Mapping[str, tuple[tuple[str, ...], Any]]) -> list[str]:
    """The contenders whose packages, the first of the pair, are installed; lstm_ref always is."""
    return [name for name, (packages, _) in contenders.items() if all(map(installed, packages))]


def medians(
    runs: Mapping[str, Callable[[int], Any]], repeats: int, sample: float
) -> dict[str, float]:
    """Seconds of one unit of work for each contender: the median over ``repeats`` rounds.

    Args:
        runs: by contender, what does that many units of work, one after the other.
        repeats: in each round every contender is timed once; they take turns at going first.
        sample: seconds that one timing lasts at least, by doing several units.
    """
    names = list(runs)
    counts = {name: units_in_a_sample(run, sample) for name, run in runs.items()}
    samples: dict[str, list[float]] = {name: [] for name in names}
    for round_ in range(repeats):
        turn = round_ % len(names)
        for name in names[turn:] + names[:turn]:
            samples[name].append(seconds(runs[name], counts[name]) / counts[name])
    return {name: statistics.median(values) for name, values in samples.items()}


def units_in_a_sample(run: Callable[[int], Any], sample: float) -> int:
    """How many units last ``sample`` seconds, found by doubling, which warms caches as well."""
    count = 1
    while (elapsed := seconds(run, count)) < sample / 2:
        count *= 2
    return max(1, round(count * sample / elapsed))


def seconds(run: Callable[[int], Any], count: int) -> float:
    """The time of that many units of work."""
    start = time.perf_counter()
    run(count)
    return time.perf_counter() - start


def cpu() -> str:
    """The processor's name, as far as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def surroundings(packages: list[str]) -> dict[str, Any]:
    """What the figures depend on besides the code."""
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": {"lstm_ref": lr.__version__, **{name: installed(name) for name in packages}},
    }


def print_surroundings(
    about: Mapping[str, Any],
    how: str,
    contenders: Mapping[str, tuple[tuple[str, ...], Any]],
) -> None:
    """The lines above a table; ``how`` says with how many threads and in what dtype."""
    versions = {"Python": about["python"], **about["versions"]}
    there = ", ".join(f"{name} {number}" for name, number in versions.items() if number)
    print(f"{about['cpu']}, {about['cores']} cores, load {about['load']}, {how}")
    print(there)
    for name in contenders:
        if name not in present(contenders):
            print(f"{name} is not installed: no figures for it")
    print()


def duration(value: float) -> str:
    """Three digits and the unit they need."""
    unit, scale = ("µs", 1e6) if value < 1e-3 else ("ms", 1e3) if value < 1 else ("s", 1)
    return f"{value * scale:.3g} {unit}"
