# make run      builds both programs and runs a container
# make test     installs what the tests need and runs them all
# make bench    measures against docker, podman, runc, crun and bubblewrap
# make soak     starts and ends containers for SOAK (default 10m) and looks for what they left behind
# make fuzz     fuzzes every parser of foreign input, FUZZTIME (default 30s) each
# make install  copies both programs to PREFIX/bin (default /usr/local)

PREFIX ?= /usr/local
SOAK ?= 10m
FUZZTIME ?= 30s
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: run build install test bench soak fuzz clean

run: build
	$(SUDO) bin/glassbox run hello-world

build:
	@. test/go.sh && CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o bin/ ./cmd/glassbox ./cmd/glassrun

install: build
	$(SUDO) install -D -t $(DESTDIR)$(PREFIX)/bin bin/glassbox bin/glassrun

test:
	@test/run.sh

bench: build
	@test/bench/run.sh

soak: build
	@. test/go.sh && $(SUDO) env PATH="$$PATH" SOAK=$(SOAK) go test -count=1 -v -timeout 0 ./test/soak

fuzz:
	@. test/go.sh && test/fuzz.sh $(FUZZTIME)

clean:
	rm -rf bin
	$(SUDO) rm -rf test/.cache
