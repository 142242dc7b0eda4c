"""The line that fills while something runs, in Keras' form.

``verbose`` is 0 for silence, 1 for a bar, 2 for one line at the end, and "auto" for a bar on a
terminal or in a notebook and silence elsewhere, so that nothing is written into pipes and logs
that did not ask for it. (Keras' "auto" is always 1.)
"""

import shutil
import sys
import time
from types import TracebackType
from typing import Any, Literal, Self

Verbose = Literal["auto"] | int
"""What ``fit``, ``evaluate`` and ``predict`` take as ``verbose``."""


BAR_LENGTH, EMPTY, FULL = 20, "─", "━"


def verbosity(verbose: Verbose) -> int:
    """0, 1 or 2.

    Raises:
        ValueError: anything else.
    """
    if verbose == "auto":
        return 1 if interactive() else 0
    if verbose not in (0, 1, 2):
        raise ValueError(f"verbose={verbose!r}: 'auto', 0, 1 or 2 is needed")
    return int(verbose)


def interactive() -> bool:
    """Whether a line can be redrawn where output goes: a terminal, or a notebook."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules


def say(line: str) -> None:
    """Write a line of its own."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Progress:
    """One run over `steps` batches: ``with Progress(...) as progress: progress.advance(logs)``.

    ``steps`` is None where nobody knows how many there will be.
    """

    def __init__(self, steps: int | None, verbose: int) -> None:
        self.steps, self.verbose = steps, verbose
        self.shows_batches = verbose == 1 and interactive()
        """Whether anybody sees the averages after each batch."""
        self._done = 0
        self._logs: dict[str, float] = {}
        self._started = time.perf_counter()
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def advance(self, logs: dict[str, float] | None = None) -> None:
        """One batch more; ``logs`` are the averages so far."""
        self._done += 1
        self._logs = logs or {}
        if self._bar is not None:
            self._bar.set_description_str(self._trailer(), refresh=False)
            self._bar.update(1)
        elif self.shows_batches:
            # Not before: the first batch may compile kernels, and then says so in a line itself.
            self._bar = _bar(self._done, self.steps, self._trailer())

    def finish(self, logs: dict[str, float]) -> None:
        """What the finished line shows."""
        self._logs = logs

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if kind is None and self.verbose:
            separator = " - " if self.verbose == 2 else f" {FULL * BAR_LENGTH} "
            say(f"{self._done}/{self.steps or self._done}{separator}{self._trailer()}")

    def _trailer(self) -> str:
        """Time taken, time a step, and the numbers: ``1s 12ms/step - loss: 0.1234``."""
        elapsed = time.perf_counter() - self._started
        times = [f"{elapsed:.0f}s", f"{_duration(elapsed / max(self._done, 1))}/step"]
        parts = [(" - " if self.verbose == 2 else " ").join(times)]
        parts += [f"{name}: {_number(value)}" for name, value in self._logs.items()]
        return " - ".join(parts)


def _bar(done: int, steps: int | None, trailer: str) -> Any:
    """A line that is redrawn, cut to the width of the terminal, and leaves nothing behind."""
    from tqdm import tqdm  # only where a bar is drawn: importing the package stays light

    columns, rows = shutil.get_terminal_size()  # 80 and 24 where the terminal says 0
    return tqdm(
        desc=trailer,
        initial=done,
        total=steps,
        file=sys.stdout,
        ncols=columns,
        nrows=rows,
        bar_format=f"{{n_fmt}}/{{total_fmt}} {{bar:{BAR_LENGTH}}} {{desc}}",
        ascii=EMPTY + FULL,
        leave=False,
    )


def _duration(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) > 1e-3 else f"{value:.4e}"
