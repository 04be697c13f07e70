# What there is to do. `make run` and `make test` are all one needs to begin with.

SHELL := /bin/bash
.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.PHONY: run
run: ## Build and serve on this machine with nothing configured (options: ARGS="--listen 127.0.0.1:8081")
	@scripts/need-rust
	@echo "==> building (a first build takes five to ten minutes on two cores)"
	cargo build --release --locked -p postrider
	@echo "==> serving; stop with Ctrl-C"
	target/release/postrider dev $(ARGS)

.PHONY: test
test: ## Run every test, with what they need installed on the way
	@scripts/test

.PHONY: lint
lint: ## Formatting, lints, layers
	@scripts/lint

.PHONY: deny
deny: ## Licences and advisories of dependencies (installs cargo-deny)
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny check

.PHONY: audit
audit: ## Advisories, licences, bans, sources, and a bill of materials in target/sbom (exit 3: advisories could not be asked for)
	@scripts/audit

.PHONY: fmt
fmt: ## Format everything
	cargo fmt --all

.PHONY: crash
crash: ## Kill and restart under load, compare what was reported with what arrived (ROUNDS=20, SEED=)
	@scripts/campaign crash --rounds $(or $(ROUNDS),20) $(if $(SEED),--seed $(SEED))

.PHONY: powercut
powercut: ## Start on the disks that power cuts may leave, IMAGES=500; let disk and clock fail under load (SEED=, ARGS="--parts cuts")
	@scripts/campaign powercut --images $(or $(IMAGES),500) $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: bench
bench: ## Measure, beside the ceilings of this machine and in turns with the tag before-N, if there is one (ARGS="--short": alone)
ifneq (,$(findstring --short,$(ARGS)))
	@scripts/campaign bench $(ARGS)
else
	@before=$$(scripts/before) && scripts/campaign bench $${before:+--before "$$before"} $(ARGS)
endif

.PHONY: failover
failover: ## Three carriers, each in turn away for a minute in the middle of long messages
	@scripts/campaign failover $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: task
task: ## Send to a contact list of MEMBERS=1000000, killed in the middle (SEED=)
	@scripts/campaign task --members $(or $(MEMBERS),1000000) $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: soak
soak: ## Steady mixed load with injected faults for MINUTES=60: memory, lag and queue within bounds, nothing lost (SEED=)
	@scripts/campaign soak --minutes $(or $(MINUTES),60) $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: attack
attack: ## Hostile clients of every kind, SECONDS=20 each, beside good ones that must not notice (ARGS="--short")
	@scripts/campaign attack --seconds $(or $(SECONDS),20) $(ARGS)

.PHONY: fuzz
fuzz: ## Run every fuzz target for SECONDS=60 each (needs a nightly toolchain; installs cargo-fuzz)
	@scripts/fuzz $(or $(SECONDS),60)
