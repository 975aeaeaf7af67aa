#!/bin/sh
# Installs what the tests need and this machine lacks, and says what it installed. Meant for Debian
# 12 with Rust; elsewhere, or without root, it names what is missing and the tests that need it skip.
set -u
here=$(CDPATH= cd "$(dirname "$0")/.." && pwd)
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
updated=
missing=

# install PACKAGE: one at a time, so that one that can't be had takes no other with it.
install() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        missing="$missing $1"
        return 1
    fi
    if [ -z "$updated" ]; then
        apt-get update -qq >/dev/null 2>&1 || echo "setup: apt-get update failed; trying with what is known"
        updated=yes
    fi
    if DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=120 "$1" >/dev/null 2>&1; then
        echo "setup: installed $1"
    else
        missing="$missing $1"
        return 1
    fi
}

# have PROGRAM PACKAGE
have() {
    command -v "$1" >/dev/null 2>&1 || install "$2"
}

# A service that the package starts would hold ports and memory; tests start their own.
policy=/usr/sbin/policy-rc.d
if [ "$(id -u)" = 0 ] && [ -d /usr/sbin ] && [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy
    trap 'rm -f $policy' EXIT
fi

have cc build-essential
have setpriv util-linux
have curl curl
have jq jq
have openssl openssl
have ip iproute2
have ping iputils-ping
have pgrep procps
have dig bind9-dnsutils
have docker-registry docker-registry
if [ "${1:-}" != demo ]; then
    have iptables iptables
    have nft nftables
    have dockerd docker.io
    have docker docker.io
    have busybox busybox-static
    have packer packer
    have vagrant vagrant
    have python3 python3
    python3 -c 'import ensurepip' >/dev/null 2>&1 || install python3-venv
    venv=$here/target/py-consul
    if ! "$venv/bin/python" -c 'import consul' >/dev/null 2>&1; then
        if python3 -m venv "$venv" >/dev/null 2>&1 &&
            "$venv/bin/pip" install -q --disable-pip-version-check py-consul >/dev/null 2>&1; then
            echo "setup: installed py-consul in target/py-consul"
        else
            missing="$missing py-consul"
        fi
    fi
    # A simulated vCenter. Debian 12's own Go is too old for it, so one is used where it is there.
    if [ ! -x "$here/target/vcsim/vcsim" ]; then
        if command -v go >/dev/null 2>&1 &&
            GOBIN="$here/target/vcsim" go install github.com/vmware/govmomi/vcsim@v0.46.3 >/dev/null 2>&1; then
            echo "setup: built vcsim in target/vcsim"
        else
            missing="$missing vcsim(go)"
        fi
    fi
    venv=$here/target/moto
    if ! "$venv/bin/python" -c 'import boto3, moto.server' >/dev/null 2>&1; then
        if python3 -m venv "$venv" >/dev/null 2>&1 &&
            "$venv/bin/pip" install -q --disable-pip-version-check 'moto[server]>=5.2.5,<6' boto3 >/dev/null 2>&1; then
            echo "setup: installed moto in target/moto"
        else
            missing="$missing moto"
        fi
    fi
fi
if [ "${1:-}" = image ]; then
    have qemu-system-x86_64 qemu-system-x86
    have qemu-img qemu-utils
    have xorrisofs xorriso
    have debootstrap debootstrap
    have mksquashfs squashfs-tools
    have grub-mkrescue grub-common
    [ -d /usr/lib/grub/i386-pc ] || install grub-pc-bin
    have mformat mtools
    have mkfs.ext4 e2fsprogs
    have parted parted
    have partx util-linux
    have losetup mount
    have ssh openssh-client
    # The plugin is Debian's, as Vagrant is.
    [ -d /usr/share/doc/vagrant-libvirt ] || install vagrant-libvirt
    have libvirtd libvirt-daemon-system
    have dnsmasq dnsmasq-base
    have iptables iptables
    have git git
fi
if [ "${1:-}" = terraform ]; then
    have go golang-go
    # HashiCorp's own package; Debian has none.
    command -v terraform >/dev/null 2>&1 || missing="$missing terraform(1.9-or-later,from-HashiCorp)"
fi
if [ "${1:-}" = bench ]; then
    have etcd etcd-server
    have etcdctl etcd-client
fi
if [ -n "$missing" ]; then
    echo "setup: not to be had here:$missing (tests that need them say that they skip)"
fi
exit 0
