# Everything here needs Python 3.11 or newer with venv, g++, make and perl: no root, no submodule.
#
#   make demo       real images through the trained network on the simulated SoC
#   make test       style, types and the fast tests
#   make test-slow  the tests that take minutes
#   make lint       style, imports between rooms, types and wording; each has a target of its own:
#                   style, imports, types, words
#   make format     formats the Python files
#   make coverage   the fast tests, and the lines that they do not run
#   make bitstreams the boards' bitstreams (minutes to half an hour each; finished steps are kept)
#   make clean      removes everything that these targets made
#
# Variables: PYTHON=/path/to/python3 for the environment; DEMO and PYTEST add options, for example
# make test PYTEST="-x tests/test_specs.py".

PYTHONS = $(PYTHON) python3.11 python3 python3.12 python3.13 python3.14
BIN = .venv/bin
PIP = $(BIN)/python -m pip --quiet --disable-pip-version-check
ROOMS = gateware host sim boards
TREE = .build/tree/dscim

.PHONY: demo test test-slow lint style imports types words $(TREE) format coverage bitstreams clean

demo: .venv/.demo
	$(BIN)/dscim demo $(DEMO)

test: lint
	$(BIN)/pytest -m "not slow" -n auto --dist loadfile $(PYTEST)

test-slow: .venv/.test
	$(BIN)/pytest -m slow $(PYTEST)

lint: style imports types words

style: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .

imports: .venv/.test $(TREE)
	PYTHONPATH=$(dir $(TREE)) $(BIN)/lint-imports

types: .venv/.test $(TREE)
	MYPYPATH=$(dir $(TREE)) $(BIN)/mypy -p dscim

words: .venv/.test
	$(BIN)/python tests/words.py

# Links that lay the package out as it is installed, for tools that read files.
$(TREE):
	@rm -rf $@ && mkdir -p $@/host
	@ln -s $(addprefix $(CURDIR)/,$(filter-out host,$(ROOMS)) $(wildcard host/dscim/*)) $@
	@ln -s $(addprefix $(CURDIR)/,$(filter-out host/dscim,$(wildcard host/*))) $@/host

format: .venv/.test
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .

coverage: .venv/.test
	$(BIN)/pytest -m "not slow" -n auto --dist loadfile --cov --cov-report=term:skip-covered $(PYTEST)

# Steps that are in the cache are not run again. The minutes are estimates for an idle core.
BITSTREAMS = colorlight_i5 ecpix5
MINUTES_colorlight_i5 = 8
MINUTES_ecpix5 = 30

bitstreams: $(BITSTREAMS:%=bitstream-%)

bitstream-%: .venv/.test
	@echo "$*: expect about $(MINUTES_$*) minutes"
	@mkdir -p boards/reports
	$(BIN)/dscim build $* --json boards/reports/$*.json

clean:
	rm -rf .venv .build build dist dscim.egg-info .coverage .coverage.* .hypothesis \
	    .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find $(ROOMS) tests -name __pycache__ -exec rm -rf {} +

# The environment: created once, updated when pyproject.toml changes.

.venv/.demo: pyproject.toml | .venv/.made
	@echo "Installing dscim and its dependencies into .venv (about a minute)"
	@$(PIP) install --editable .
	@touch $@

.venv/.test: pyproject.toml | .venv/.made
	@echo "Installing dscim and its test tools into .venv (one or two minutes)"
	@$(PIP) install --editable '.[test]'
	@touch $@ .venv/.demo

.venv/.made:
	@for python in $(PYTHONS); do \
	  $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	    2>/dev/null || continue; \
	  $$python -m venv .venv && touch $@ && exit 0; \
	done; \
	echo "No Python 3.11 or newer with venv was found: install one (apt-get install" \
	     "python3 python3-venv) or name it: make PYTHON=/path/to/python3" >&2; exit 2
