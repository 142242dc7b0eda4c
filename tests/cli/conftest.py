"""A table on disk, and the command as a function."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from lstm_ref.cli import main


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output; it holds no NaN."""
        return json.loads(self.out, parse_constant=lambda word: pytest.fail(f"{word} in JSON"))


@pytest.fixture
def lstm_ref_command(capsys, tmp_path, monkeypatch) -> Callable[..., Result]:
    """Run the command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*argv: object) -> Result:
        code = main([str(word) for word in argv])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def table(tmp_path, rng) -> Path:
    """120 rows: the time, two columns of which one is missing here and there, and a note."""
    path = tmp_path / "table.csv"
    wave = 20 + 5 * np.sin(np.arange(120) / 4) + rng.normal(size=120) / 10
    lines = ["when,warmth,flow,note"]
    for row, value in enumerate(wave):
        flow = "" if row % 17 == 5 else f"{value / 2 + 1:.3f}"
        lines.append(f"2024-{row},{value:.3f},{flow},x")
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
