# Everything one does here, as targets; `make` alone lists them. The environments are made on first use.

PYTHON ?= python3
# core/ has to be covered to the last branch; COVERAGE=off passes over that.
COVERAGE ?= on
# More arguments for pytest, such as ARGS="-k backoff -x"; T narrows the unit tests to a file or folder.
ARGS ?=
T ?= tests/unit
# Unit tests share nothing, so all cores run them. PARALLEL= runs them one after the other, for a debugger.
PARALLEL ?= --numprocesses=auto

AIRFLOW_NEWEST := $(shell sed -n 's/^apache-airflow==//p' constraints/airflow-3.3.in)
AIRFLOW_32 := $(shell sed -n 's/^apache-airflow==//p' constraints/airflow-3.2.in)
AIRFLOW_LOWEST := $(shell sed -n 's/^apache-airflow==//p' constraints/lowest.in)
# Airflow 3.1.0 sets no upper bound on most of what it needs, so all that is taken as of this day, by which the newest
# of our lower bounds was out.
LOWEST_AS_OF := 2026-05-01
# Nor does Airflow 3.2 on FastAPI and pydantic, of which newer ones keep it from starting.
AIRFLOW_32_AS_OF := 2026-06-01
# What of the unit tests touches Airflow, and what it shows of a deferred task.
TESTS_32 := $(addprefix tests/unit/,operators sensors tasks triggers plugins links monitoring airflow_private hooks) \
	$(wildcard tests/unit/test_*.py) tests/integration/test_standalone.py
# What test_standalone.py shows on Airflow 3.2, the browser tests show on the newest: so it isn't run there.
INTEGRATION = $(BIN)/python -m pytest tests/integration --ignore=tests/integration/test_standalone.py --timeout=600
PIP_VERSION := 26.3
UV_VERSION := 0.13.9

TOOLS := .venv-tools
VENV := .venv
VENV_32 := .venv-3.2
VENV_LOWEST := .venv-lowest
VENV_CORE := .venv-core
BIN := $(VENV)/bin
SAY := @echo "==>"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Made by a pattern, it would otherwise be taken for an intermediate file, and removed.
.PRECIOUS: $(VENV)-python%/.ready
.PHONY: help setup demo ui test test-core test-unit test-docs test-lowest test-airflow test-integration test-ui test-cluster screenshots lint format bench build constraints clean

help: ## list the targets
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z0-9.%-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

setup: $(VENV)/.ready $(VENV_CORE)/.ready $(VENV_LOWEST)/.ready ## make the environments (the other targets do it when they need one)

demo: $(VENV)/.ready ## run jobs of pretended vendors on a real Airflow, from clone to result
	$(SAY) "Running the demo"
	@$(BIN)/python -m demo run

ui: $(VENV)/.ready ## start Airflow with the demo's DAGs and its web UI
	$(SAY) "Starting Airflow with the demo's DAGs"
	@$(BIN)/python -m demo ui

test: $(VENV)/.ready $(VENV_CORE)/.ready $(VENV_LOWEST)/.ready ## run every test suite and sum them up
	@MAKE="$(MAKE)" $(BIN)/python scripts/test_all.py

test-core: $(VENV_CORE)/.ready ## unit tests of core/ in an environment without Airflow, with their coverage
	$(SAY) "Unit tests of core/ without Airflow"
	@mkdir -p reports && rm -f .coverage .coverage.*
	@$(VENV_CORE)/bin/python -c 'import sys, importlib.util; sys.exit(importlib.util.find_spec("airflow") and "Airflow is installed")'
ifeq ($(COVERAGE)$(ARGS),on)
	@$(VENV_CORE)/bin/python -m pytest tests/unit/core $(PARALLEL) --junitxml=reports/$@.xml --cov --cov-report=
	$(SAY) "Coverage of core/ has to be 100 % of lines and branches (COVERAGE=off passes over it)"
	@$(VENV_CORE)/bin/python -m coverage report --include='airflow_provider_asyncapi/core/*' --fail-under=100
else
	@$(VENV_CORE)/bin/python -m pytest tests/unit/core $(PARALLEL) --junitxml=reports/$@.xml $(ARGS)
endif

test-unit: $(VENV)/.ready ## unit tests on the newest Airflow
	$(SAY) "Unit tests on Airflow $(AIRFLOW_NEWEST)"
	@mkdir -p reports
	@$(BIN)/python -m pytest $(T) $(PARALLEL) --junitxml=reports/$@.xml $(ARGS)

test-docs: $(VENV)/.ready ## each snippet and recipe of the documentation, against a server of its shape
	$(SAY) "The documentation's snippets on Airflow $(AIRFLOW_NEWEST)"
	@mkdir -p reports
	@$(BIN)/python -m pytest tests/docs $(PARALLEL) --junitxml=reports/$@.xml $(ARGS)

test-lowest: $(VENV_LOWEST)/.ready ## unit tests on the lowest versions that pyproject.toml allows
	$(SAY) "Unit tests on Airflow $(AIRFLOW_LOWEST) and the lowest versions of all else we name"
	@mkdir -p reports
	@$(VENV_LOWEST)/bin/python -m pytest $(T) $(PARALLEL) --junitxml=reports/$(or $(REPORT),$@).xml $(ARGS)

test-3.2: $(VENV_32)/.ready ## what touches Airflow, on Airflow 3.2; a job in `airflow standalone` among it
	$(SAY) "Tests on Airflow $(AIRFLOW_32)"
	@mkdir -p reports
	@$(VENV_32)/bin/python -m pytest $(TESTS_32) $(PARALLEL) -m 'integration or not integration' --timeout=600 \
		--junitxml=reports/$@.xml $(ARGS)

test-python-%: $(VENV)-python%/.ready ## unit tests on another Python that the machine has, such as test-python-3.13
	$(SAY) "Unit tests on Python $* and Airflow $(AIRFLOW_NEWEST)"
	@mkdir -p reports
	@$(VENV)-python$*/bin/python -m pytest $(T) $(PARALLEL) -m "not any_python" --junitxml=reports/$(or $(REPORT),$@).xml $(ARGS)

test-airflow: $(VENV)/.s3 $(VENV)/.ui ## integration and browser tests, which share one real Airflow
	$(SAY) "Integration and browser tests on Airflow $(AIRFLOW_NEWEST)"
	@scripts/browser
	@mkdir -p reports
	@$(INTEGRATION) --junitxml=reports/$@.xml $(ARGS)

test-integration: $(VENV)/.s3 ## those of them that need no browser
	$(SAY) "Integration tests on Airflow $(AIRFLOW_NEWEST)"
	@mkdir -p reports
	@$(INTEGRATION) --ignore=tests/integration/ui --junitxml=reports/$@.xml $(ARGS)

test-ui: $(VENV)/.ui ## the page and the connection form in a real browser, against a real Airflow
	$(SAY) "Browser tests on Airflow $(AIRFLOW_NEWEST)"
	@scripts/browser
	@mkdir -p reports
	@$(BIN)/python -m pytest tests/integration/ui --timeout=600 --junitxml=reports/$@.xml $(ARGS)

test-cluster: $(VENV)/.cluster ## a cluster whose parts are killed, against an API that misbehaves (CLUSTER_JOBS=2000 CLUSTER_MINUTES=30: endurance instead)
	$(SAY) "Cluster tests on Airflow $(AIRFLOW_NEWEST), CeleryExecutor, Postgres and Redis"
	@scripts/cluster-services
	@mkdir -p reports
	@$(BIN)/python -m pytest tests/cluster$(if $(CLUSTER_MINUTES),/test_endurance.py) --junitxml=reports/$@.xml $(ARGS)

screenshots: $(VENV)/.ui ## take the documentation's pictures of the page anew
	@scripts/browser
	@SCREENSHOTS=docs/images $(BIN)/python -m pytest tests/integration/ui/test_appearance.py --timeout=600

lint: $(VENV)/.ready ## style, format, types, how operators are written, direction of imports, spelling
	$(SAY) "ruff check"
	@$(BIN)/ruff check .
	$(SAY) "ruff format --check"
	@$(BIN)/ruff format --check .
	$(SAY) "mypy --strict"
	@$(BIN)/mypy
	$(SAY) "how operators are written"
	@$(BIN)/python scripts/check_operators_init.py
	$(SAY) "import-linter"
	@$(BIN)/lint-imports --no-cache --no-logo
	$(SAY) "codespell"
	@$(BIN)/codespell

format: $(VENV)/.ready ## put the code into shape
	$(SAY) "ruff check --fix, ruff format"
	@$(BIN)/ruff check --fix --exit-zero --quiet .
	@$(BIN)/ruff format .

bench: $(VENV)/.bench $(VENV)/.cluster ## measure this provider beside a plain one
	$(SAY) "Running the benchmarks"
	@scripts/cluster-services
	@$(BIN)/python -m benchmarks

build: $(TOOLS)/.ready ## wheel and sdist, into dist/
	$(SAY) "Building the wheel and the sdist"
	@rm -rf dist
	@scripts/build "$(TOOLS)"
	@ls -l dist

constraints: $(TOOLS)/.ready ## resolve anew the versions that the environments are pinned to
	$(SAY) "Pinning the newest versions with Airflow $(AIRFLOW_NEWEST)"
	@scripts/pin "$(TOOLS)" constraints/airflow-3.3 --group test --group lint --group bench --group cluster --group s3 --group ui
	$(SAY) "Pinning the versions with Airflow $(AIRFLOW_32), as of $(AIRFLOW_32_AS_OF)"
	@scripts/pin "$(TOOLS)" constraints/airflow-3.2 --group test --exclude-newer $(AIRFLOW_32_AS_OF)
	$(SAY) "Pinning the lowest versions with Airflow $(AIRFLOW_LOWEST), as of $(LOWEST_AS_OF)"
	@scripts/pin "$(TOOLS)" constraints/lowest --group test --resolution lowest-direct --exclude-newer $(LOWEST_AS_OF)

clean: ## remove environments, caches and reports
	$(SAY) "Removing what make has made"
	@rm -rf $(TOOLS) $(VENV) $(VENV_32) $(VENV_LOWEST) $(VENV_CORE) $(VENV)-python* build dist reports htmlcov .coverage .coverage.* \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(TOOLS)/.ready: scripts/setup-tools
	$(SAY) "Setting up the installers in $(TOOLS)"
	@python=$$(scripts/find-python "$(PYTHON)") && scripts/setup-tools "$$python" $(TOOLS) $(PIP_VERSION) $(UV_VERSION)
	@touch $@

$(VENV)/.ready: $(TOOLS)/.ready scripts/setup-venv pyproject.toml constraints/airflow-3.3.txt
	$(SAY) "Setting up $(VENV): Airflow $(AIRFLOW_NEWEST) (the first time takes a minute)"
	@scripts/setup-venv $(TOOLS)/bin/python $(TOOLS) $(VENV) constraints/airflow-3.3.txt test lint
	@touch $@

$(VENV_32)/.ready: $(TOOLS)/.ready scripts/setup-venv pyproject.toml constraints/airflow-3.2.txt
	$(SAY) "Setting up $(VENV_32): Airflow $(AIRFLOW_32) (the first time takes a minute)"
	@scripts/setup-venv $(TOOLS)/bin/python $(TOOLS) $(VENV_32) constraints/airflow-3.2.txt test
	@touch $@

$(VENV_LOWEST)/.ready: $(TOOLS)/.ready scripts/setup-venv pyproject.toml constraints/lowest.txt
	$(SAY) "Setting up $(VENV_LOWEST): Airflow $(AIRFLOW_LOWEST) and the lowest versions (the first time takes a minute)"
	@scripts/setup-venv $(TOOLS)/bin/python $(TOOLS) $(VENV_LOWEST) constraints/lowest.txt test
	@touch $@

$(VENV_CORE)/.ready: $(TOOLS)/.ready scripts/setup-venv pyproject.toml constraints/airflow-3.3.txt
	$(SAY) "Setting up $(VENV_CORE): what core/ needs, without Airflow"
	@SETUP_PROJECT=no scripts/setup-venv $(TOOLS)/bin/python $(TOOLS) $(VENV_CORE) constraints/airflow-3.3.txt core
	@touch $@

$(VENV)-python%/.ready: $(TOOLS)/.ready scripts/setup-venv pyproject.toml constraints/airflow-3.3.txt
	$(SAY) "Setting up $(@D): Python $*, Airflow $(AIRFLOW_NEWEST) (the first time takes a minute)"
	@python=$$(scripts/find-pythons $*) && scripts/setup-venv "$$python" $(TOOLS) $(@D) constraints/airflow-3.3.txt test
	@touch $@

$(VENV)/.s3: $(VENV)/.ready
	$(SAY) "Adding S3's API and what talks to it to $(VENV)"
	@scripts/setup-venv $(TOOLS)/bin/python $(TOOLS) $(VENV) constraints/airflow-3.3.txt s3
	@touch $@

$(VENV)/.ui: $(VENV)/.ready
	$(SAY) "Adding what drives a browser to $(VENV)"
	@scripts/setup-venv $(TOOLS)/bin/python $(TOOLS) $(VENV) constraints/airflow-3.3.txt ui
	@touch $@

$(VENV)/.bench: $(VENV)/.ready
	$(SAY) "Adding what the benchmarks compare with to $(VENV)"
	@scripts/setup-venv $(TOOLS)/bin/python $(TOOLS) $(VENV) constraints/airflow-3.3.txt bench
	@touch $@

$(VENV)/.cluster: $(VENV)/.ready
	$(SAY) "Adding what a cluster needs to $(VENV)"
	@scripts/setup-venv $(TOOLS)/bin/python $(TOOLS) $(VENV) constraints/airflow-3.3.txt cluster
	@touch $@
