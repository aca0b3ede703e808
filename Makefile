# Everything a fresh machine needs is Python >= 3.11 and make. Each target sets up
# .venv by itself and keeps a stamp in it, so that the second call starts at once.

SHELL := /bin/sh
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
# The first of these that runs and is new enough; `make PYTHON=... test` overrides.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	"$$p" -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
# Modules are compiled where they are first imported: most never are.
PIP := $(BIN)/python -m pip install -q --no-compile --disable-pip-version-check
STUDY ?= forward_vs_reverse
PROGRAMS ?= 20000
SEED ?= 0
RIGHT ?= 10000
WRONG ?= 1000
ECOSYSTEM ?= tests/ecosystem
PYTEST_FLAGS ?= -q -n auto --maxprocesses 8 --dist worksteal --durations 10

.PHONY: check-the-check ecosystem help study classics test fuzz lint format clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

study: $(VENV)/.with-base ## the forward-against-reverse table and picture, in minutes
	$(BIN)/jaxbp study $(STUDY) --quick

classics: $(VENV)/.with-base ## every classic system, its numbers beside the known ones
	$(BIN)/jaxbp classics all

test: $(VENV)/.with-test ## all tests, on every core
	$(BIN)/python -m pytest $(PYTEST_FLAGS) tests

fuzz: $(VENV)/.with-test ## random programs against JAX: PROGRAMS=20000 SEED=0
	$(BIN)/python -m tests.fuzz --programs $(PROGRAMS) --seed $(SEED) $(FUZZ_FLAGS)

check-the-check: $(VENV)/.with-test ## false alarms and misses of check: RIGHT=10000 WRONG=1000 SEED=0
	$(BIN)/python -m tests.check_the_check --right $(RIGHT) --wrong $(WRONG) --seed $(SEED)

ecosystem: $(VENV)/.with-test $(VENV)/.with-ecosystem ## models and solvers of other libraries against JAX
	$(BIN)/python -m pytest $(PYTEST_FLAGS) $(ECOSYSTEM)

lint: $(VENV)/.with-lint ## ruff on everything, pyright on the package
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pyright --pythonpath $(BIN)/python jaxbp

format: $(VENV)/.with-lint ## what ruff can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environments and caches; results/ stays
	rm -rf .venv .venv-newest build dist *.egg-info
	rm -rf .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@"$(PYTHON)" -c '$(NEW_ENOUGH)' 2>/dev/null || { \
		echo "jaxbp needs Python >= 3.11, and '$(PYTHON)' is none (on PATH: $$(python3 -V 2>&1))."; \
		echo "Name one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	@touch $@

$(VENV)/.with-base: pyproject.toml $(VENV)/.made
	@echo "Installing jaxbp into $(VENV) (once, a minute or two) ..."
	@$(PIP) --config-settings editable_mode=compat -e .
	@touch $@

$(VENV)/.with-%: pyproject.toml $(VENV)/.made
	@echo "Installing jaxbp[$*] into $(VENV) (once, a minute or two) ..."
	@$(PIP) --config-settings editable_mode=compat -e ".[$*]"
	@touch $@
