# make run      builds both programs and runs a container
# make test     installs what the tests need and runs them all
# make conformance  runs the OCI's validation programs against glassrun; RUNTIME=/usr/sbin/runc tells how another one does
# make bench    measures against docker, podman, runc, crun and bubblewrap
# make soak     starts and ends containers for SOAK (default 10m), and kills at every system call (hours); looks for what is left behind;
#               builds the whole corpus
# make fuzz     fuzzes every parser of foreign input, FUZZTIME (default 30s) each
# make install  copies both programs to PREFIX/bin (default /usr/local), and the systemd unit that starts containers after a reboot
# make uninstall  removes them again; containers and images stay in /var/lib/glassbox

PREFIX ?= /usr/local
UNITS ?= $(PREFIX)/lib/systemd/system
SOAK ?= 10m
FUZZTIME ?= 30s
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: run build install uninstall test conformance bench soak fuzz clean

run: build
	$(SUDO) bin/glassbox run hello-world

build:
	@. test/go.sh && test/build.sh bin

install: build
	$(SUDO) install -D -t $(DESTDIR)$(PREFIX)/bin bin/glassbox bin/glassrun
	sed 's|@bin@|$(PREFIX)/bin|' cmd/glassbox/glassbox.service | $(SUDO) install -D -m 644 /dev/stdin $(DESTDIR)$(UNITS)/glassbox.service
	@echo "systemctl enable --now glassbox: from then on, containers with a restart policy come back after a reboot"

uninstall:
	$(SUDO) rm -f $(DESTDIR)$(PREFIX)/bin/glassbox $(DESTDIR)$(PREFIX)/bin/glassrun $(DESTDIR)$(UNITS)/glassbox.service

test:
	@test/run.sh

conformance:
	@. test/go.sh && $(SUDO) env PATH="$$PATH" RUNTIME="$(RUNTIME)" go test -count=1 -v -timeout 10m -parallel 6 ./test/conformance

bench: build
	@test/bench/run.sh

soak: build
	@. test/go.sh && $(SUDO) env PATH="$$PATH" SOAK=$(SOAK) go test -count=1 -v -p 1 -timeout 0 ./test/soak ./test/load
	@. test/go.sh && $(SUDO) env PATH="$$PATH" sh -c 'test/tools/docker/build.sh test/.cache/docker && test/tools/buildx/build.sh test/.cache/docker && go test -count=1 -v -timeout 0 ./test/build -all'

fuzz:
	@. test/go.sh && test/fuzz.sh $(FUZZTIME)

clean:
	rm -rf bin
	$(SUDO) rm -rf test/.cache
