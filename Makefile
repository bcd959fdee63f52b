# Everything one does here, as targets; `make` alone lists them. The environments are made on first use.

PYTHON ?= python3
# core/ has to be covered to the last branch; COVERAGE=off passes over that.
COVERAGE ?= on
# More arguments for pytest, such as ARGS="-k backoff -x"; T narrows the unit tests to a file or folder.
ARGS ?=
T ?= tests/unit
# Unit tests share nothing, so all cores run them. PARALLEL= runs them one after the other, for a debugger.
PARALLEL ?= --numprocesses=auto
# The version that `make docs` builds, into a folder of its own beside the others; a release has its number.
DOCS_VERSION ?= dev
DOCS_PORT ?= 8090

AIRFLOW_NEWEST := $(shell sed -n 's/^apache-airflow==//p' constraints/airflow-3.3.in)
AIRFLOW_32 := $(shell sed -n 's/^apache-airflow==//p' constraints/airflow-3.2.in)
AIRFLOW_LOWEST := $(shell sed -n 's/^apache-airflow==//p' constraints/lowest.in)
# Airflow 3.1.0 sets no upper bound on most of what it needs, so all that is taken as of this day, by which the newest
# of our lower bounds was out.
LOWEST_AS_OF := 2026-05-01
# Nor does Airflow 3.2 on FastAPI and pydantic, of which newer ones keep it from starting.
AIRFLOW_32_AS_OF := 2026-06-01
# What it shows on older Airflows, the browser tests show on the newest: so it isn't run there.
STANDALONE := tests/integration/test_standalone.py
# What of the unit tests touches Airflow, and what it shows of a deferred task.
TESTS_32 := $(addprefix tests/unit/,operators sensors tasks triggers plugins links monitoring airflow_private hooks) \
	$(wildcard tests/unit/test_*.py) tests/integration/test_monitoring.py $(STANDALONE)
INTEGRATION = $(BIN)/python -m pytest tests/integration --ignore=$(STANDALONE) --timeout=600
# Installed without what their operators need; the group `clouds` of pyproject.toml has what their hooks import.
CLOUD_PROVIDERS := apache-airflow-providers-google apache-airflow-providers-microsoft-azure

# What prettier formats.
JAVASCRIPT := airflow_provider_asyncapi/plugins/static tests/javascript eslint.config.js package.json tsconfig.json

TOOLS := .venv-tools
VENV := .venv
VENV_32 := .venv-3.2
VENV_LOWEST := .venv-lowest
VENV_CORE := .venv-core
# A folder for the path of one test: its plugin has listeners, with which Airflow refuses `end_from_trigger`.
DAG_FACTORY := .venv-dag-factory
VENV_CLOUDS := .venv-clouds
VENV_DOCS := .venv-docs
VENV_WHEEL := .venv-wheel
VENV_AIRBYTE := .venv-airbyte
BIN := $(VENV)/bin
NODE := $(BIN)/node
MODULES := node_modules
SAY := @echo "==>"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Made by a pattern, it would otherwise be taken for an intermediate file, and removed.
.PRECIOUS: $(VENV)-python%/.ready
.PHONY: help setup demo ui docs docs-serve test test-core test-unit test-javascript test-docs test-lowest test-clouds test-airflow test-integration test-ui test-cluster test-airbyte test-site test-release screenshots lint format bench build release constraints clean

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

docs: $(VENV_DOCS)/.ready ## build the documentation's site into build/site/ (DOCS_VERSION=1.2.0: as that release)
	$(SAY) "Building the documentation's site: $(DOCS_VERSION)"
	@$(VENV_DOCS)/bin/python -m scripts.docs_site --version "$(DOCS_VERSION)"

docs-serve: docs ## build the site and show it (DOCS_PORT=8090)
	$(SAY) "The site is at http://127.0.0.1:$(DOCS_PORT); Ctrl-C ends it"
	@$(VENV_DOCS)/bin/python -m http.server --bind 127.0.0.1 --directory build/site $(DOCS_PORT)

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

test-javascript: $(MODULES)/.ready ## unit tests of the page's JavaScript, without a browser
	$(SAY) "Unit tests of the page's JavaScript"
	@mkdir -p reports
	@$(NODE) --import ./tests/javascript/setup.js --test --test-timeout=60000 --test-reporter=spec --test-reporter-destination=stdout \
		--test-reporter=junit --test-reporter-destination=reports/$@.xml $(ARGS) 'tests/javascript/*.test.js'

test-docs: $(VENV)/.ready $(DAG_FACTORY)/.ready ## each snippet and recipe of the documentation, against a server of its shape
	$(SAY) "The documentation's snippets on Airflow $(AIRFLOW_NEWEST)"
	@mkdir -p reports
	@$(BIN)/python -m pytest tests/docs $(PARALLEL) --junitxml=reports/$@.xml $(ARGS)

test-lowest: $(VENV_LOWEST)/.ready ## unit tests on the lowest versions that pyproject.toml allows, and a job in `airflow standalone`
	$(SAY) "Unit tests on Airflow $(AIRFLOW_LOWEST) and the lowest versions of all else we name"
	@mkdir -p reports
	@$(VENV_LOWEST)/bin/python -m pytest $(T) $(if $(filter tests/unit,$(T)),$(STANDALONE)) $(PARALLEL) \
		--junitxml=reports/$(or $(REPORT),$@).xml $(ARGS)

test-3.2: $(VENV_32)/.ready ## what touches Airflow, on Airflow 3.2; a job in `airflow standalone` among it
	$(SAY) "Tests on Airflow $(AIRFLOW_32)"
	@scripts/monitoring-services || [ -z "$$CI" ]
	@mkdir -p reports
	@$(VENV_32)/bin/python -m pytest $(TESTS_32) $(PARALLEL) -m 'integration or not integration' --timeout=600 \
		--junitxml=reports/$@.xml $(ARGS)

test-python-%: $(VENV)-python%/.ready ## unit tests on another Python that the machine has, such as test-python-3.13
	$(SAY) "Unit tests on Python $* and Airflow $(AIRFLOW_NEWEST)"
	@mkdir -p reports
	@$(VENV)-python$*/bin/python -m pytest $(T) $(PARALLEL) -m "not any_python" --junitxml=reports/$(or $(REPORT),$@).xml $(ARGS)

test-clouds: $(VENV_CLOUDS)/.ready ## credentials of connections of Google Cloud, Azure and AWS, by their real providers
	$(SAY) "Credentials of connections of Google Cloud, Azure and AWS on Airflow $(AIRFLOW_NEWEST)"
	@mkdir -p reports
	@$(VENV_CLOUDS)/bin/python -m pytest tests/clouds --junitxml=reports/$@.xml $(ARGS)

test-airflow: $(VENV)/.s3 $(VENV)/.ui $(MODULES)/.ready ## integration and browser tests, which share one real Airflow
	$(SAY) "Integration and browser tests on Airflow $(AIRFLOW_NEWEST)"
	@scripts/browser
	@scripts/monitoring-services || [ -z "$$CI" ]
	@mkdir -p reports
	@$(INTEGRATION) --junitxml=reports/$@.xml $(ARGS)

test-integration: $(VENV)/.s3 ## those of them that need no browser
	$(SAY) "Integration tests on Airflow $(AIRFLOW_NEWEST)"
	@scripts/monitoring-services || [ -z "$$CI" ]
	@mkdir -p reports
	@$(INTEGRATION) --ignore=tests/integration/ui --junitxml=reports/$@.xml $(ARGS)

test-ui: $(VENV)/.ui $(MODULES)/.ready ## the page and the connection form in a real browser, against a real Airflow
	$(SAY) "Browser tests on Airflow $(AIRFLOW_NEWEST)"
	@scripts/browser
	@mkdir -p reports
	@$(BIN)/python -m pytest tests/integration/ui --timeout=600 --junitxml=reports/$@.xml $(ARGS)

test-cluster: $(VENV)/.cluster ## a cluster whose parts are killed, against an API that misbehaves (CLUSTER_JOBS=2000 CLUSTER_MINUTES=30: endurance instead)
	$(SAY) "Cluster tests on Airflow $(AIRFLOW_NEWEST), CeleryExecutor, Postgres and Redis"
	@scripts/cluster-services
	@mkdir -p reports
	@$(BIN)/python -m pytest tests/cluster$(if $(CLUSTER_MINUTES),/test_endurance.py) --junitxml=reports/$@.xml $(ARGS)

test-release: $(VENV)/.release ## what is released: the archives, the long description, the workflows, make release itself
	$(SAY) "What is released"
	@mkdir -p reports
	@scripts/setup-wheel $(BIN)/python $(TOOLS) $(VENV_WHEEL) constraints/airflow-3.3.txt
	@$(BIN)/python -m pytest tests/release --timeout=300 --junitxml=reports/$@.xml $(ARGS)

test-airbyte: $(VENV)/.ready $(VENV_AIRBYTE)-5/.ready $(VENV_AIRBYTE)-7/.ready ## imported profiles find the rows that Airbyte's CDK finds
	$(SAY) "Profiles imported from manifests beside Airbyte's CDK"
	@mkdir -p reports
	@$(BIN)/python -m pytest tests/airbyte --timeout=300 --junitxml=reports/$@.xml $(ARGS)

test-site: $(VENV_DOCS)/.ready ## the documentation's site: built, and read in a real browser
	$(SAY) "The documentation's site"
	@scripts/browser
	@mkdir -p reports
	@$(VENV_DOCS)/bin/python -m pytest tests/site --timeout=600 --junitxml=reports/$@.xml $(ARGS)

screenshots: $(VENV)/.ui ## take the documentation's pictures of the page anew
	@scripts/browser
	@SCREENSHOTS=docs/images $(BIN)/python -m pytest tests/integration/ui/test_appearance.py tests/integration/ui/test_connection_form.py --timeout=600

lint: $(VENV)/.ready $(MODULES)/.ready ## style, format, types, how operators are written, direction of imports, spelling
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
	$(SAY) "jactionlint, zizmor"
	@scripts/check-workflows $(BIN)
	$(SAY) "eslint"
	@$(NODE) $(MODULES)/eslint/bin/eslint.js .
	$(SAY) "prettier --check"
	@$(NODE) $(MODULES)/prettier/bin/prettier.cjs --log-level warn --check $(JAVASCRIPT)
	$(SAY) "tsc --checkJs"
	@$(NODE) $(MODULES)/typescript/bin/tsc --project .

format: $(VENV)/.ready $(MODULES)/.ready ## put the code into shape
	$(SAY) "ruff check --fix, ruff format"
	@$(BIN)/ruff check --fix --exit-zero --quiet .
	@$(BIN)/ruff format .
	$(SAY) "prettier --write"
	@$(NODE) $(MODULES)/prettier/bin/prettier.cjs --log-level warn --write $(JAVASCRIPT)

bench: $(VENV)/.bench $(VENV)/.cluster ## measure this provider beside a plain one
	$(SAY) "Running the benchmarks"
	@scripts/cluster-services
	@$(BIN)/python -m benchmarks

build: $(TOOLS)/.ready ## wheel and sdist, into dist/
	$(SAY) "Building the wheel and the sdist"
	@rm -rf dist
	@scripts/build "$(TOOLS)"
	@ls -l dist

release: $(VENV)/.release ## check and build VERSION, as a dry run; with PUBLISH=yes, also push its tag, which publishes it
	$(SAY) "Checking the release of $(or $(VERSION),a version; give VERSION=)"
	@$(BIN)/python -m scripts.release "$(VERSION)" $(if $(filter yes,$(PUBLISH)),--publish)

constraints: $(TOOLS)/.ready ## resolve anew the versions that the environments are pinned to
	$(SAY) "Pinning the newest versions with Airflow $(AIRFLOW_NEWEST)"
	@scripts/pin "$(TOOLS)" constraints/airflow-3.3 --group test --group lint --group bench --group cluster --group s3 --group ogc --group ui --group docs --group clouds --group yaml --group release --group javascript
	$(SAY) "Pinning the versions with Airflow $(AIRFLOW_32), as of $(AIRFLOW_32_AS_OF)"
	@scripts/pin "$(TOOLS)" constraints/airflow-3.2 --group test --exclude-newer $(AIRFLOW_32_AS_OF)
	$(SAY) "Pinning the lowest versions with Airflow $(AIRFLOW_LOWEST), as of $(LOWEST_AS_OF)"
	@scripts/pin "$(TOOLS)" constraints/lowest --group test --resolution lowest-direct --exclude-newer $(LOWEST_AS_OF)
	$(SAY) "Pinning the environments of Airbyte's CDK, the installers, and what is installed alone"
	@scripts/pin-file "$(TOOLS)" constraints/airbyte-5
	@scripts/pin-file "$(TOOLS)" constraints/airbyte-7
	@scripts/pin-file "$(TOOLS)" constraints/tools
	@scripts/pin-file "$(TOOLS)" constraints/alone --no-deps

clean: ## remove environments, caches and reports
	$(SAY) "Removing what make has made"
	@rm -rf $(TOOLS) $(MODULES) $(VENV) $(VENV_32) $(VENV_LOWEST) $(VENV_CORE) $(DAG_FACTORY) $(VENV_CLOUDS) $(VENV_DOCS) $(VENV_WHEEL) $(VENV_AIRBYTE)-* $(VENV)-python* build dist reports htmlcov .coverage .coverage.* \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(TOOLS)/.ready: scripts/setup-tools constraints/tools.txt
	$(SAY) "Setting up the installers in $(TOOLS)"
	@python=$$(scripts/find-python "$(PYTHON)") && scripts/setup-tools "$$python" $(TOOLS) constraints/tools.txt
	@touch $@

$(VENV)/.ready: $(TOOLS)/.ready scripts/setup-venv pyproject.toml constraints/airflow-3.3.txt
	$(SAY) "Setting up $(VENV): Airflow $(AIRFLOW_NEWEST) (the first time takes a minute)"
	@scripts/setup-venv $(TOOLS)/bin/python $(TOOLS) $(VENV) constraints/airflow-3.3.txt test lint
	@touch $@

$(DAG_FACTORY)/.ready: $(TOOLS)/.ready constraints/airflow-3.3.txt
	$(SAY) "Adding dag-factory in a folder of its own"
	@rm -rf $(@D)
	@$(TOOLS)/bin/python -m pip install -qq --no-deps --target $(@D) --constraint constraints/airflow-3.3.txt dag-factory
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

$(VENV_CLOUDS)/.ready: $(TOOLS)/.ready scripts/setup-venv pyproject.toml constraints/airflow-3.3.txt constraints/alone.txt
	$(SAY) "Setting up $(VENV_CLOUDS): Airflow $(AIRFLOW_NEWEST) with the providers of the clouds"
	@SETUP_ALONE="$(CLOUD_PROVIDERS)" scripts/setup-venv $(TOOLS)/bin/python $(TOOLS) $(VENV_CLOUDS) \
		constraints/airflow-3.3.txt test clouds
	@touch $@

$(VENV_DOCS)/.ready: $(TOOLS)/.ready scripts/setup-venv pyproject.toml constraints/airflow-3.3.txt
	$(SAY) "Setting up $(VENV_DOCS): what builds and shows the documentation's site"
	@scripts/setup-venv $(TOOLS)/bin/python $(TOOLS) $(VENV_DOCS) constraints/airflow-3.3.txt test ui docs
	@touch $@

$(VENV_AIRBYTE)-5/.ready: $(TOOLS)/.ready scripts/setup-airbyte constraints/airbyte-5.txt constraints/alone.txt
	$(SAY) "Setting up $(@D): Airbyte's CDK for manifests with the older names"
	@scripts/setup-airbyte $(TOOLS)/bin/python $(TOOLS) $(@D) constraints/airbyte-5.txt airbyte-source-sendgrid
	@touch $@

$(VENV_AIRBYTE)-7/.ready: $(TOOLS)/.ready scripts/setup-airbyte constraints/airbyte-7.txt constraints/alone.txt
	$(SAY) "Setting up $(@D): Airbyte's CDK"
	@scripts/setup-airbyte $(TOOLS)/bin/python $(TOOLS) $(@D) constraints/airbyte-7.txt \
		airbyte-source-pinterest airbyte-source-bing-ads
	@touch $@

$(VENV)-python%/.ready: $(TOOLS)/.ready scripts/setup-venv pyproject.toml constraints/airflow-3.3.txt
	$(SAY) "Setting up $(@D): Python $*, Airflow $(AIRFLOW_NEWEST) (the first time takes a minute)"
	@python=$$(scripts/find-pythons $*) && scripts/setup-venv "$$python" $(TOOLS) $(@D) constraints/airflow-3.3.txt test
	@touch $@

$(VENV)/.s3: $(VENV)/.ready
	$(SAY) "Adding S3's API and what talks to it, and a server of OGC processes, to $(VENV)"
	@scripts/setup-venv $(TOOLS)/bin/python $(TOOLS) $(VENV) constraints/airflow-3.3.txt s3 ogc
	@touch $@

$(MODULES)/.ready: $(VENV)/.ready package.json package-lock.json .npmrc
	$(SAY) "Adding Node to $(VENV), and to $(MODULES) what checks JavaScript (the first time takes a minute)"
	@scripts/setup-venv $(TOOLS)/bin/python $(TOOLS) $(VENV) constraints/airflow-3.3.txt javascript
	@PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent
	@touch $@

$(VENV)/.ui: $(VENV)/.ready
	$(SAY) "Adding what drives a browser to $(VENV)"
	@scripts/setup-venv $(TOOLS)/bin/python $(TOOLS) $(VENV) constraints/airflow-3.3.txt ui
	@touch $@

$(VENV)/.release: $(VENV)/.ready
	$(SAY) "Adding what builds and checks a release to $(VENV)"
	@scripts/setup-venv $(TOOLS)/bin/python $(TOOLS) $(VENV) constraints/airflow-3.3.txt release
	@touch $@

$(VENV)/.bench: $(VENV)/.ready
	$(SAY) "Adding what the benchmarks compare with to $(VENV)"
	@scripts/setup-venv $(TOOLS)/bin/python $(TOOLS) $(VENV) constraints/airflow-3.3.txt bench
	@touch $@

$(VENV)/.cluster: $(VENV)/.ready
	$(SAY) "Adding what a cluster needs to $(VENV)"
	@scripts/setup-venv $(TOOLS)/bin/python $(TOOLS) $(VENV) constraints/airflow-3.3.txt cluster
	@touch $@
