# Sourced by scripts of this folder and by the Makefile: puts a go command into PATH that can build this module. One from 1.21 on
# fetches the toolchain that go.mod asks for by itself. Where there is none, the distribution's is installed if that is new enough;
# otherwise one line says what to do.

go_minor() { # prints N of go1.N, or 0
	go version 2>/dev/null | sed -n 's/^go version go1\.\([0-9]*\).*/\1/p' | grep . || echo 0
}

go_cure() {
	version=$(sed -n 's/^go //p' go.mod)
	machine=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
	echo "Go is missing or older than 1.21. This line installs it to /usr/local/go; then run make again:" >&2
	echo "  curl -fsSL https://go.dev/dl/go$version.linux-$machine.tar.gz | ${go_sudo:+sudo }tar -C /usr/local -xz" >&2
}

go_install() { # installs golang-go where the distribution's is 1.21 or newer
	command -v apt-get >/dev/null || return 1
	$go_sudo apt-get update -qq >&2 || true
	candidate=$(apt-cache policy golang-go | sed -n 's/.*Candidate: *\([0-9]*:\)\{0,1\}1\.\([0-9]*\).*/\2/p')
	[ "${candidate:-0}" -ge 21 ] || return 1
	echo "installing the distribution's Go (1.$candidate), which fetches the toolchain that go.mod names" >&2
	$go_sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends golang-go ca-certificates >&2 </dev/null
}

[ "$(id -u)" = 0 ] && go_sudo= || go_sudo=sudo
export GOTOOLCHAIN=${GOTOOLCHAIN:-auto}
# The tag leaves urfave/cli's generator of manual pages out, whose Markdown parser would take time at every start of glassbox.
export GOFLAGS="-buildvcs=false -tags=urfave_cli_no_docs"
if [ "$(go_minor)" -lt 21 ] && [ -x /usr/local/go/bin/go ]; then
	PATH=/usr/local/go/bin:$PATH
fi
if [ "$(go_minor)" -lt 21 ] && ! go_install; then
	go_cure
	exit 1
fi
go version >/dev/null || exit 1
