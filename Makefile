# What a person does with this repository. `make` alone prints the list.
# Everything runs from a clean clone: a private .venv is made from pyproject.toml and remade when that changes.

PYTHON  ?= python3
VENV    ?= .venv
WORKERS ?= 3
LAB_RUNS ?= 1
LAB_WORKERS ?= 2
BIN     := $(VENV)/bin
STAMP   := $(VENV)/.installed
SOURCES := atmosphere signaling tests tools

.DEFAULT_GOAL := help
.PHONY: help demo test check format test-deps lab soak bench clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

demo: $(STAMP) ## two real nodes on this machine: join by code, ping, send a file
	@$(BIN)/python tools/demo.py

test: check ## every check and every test, with coverage
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n $(WORKERS) --dist loadgroup
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: $(STAMP) ## lint, formatting, types, layers
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports

format: $(STAMP) ## put the code into the one format
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

test-deps: ## coturn, nftables, nats-server, mosquitto … for the tests that use them (Debian, Ubuntu)
	@sh tools/test-deps.sh

lab: $(STAMP) ## the whole NAT laboratory, and build/lab/grid.html of every network against every other (root, Linux)
	LAB_SILENCE=3 $(BIN)/python -m pytest tests/lab -n $(LAB_WORKERS) --dist loadgroup -m "lab or matrix" --timeout 600
	$(BIN)/python -m tests.lab.matrix --runs $(LAB_RUNS) --workers $(LAB_WORKERS)

soak: $(STAMP) ## the long tests: more examples for every decoder, the whole laboratory
	HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "" --timeout 1800

bench: $(STAMP) ## measure this machine, side by side with aiortc
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.wires
	$(BIN)/python -m tests.bench.relayed

clean: ## remove the .venv and what the tools left behind
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* build dist *.egg-info

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Error: $(PYTHON) is older than Python 3.11. Try: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Error: $(PYTHON) cannot make virtual environments. Try: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@
