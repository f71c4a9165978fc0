# Each target does all its own set-up on a fresh machine; nothing outside this folder is touched,
# but for distribution packages when run as root.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test lint format clean

help:
	@echo "make demo [FILE=table.csv]  ask the demo model about a table, in the sandbox"
	@echo "make test                   every test"
	@echo "make lint                   ruff and mypy"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || scripts/system-packages no-venv:python3-venv
	$(PYTHON) -m venv $(VENV)

# What the demo needs: the package and what its kernel offers.
$(VENV)/.data: pyproject.toml | $(VENV)/bin/python
	@scripts/system-packages bwrap:bubblewrap
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[data]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.data
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[data,test,lint]'
	@touch $@

demo: $(VENV)/.data
	$(BIN)/jupyter ci demo $(if $(FILE),"$(FILE)")

# The clients' environments are built first, so that no test's time limit has to cover that.
test: $(VENV)/.dev
	-@$(BIN)/python -m tests.conformance.environments
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .cache dist build demo-output ui-report
