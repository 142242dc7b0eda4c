"""The rule of skips: elsewhere a missing peer is a skip that says so, in CI it is a failure."""

import pytest

from tests.peers import OTHER_PLATFORM, ROOT, require

A_TEST_OF_EVERY_KIND = f"""
import pytest
from tests.peers import require, require_models

def test_without_peer():
    require("a_framework_that_does_not_exist")

def test_without_models():
    require_models()

def test_marked():
    pytest.skip("for no good reason")

def test_elsewhere():
    pytest.skip({OTHER_PLATFORM!r} + "needs an x86-64 processor")

@pytest.mark.xfail(strict=True)
def test_known_to_fail():
    assert False

def test_fine():
    pass
"""


def run(pytester: pytest.Pytester, monkeypatch, ci: str | None) -> pytest.RunResult:
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(
        test_kinds=A_TEST_OF_EVERY_KIND,
        test_module="import pytest\npytest.skip('all of it', allow_module_level=True)",
    )
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("LSTM_REF_MODELS", str(pytester.path / "nowhere"))
    if ci is None:
        monkeypatch.delenv("LSTM_REF_CI", raising=False)
    else:
        monkeypatch.setenv("LSTM_REF_CI", ci)
    return pytester.runpytest_subprocess("-rs", "-p", "no:cacheprovider", "--import-mode=importlib")


@pytest.mark.parametrize("ci", [None, "0"])
def test_a_missing_peer_skips_and_says_what_to_install(pytester, monkeypatch, ci):
    result = run(pytester, monkeypatch, ci)
    result.assert_outcomes(passed=1, skipped=5, xfailed=1)
    result.stdout.fnmatch_lines_random(
        [
            '*a_framework_that_does_not_exist is not installed: pip install -e ".?test?"*',
            "*the real models are not at *nowhere*",
        ]
    )


def test_in_ci_every_skip_fails_but_that_of_another_platform(pytester, monkeypatch):
    result = run(pytester, monkeypatch, "1")
    # The module that skips as a whole fails while it is collected, and the run stops there.
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*a skip in CI is a failure*all of it*"])

    (pytester.path / "test_module.py").unlink()
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--import-mode=importlib")
    result.assert_outcomes(passed=1, skipped=1, failed=3, xfailed=1)
    result.stdout.fnmatch_lines_random(
        [
            "*a skip in CI is a failure*a_framework_that_does_not_exist*",
            "*a skip in CI is a failure*the real models are not at *",
            "*a skip in CI is a failure*for no good reason*",
        ]
    )


def test_a_peer_that_is_installed_and_broken_is_an_error(monkeypatch, tmp_path):
    (tmp_path / "broken_peer.py").write_text("import a_library_it_needs", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_library_it_needs"):
        require("broken_peer")
