# Everything here needs Python 3.11 or newer with venv, g++, make and perl: no root, no submodule.
#
#   make demo       real images through the trained network on the simulated SoC
#   make test       style, types and the fast tests
#   make test-slow  the tests that take minutes
#   make lint       style and types alone
#   make bitstreams the boards' bitstreams (minutes to half an hour each; goes on where it was)
#   make clean      removes what the above have made here

PYTHONS = $(PYTHON) python3.11 python3 python3.12 python3.13 python3.14
BIN = .venv/bin
PIP = $(BIN)/python -m pip --quiet --disable-pip-version-check
ROOMS = gateware host sim boards
TREE = .build/tree/dscim
# The package as it is installed, in links: what pyproject.toml maps, tools that read files see.

.PHONY: demo test test-slow lint bitstreams clean

demo: .venv/.demo
	$(BIN)/dscim demo $(DEMO)

test: lint
	$(BIN)/pytest -m "not slow" -n auto --dist loadfile $(PYTEST)

test-slow: .venv/.test
	$(BIN)/pytest -m slow $(PYTEST)

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	@rm -rf $(TREE) && mkdir -p $(TREE)/host
	@ln -s $(addprefix $(CURDIR)/,$(filter-out host,$(ROOMS)) $(wildcard host/dscim/*)) $(TREE)
	@ln -s $(addprefix $(CURDIR)/,$(filter-out host/dscim,$(wildcard host/*))) $(TREE)/host
	PYTHONPATH=$(dir $(TREE)) $(BIN)/lint-imports
	MYPYPATH=$(dir $(TREE)) $(BIN)/mypy -p dscim

# A step of a build that is in the cache is not done again. Minutes are a guess for a quiet core.
BITSTREAMS = colorlight_i5 ecpix5
MINUTES_colorlight_i5 = 8
MINUTES_ecpix5 = 30

bitstreams: $(BITSTREAMS:%=bitstream-%)

bitstream-%: .venv/.test
	@echo "$*: expect about $(MINUTES_$*) minutes"
	@mkdir -p boards/reports
	$(BIN)/dscim build $* --json boards/reports/$*.json

clean:
	rm -rf .venv .build build dist dscim.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(ROOMS) tests -name __pycache__ -exec rm -rf {} +

# The environment: made once, installed again when pyproject.toml changes.

.venv/.demo: pyproject.toml | .venv/.made
	@echo "Installing dscim and what it runs on into .venv (about a minute)"
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
