# `make demo` and `make test` are all anyone needs: each sets up what is missing first
# (system libraries, a virtual environment, the package with its compiled cores) and is
# quick when called again. Python sources are used where they lie; a change of the
# kernels or of the packaging installs anew.

# The first that runs and is neither too old nor too new for the pinned packages.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
    $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
    && echo $$python && break; done)
VENV   ?= .venv
BIN    := $(VENV)/bin

# One screen for all that is run without one: 24 bit, as large as a laptop's.
XVFB := xvfb-run -a -s "-screen 0 1400x900x24"
# The demo opens on the person's screen where there is one, else runs unattended.
UNATTENDED := $(if $(DISPLAY)$(WAYLAND_DISPLAY),$(filter-out 0,$(HEADLESS)),1)

BUILD_INPUTS := pyproject.toml CMakeLists.txt napari.yaml constraints.txt tools/install.sh \
    $(shell find kernels -type f 2>/dev/null)

.PHONY: help demo test lint format test-gui test-rest quick coverage screenshots bench faults portability info clean

help:
	@echo "make demo         open napari on a sample image, training live (HEADLESS=1: unattended)"
	@echo "make test         linters, type check, import contracts, all tests"
	@echo "make lint         of these all but the tests"
	@echo "make format       format Python and the kernels"
	@echo "make quick        style, and the tests that are quick: for use while you write"
	@echo "make coverage     all tests; which lines they reach, in build/coverage"
	@echo "make screenshots  the pictures and the film of the documentation"
	@echo "make bench        the figures of docs/benchmarks.md"
	@echo "make faults       breaks what can break, and prints docs/reliability.md's table (half an hour)"
	@echo "make portability  compile the CPU core with every compiler there is, and run it, also under qemu and valgrind"
	@echo "make info         devices, compiled cores, versions"
	@echo "make clean        remove the virtual environment and build leftovers"

demo: $(VENV)/.installed
	$(if $(UNATTENDED),$(XVFB)) $(BIN)/napari-msd demo $(if $(UNATTENDED),--headless)

ifdef PYTEST_ARGS
test: lint
	$(XVFB) $(BIN)/python -m pytest $(PYTEST_ARGS)
else
# All side by side: each uses one core and a half at most. What each prints comes in one piece, when it has ended, unless
# make is too old for that (macOS).
ONE_PIECE := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
test: $(VENV)/.installed
	$(MAKE) --no-print-directory --keep-going --jobs=3 $(ONE_PIECE) lint test-gui test-rest
endif

sources = $(shell find $(1) -name '*.h' -o -name '*.cpp' -o -name '*.inl' -o -name '*.cu' -o -name '*.cuh')

lint: $(VENV)/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/clang-format --dry-run --Werror $(call sources,kernels)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(XVFB) $(BIN)/npe2 validate napari-msd --imports

# The two halves of the tests take about as long. Each has a screen and a cache of its own. The screens' numbers
# lie far apart, as two that start at once would take the same one.
GUI_TESTS := tests/gui
test-gui: $(VENV)/.installed
	$(subst -a,-n 200 -a,$(XVFB)) $(BIN)/python -m pytest -o cache_dir=.pytest_cache/gui $(GUI_TESTS)

test-rest: $(VENV)/.installed
	$(subst -a,-n 300 -a,$(XVFB)) $(BIN)/python -m pytest $(GUI_TESTS:%=--ignore=%)

format: $(VENV)/.installed
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(call sources,kernels)

quick: $(VENV)/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(XVFB) $(BIN)/python -m pytest -q -m "not slow and not process and not gpu" $(PYTEST_ARGS)

coverage: $(VENV)/.installed
	$(XVFB) $(BIN)/python -m pytest --cov --cov-report=term --cov-report=html $(PYTEST_ARGS)

screenshots: $(VENV)/.installed
	$(XVFB) $(BIN)/python scripts/screenshots.py
	$(XVFB) $(BIN)/python scripts/guide_pictures.py
	$(XVFB) $(BIN)/python scripts/tour.py

bench: $(VENV)/.installed
	@set -e; for script in benchmarks/[!_]*.py; do \
	    echo "== $$script"; $(XVFB) $(BIN)/python $$script; \
	done

faults: $(VENV)/.installed
	PYTHONPATH=scripts $(XVFB) $(BIN)/python -m faults $(FAULTS_ARGS)

portability: $(VENV)/.installed
	$(BIN)/python tools/portability.py $(PORTABILITY_ARGS)

info: $(VENV)/.installed
	$(BIN)/napari-msd info

$(VENV)/.system: tools/system.sh
	sh tools/system.sh "$(PYTHON)"
	@mkdir -p $(VENV) && touch $@

$(VENV)/.installed: $(VENV)/.system $(BUILD_INPUTS)
	sh tools/install.sh "$(PYTHON)" "$(VENV)"
	@touch $@

clean:
	rm -rf $(VENV) build dist demo-output
