# make run opens the console (or trains tiny-cpu headless without a terminal); make test is lint and the default tests.
# Both create .venv and install what they need. PYTHON and TORCH_CPU_INDEX may be set.

PYTHON ?= python3
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
BIN := .venv/bin
SHELL := /bin/bash
export TORCH_CPU_INDEX

.PHONY: run test lint unit test-slow test-gpu test-oracle test-faults bench screenshots docs clean

run: .venv/.ready-run
	@if [ -t 0 ] && [ -t 1 ] && [ "$${TERM:-dumb}" != dumb ]; then exec $(BIN)/nanoconsole; \
	else echo "nanoconsole: no terminal here, so tiny-cpu is trained, with its progress in lines" >&2; \
	exec $(BIN)/nanoconsole train tiny-cpu --follow; fi

test: lint unit

lint: .venv/.ready-test
	@scripts/timed.sh "lint: ruff check" $(BIN)/ruff check .
	@scripts/timed.sh "lint: ruff format" $(BIN)/ruff format --check .
	@scripts/timed.sh "contracts: import-linter" env PYTHONPATH=core:kernels:. $(BIN)/lint-imports --no-cache
	@scripts/timed.sh "types: basedpyright" $(BIN)/basedpyright --level error

unit: .venv/.ready-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8

test-slow: .venv/.ready-test
	$(BIN)/python -m pytest -m "slow and not gpu"

test-gpu: .venv/.ready-test
	$(BIN)/python -m pytest -m gpu

test-oracle: .venv/.ready-oracle
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m oracle

test-faults: .venv/.ready-test
	$(BIN)/python -m pytest tests/faults tests/integration/test_techniques_resume.py -m "strace or slow"

bench: .venv/.ready-test
	$(BIN)/nanoconsole bench train
	$(BIN)/nanoconsole bench console

screenshots: .venv/.ready-run
	$(BIN)/python -m tests.screenshots

docs: .venv/.ready-run
	$(BIN)/python -m nanocore.config.document > docs/configuration.md
	$(BIN)/python -m nanocore.runs.metrics_document > docs/metrics.md
	$(BIN)/python scripts/modules.py > docs/modules.md

NATIVE := $(wildcard kernels/nanokernels/csrc/*)

.venv/.ready-run: pyproject.toml scripts/bootstrap.sh $(NATIVE)
	@scripts/bootstrap.sh $(PYTHON) run

.venv/.ready-test: pyproject.toml scripts/bootstrap.sh $(NATIVE)
	@scripts/bootstrap.sh $(PYTHON) test

.venv/.ready-triton: .venv/.ready-test
	@scripts/bootstrap.sh $(PYTHON) triton

.venv/.ready-oracle: .venv/.ready-test
	@scripts/bootstrap.sh $(PYTHON) oracle

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache
