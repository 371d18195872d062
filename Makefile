# Everything is built from here; CONTRIBUTING.md says more.

GO        ?= go
FUZZTIME  ?= 10s
HISTORIES ?= 10000
BENCHTIME ?= 1s
SEEDS     ?= 1000000

.PHONY: help build run test linearize deps lint fuzz sim mutants bench-go clean

help: ## show these lines
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

build: ## bin/tombola, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=auto -o bin/tombola ./node/tombola

run: build ## a three-node cluster on this machine: tombola dev
	bin/tombola dev

deps: ## install what the tests need beside Go: MariaDB's server
	@scripts/mariadb.sh install

test: deps ## all tests, with the race detector
	$(GO) test -race -timeout 15m ./...

linearize: ## judge HISTORIES (10000) histories of a cluster
	$(GO) test -race -count=1 -timeout 120m -v -run TestHistories ./internal/linearize -histories $(HISTORIES)

lint: ## gofmt, vet and golangci-lint (built into .bin on first use)
	@scripts/golangci-lint.sh install
	@test -z "$$(gofmt -l .)" || { echo "not formatted:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	.bin/golangci-lint run

fuzz: ## every fuzz target for FUZZTIME (10s) each
	@scripts/fuzz.sh $(FUZZTIME)

sim: ## SEEDS (1000000) seeds of the core's simulation, on all cores
	$(GO) run ./allocator/sim/simulate -seeds $(SEEDS)

mutants: ## planted bugs, and which test or seed catches each
	@scripts/mutants.sh

bench-go: ## the benchmarks of all packages
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...

clean: ## remove what was built
	rm -rf bin .bin
