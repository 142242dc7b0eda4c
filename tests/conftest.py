"""What holds for every test: the environment, the seeds, and what a skip means in CI.

Nothing here changes a numerical setting of a peer: they are compared with as their users run them.
"""

import os
import random
import sys
import zlib
from collections.abc import Generator, Iterator
from typing import Any

# Set before any test module can import these, and left alone where the user has set them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no start-up banner of TensorFlow
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # the peers run on the CPU, as lstm_ref does
os.environ.setdefault("MPLBACKEND", "Agg")  # pictures without a screen
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# Keras reads its float type from a file in the home folder, and writes one where there is none. In
# a folder that cannot be, it does neither.
os.environ["KERAS_HOME"] = f"{os.devnull}/keras"

import hypothesis
import numpy as np
import pytest

from lstm_ref.layers import session
from tests.peers import OTHER_PLATFORM, in_ci

# The default draws the same examples in every run: a red test is red for everybody.
# `pytest --hypothesis-profile=explore` goes looking for new ones.
hypothesis.settings.register_profile(
    "deterministic",
    derandomize=True,
    deadline=None,  # the first call compiles
    print_blob=True,
    # How long drawing takes says something about the machine, not about the code.
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "explore",
    hypothesis.settings.get_profile("deterministic"),
    derandomize=False,
    max_examples=1000,
)
hypothesis.settings.load_profile("deterministic")


def _seed_of(request: pytest.FixtureRequest) -> int:
    """A seed of the test's own: it does not move when another test is added, run or left out."""
    return zlib.crc32(request.node.nodeid.encode())


def _imported(name: str) -> Any:
    """The module, if some test has imported it; None also where a test plays that it is absent."""
    return sys.modules.get(name)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """The random numbers of one test."""
    return np.random.default_rng(_seed_of(request))


@pytest.fixture(autouse=True)
def _fresh_session(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts as a new process does: no layer named, floatx float32; and seeded."""
    monkeypatch.setattr(session, "_session", session._Session())
    session.set_seed(_seed_of(request))


@pytest.fixture(autouse=True)
def _seeds(request: pytest.FixtureRequest) -> None:
    """Seed the global generators that the peers draw from. The tests themselves use `rng`."""
    seed = _seed_of(request)
    random.seed(seed)
    np.random.seed(seed)
    if keras := _imported("keras"):
        keras.utils.set_random_seed(seed)
    if torch := _imported("torch"):
        torch.manual_seed(seed)


@pytest.fixture(autouse=True)
def _no_figure_left_open() -> Iterator[None]:
    yield
    if pyplot := _imported("matplotlib.pyplot"):
        pyplot.close("all")


def _fail_a_skip_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    """In CI a test that did not run is a failure: nothing there is missing by accident."""
    if not (in_ci() and report.skipped) or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if OTHER_PLATFORM not in reason:
        report.outcome = "failed"
        report.longrepr = f"a skip in CI is a failure (LSTM_REF_CI is set): {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_a_skip_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_a_skip_in_ci(report)
    return report
