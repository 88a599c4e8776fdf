#!/bin/sh
# Makes a fresh Debian 12 into a machine with glassbox: run as root, by `vagrant up` or by hand, as often as you like.
# The repository is in /vagrant, or where the first argument says.
set -eu
repo=${1:-/vagrant}
export DEBIAN_FRONTEND=noninteractive

# Debian 12's own Go (1.19) cannot fetch the toolchain that go.mod names; the one in backports can.
. /etc/os-release
if [ "$VERSION_CODENAME" = bookworm ]; then
	# Backports lie beside the release, in the archive that this machine uses already.
	rm -f /etc/apt/sources.list.d/backports.list
	archive=$(apt-get indextargets --format '$(SITE) $(RELEASE)' | sed -n 's/ bookworm$//p' | head -n 1)
	echo "deb ${archive:?no archive in /etc/apt has the release bookworm} bookworm-backports main" >/etc/apt/sources.list.d/backports.list
	release="-t bookworm-backports"
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends ca-certificates make
apt-get install -y -qq --no-install-recommends ${release:-} golang-go

make -C "$repo" build install

# What the containers' limits rest on. A stock Debian 12 has it.
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
	echo "warning: no unified cgroup v2 at /sys/fs/cgroup: limits such as -m will be refused" >&2
	echo "cure: boot with systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all" >&2
fi
glassbox version >/dev/null
echo "glassbox is installed: sudo glassbox run hello-world"
