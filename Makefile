# Bytecode is wanted: without it TensorFlow takes three times as long to import.
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= python3.11
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup reproduce test test-slow bench study-bounds ui clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/ready ## make .venv from requirements.lock; prepare DVC and git for experiments
	@if [ -e .git ]; then \
	  git config user.email >/dev/null || { \
	    git config user.email lrcycles@localhost && git config user.name lrcycles && \
	    echo "git had no identity: set lrcycles@localhost in this clone, for dvc exp run"; }; \
	else $(BIN)/dvc config --quiet --local core.no_scm true; fi

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	touch $@

reproduce: setup ## the whole pipeline on real MNIST, to artifacts/report/report.html
	$(BIN)/dvc repro

test: setup ## lint, types and the test suite
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

test-slow: setup ## the longer checks as well
	$(BIN)/pytest -m ''

study-bounds: setup ## the study of bound rules, to docs/study-bounds (about half an hour)
	$(BIN)/dvc repro data
	$(BIN)/dvc repro studies/bounds/dvc.yaml

bench: setup ## compare with the real torch, optax and range-test tools, in .venv-bench
	test -e .venv-bench/ready || { $(PYTHON) -m venv .venv-bench && \
	  .venv-bench/bin/pip install --quiet -r benchmarks/requirements.txt && \
	  .venv-bench/bin/pip install --quiet --no-deps ktrain && touch .venv-bench/ready; }
	.venv-bench/bin/python benchmarks/schedule_references.py --check
	PYTHONPATH=src .venv-bench/bin/python -m benchmarks.peer_rules_check --check

ui: setup ## MLflow on http://127.0.0.1:5000 over this project's runs
	@echo "runs: http://127.0.0.1:$${PORT:-5000}/#/experiments/1/runs?workflowType=machine_learning"
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow ui --workers 1 --host 127.0.0.1 \
	  --port $${PORT:-5000} --backend-store-uri sqlite:///$(CURDIR)/mlflow.db

clean: ## empty the cell store and the results; MLflow's runs stay
	rm -rf .lrcycles/cells artifacts outputs
