# Usage: sh -eu fresh.sh DEBIAN WORK CACHE REPOSITORY
#
# PID 1 of TestProvision's namespaces: puts an overlay on a fresh Debian, gives it this machine's way to the package archives
# (proxies, certificates, name servers) and a copy of the repository, and runs the provisioning script in it as Vagrant would.
debian=$1 work=$2 cache=$3 repo=$4 new=$2/root

mount --make-rprivate /
mkdir -p "$work/upper" "$work/work" "$new" "$work/data" "$cache/apt/partial" "$cache/go" "$cache/go-build"
mount -t overlay -o "lowerdir=$debian,upperdir=$work/upper,workdir=$work/work" overlay "$new"
mount -t proc proc "$new/proc"
mount -t sysfs -o ro sys "$new/sys"
mount --rbind /dev "$new/dev"
mount -t tmpfs tmp "$new/tmp"
mkdir -p "$new/root/go" "$new/root/.cache/go-build" "$new/vagrant" "$new/var/lib/glassbox"
mount --bind "$cache/apt" "$new/var/cache/apt/archives"
mount --bind "$cache/go" "$new/root/go"
mount --bind "$cache/go-build" "$new/root/.cache/go-build"
mount --bind "$work/data" "$new/var/lib/glassbox" # an overlay's upper directory cannot be on an overlay
if mountpoint -q /sys/fs/cgroup; then mount --rbind /sys/fs/cgroup "$new/sys/fs/cgroup"; fi

# How this machine reaches the archives. Nothing of it is in the repository.
cp /etc/resolv.conf /etc/hosts "$new/etc/"
apt-config dump | grep -iE '^Acquire::(http|https)(::[^:]+)*::Proxy' >"$new/etc/apt/apt.conf.d/98host" || true
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
	mkdir -p "$new/usr/local/share/ca-certificates/host"
	csplit -s -z -f "$new/usr/local/share/ca-certificates/host/" -b %04d.crt /etc/ssl/certs/ca-certificates.crt '/BEGIN CERTIFICATE/' '{*}'
fi
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY GOPROXY GOSUMDB GONOSUMDB GOPRIVATE; do
	eval "value=\${$name-}"
	if [ -n "$value" ]; then set -- "$@" "$name=$value"; fi
done
shift 4

tar -C "$repo" --exclude=./.git --exclude=./bin --exclude=./test/.cache -cf - . | tar -C "$new/vagrant" -xf -
inside() { env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C "$@"; }
inside "$@" chroot "$new" /vagrant/test/vagrant/provision.sh
echo "running: $(inside chroot "$new" glassbox version | head -n 1)"
