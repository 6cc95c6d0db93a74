# Everything a developer types; `make` alone lists it. Each target brings .venv up to date by itself.

BIN := .venv/bin

# What was compiled once stays, also where the environment says that nothing is written beside the sources:
# every process that runs tests, and every program that tests start, would compile all of it again.
unexport PYTHONDONTWRITEBYTECODE

# Runs a script with the first Python new enough: the user's plain python3 first, outside of any active venv.
PYTHON ?= python3
BASE_PYTHON := import sys; sys.version_info >= (3, 11) or sys.exit(1); print(sys._base_executable)
define with_python
@for name in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	python=$$("$$name" -c '$(BASE_PYTHON)' 2>/dev/null) && exec "$$python" $(1); \
done; \
echo "imageedit needs Python 3.11 or newer, and none is on PATH." >&2; exit 1
endef

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## build .venv from requirements.lock; nothing to do when nothing changed
	$(call with_python,tests/tools/setup_venv.py)

# Running it

.PHONY: demo
demo: setup ## edit a real photo through a real server and show before and after
	@$(BIN)/python -m tests.demo.run

.PHONY: demo-vendors
demo-vendors: setup ## edit through all five vendor APIs, against vendor servers on loopback
	@$(BIN)/python -m tests.demo.vendors

# Proving it

.PHONY: check
check: setup ## format, lint, types, import contracts, protos, generated code, lock
	@$(BIN)/python -m tests.tools.run_checks

# Tests wait more than they work, so three processes help on two cores. PROCESSES=0: in one, for a debugger.
PROCESSES ?= 3

# Types are one long check on one core, and the last to end: it has the tests beside it.
.PHONY: test
test: setup ## every check and every test
	@$(BIN)/python -m tests.tools.run_checks --but types
	@$(MAKE) --no-print-directory --jobs=2 --keep-going types tests

.PHONY: types
types: setup
	@$(BIN)/python -m tests.tools.run_checks types

# What leans on the event loop, its sockets, signals, timers and processes, is tried on asyncio's own too.
ON_ASYNCIO := tests/web tests/outbound/test_client.py tests/outbound/test_client_faults.py tests/outbound/test_network.py \
	tests/outbound/test_proxy.py tests/outbound/test_stream.py tests/process/test_serve.py tests/rpc/test_acceptance.py \
	tests/rpc/test_connections.py tests/rpc/test_drain.py tests/rpc/test_tls.py tests/rpc/test_uploads.py \
	tests/rpc/test_watch.py tests/sandbox/test_places.py tests/telemetry/test_loop_lag.py

.PHONY: tests
tests: setup
	@$(BIN)/python -m pytest -n $(PROCESSES)
	@IMAGEEDIT_LOOP=asyncio $(BIN)/python -m pytest -n $(PROCESSES) $(ON_ASYNCIO)

.PHONY: bench
bench: setup ## measure it beside bare gRPC: table, raw figures and plot in bench/; less with ARGS=--quick, by layer with ARGS=--profile
	@$(BIN)/python -m tests.bench $(ARGS)

# Not in the lock: nothing of ours needs them. Whoever cannot be installed, or has no Node, is left out, and it says so.
PEER ?= litellm[proxy]==1.106.2
PORTKEY := tests/bench/peers/portkey.json
.PHONY: bench-peers
bench-peers: setup ## measure it beside LiteLLM's proxy and Portkey's gateway, from .venv-peers and .node-peers; less with ARGS=--quick
	@test -x .venv-peers/bin/litellm || $(BIN)/python -m venv .venv-peers
	@.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check '$(PEER)' || true
	@if command -v npm >/dev/null && ! cmp -s $(PORTKEY) .node-peers/installed.json; then \
		mkdir -p .node-peers && cp $(PORTKEY) .node-peers/package.json && \
		npm install --prefix .node-peers --silent --ignore-scripts --omit=dev && \
		cp $(PORTKEY) .node-peers/installed.json; \
	fi || true
	@$(BIN)/python -m tests.bench.peers $(ARGS)

.PHONY: storm
storm: setup ## kill real servers, cut their power, fail each call below them, crash them in virtual time, damage pictures; STORMS=3 ROUNDS=1 EXAMPLES=50 FAULTS=--quick CORRUPTIONS=500 for less
	@$(BIN)/python -m tests.storm $(if $(SEED),--seed $(SEED)) $(if $(STORMS),--storms $(STORMS))
	@$(BIN)/python -m tests.powerloss $(if $(ROUNDS),--rounds $(ROUNDS))
	@$(BIN)/python -m tests.faults $(FAULTS)
	@$(BIN)/python -m tests.machine $(EXAMPLES)
	@$(BIN)/python -m tests.corruption $(CORRUPTIONS)

.PHONY: attacks
attacks: setup ## attack real servers on loopback beside an honest caller; ARGS=--unlimited, --write, --only=…
	@$(BIN)/python -m tests.attacks $(ARGS)

.PHONY: proxies
proxies: setup ## put nginx and HAProxy, where they are installed, before a server with the files of docs/proxies
	@$(BIN)/python -m tests.proxies

# Changing it

.PHONY: format
format: setup ## format the code and the protos, and fix what lint can fix
	@$(BIN)/ruff check --quiet --fix --exit-zero
	@$(BIN)/ruff format
	@$(BIN)/buf format -w

.PHONY: generate
generate: setup ## write the stubs anew from protos/: generated/, and those of the clients whose toolchains are here
	@$(BIN)/python -m tests.tools.generate_stubs
	@$(BIN)/python -m tests.tools.generate_client_stubs

# Not after setup: it must also mend a lock that setup cannot install.
.PHONY: lock
lock: ## bring requirements.lock in line with pyproject.toml; newest of all with UPGRADE=1
	$(call with_python,tests/tools/compile_lock.py $(if $(UPGRADE),--upgrade))

.PHONY: licences
licences: setup ## list the licence of everything in the lock in docs/licences.md
	@$(BIN)/python -m tests.tools.list_licences

# Not in the lock: nothing of ours needs them. Both may ask a network, so that no other target runs them.
SUPPLY := .venv-supply/bin
SUPPLY_TOOLS ?= pip-audit==2.10.1 cyclonedx-bom==7.5.0
.PHONY: supply-tools
supply-tools: setup
	@test -x $(SUPPLY)/pip-audit || $(BIN)/python -m venv .venv-supply
	@$(SUPPLY)/python -m pip install --quiet --disable-pip-version-check $(SUPPLY_TOOLS)

.PHONY: audit
audit: supply-tools ## ask advisory sources about the lock: 1 where something bad is known, 3 where none answered
	@$(BIN)/python -m tests.tools.audit $(CURDIR)/$(SUPPLY)/pip-audit

.PHONY: sbom
sbom: supply-tools ## write the bill of materials of the lock: dist/imageedit.cdx.json, CycloneDX, the same each time
	@mkdir -p dist
	@$(SUPPLY)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible --short-PURLs -o dist/imageedit.cdx.json

.PHONY: clean
clean: ## remove what these targets made: venvs, caches, demo pictures, figures
	@rm -rf .venv .venv-lock .venv-peers .node-peers .venv-supply bench dist demo .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@rm -rf clients/typescript/dist clients/typescript/node_modules
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
