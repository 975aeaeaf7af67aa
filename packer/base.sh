#!/bin/sh
# base.sh OUT.qcow2: a Debian 12 disk image for the tests, in place of Debian's own cloud image, which
# is what people build on. As root. Made once: it is kept beside OUT under the hash of what it is made of.
set -eu
here=$(CDPATH= cd "$(dirname "$0")" && pwd)
out=$1
suite=bookworm
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
security=${DEBIAN_SECURITY:-http://deb.debian.org/debian-security}
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

hash=$(cat "$0" "$here/packages.txt" | sha256sum | cut -c1-12)
kept=$(dirname "$out")/base-$hash.qcow2
if [ -f "$kept" ]; then
    ln -sf "$(basename "$kept")" "$out"
    exit 0
fi
mkdir -p "$(dirname "$out")"
work=$(mktemp -d "$(dirname "$out")/base.XXXXXX")
root=$work/root
loop=
tidy() {
    for mount in "$work/disk/dev" "$work/disk/proc" "$work/disk/sys" "$work/disk" "$root/dev" "$root/proc" "$root/sys"; do
        if mountpoint -q "$mount"; then umount "$mount"; fi
    done
    if [ -n "$loop" ]; then
        partx -d "$loop" 2>/dev/null || true
        losetup -d "$loop"
    fi
    rm -rf --one-file-system "$work"
}
trap tidy EXIT
trap 'exit 130' INT TERM

echo "base: debootstrap of $suite"
debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$work/log" 2>&1 ||
    { tail -5 "$work/log" >&2; exit 1; }
# A /dev of its own: maintainer scripts change the owners of devices, and these must not be the host's.
mount -t tmpfs -o mode=755 dev "$root/dev"
for node in null zero full random urandom tty; do cp -a /dev/$node "$root/dev/"; done
ln -s /proc/self/fd "$root/dev/fd"
mount -t proc proc "$root/proc"
mount -t sysfs sys "$root/sys"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
cat >"$root/etc/apt/sources.list" <<EOF
deb $mirror $suite main
deb $mirror $suite-updates main
deb $security $suite-security main
EOF
cp /etc/resolv.conf "$root/etc/resolv.conf"
inside() { DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$root" "$@" >>"$work/log" 2>&1 || {
    tail -20 "$work/log" >&2
    exit 1
}; }
# An initramfs for any machine takes minutes to load and unpack in an emulated one.
mkdir -p "$root/etc/initramfs-tools/conf.d"
echo MODULES=list >"$root/etc/initramfs-tools/conf.d/swarmer"
printf '%s\n' virtio_pci virtio_blk ext4 crc32c_generic >"$root/etc/initramfs-tools/modules"
echo "base: packages"
inside apt-get update
inside apt-get upgrade -y
# resolved makes resolv.conf a link to what only runs later: it comes last.
inside apt-get install -y --no-install-recommends grub-pc linux-image-amd64 \
    $(grep -v -e '^#' -e '^systemd-resolved$' "$here/packages.txt")
inside apt-get install -y --no-install-recommends systemd-resolved
inside apt-get clean
rm -rf "$root"/var/lib/apt/lists/* "$root"/etc/ssh/ssh_host_*_key* "$root/usr/sbin/policy-rc.d"
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id"
echo debian >"$root/etc/hostname"
echo 'LABEL=root / ext4 errors=remount-ro 0 1' >"$root/etc/fstab"
ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
chroot "$root" systemctl enable systemd-networkd systemd-resolved systemd-timesyncd ssh >>"$work/log" 2>&1
printf '[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n' >"$root/etc/systemd/network/90-dhcp.network"
cat >"$root/etc/default/grub" <<'EOF'
GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200 net.ifnames=0"
GRUB_TERMINAL="console serial"
GRUB_DEVICE=LABEL=root
GRUB_DISABLE_LINUX_UUID=true
EOF
umount "$root/dev" "$root/proc" "$root/sys"

echo "base: disk"
truncate -s 4G "$work/disk.raw"
parted -s "$work/disk.raw" mklabel msdos mkpart primary ext4 1MiB 100% set 1 boot on
loop=$(losetup --show -f "$work/disk.raw")
# Not losetup -P: some kernels know no partition tables.
partx -u "$loop"
mkfs.ext4 -q -L root "${loop}p1"
mkdir "$work/disk"
mount "${loop}p1" "$work/disk"
cp -a "$root/." "$work/disk/"
mount --bind /dev "$work/disk/dev"
mount -t proc proc "$work/disk/proc"
mount -t sysfs sys "$work/disk/sys"
root=$work/disk
inside grub-install --target=i386-pc "$loop"
inside update-grub
umount "$work/disk/dev" "$work/disk/proc" "$work/disk/sys" "$work/disk"
partx -d "$loop"
losetup -d "$loop"
loop=
qemu-img convert -O qcow2 "$work/disk.raw" "$work/base.qcow2"
mv "$work/base.qcow2" "$kept"
ln -sf "$(basename "$kept")" "$out"
echo "base: $kept, $(du -h "$kept" | cut -f1)"
