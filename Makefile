# Without bytecode TensorFlow takes three times as long to import.
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= python3.11
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup reproduce experiments test test-slow test-faults soak bench bench-gpu study-bounds study-networks study-drawn-bounds study-range-test study-verdicts ui audit clean

help: ## list all targets
	@grep -E '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: .venv/ready ## make .venv from requirements.lock, prepare git and DVC for experiments
	@if [ -e .git ]; then \
	  git config user.email >/dev/null || { \
	    git config user.email lrcycles@localhost && git config user.name lrcycles && \
	    echo "git has no identity, which dvc exp run needs. This clone now uses lrcycles@localhost."; }; \
	else $(BIN)/dvc config --quiet --local core.no_scm true; fi

.venv/ready: requirements.lock pyproject.toml
	@test ! -L .venv || { echo ".venv must be a folder of this clone. Received: a link to" \
	    "$$(readlink .venv), which make would empty. Delete the link." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	  echo "The environment needs Python 3.11, 3.12 or 3.13. Received: PYTHON=$(PYTHON)," \
	    "which is missing or another version. Write make PYTHON=python3.12 setup, for example." >&2; \
	  exit 1; }
	@echo "Installing the environment into .venv (about 2 minutes)."
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	touch $@

reproduce: setup ## run the whole pipeline on MNIST (10 minutes); report: artifacts/report/report.html
	@$(BIN)/dvc repro; status=$$?; \
	  PYTHONPATH=src $(BIN)/python -m lrcycles.stages.checkup && exit $$status
	@echo "The report is artifacts/report/report.html. To compare later results with these, type:"
	@echo "git add dvc.lock params.yaml && git commit -m 'Keep my results'"

experiments: setup ## list the experiments of the last commit; ARGS=-A lists those of all commits
	@$(BIN)/dvc exp show --csv $(ARGS) | PYTHONPATH=src $(BIN)/python -m lrcycles.report.experiments

test: setup ## run ruff, mypy and the tests (5 minutes)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

test-slow: setup ## run the tests, also the slow ones
	$(BIN)/pytest -m 'not faults'

FAULTS := LRCYCLES_FAULT_COUNTS=$(CURDIR)/docs/reliability/counts.jsonl $(BIN)/pytest -m faults
test-faults: setup ## plant faults: kills, damaged files, lost servers (2 hours); result: docs/reliability.md
	mkdir -p docs/reliability && : > docs/reliability/counts.jsonl
	$(FAULTS) -n 0 tests/faults/test_costs.py; costs=$$?; \
	  $(FAULTS) --ignore tests/faults/test_costs.py; status=$$?; \
	  $(BIN)/python -m studies.reliability; exit $$((costs + status))

soak: setup ## run smoke pipelines for MINUTES=120 and record what grows: docs/reliability/soak.jsonl
	rm -rf outputs/soak outputs/soak-tmp && $(BIN)/python -m studies.soak $${MINUTES:-120} outputs/soak
	$(BIN)/python -m studies.reliability

study-bounds: setup ## compare the rules for bounds (half an hour); result: docs/study-bounds
	$(BIN)/dvc repro data
	PYTHONPATH=src $(BIN)/python -m studies.bounds

study-drawn-bounds: setup ## train with a range test for each seed (10 minutes); result: docs/study-drawn-bounds
	$(BIN)/dvc repro data
	PYTHONPATH=src $(BIN)/python -m studies.drawn_bounds

study-range-test: setup ## measure the price and the stability of the range test (20 minutes, nothing else running); result: docs/study-range-test
	PYTHONPATH=src $(BIN)/python -m studies.range_test_price

study-networks: setup ## judge select_bounds and advise on 24 networks, against tuners (two hours); result: docs/study-networks
	$(BIN)/pip install --quiet -e '.[studies]'
	$(BIN)/dvc repro data
	PYTHONPATH=src $(BIN)/python -m studies.networks

REPORT_tutorial := -S train.seeds=32 -S train.save_models=first_seed
report-%: setup ## run an experiment and copy its report to docs/reports, e.g. report-tutorial
	$(BIN)/dvc exp run -S experiment=$* $(REPORT_$*)
	rm -rf docs/reports/$* && mkdir -p docs/reports && cp -r artifacts/report docs/reports/$*

study-verdicts: setup ## test the verdicts where the truth is known (some minutes); result: docs/study-verdicts
	PYTHONPATH=src $(BIN)/python -m studies.verdicts

bench: setup ## compare the speed with other libraries (40 minutes, nothing else running); again: what is missing; QUICK=1: a trial
	@PYTHONPATH=src $(BIN)/python -m benchmarks.run

# What the user has on PYTHONPATH stays: it may be where JAX is. ARGS='--parts steps' measures less.
bench-gpu: ## measure the speed on a GPU with BACKEND=jax (default) or tensorflow (untested), PRECISION='tf32 float32'
	@export PYTHONPATH=src$${PYTHONPATH:+:$$PYTHONPATH} KERAS_BACKEND=$${BACKEND:-jax}; \
	  $(PYTHON) -m benchmarks.gpu --precision $${PRECISION:-tf32 float32} $(ARGS) && \
	  if $(PYTHON) -c 'import jinja2, seaborn' 2>/dev/null; then $(PYTHON) -m benchmarks.page; \
	  else echo "The page needs Jinja2 and seaborn: type make page where they are installed."; fi

.PHONY: page
page: setup ## write docs/performance.md from docs/performance
	@PYTHONPATH=src $(BIN)/python -m benchmarks.page

.venv-bench/ready: benchmarks/requirements.txt requirements.lock
	$(PYTHON) -m venv --clear .venv-bench
	sed -E 's/ *\\$$//; /^ *--hash/d' requirements.lock > .venv-bench/constraints.txt
	.venv-bench/bin/pip install --quiet -c .venv-bench/constraints.txt \
	  -r benchmarks/requirements.txt -e '.[jax]'
	.venv-bench/bin/pip install --quiet --no-deps ktrain
	touch $@

ui: setup ## show the arms and all runs in MLflow on http://127.0.0.1:5000; PORT=... changes the port
	@PYTHONPATH=src $(BIN)/python -m lrcycles.tracking.ui "$${PORT:-5000}"

audit: .venv-audit/ready ## look up known faults of the packages in requirements.lock (needs the internet)
	.venv-audit/bin/pip-audit --requirement requirements.lock --disable-pip --require-hashes \
	  --progress-spinner off

.venv-audit/ready:
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/pip install --quiet 'pip-audit>=2.9,<3'
	touch $@

clean: ## delete the results and the cell store; the runs in MLflow stay
	rm -rf .lrcycles/cells .lrcycles/damaged artifacts outputs
