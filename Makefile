.DEFAULT_GOAL := help
.PHONY: help run test test-slow test-all check docs format clean
PYTHON ?= python3
BIN := .venv/bin
unexport PYTHONDONTWRITEBYTECODE  # the tests start hundreds of processes, each a third of a second sooner with bytecode

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "ganlab needs Python 3.11 to 3.13; make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch .venv/ready

.venv/slow: .venv/ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,docs,export,slurm,ray,tfds,huggingface]'
	touch .venv/slow

run: .venv/ready  ## set up once, then train on real digits (about a minute)
	$(BIN)/python -m ganlab.train

test: .venv/ready  ## set up once, then the tests that take minutes (no network, no GPU)
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-slow: .venv/slow  ## the slow tests: kills and interruptions, an installed wheel, every export format, Ray, Slurm's stand-in, other libraries' data sets
	$(BIN)/python -m pytest -m slow -n 2 --dist worksteal --durations=25

test-all: test test-slow  ## all of them

check: .venv/ready  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python

.venv/docs: .venv/ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	touch .venv/docs

docs: .venv/docs  ## set up once, then the site, into site/ (no network); a broken link fails
	rm -rf site
	$(BIN)/python -m sphinx --builder html --conf-dir docs --fresh-env --quiet --fail-on-warning --keep-going . site

format: .venv/ready  ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove the environment and caches; outputs/ stays
	rm -rf .venv .pytest_cache .ruff_cache build dist site
