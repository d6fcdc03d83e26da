# make demo    set everything up and run the main job on real data
# make test    set everything up and pass the tests
# make check   lint, types, import rules, doctests
# make docs    build the site of the documentation into site/
# make bench   print the tables of benches/ that take under five minutes
# make dist    build wheel and sdist in dist/, and try them in empty environments
# make clean   remove what these made

# The first Python on the path that is 3.11 or newer; `make PYTHON=...` takes another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt
ARGS ?=

.PHONY: demo test check bench docs dist clean

demo: .venv/.demo
	$(BIN)/hashcomb demo $(ARGS)

# One thread each for BLAS and OpenMP: the tests run side by side, and threads that wait for each other cost most of the time.
test: .venv/.dev
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadgroup $(ARGS)

check: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --doctest-modules -q hashcomb

bench: .venv/.dev
	$(BIN)/python -m benches $(ARGS)

docs: .venv/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict $(ARGS)
	@echo "the site is in site/: python3 -m http.server --directory site"

dist: .venv/.dev
	.ci/dist $(BIN)/python

# A stamp for each set of packages; an environment that was only half made is made again.
.venv/.demo: .venv/.made
	@echo "installing hashcomb and what the demo needs into .venv (once) ..."
	$(PIP) --editable '.[plot]'
	@touch $@

.venv/.dev: .venv/.made
	@echo "installing hashcomb and the developers' tools into .venv (once) ..."
	$(PIP) --editable '.[dev]'
	@touch $@ .venv/.demo

.venv/.made: pyproject.toml .ci/constraints.txt
	@test -n "$(PYTHON)" || { echo "hashcomb needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@rm -f .venv/.demo .venv/.dev
	$(PYTHON) -m venv --clear .venv
	@touch $@

clean:
	rm -rf .venv build dist site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis report.html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
