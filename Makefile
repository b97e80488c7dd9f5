# Commands for users and contributors. Each creates the environment that it needs first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The lowest versions that setup.cfg allows, on the oldest Python.
PYTHON_LOWEST ?= python3.10
VENV_LOWEST ?= .venv-lowest
READY_LOWEST := $(VENV_LOWEST)/.ready

# Two processes, one thread each: threads that spin make small machines ten times slower.
JOBS ?= 2
export OMP_WAIT_POLICY ?= passive
export MPLBACKEND ?= Agg
PYTEST = -m pytest -n $(JOBS) --dist loadscope

.PHONY: demo test test-integration test-lowest lint docs bench clean
.DEFAULT_GOAL := demo

# Debian's python3 has no venv module: install it where permitted, otherwise name the package.
$(READY): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); expected Python 3.10 to 3.13: make PYTHON=python3.11 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -q && apt-get install -qy python3-venv && $(PYTHON) -m venv $(VENV); \
	  else echo "python3-venv is missing: sudo apt-get install python3-venv" >&2; exit 1; fi; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test,lint,docs]'
	@touch $@

$(READY_LOWEST): setup.cfg pyproject.toml
	@test -x $(VENV_LOWEST)/bin/python || $(PYTHON_LOWEST) -m venv $(VENV_LOWEST)
	$(VENV_LOWEST)/bin/python -m pip install --quiet --upgrade pip uv
	$(VENV_LOWEST)/bin/uv pip compile --quiet setup.cfg --extra test --resolution lowest-direct \
	  --python $(VENV_LOWEST)/bin/python -o $(VENV_LOWEST)/lowest.txt
	$(VENV_LOWEST)/bin/uv pip install --quiet --python $(VENV_LOWEST)/bin/python -r $(VENV_LOWEST)/lowest.txt
	$(VENV_LOWEST)/bin/uv pip install --quiet --python $(VENV_LOWEST)/bin/python --no-deps --editable .
	@touch $@

demo: $(READY)
	$(BIN)/nnunet-plugins demo -o demo-output

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST) -m 'not integration'

# Training, planning and real files: slower than a few seconds per test.
test-integration: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST) -m integration

test-lowest: $(READY_LOWEST)
	OMP_NUM_THREADS=1 $(VENV_LOWEST)/bin/python $(PYTEST) -m 'not integration'

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(READY)
	$(BIN)/python benchmarks/train_step.py --patch 48 48 48 -o benchmarks/results/cpu_3d_48.json
	$(BIN)/python benchmarks/train_step.py --patch 256 256 -o benchmarks/results/cpu_2d_256.json
	$(BIN)/python benchmarks/memory.py -o benchmarks/results/cpu_memory.json

clean:
	rm -rf $(VENV) $(VENV_LOWEST) build dist *.egg-info demo-output
