# The few words people expect. CI runs the same ones: see .ci/run.

# The race detector needs cgo and a C compiler; on a machine without them the tests run without it.
RACE := $(shell test "$$(go env CGO_ENABLED)" = 1 && command -v "$$(go env CC)" >/dev/null && echo -race)
STATICCHECK := go tool -modfile=tools/go.mod staticcheck

.PHONY: help build test lint fmt bench compare clean

help: ## list these words
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the command into bin/kith
	go build -o bin/kith ./cmd/kith

# TOGETHER are the packages whose tests start no node: several at a time. The others run one at a time, since what they test
# has clocks, and real processes.
TOGETHER = $(shell go list ./... | grep -E '/(internal|config|kubernetes)(/|$$)' | grep -v /benchmark)
ALONE = $(filter-out $(TOGETHER),$(shell go list ./...))

test: ## run all tests, with the race detector if there is a C compiler
	go test $(RACE) -timeout 20m $(TOGETHER)
	go test $(RACE) -p 1 -timeout 20m $(ALONE)

lint: ## gofmt, go vet and staticcheck, at the versions of go.mod and tools/go.mod
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "gofmt would change:"; echo "$$out"; exit 1; }
	go vet ./...
	$(STATICCHECK) ./...

fmt: ## format all files
	gofmt -w $$(git ls-files '*.go')

bench: ## run the benchmarks
	go test -run '^$$' -bench . -timeout 30m ./...

compare: build ## measure kith beside Erlang and plain NATS; needs erlang-base and erlang-runtime-tools
	go run ./bench/compare
	go run ./bench/compare -tls rpc send pg

clean: ## remove what build made
	rm -rf bin
