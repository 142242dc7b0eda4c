# Every target does its own set-up: python3 with venv, make and a package index are enough.
# `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# pip says nothing unless something goes wrong, or with `make PIP_FLAGS= ...`.
PIP_FLAGS ?= --quiet
PIP := $(BIN)/python -m pip install --disable-pip-version-check $(PIP_FLAGS)

# More test processes than this only wait for each other: every one brings TensorFlow's threads.
TEST_PROCESSES ?= 2
TESTS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

.PHONY: help
help: ## list these targets
	@echo "usage: make TARGET [PYTHON=python3.12]"; echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
		|| sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.core ## train on real weather, predict every hour, show it (under two minutes)
	@$(BIN)/lstm-ref demo

.PHONY: test
test: $(VENV)/.test ## prove every number against Keras; TESTS='-k mask' chooses some
	$(BIN)/python -m pytest --numprocesses=$(TEST_PROCESSES) --dist=worksteal $(TESTS)

.PHONY: lint
lint: $(VENV)/.lint ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: docs
docs: $(VENV)/.docs ## build the documentation into docs/_build/html, warnings are errors
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build/html
	@echo "open docs/_build/html/index.html"

.PHONY: bench
bench: $(VENV)/.bench ## time the forward pass beside ONNX Runtime and PyTorch
	$(BIN)/python benchmarks/forward.py

.PHONY: clean
clean: ## remove the virtual environment and everything built or cached
	rm -rf $(VENV) build dist docs/_build docs/_generated .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One virtual environment, and a stamp in it for each set of packages it holds. A stamp is older
# than pyproject.toml exactly when the packages may have changed.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"lstm_ref needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + \
		": name another one with make PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) comes without venv: on Debian and Ubuntu, apt install python3-venv brings it" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.core: pyproject.toml $(VENV)/.created
	@echo "Installing lstm_ref into $(VENV), with NumPy, Numba, tqdm and Matplotlib (once)"
	@$(PIP) --editable ".[plot]"
	@touch $@

$(VENV)/.test: pyproject.toml $(VENV)/.created
	@echo "Installing what the tests compare with into $(VENV): Keras on TensorFlow, ONNX Runtime (once, some minutes)"
	@$(PIP) --editable ".[test]"
	@touch $@

$(VENV)/.lint: pyproject.toml $(VENV)/.created
	@echo "Installing ruff and mypy into $(VENV) (once)"
	@$(PIP) --editable ".[lint]"
	@touch $@

$(VENV)/.docs: pyproject.toml $(VENV)/.created
	@echo "Installing Sphinx into $(VENV) (once)"
	@$(PIP) --editable ".[docs]"
	@touch $@

$(VENV)/.bench: pyproject.toml $(VENV)/.created
	@echo "Installing ONNX Runtime into $(VENV) (once); PyTorch is timed where it is installed already"
	@$(PIP) --editable ".[bench]"
	@touch $@
