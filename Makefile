# Two commands do everything on a fresh machine with Python 3.11+, git and make: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Two to a core: most tests wait for daemons and files, not for a processor.
WORKERS = $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')

# Where a machine forbids Python its cache, each process that a test starts would compile all sources anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint check bench bench-full soak wheel clean
.DEFAULT_GOAL := demo

$(BIN)/orchestrator: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Orchestrator needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: $(BIN)/orchestrator
	@echo "installing the development tools …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

## set up, run about 30 real specs through a real daemon, show what happened
demo: $(BIN)/orchestrator
	@$(BIN)/orchestrator demo

## lint, types, layers, tests
test: lint check
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

lint: $(VENV)/.dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

check: $(VENV)/.dev
	@$(BIN)/mypy
	@$(BIN)/lint-imports

## speed, as ratios against floors and peers in the same run
bench: $(VENV)/.dev
	@$(BIN)/python -m benchmarks

bench-full: $(VENV)/.dev
	@$(BIN)/python -m benchmarks --full

## the long runs
soak: $(VENV)/.dev
	@$(BIN)/python -m pytest -m soak --timeout=3600

wheel: $(VENV)/.dev
	@$(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
