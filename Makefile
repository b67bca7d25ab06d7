# Every target sets up what it needs by itself; a second time that takes no network and under a second.
BIN := .venv/bin
PARTS := deploy enrich gql graph ingest simulate voevent

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint typing faults fuzz bench up down docs lock clean

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup:
	@deploy/bootstrap.sh

demo: setup ## A night on this machine; ONCE=1 ends when done, SEED=n picks another sky
	$(BIN)/asterism demo $(if $(ONCE),--once) $(if $(SEED),--seed $(SEED))

test: lint ## Lint and every test but the long ones, with real Neo4j, Kafka and Spark
	$(BIN)/python -m pytest

lint: typing ## Style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy -p asterism
	cd .typing && ../$(BIN)/lint-imports --config ../pyproject.toml

typing: setup # links that show tools the tree as it is installed
	@rm -rf .typing && mkdir -p .typing/asterism
	@for item in $(filter-out %/__pycache__,$(wildcard asterism/*)) $(PARTS); do ln -s ../../$$item .typing/asterism/; done

faults: setup ## Only the tests that kill processes or race them, the long ones too
	$(BIN)/python -m pytest -m faults

fuzz: setup ## Only the tests that feed mutated packets, the long ones too
	$(BIN)/python -m pytest -m fuzz

bench: setup ## One benchmark: make bench NAME=B1 [QUICK=1] [PART=soak]
	$(BIN)/python -m benchmarks.$(shell echo $(or $(NAME),$(error NAME= says which benchmark)) | tr A-Z a-z) $(if $(QUICK),--quick) $(if $(PART),--part $(PART))

up: setup ## Start Neo4j and Kafka
	$(BIN)/asterism up

down: setup ## Stop them; data stay in .asterism
	$(BIN)/asterism down

docs: setup ## Regenerate the generated pages of docs/
	$(BIN)/python docs/generate.py

lock: setup ## Pin anew: Python packages, and with mvn the jars
	$(BIN)/pip-compile --quiet --extra dev --generate-hashes --strip-extras --allow-unsafe --no-annotate \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file requirements.lock pyproject.toml
	$(BIN)/python -m asterism.deploy.local.lock

clean: ## Remove what was built; neither data in .asterism nor downloads
	rm -rf .venv .typing build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
