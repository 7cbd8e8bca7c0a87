# The ways in. Everything is done by scripts/, which say what they do.

.DEFAULT_GOAL := help
.PHONY: help demo test test-clients lint bench fuzz-replay setup

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)$$/  make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name what; do printf '%-20s %s\n' "$$name" "$$what"; done

demo: ## Install what is missing, build, and serve a sample company (ARGS="--tour" runs the tour)
	@scripts/setup.sh build
	@scripts/demo.sh $(ARGS)

setup: ## Install everything that the tests need
	@scripts/setup.sh test

test: ## Install what is missing and run every test but those of the agents
	@scripts/test.sh

test-clients: ## Drive the real Codex and Claude Code (installs about 800 MB the first time)
	@scripts/setup.sh test
	@scripts/setup.sh agents
	@scripts/test-clients.sh agents

lint: ## Check format, lints and shell scripts
	@scripts/test.sh lint

bench: ## Measure a call against direct, pass-through and governed floors (ARGS goes to `compare`)
	@scripts/setup.sh build
	@bench/run.sh $(ARGS)

fuzz-replay: ## Replay the fuzz corpora on the stable compiler
	@scripts/test.sh fuzz-replay
