# Bytecode is wanted: without it TensorFlow takes three times as long to import.
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= python3.11
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup reproduce test test-slow bench bench-gpu study-bounds study-verdicts ui clean

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

REPORT_tutorial := -S train.seeds=30 -S train.save_models=first_seed
report-%: setup ## one experiment's report to docs/reports: report-tutorial, -attribution, -schedules, -optimizers, -lenet
	$(BIN)/dvc exp run -S experiment=$* $(REPORT_$*)
	rm -rf docs/reports/$* && mkdir -p docs/reports && cp -r artifacts/report docs/reports/$*

study-verdicts: setup ## the test bench of the verdicts, to docs/study-verdicts (some minutes)
	PYTHONPATH=src $(BIN)/python -m studies.verdicts

BENCH := PYTHONPATH=src .venv-bench/bin/python -m benchmarks

bench: setup .venv-bench/ready ## measure beside the peers, to docs/performance.md (about 40 minutes, alone)
	$(BIN)/dvc repro data
	PYTHONPATH=src .venv-bench/bin/python benchmarks/schedule_references.py --check
	$(BENCH).peer_rules_check --check
	mkdir -p docs/performance
	$(BENCH).speed.measure --out docs/performance/speed.json
	$(BENCH).range_test_speed.measure --data artifacts/data --out docs/performance/range_test.json
	$(BIN)/python -m benchmarks.errors
	$(BIN)/python -m benchmarks.scaling
	KERAS_BACKEND=jax $(BIN)/python -m benchmarks.gpu --device cpu --cells 8 --images 2000 --rounds 5
	$(BIN)/python -m benchmarks.streaming --gigabytes $${GIGABYTES:-20} --folder outputs/streaming
	rm -r outputs/streaming
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.page

bench-gpu: ## the same of a CUDA machine; BACKEND=jax or tensorflow (untested)
	PYTHONPATH=src KERAS_BACKEND=$${BACKEND:-jax} $(PYTHON) -m benchmarks.gpu
	-PYTHONPATH=src $(PYTHON) -m benchmarks.page

.venv-bench/ready: benchmarks/requirements.txt requirements.lock
	$(PYTHON) -m venv .venv-bench
	sed -E 's/ *\\$$//; /^ *--hash/d' requirements.lock > .venv-bench/constraints.txt
	.venv-bench/bin/pip install --quiet -c .venv-bench/constraints.txt \
	  -r benchmarks/requirements.txt -e '.[jax]'
	.venv-bench/bin/pip install --quiet --no-deps ktrain
	touch $@

ui: setup ## MLflow on http://127.0.0.1:5000 over this project's runs
	@echo "runs: http://127.0.0.1:$${PORT:-5000}/#/experiments/1/runs?workflowType=machine_learning"
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow ui --workers 1 --host 127.0.0.1 \
	  --port $${PORT:-5000} --backend-store-uri sqlite:///$(CURDIR)/mlflow.db

clean: ## empty the cell store and the results; MLflow's runs stay
	rm -rf .lrcycles/cells artifacts outputs
