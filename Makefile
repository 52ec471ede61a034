# Everything here is also plain `go build`, `go run` and `go test`; this file
# only gives the common lines a name.

.PHONY: all test check interop browser calibrate bench bench-agent canaries mutants rates prove
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

# Real clients against real agents on loopback (docs/interop.md). As root in a
# container it installs what is missing; elsewhere that is left to you, since on
# Debian the package unbound also starts a resolver. What is missing is skipped.
interop:
	@if command -v dig >/dev/null && command -v unbound >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && [ ! -d /run/systemd/system ]; then \
		apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends dnsutils unbound; fi
	go test -tags interop -count 1 -timeout 30m -v ./interop

# The simulator against real agents in network namespaces (docs/calibration.md), in a
# quarter of an hour. It needs root and iproute2, which it installs where it may; a
# machine that cannot do it is skipped.
calibrate:
	@if ! command -v ip >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends iproute2; fi
	go test -tags calibrate -count 1 -run Linux -v ./calibrate
	go run ./calibrate

# Reports in a real browser (docs/report.md). As root on Debian it installs Chromium;
# elsewhere that is left to you, and without one the tests are skipped and say so.
browser:
	@if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; \
	else echo 'make browser: there is no Chromium, and only root can install Debian'"'"'s: the tests will be skipped'; fi
	go test -tags browser -count 1 -timeout 10m -v ./scenarios/report

# Leaves each patch of the runtime out in turn and sees that something differs: a quarter
# of an hour on two cores.
canaries:
	TRIBUNE_CANARIES=all go test ./sim/detrt/canary -run Needed -timeout 3h

mutants:
	go run ./cmd/simctl mutants

# How reliably mutants are caught, held against what was measured before.
rates:
	go run ./cmd/simctl mutants -rate 10 -rates sim/mutants/rates.json

prove:
	go run ./cmd/simctl prove -seeds 1..50 scenarios/storm.yaml

# ONLY=DNS takes the benchmarks whose names match; COUNT=6 is what benchstat wants to
# compare two of these.
ONLY ?= .
COUNT ?= 1
bench:
	go test -run '^$$' -bench '$(ONLY)' -benchtime 1x -count $(COUNT) -timeout 1h ./bench

# The agent over real sockets and a real disk (bench/README.md).
bench-agent:
	go test -run '^$$' -bench '$(ONLY)' -count $(COUNT) -timeout 1h ./bench/agent

.PHONY: FORCE
FORCE:
