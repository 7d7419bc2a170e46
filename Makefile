# One place for every routine. `make` alone lists them.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
SANDBOX := .venv-sandbox
TOOLS := .venv-tools
BENCHMARKS := .venv-benchmarks
PIP_QUIET := --quiet --disable-pip-version-check
COMPILE := $(BIN)/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --allow-unsafe
# Settings of a production start, with values that exist for this check only.
PRODUCTION := XACCT_ENV_FILE=/dev/null DEBUG=off ALLOWED_HOSTS=portal.example.com XACCT_DATA_DIR=var/check \
	SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))')

.DEFAULT_GOAL := help
.PHONY: help install sandbox tools demo demo-reset test test-embedded lint type fmt requirements compose-check docs-images bench

help: ## List what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{sub(/:.*/, "", $$1); printf "  %-14s %s\n", $$1, $$2}'

$(VENV)/.installed: requirements-dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is needed; set PYTHON=... to use another one (3.11 or newer)." >&2; exit 1; }
	@echo "Installing into $(VENV) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install $(PIP_QUIET) -r requirements-dev.txt
	@touch $@

$(SANDBOX)/.installed: requirements-sandbox.txt
	@echo "Installing the AWS sandbox into $(SANDBOX) ..."
	@test -x $(SANDBOX)/bin/python || $(PYTHON) -m venv $(SANDBOX)
	@$(SANDBOX)/bin/pip install $(PIP_QUIET) -r requirements-sandbox.txt
	@touch $@

$(TOOLS)/.installed: requirements-tools.txt
	@echo "Installing the tools that tests use as people do into $(TOOLS) ..."
	@test -x $(TOOLS)/bin/python || $(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/pip install $(PIP_QUIET) -r requirements-tools.txt
	@touch $@

$(BENCHMARKS)/.installed: requirements-benchmarks.txt
	@echo "Installing what the engine is measured beside into $(BENCHMARKS) ..."
	@test -x $(BENCHMARKS)/bin/python || $(PYTHON) -m venv $(BENCHMARKS)
	@$(BENCHMARKS)/bin/pip install $(PIP_QUIET) -r requirements-benchmarks.txt
	@touch $@

install: $(VENV)/.installed ## Install the portal and its tools into .venv
sandbox: $(SANDBOX)/.installed ## Install the AWS sandbox into .venv-sandbox
tools: $(TOOLS)/.installed ## Install the AWS CLI and other tools of people's, which tests use, into .venv-tools

demo: install sandbox ## Run the portal with an AWS sandbox, a worker and example people; Ctrl-C stops it
	@$(BIN)/python manage.py demo --settings=roles.management.demo.settings

demo-reset: install sandbox ## Forget everything the demo stored
	@$(BIN)/python manage.py demo --reset --settings=roles.management.demo.settings

test: install sandbox tools ## Run the whole suite (PostgreSQL and Redis when TEST_DATABASE_URL and TEST_REDIS_URL are set)
	$(BIN)/python -X dev -m pytest

test-embedded: install sandbox tools ## Run the whole suite on SQLite and embedded defaults
	env -u TEST_DATABASE_URL -u TEST_REDIS_URL XACCT_TEST_EMBEDDED=1 $(BIN)/python -X dev -m pytest

lint: install type ## Check format, style, types, import directions, templates, migrations, settings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/djlint templates --check --quiet
	$(BIN)/djlint templates --lint --quiet
	$(PRODUCTION) $(BIN)/python manage.py makemigrations --check --dry-run
	$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING

type: install ## Check types
	$(BIN)/mypy

fmt: install ## Format the code and the templates
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/djlint templates --reformat --quiet

requirements: install ## Compile the pinned requirements from requirements/*.in
	$(COMPILE) -o requirements.txt requirements/runtime.in
	$(COMPILE) -o requirements-dev.txt requirements/dev.in
	$(COMPILE) -o requirements-sandbox.txt requirements/sandbox.in
	$(COMPILE) -o requirements-tools.txt requirements/tools.in
	$(COMPILE) -o requirements-benchmarks.txt requirements/benchmarks.in

bench: install sandbox $(BENCHMARKS)/.installed ## Measure provisioning beside a script and Ansible (needs BENCH_POSTGRES_URL and BENCH_REDIS_URL)
	$(BIN)/python -m benchmarks.provisioning --postgres "$(BENCH_POSTGRES_URL)" --redis "$(BENCH_REDIS_URL)"

compose-check: ## Check docker-compose.yml with docker-compose itself
	env SECRET_KEY=check POSTGRES_PASSWORD=check ALLOWED_HOSTS=portal.example.com docker-compose -f docker-compose.yml config --quiet

docs-images: install sandbox ## Make the pictures of the documentation (needs Debian's chromium)
	DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python -m tests.browser.screenshots
