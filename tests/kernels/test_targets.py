"""The same bits whatever processor the loops are compiled for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers import ROOT

PROGRAM = """
import hashlib
import numpy as np
from tests.cases import make_case, present

digest = hashlib.sha256()
LSTMS = [
    ("none", {}),
    ("scattered", {"activation": "softplus"}),
    ("right", {"peephole": True, "clip": 0.5, "projection": 21, "dropout": "each gate"}),
    ("left", {"input_forget": True, "output_activation": ("elu", 0.5), "dropout": "all gates"}),
]
for seed, (mask, options) in enumerate(LSTMS):
    case = make_case(seed, (7, 14, 5, 37), "float32", mask, **options)
    out = case.forward("numba")
    for array in (out.hs, out.h, out.c, *present(case.backward(out)).values()):
        digest.update(np.ascontiguousarray(array).tobytes())
print(digest.hexdigest())
"""


def digest(folder: Path, **settings: str) -> str:
    """Of forward and backward results, by a process that compiles for the given processor."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    environment |= {"LSTM_REF_CACHE_DIR": str(folder), **settings}
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("processor", ["generic", "haswell", "skylake-avx512", "znver3"])
def test_the_bits_do_not_depend_on_the_processor(processor: str, tmp_path: Path) -> None:
    """x86-64 with and without fused multiply-add in hardware, with vectors of 16 to 64 bytes."""
    assert digest(tmp_path, NUMBA_CPU_NAME=processor) == digest(tmp_path)
