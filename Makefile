# `make demo` runs the main job, `make test` every test; both need only Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUNS := $(VENV)/.runs
INSTALLED := $(VENV)/.installed
# Warnings of pip about itself are not the reader's.
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test check format docs bench soak torture dist constraints clean

demo: $(RUNS)
	$(BIN)/orange-sms demo

# Tests wait for processes as well: a third one uses what two leave idle on two cores.
# Without bytecode, each of the many processes that tests start would compile the package anew.
test: export PYTHONDONTWRITEBYTECODE =
test: $(INSTALLED)
	@echo "Running every test: about 8 minutes on two cores."
	rm -f .coverage .coverage.*
	$(BIN)/python -m pytest -n 3 --dist worksteal -m 'not alone' --cov --cov-report= --cov-fail-under=0
	$(BIN)/python -m pytest -n 2 -m alone $$(grep -rl 'mark\.alone' tests) --cov --cov-append --cov-report=term

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# It fails on any warning. The site is in build/docs and can be read from there, without a server.
docs: $(INSTALLED)
	$(BIN)/python docs/outside.py build/pages
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(INSTALLED)
	for question in $(filter-out benchmarks/soak.py,$(wildcard benchmarks/[!_]*.py)); do \
		echo; echo "== $$question"; $(BIN)/python $$question || exit 1; done
	$(BIN)/python benchmarks/_figures.py
	$(BIN)/python benchmarks/_page.py

MINUTES ?= 10
soak: $(INSTALLED)
	$(BIN)/python benchmarks/soak.py --minutes $(MINUTES)

# FLEET=1 tortures several processes on one PostgreSQL.
torture: $(INSTALLED)
ifdef FLEET
	$(BIN)/python tests/torture_fleet.py --kills 50 --stops 20 --restarts 10 --away 12
	$(BIN)/python tests/stopped_fleet.py --seconds 60
else
	$(BIN)/python tests/torture.py --kills 100
	$(BIN)/python tests/torture.py --kills 100 --faults
	$(BIN)/python tests/torture_shared.py --processes 4 --kills 100
	$(BIN)/python tests/torture_shared.py --rate 10 --stops 10 --long-stops 3 --pauses 5
	$(BIN)/python tests/torture_shared.py --kills 25 --fulls 25
	$(BIN)/python tests/torture_shared.py --kills 25 --persons 50 --clocks 25
	$(BIN)/python tests/torture_damage.py --files 220
endif

# What is published: built, its metadata checked, and the README's program run from it.
dist: $(INSTALLED)
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	$(BIN)/python .ci/try_dist.py dist/*.whl

# The newest versions that go together, of everything that is installed.
constraints:
	$(PYTHON) .ci/constraints.py

# What the demo and every command need, and no tool of development.
$(RUNS): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	@echo "Installing what the demo needs into $(VENV): half a minute, about 60 MB ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[cli]'
	@touch $@

# --group needs pip 25.1, which is newer than what Python 3.11 brings.
$(INSTALLED): $(RUNS)
	@echo "Installing the tools of development into $(VENV): a minute or two, about 1 GB ..."
	@$(PIP) install --quiet --upgrade --constraint constraints.txt pip
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[aiohttp,cli,httpx2,otel,postgres,prometheus]' --group dev
	@touch $@

clean:
	rm -rf dist .venv* .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
