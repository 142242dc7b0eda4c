"""The loops as plain Python: the same numbers, and no line that nothing has run.

With ``NUMBA_DISABLE_JIT=1`` the source that Numba compiles is walked through by Python, for
debuggers and coverage tools. The cases below are small, and together they reach every line.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers import ROOT

PROGRAM = """
import numpy as np
from lstm_ref import dense_backward, dense_forward
from lstm_ref.kernels import activations as kernels
from lstm_ref.kernels import runtime
from lstm_ref.spec import activations as spec
from tests.cases import make_case

CASES = [  # sizes, mask, options
    ((7, 3, 2, 9), "none", {}),
    ((7, 3, 2, 9), "scattered", {"go_backwards": True, "activation": "gelu"}),
    ((2, 14, 3, 17), "right", {"masked_output": "zero", "activation": "softplus"}),
    ((13, 3, 2, 5), "left", {"peephole": True, "clip": 0.4, "projection": 3}),
    ((3, 3, 2, 5), "scattered", {"input_forget": True, "projection": 40, "clip": 1.0}),
    ((3, 3, 2, 9), "scattered", {"dropout": "all gates", "output_activation": "relu"}),
    ((14, 2, 3, 4), "none", {"dropout": "each gate", "peephole": True, "projection": 2}),
]


def close(a, b, dtype):
    scale = max(1, np.abs(b).max(initial=0))
    assert np.abs(a - b).max(initial=0) <= 300 * np.finfo(dtype).eps * scale


for dtype in ("float64", "float32"):
    for n, (sizes, mask, options) in enumerate(CASES):
        case = make_case(n, sizes, dtype, mask, **options)
        spec_out, loops = case.forward("numpy"), case.forward("numba")
        pairs = [(loops.hs, spec_out.hs), (loops.h, spec_out.h), (loops.c, spec_out.c)]
        pairs += zip(*(vars(case.backward(out)).values() for out in (loops, spec_out)))
        for a, b in pairs:
            assert (a is None) == (b is None)
            if a is not None:
                close(a, b, dtype)
    z = np.linspace(-5, 5, 41).astype(dtype)
    for name in spec.ACTIVATIONS:
        a = spec.activate(name, z)
        close(kernels.activate(name, z), a, dtype)
        slopes = [part.activation_derivative(name, z, a) for part in (kernels, spec)]
        close(*slopes, dtype)
    rng = np.random.default_rng(0)
    for N, H, K in ((9, 300, 3), (2, 3, 70)):
        h, W = rng.normal(size=(N, H)).astype(dtype), rng.normal(size=(H, K)).astype(dtype)
        outs = [dense_forward(h, W, None, "tanh", True, backend) for backend in ("numpy", "numba")]
        close(outs[1].y, outs[0].y, dtype)
        for a, b in zip(*(vars(dense_backward(out.y, out.cache)).values() for out in outs)):
            if a is not None:
                close(a, b, dtype)
print(type(runtime.kernel("activate", np.dtype("float64"))).__name__)
"""


@pytest.mark.slow
def test_every_line_of_the_loops_runs_with_the_jit_off(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "COVERAGE_FILE": str(tmp_path / "data")}

    def run(*command: str) -> str:
        process = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        assert process.returncode == 0, process.stderr
        return process.stdout.strip()

    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    coverage = ("-W", "error", "-m", "coverage")
    environment["PYTHONPATH"] = str(ROOT)
    loops = ROOT / "lstm_ref" / "kernels" / "loops"
    assert run(*coverage, "run", f"--include={loops}/*", str(tmp_path / "program.py")) == (
        "InterpretedKernel"
    )
    run(*coverage, "json", "-o", str(tmp_path / "report.json"))
    files = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["files"]
    missing = {Path(name).name: report["missing_lines"] for name, report in files.items()}
    # Numba runs the code generators in ``vector`` when it compiles, and only then.
    assert missing.keys() >= {"activations.py", "lstm.py", "plain.py", "product.py", "scalar.py"}
    assert not any(lines for name, lines in missing.items() if name != "vector.py"), missing
