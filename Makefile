# Two commands on a fresh machine: `make demo` and `make test`. Each makes .venv first if it is missing.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# An OpenMP that spins makes small machines ten times slower.
export OMP_WAIT_POLICY ?= passive
export MPLBACKEND ?= Agg

.PHONY: demo test test-slow lint bench clean
.DEFAULT_GOAL := demo

# Debian's python3 comes without venv: it is installed where we may, asked for where we may not.
$(READY): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); Python 3.10 to 3.13 is wanted: make PYTHON=python3.11 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -q && apt-get install -qy python3-venv && $(PYTHON) -m venv $(VENV); \
	  else echo "python3-venv is missing: sudo apt-get install python3-venv" >&2; exit 1; fi; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test,lint]'
	@touch $@

demo: $(READY)
	$(BIN)/nnunet-plugins demo -o demo-output

test: $(READY)
	$(BIN)/python -m pytest -m 'not slow'

# The real CT, 15 minutes and more; needs the files that tests/conftest.py names.
test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python benchmarks/train_step.py --patch 48 48 48 -o benchmarks/results/cpu_3d_48.json
	$(BIN)/python benchmarks/train_step.py --patch 256 256 -o benchmarks/results/cpu_2d_256.json
	$(BIN)/python benchmarks/memory.py -o benchmarks/results/cpu_memory.json

clean:
	rm -rf $(VENV) build dist *.egg-info demo-output
