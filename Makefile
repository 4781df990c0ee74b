# Two commands do everything on a machine with Python 3.11 or newer: `make bench` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Files of tests at once; what measures time is alone.
AT_ONCE ?= 2
INSTALLED = $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help bench test test-slow lint gate perf perf-train schema clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(INSTALLED): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

bench: $(INSTALLED)  ## run the quick grid and make its report
	$(BIN)/python -m bench run --grid grid.yaml
	$(BIN)/python -m bench report

test: $(INSTALLED) lint  ## lint, types and the fast tests
	$(BIN)/python -m pytest -n $(AT_ONCE) --dist loadfile

test-slow: $(INSTALLED)  ## the slow tests alone
	$(BIN)/python -m pytest -n $(AT_ONCE) --dist loadfile --timeout 900 -m "slow and not gpu and not timed"
	$(BIN)/python -m pytest -m "slow and timed"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

gate: $(INSTALLED)  ## train the gate's grid from nothing and check it against results/baselines/ci
	rm -rf build/gate
	BENCH_CACHE=build/gate/cache $(BIN)/python -m bench run --grid bench/grids/ci.yaml --out build/gate/ci
	$(BIN)/python -m bench check --baseline results/baselines/ci build/gate/ci --junit build/gate/check.xml

perf: $(INSTALLED)  ## speed of the numeric core against the plain way, as ratios
	$(BIN)/python tests/perf/perf_hamming.py --large --json build/perf_hamming.json

perf-train: $(INSTALLED)  ## speed of training against the plain way, as ratios (an hour and a half on two cores)
	$(BIN)/python tests/perf/perf_train.py --json build/perf_train.json

schema: $(INSTALLED)  ## write the JSON Schema of grids again after a change of bench/planning/schema.py
	$(BIN)/python -c "import json; from bench.planning.schema import json_schema; print(json.dumps(json_schema(), indent=1))" > bench/grids/grid.schema.json

clean:  ## remove the virtual environment and everything built
	rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis
