.DEFAULT_GOAL := help
.PHONY: help run test test-slow test-all check docs format clean
PYTHON ?= python3
BIN := .venv/bin
unexport PYTHONDONTWRITEBYTECODE  # the tests start hundreds of processes, each a third of a second sooner with bytecode

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

# uv takes half as long as pip; pip is there for where uv finds no packages, since it does not read pip's settings.
INSTALL = $(BIN)/uv pip install --python $(BIN)/python --compile-bytecode $(WHAT) || $(BIN)/python -m pip install $(WHAT)
WHAT = --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'

.venv/ready: private EXTRAS = dev
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "ganlab needs Python 3.11 to 3.13; make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	-$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	$(INSTALL)
	touch .venv/ready

.venv/slow: private EXTRAS = dev,docs,export,slurm,ray,tfds,huggingface
.venv/slow: .venv/ready
	$(INSTALL)
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

.venv/docs: private EXTRAS = dev,docs
.venv/docs: .venv/ready
	$(INSTALL)
	touch .venv/docs

docs: .venv/docs  ## set up once, then the site, into site/ (no network); a broken link fails
	rm -rf site
	$(BIN)/python -m sphinx --builder html --conf-dir docs --fresh-env --quiet --fail-on-warning --keep-going . site

format: .venv/ready  ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove the environment and caches; outputs/ stays
	rm -rf .venv .pytest_cache .ruff_cache build dist site
