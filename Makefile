# Everything here is also plain `go build`, `go run` and `go test`; this file
# only gives the common lines a name.

.PHONY: all test check bench canaries mutants prove
all: bin/tribune bin/simctl

bin/tribune: FORCE
	go build -trimpath -o $@ ./cmd/tribune

# simctl builds itself with the runtime overlay when it finds that it lacks it;
# asked to build itself to a file it does so ahead of time.
bin/simctl: FORCE
	go run ./cmd/simctl build -o $@

test:
	go test ./...

check:
	./.ci/run

# Leaves each patch of the runtime out in turn and sees that something differs.
canaries:
	TRIBUNE_CANARIES=all go test ./sim/detrt/canary -run Needed -timeout 60m

mutants:
	go run ./cmd/simctl mutants

prove:
	go run ./cmd/simctl prove -seeds 1..50 scenarios/storm.yaml

bench:
	go test -run '^$$' -bench . -benchtime 1x ./bench/...

.PHONY: FORCE
FORCE:
