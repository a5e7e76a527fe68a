# Every command does its own set-up; the second time it starts at once. `make help` lists them.
VENV ?= .venv
PYTHON := $(VENV)/bin/python
UV_VERSION := 0.13.9

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## List the commands.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 22

.PHONY: demo
demo: $(VENV)/.ready-to-run ## Start the server, the page and TensorBoard; Ctrl-C stops all.
	@$(PYTHON) scripts/demo.py

.PHONY: test
test: $(VENV)/.ready-to-test $(VENV)/.ready-to-browse $(VENV)/.ready-for-postgres $(VENV)-triton/.ready ## Lint, types, import rules, contract and every test.
	@$(PYTHON) scripts/check.py

.PHONY: lint
lint: $(VENV)/.ready-to-test ## What `make test` checks without running a test.
	@$(PYTHON) scripts/check.py ruff format mypy imports buf breaking

.PHONY: bench
bench: bench-training bench-serving ## Measure everything that has a target; results in build/bench.json.

.PHONY: bench-training
bench-training: $(VENV)/.ready-to-test ## Measure training against the classic script; QUICK=--quick only tries it.
	@$(PYTHON) tests/benchmarks/training.py $(QUICK)

.PHONY: accuracy
accuracy: $(VENV)/.ready-to-test ## Measure how well the shipped model reads; build/accuracy.json. QUICK=--quick only tries it.
	@$(PYTHON) tests/benchmarks/accuracy.py $(QUICK)

.PHONY: bench-serving
bench-serving: $(VENV)/.ready-to-test ## Measure serving against a server that does nothing; QUICK=--quick only tries it.
	@$(PYTHON) tests/benchmarks/serving.py $(QUICK)

.PHONY: bench-ray
bench-ray: $(VENV)/.ready-to-test ## Measure serving on Ray against a deployment that does nothing; QUICK=--quick only tries it.
	@$(PYTHON) tests/benchmarks/on_ray.py $(QUICK)

.PHONY: torture
torture: $(VENV)/.ready-to-test $(VENV)/.ready-to-browse ## Try to break it, for an hour; build/torture.json. QUICK=--quick only tries it; PARTS="kills disk".
	@$(PYTHON) tests/torture/torture.py $(QUICK) $(PARTS)

.PHONY: audit
audit: $(VENV)/.ready-to-test ## Ask for known vulnerabilities of the locked packages; fails when nobody answers.
	@$(PYTHON) scripts/audit.py --require

.PHONY: proto
proto: $(VENV)/.ready-to-test ## Write the stubs beside the .proto files.
	@$(PYTHON) scripts/generate_stubs.py

.PHONY: docs
docs: $(VENV)/.ready-to-test ## Write docs/reference.md and docs/errors.md from the contract and the code.
	@$(PYTHON) scripts/document_contract.py
	@$(PYTHON) scripts/document_errors.py

.PHONY: lock
lock: ## Lock the versions of pyproject.toml; `make lock UPGRADE=--upgrade` takes the newest.
	@scripts/setup.sh .venv-lock
	@.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@scripts/lock.sh .venv-lock/bin/uv $(UPGRADE)

.PHONY: clean
clean: ## Remove what the commands made, except data/.
	rm -rf $(VENV) $(VENV)-triton .venv-lock build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find server frontend proto tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.ready-to-run: scripts/setup.sh server/requirements.lock frontend/requirements.lock pyproject.toml
	@scripts/setup.sh $(VENV) server/requirements.lock frontend/requirements.lock
	@touch $@

# The tests' lock holds everything, so it serves the demo as well.
$(VENV)/.ready-to-test: scripts/setup.sh tests/requirements.lock pyproject.toml
	@scripts/setup.sh $(VENV) tests/requirements.lock
	@touch $@ $(VENV)/.ready-to-run

# A client that cannot share a process with our stubs.
$(VENV)-triton/.ready: scripts/setup.sh tests/open_inference/requirements.lock
	@scripts/setup.sh $(VENV)-triton foreign tests/open_inference/requirements.lock
	@touch $@

$(VENV)/.ready-to-browse: $(VENV)/.ready-to-test
	@scripts/setup.sh $(VENV) browser
	@touch $@

$(VENV)/.ready-for-postgres: $(VENV)/.ready-to-test
	@scripts/setup.sh $(VENV) postgres
	@touch $@
