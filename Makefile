# Everything here works from a clean clone on a Debian-like machine that has Python 3.11, make and
# git, as root or with sudo. PYTHON=... names another Python.

SHELL := /bin/bash
BIN := .venv/bin
export PYTHON ?= python3

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-kube torture lint bench lock man deploy recording clean servers venv

help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: servers venv ## Back a database up to Ceph, load it back elsewhere, compare: a minute
	@$(BIN)/python -m tests.demo

# Coverage is measured in every subprocess too, which makes the whole a fifth slower.
COVERED := $(if $(COVERAGE),--cov=backup_manager --cov-report=term-missing:skip-covered)

test: servers lint ## Everything that is checked: lint, then all tests; COVERAGE=1 measures it
	$(BIN)/python -m pytest --numprocesses=4 --dist=worksteal $(COVERED)

test-kube: servers venv ## Jobs with a real Kubernetes API, and the chart with Helm: both built once
	@$(BIN)/python -m tests.servers.kubernetes
	@$(BIN)/python -m tests.servers.helm
	$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal tests/kube tests/deploy

torture: servers venv ## Backups killed at 400 points and run again: half an hour; SHARE=40 is less
	@$(BIN)/python -m tests.torture $(if $(SHARE),--share $(SHARE))
	@$(if $(SHARE),,$(BIN)/python -m tests.torture.burst)

lint: venv ## Rules, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: servers venv ## The benchmarks; bench/README.md tells what each measures
	@$(BIN)/python -m bench

man: venv ## Write docs/backup-manager.1 anew from the help
	@$(BIN)/python scripts/manpage.py docs/backup-manager.1

deploy: venv ## Write the Helm chart and the kustomize base anew from what render makes
	@$(BIN)/python -m scripts.deploy deploy

recording: servers venv ## Record an export on a terminal as docs/export.svg
	@$(BIN)/python -m tests.recording docs/export.svg

lock: ## Write requirements/ anew from pyproject.toml
	@scripts/lock

clean: ## Remove what make has made here
	rm -rf .venv .cache .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What the test servers run: Debian's MariaDB and Ceph.
servers:
	@scripts/install-packages

venv:
	@scripts/make-venv
