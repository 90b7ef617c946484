# Two commands: `make up` runs Tokenledger, `make test` tests it. Both need Python >= 3.11 and nothing else.
SHELL := /bin/sh
PYTHON ?= $(firstword $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$name && break; done))
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python manage.py

# The install leaves compiling to the first import: where its result may not be kept, each process compiles Django anew,
# and takes three times as long to start.
unexport PYTHONDONTWRITEBYTECODE

# Of `make test`: auto is one for each core, at most two; 0 is none besides the first.
PROCESSES ?= auto

.DEFAULT_GOAL := help
.PHONY: help up test fast lint fix doctor seed bench shots tamper lock

help:
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
		printf '  make %-8s %s\n' "$$name" "$$text"; done

up: $(VENV)/installed  ## run everything: PostgreSQL, Redis, web, worker, beat; Ctrl-C stops, the data stays
	@exec $(RUN) up

test: $(VENV)/installed-dev  ## run every test on its own throw-away PostgreSQL and Redis; ARGS=tests/api names some
	@$(BIN)/python -m pytest --numprocesses=$(PROCESSES) --dist=loadfile --no-loadscope-reorder $(ARGS)

fast: lint  ## run what one runs before each commit: lint, import contracts, core and architecture tests
	@$(BIN)/python -m pytest -q $(wildcard tests/*/core) tests/architecture

lint: $(VENV)/installed-dev  ## check format, style, types of the cores and the direction of imports
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/lint-imports
	@$(BIN)/mypy

fix: $(VENV)/installed-dev  ## put format and style right
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

doctor: $(VENV)/installed  ## examine an installation, and name the cure of what is wrong
	@$(RUN) doctor

seed: $(VENV)/installed  ## put the demo into the running instance; a second time changes nothing
	@$(RUN) seed_demo

bench: $(VENV)/installed-dev  ## measure the figures of docs/benchmarks.md beside their yardsticks
	@$(BIN)/python -m bench

tamper: $(VENV)/installed-dev  ## try 2,000 changes that a database's superuser could make: each is found
	@TOKENLEDGER_TAMPER_TRIALS=$${TOKENLEDGER_TAMPER_TRIALS:-2000} $(BIN)/python -m pytest -q tests/audit/test_tampering.py

shots: $(VENV)/installed-dev  ## take the screenshots of docs/screens with Chromium
	@$(BIN)/python -m tests.dashboards.shots

lock: $(VENV)/installed-dev  ## pin requirements.in and requirements-dev.in again, with hashes
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--output-file requirements.txt requirements.in
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--output-file requirements-dev.txt requirements-dev.in

# The files beside the stamp: an install runs again only when one of them changes. What is never imported need not be
# compiled: that takes half of the time of an install.
$(VENV)/installed: requirements.txt | $(BIN)/python
	@echo "Installing the pinned requirements into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	@echo "Installing what the tests need into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Tokenledger needs Python 3.11 or newer, and none is on the PATH: \
	install one, or name it with make PYTHON=/path/to/python3."; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: \
	install a newer one, or name it with make PYTHON=/path/to/python3."; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python cannot make virtual environments: \
	install its venv module (on Debian: apt-get install python3-venv)."; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
