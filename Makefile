# Everything sets itself up: virtual environments in .venv, state in .lab, both ignored by git.
PYTHON ?= python3
LAB := .venv/lab/bin
SAM := .venv/sam/bin
CHECK := .venv/check/bin
export SAM_CLI_TELEMETRY := 0

.DEFAULT_GOAL := help
.PHONY: help demo lab lab-shell lab-fault test check check-code check-templates mutants prove verify-aws preflight setup setup-dev lock clean

help: ## list these targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | while IFS="$$(printf '\t')" read -r target text; do printf '  make %-10s %s\n' "$$target" "$$text"; done

demo: setup ## watch the whole story on this machine (KEEP=1 leaves it up)
	@$(LAB)/python -m lab demo $(if $(KEEP),--keep)

lab: setup ## a local AWS with both stacks until Ctrl-C (PORT=4566 SECOND=1)
	@$(LAB)/python -m lab up $(if $(PORT),--port $(PORT)) $(if $(SECOND),--second)

lab-shell: setup ## a shell in a VPC of the lab (VPC=consumer|consumer2|provider)
	@$(LAB)/python -m lab shell $(or $(VPC),consumer)

lab-fault: setup ## list the lab's faults; FAULT=name makes one, REPAIR=1 ends it
	@$(LAB)/python -m lab fault $(FAULT) $(if $(REPAIR),--repair)

test: setup-dev ## every test: unit, infrastructure, integration in the lab
	@$(LAB)/python -m pytest

mutants: setup-dev ## break the policy in every way; tests must notice (30 minutes)
	@$(LAB)/python -m tests.mutants

prove: setup-dev ## what takes minutes: measurements, random tables, slow tests
	@export PYTHONPATH=.:layers/common:layers/prober:cli; for what in run sweep storm flood network probe command plan; do echo "$$what"; $(LAB)/python -m bench.$$what; done
	@CANARY_PAIRS=all $(LAB)/python -m pytest -n0 -q -s tests/integration/test_canary.py
	@HYPOTHESIS_PROFILE=prove $(LAB)/python -m pytest -q -m hypothesis tests/unit
	@$(LAB)/python -m pytest -q -m slow

verify-aws: setup-dev ## ask a real account (DRY=1, YES=1, ONLY=names, SECOND=profile)
	@PYTHONPATH=.:layers/common $(LAB)/python -m tests.e2e $(if $(DRY),--dry-run) $(if $(YES),--yes) \
	  $(if $(ONLY),--only $(ONLY)) $(if $(SECOND),--second-profile $(SECOND))

preflight: setup-dev ## what would stop a deployment (STACK, CANARY=1, RUNTIME=name)
	@PYTHONPATH=.:layers/common $(LAB)/python -m tests.e2e.preflight $(STACK) $(if $(CANARY),--canary) \
	  $(if $(RUNTIME),--runtime $(RUNTIME)) $(if $(ALLOW_LIST),--allow-list $(ALLOW_LIST)) $(if $(LEDGER),--ledger $(LEDGER))

check: setup-dev .venv/check/ready ## ruff, mypy, import-linter, bandit, cfn-lint, sam, checkov
	@$(MAKE) -s --no-print-directory -j2 check-code check-templates
	@echo ok

check-code:
	@$(LAB)/ruff check .
	@$(LAB)/ruff format --check .
	@$(LAB)/mypy
	@said=$$(PYTHONPATH=layers/common:layers/prober:cli $(LAB)/lint-imports --no-cache --no-logo 2>&1) || { echo "$$said"; exit 1; }
	@$(CHECK)/bandit --quiet --recursive functions layers

# checkov reads no merge keys, so it gets template.yaml without.
check-templates:
	@$(SAM)/cfn-lint template.yaml stacks/*.yaml
	@for one in template.yaml stacks/consumer-canary.yaml; do $(SAM)/sam validate --lint --region eu-west-1 --template-file $$one >/dev/null || exit 1; done
	@$(LAB)/python -m tests.infrastructure.plain template.yaml >.venv/check/template.json
	@said=$$($(CHECK)/checkov --file .venv/check/template.json stacks/*.yaml 2>&1) || { echo "$$said"; exit 1; }

screens: setup-dev ## make the pictures of docs/cli.md anew from the lab (a minute)
	@PYTHONPATH=.:layers/common:layers/prober:cli $(LAB)/python -m bench.screens

lock: ## renew the lock files (needs uv)
	@for name in requirements/check requirements/dev requirements/lab requirements/sam layers/common/requirements; do \
	  uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
	    $$([ $$name != requirements/lab ] || echo --constraints requirements/dev.txt) \
	    --quiet --output-file $$name.txt $$name.in; done

clean: ## remove what the other targets made
	@rm -rf .venv .lab .aws-sam .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

setup: python-is-there
	@$(MAKE) -s --no-print-directory -j2 .venv/lab/ready .venv/sam/ready

setup-dev: setup
	@$(MAKE) -s --no-print-directory .venv/lab/dev-ready

.PHONY: python-is-there
python-is-there:
	@$(PYTHON) -c '' 2>/dev/null || { echo "Linkgate needs Python 3.11 or newer, and $(PYTHON) does not run: install it, or set PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Linkgate needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1): set PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Linkgate needs Python's venv module (Debian: apt-get install python3-venv)"; exit 1; }

# A lock file lists everything with hashes, so nothing is left to resolve: --no-deps.
INSTALL = -m pip install --quiet --quiet --disable-pip-version-check --no-deps --require-hashes

# A script whose first line is the path of the environment's Python (aws) cannot start where that path has a blank; pip
# mends those it writes itself. The second line is Python as well.
define START_THROUGH_SH
grep -rlI '^#!/.* .*/python' $(@D)/bin | xargs -r sed -i '1s|^#!\(/.*\)|#!/bin/sh\n"exec" "\1" "$$0" "$$@"|'
endef

.venv/%/ready: requirements/%.txt
	@echo "setting up .venv/$* (once, about half a minute)"
	@rm -rf .venv/$* && $(PYTHON) -m venv .venv/$*
	@.venv/$*/bin/python $(INSTALL) -r $<
	@$(START_THROUGH_SH)
	@touch $@

.venv/lab/dev-ready: requirements/dev.txt .venv/lab/ready
	@echo "adding test tools to .venv/lab (once)"
	@$(LAB)/python $(INSTALL) -r $<
	@$(START_THROUGH_SH)
	@touch $@
