# Two commands matter: `make demo` shows the main job, `make test` checks everything.
# Both install or build what they need, say so, and keep it below .cache/ and target/.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
TESTBED := tests/testbed

.PHONY: help demo test lint unit integration bench image soak testbed deny clean clean-all

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: ## build images, deploy three IOCs, look, talk, change, roll back, raise and acknowledge an alarm; cleans up unless KEEP=1
	@$(TESTBED)/prerequisites.sh
	cargo build --release --locked --bin ioc
	@IOC=$(CURDIR)/target/release/ioc tests/demo.sh

test: ## format, lints, unit, conformance, integration, end to end
	@tests/run.sh

lint: ## format and lints only
	@tests/run.sh lint

unit: ## unit and conformance tests only, no container engine needed
	@tests/run.sh unit

integration: ## integration and end-to-end tests only
	@tests/run.sh integration

deny: ## licences, banned and duplicate dependencies
	@tests/run.sh deny

bench: ## comparison tables, side by side with the named peers
	@$(TESTBED)/prerequisites.sh
	cargo build --release --locked --bin ioc
	@IOC=$(CURDIR)/target/release/ioc benches/run.sh

image: ## the container image of ioc itself, localhost/ioc-runtime:latest, built by ioc
	@$(TESTBED)/prerequisites.sh
	cargo build --release --locked --bin ioc
	install -m 755 target/release/ioc containers/ioc/ioc
	@target/release/ioc --project containers image bootstrap
	target/release/ioc --project containers build ioc

testbed: ## start the real parts that tests use and print their environment
	@tests/run.sh testbed

soak: ## fuzzing, and the long repetitions: kills, lost answers, restarts of the API server, ROUNDS times (default 20)
	@tests/run.sh soak

clean: ## stop the test bed and remove its state; keeps downloads and compiled dependencies
	@for script in $(TESTBED)/*.sh; do case $$script in */prerequisites.sh) ;; *) $$script down || true ;; esac; done
	rm -rf .state

clean-all: clean ## remove everything that can be made again
	rm -rf .cache target
