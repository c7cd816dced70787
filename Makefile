# make run     the gateway in the foreground, with etc/gw.ini
# make test    everything under tests/ (make test TESTS=tests.smpp for a part)
# make lint    style, types, import contract
# make faults  a million hostile SMTP sessions
# make bench   the benchmarks, one after the other (make bench BENCHMARKS=codec for one)
# make sample  etc/gw.ini and docs/settings.rst written anew from the settings' documentation
# make metrics docs/metrics.rst written anew from the declarations of the metrics

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
CONFIG := etc/gw.ini
TESTS := tests
BENCHMARKS := codec store endtoend frontends callbacks sizing isolation
JOBS := 2

NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$name" -c '$(NEW_ENOUGH)' 2>/dev/null && { echo "$$name"; break; }; done)

.PHONY: run test lint bench faults sample metrics

run: $(VENV)/.run-installed
	exec $(BIN)/twistd -n --pidfile= smsgw -c $(CONFIG)

# What is deprecated fails the tests, but for what Twisted itself still asks of pyOpenSSL.
test: $(VENV)/.test-installed
	PYTHONWARNINGS="error::DeprecationWarning,ignore:Passing pyOpenSSL:DeprecationWarning" $(BIN)/python -m twisted.trial -j$(JOBS) $(TESTS)

lint: $(VENV)/.dev-installed
	$(BIN)/ruff check smsgw tests benchmarks twisted
	$(BIN)/mypy --strict smsgw
	$(BIN)/lint-imports

bench: $(VENV)/.dev-installed
	timeout 20m bash -c 'set -e; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python "benchmarks/$$name.py"; done'

# Every run has another seed; a failure shows the session it stumbled over.
faults: $(VENV)/.test-installed
	SMSGW_STREAMS=1000000 timeout 30m $(BIN)/python -m twisted.trial tests.attacks.test_smtp_streams

sample: $(VENV)/.run-installed
	$(BIN)/python -m smsgw sample > $(CONFIG).new
	mv $(CONFIG).new $(CONFIG)
	$(BIN)/python -m smsgw sample --page > docs/settings.rst.new
	mv docs/settings.rst.new docs/settings.rst

metrics: $(VENV)/.run-installed
	$(BIN)/python -c "from smsgw.program.metricspage import page; print(page(), end='')" > docs/metrics.rst.new
	mv docs/metrics.rst.new docs/metrics.rst

# An installation is up to date while what it was made from is not newer.
$(VENV)/.run-installed: $(BIN)/python setup.cfg pyproject.toml
	$(PIP) install -e .
	@touch $@

$(VENV)/.test-installed: $(BIN)/python setup.cfg pyproject.toml
	$(PIP) install -e '.[test]'
	@touch $@ $(VENV)/.run-installed

$(VENV)/.dev-installed: $(BIN)/python setup.cfg pyproject.toml
	$(PIP) install -e '.[dev]'
	@touch $@ $(VENV)/.test-installed $(VENV)/.run-installed

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "smsgw needs Python 3.11 or newer, and none was found;" \
		"name yours with: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c '$(NEW_ENOUGH)' || { echo "smsgw needs Python 3.11 or newer; $(PYTHON) is" \
		"$$($(PYTHON) --version 2>&1 | head -1)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments;" \
		"on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
