"""What a test may need and not find: the frameworks it compares with, and the real models.

Elsewhere such a test skips and says why. In CI (``LSTM_REF_CI=1``) every skip fails, by the hooks
in ``conftest.py``: there, the peers are installed on purpose.
"""

import importlib
import os
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
"""The folder of the checkout."""

OTHER_PLATFORM = "not on this platform: "
"""A skip whose reason begins so is one that CI cannot mend, and is left a skip there."""

# Where a peer is not in the `test` extra, the extra that brings it.
_EXTRAS = {"torch": "torch"}


def in_ci() -> bool:
    """Whether a missing peer is a failure."""
    return os.environ.get("LSTM_REF_CI", "") not in ("", "0")


def require(module: str) -> ModuleType:
    """The peer `module`, imported; the test skips where it is not installed.

    A peer that is installed and broken is an error, not a skip.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        extra = _EXTRAS.get(module.partition(".")[0], "test")
        pytest.skip(f'{module} is not installed: pip install -e ".[{extra}]"')


def require_models() -> Path:
    """The folder of the real pretrained models: ``$LSTM_REF_MODELS``, or beside the checkout."""
    folder = Path(os.environ.get("LSTM_REF_MODELS") or ROOT.parent / "shared" / "models")
    if not folder.is_dir():
        pytest.skip(f"the real models are not at {folder}: set LSTM_REF_MODELS to their folder")
    return folder
