# Two commands are all a newcomer needs: `make demo` and `make test`. `make help` lists the rest.
# TARGET=local (default) runs on the local AWS and costs nothing; TARGET=aws runs in your account.
# Any setting can be given on the command line: make demo ARCHIVE=cifar-100-python.tar.gz THRESHOLD=0.9

PYTHON ?= python3
TARGET ?= local
export TARGET

VENV    := .venv
SCONES  := $(VENV)/bin/scones-ops
READY   := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast setup doctor local-up local-down local-status local-logs data package train \
        models deploy plan classify classify-batch evaluate report bench destroy-endpoint destroy lint
.NOTPARALLEL:

help: ## List the targets and what they cost
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## The whole workflow, from archive to report (local: free; aws: about 0.30 USD, endpoint billed until destroyed)
	$(SCONES) demo

test: $(READY) ## All tests: unit, contract, terraform, integration on a local AWS of their own (free)
	$(VENV)/bin/python -m pytest

test-fast: $(READY) ## The tests that finish in seconds (free)
	$(VENV)/bin/python -m pytest -m "not slow"

setup: $(READY) ## Install everything into .venv; again when the pins change (free)

$(READY): pyproject.toml constraints.txt scripts/setup
	@scripts/setup $(PYTHON) $(VENV)
	@touch $@

doctor: $(READY) ## Check Python, Terraform, provider, port and disk, and say how to mend each (free)
	$(SCONES) doctor

local-up: $(READY) ## Start the local AWS (free)
	$(SCONES) local up

local-down: $(READY) ## Stop the local AWS; what it held is gone (free)
	$(SCONES) local down

local-status: $(READY) ## Show whether the local AWS runs, and what runs in it (free)
	$(SCONES) local status

local-logs: $(READY) ## Show the local AWS's logs (free)
	$(SCONES) local logs

data: $(READY) ## Download, verify and filter the archive into PNG and .lst files (free)
	$(SCONES) data

package: $(READY) ## Build the Lambda zips (free)
	$(SCONES) package

train: $(READY) ## Stage the data, train, check the gate, hand the model over (aws: about 0.10 USD)
	$(SCONES) train

models: $(READY) ## List the trained models; scones-ops models use NAME goes back to one (free)
	$(SCONES) models list

deploy: $(READY) ## Apply Terraform with the trained model and check what serves (aws: about 0.12 USD an hour)
	$(SCONES) deploy

plan: $(READY) ## Show what Terraform would change; exit 2 if anything (free)
	$(SCONES) plan

classify: $(READY) ## Send one picture through the workflow: make classify IMAGE=photo.jpg (cents)
	$(SCONES) classify $(IMAGE)

classify-batch: $(READY) ## Send a prefix of the bucket through the workflow: PREFIX=... (default: the test split)
	$(SCONES) classify-batch $(PREFIX)

evaluate: $(READY) ## Send the test split through the deployed workflow and measure it (cents)
	$(SCONES) evaluate

report: $(READY) ## Draw the charts and the page from the evaluation (free)
	$(SCONES) report

bench: $(READY) ## Measure the endpoint beside bare ONNX Runtime (cents)
	$(SCONES) bench

destroy-endpoint: $(READY) ## Remove the endpoint and nothing else; make deploy brings it back (stops the hourly cost)
	$(SCONES) destroy-endpoint

destroy: $(READY) ## Remove everything the project made (stops all cost)
	$(SCONES) destroy $(DESTROY_OPTIONS)

lint: $(READY) ## ruff, mypy and terraform fmt (free)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	terraform fmt -check -recursive terraform
