#!/bin/sh
# iso.sh IMAGE.qcow2 OUT.iso: the image's root as one bootable read-only ISO. As root (it mounts the
# image to read it).
set -eu
image=$1
out=$2
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
work=$(mktemp -d "$(dirname "$out")/iso.XXXXXX")
tidy() {
    if mountpoint -q "$work/root"; then umount "$work/root"; fi
    rm -rf --one-file-system "$work"
}
trap tidy EXIT
trap 'exit 130' INT TERM

mkdir -p "$work/root" "$work/iso/live" "$work/iso/boot/grub"
qemu-img convert -O raw "$image" "$work/disk.raw"
# The root is the largest partition; Debian's cloud images have small ones for booting beside it.
set -- $(partx -grb -o START,SIZE "$work/disk.raw" | sort -k2 -n | tail -1)
mount -o "ro,noload,loop,offset=$(($1 * 512)),sizelimit=$2" "$work/disk.raw" "$work/root"
cp "$(ls "$work"/root/boot/vmlinuz-* | sort -V | tail -1)" "$work/iso/live/vmlinuz"
cp "$(ls "$work"/root/boot/initrd.img-* | sort -V | tail -1)" "$work/iso/live/initrd"
cp "$work/root/usr/share/swarmer-image.json" "$work/iso/swarmer-image.json"
mksquashfs "$work/root" "$work/iso/live/root.squashfs" -comp zstd -Xcompression-level 6 -no-progress -quiet \
    -wildcards -e 'boot/*' 'proc/*' 'sys/*' 'dev/*' 'run/*' 'tmp/*' lost+found 'var/lib/apt/lists/*' \
    2>"$work/log" || { cat "$work/log" >&2; exit 1; }
cat >"$work/iso/boot/grub/grub.cfg" <<'EOF'
serial --speed=115200
terminal_input console serial
terminal_output console serial
set timeout=0
menuentry "Swarmer" {
    linux /live/vmlinuz boot=swarmer-iso swarmer.root=volatile console=tty0 console=ttyS0,115200 net.ifnames=0 fsck.mode=skip quiet
    initrd /live/initrd
}
EOF
# BIOS always; UEFI too where grub's files for it are installed.
grub-mkrescue -o "$work/out.iso" "$work/iso" -- -volid SWARMER >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
mv "$work/out.iso" "$out"
sha256sum "$out" | sed "s|  .*|  $(basename "$out")|" >"$out.sha256"
echo "$out"
