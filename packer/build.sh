#!/bin/sh
# build.sh image|box|iso|validate [PACKER'S ARGUMENTS]: builds with qemu, or checks the template for all
# four sources. What it makes is in target/image (or $OUTPUT), and is made anew only if something changed;
# image.qcow2, image.iso and libvirt.box there are links to the latest.
#
#   SWARMER      the agent (default target/release/swarmer)
#   BASE         local: Debian made here by base.sh (as root); else Packer's own default is downloaded
#   ACCELERATOR  kvm, tcg; default: kvm if /dev/kvm works
set -eu
cd "$(dirname "$0")/.."
what=$1
shift
out=${OUTPUT:-target/image}
swarmer=${SWARMER:-target/release/swarmer}
mkdir -p "$out"
export CHECKPOINT_DISABLE=1 PACKER_CACHE_DIR="$out/packer_cache" TMPDIR="${TMPDIR:-/tmp}"

# Before 1.7 Packer reads one file and has its plugins inside; since then they are declared and fetched.
template=packer/swarmer.pkr.hcl
if packer plugins >/dev/null 2>&1 || packer init -h 2>&1 | grep -q 'Usage: packer init'; then
    template=packer
    packer init packer >/dev/null
fi

if [ ! -s "$out/build_key" ]; then
    ssh-keygen -q -t rsa -b 3072 -m PEM -N '' -C packer -f "$out/build_key"
fi
if [ "$what" = validate ]; then
    # Offline: nothing is downloaded to be checked, so the checksums' own files are not asked for.
    touch "$out/validate.tar" "$out/validate.iso"
    exec packer validate -var "output=$out" -var "payload=$out/validate.tar" -var "ssh_key=$out/build_key" \
        -var "base_image=$out/validate.iso" -var base_checksum=none \
        -var "debian_iso=$out/validate.iso" -var debian_iso_checksum=none -var vsphere_password=unknown "$@" $template
fi

deb=$(packer/deb/build.sh "$swarmer" "$out")
version=$(dpkg-deb -f "$deb" Version)
name=swarmer-$version
work=$(mktemp -d "$out/payload.XXXXXX")
trap 'rm -rf "$work"' EXIT
cp -r packer/image packer/provision.sh packer/manifest.sh packer/packages.txt packer/vagrant.pub "$work/"
cp "$deb" "$work/swarmer.deb"
tar -C "$work" --sort=name --owner=0 --group=0 --mtime=@0 -cf "$out/payload.tar" .

case ${BASE:-local} in
local)
    packer/base.sh "$out/base.qcow2"
    base=$(readlink -f "$out/base.qcow2")
    base_arguments="-var base_image=$base -var base_checksum=none"
    ;;
*) base= base_arguments= ;;
esac
source=$what
[ "$what" = box ] || source=image
if [ "$what" = box ]; then
    made=$out/$name-libvirt.box
    folder=$out/$name-box
else
    made=$out/$name/$name.qcow2
    folder=$out/$name
fi
stamp=$folder.stamp
hash=$(cat "$out/payload.tar" packer/*.hcl packer/box.Vagrantfile | sha256sum | cut -d' ' -f1)-${base##*/}
finish() {
    case $what in
    box) ln -sf "$(basename "$made")" "$out/libvirt.box" ;;
    *) ln -sf "$name/$name.qcow2" "$out/image.qcow2" ;;
    esac
    if [ "$what" = iso ]; then
        iso=$out/$name.iso
        iso_hash=$hash-$(sha256sum packer/iso.sh | cut -c1-12)
        if [ ! -f "$iso" ] || [ "$(cat "$iso.stamp" 2>/dev/null)" != "$iso_hash" ]; then
            rm -f "$iso.stamp"
            packer/iso.sh "$made" "$iso" >&2
            echo "$iso_hash" >"$iso.stamp"
        fi
        ln -sf "$name.iso" "$out/image.iso"
        made=$iso
    fi
    echo "$made"
    exit 0
}
[ -f "$made" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$hash" ] && finish
cat >"$work/user-data" <<EOF
#cloud-config
users:
  - name: packer
    shell: /bin/bash
    sudo: ALL=(ALL) NOPASSWD:ALL
    ssh_authorized_keys: ["$(cat "$out/build_key.pub")"]
locale: false
EOF
printf 'instance-id: build\nlocal-hostname: build\n' >"$work/meta-data"
xorrisofs -quiet -V CIDATA -J -R -o "$out/build_seed.iso" "$work/user-data" "$work/meta-data" 2>/dev/null
accelerator=${ACCELERATOR:-tcg}
# A device that can be opened is not yet one that works, and a processor that starts may not be the host's.
if [ -z "${ACCELERATOR:-}" ] && [ -w /dev/kvm ] && echo quit | timeout 5 qemu-system-x86_64 -machine accel=kvm \
    -cpu host -nodefaults -display none -monitor stdio >/dev/null 2>&1; then
    accelerator=kvm
fi
# An emulated one is best none that Meltdown concerns: the kernel's remedy is what emulation is slowest at.
cpu=host
[ "$accelerator" = kvm ] || cpu=Opteron_G2
rm -rf "$folder" "$stamp" "$made"
packer build -color=false -only="qemu.$source" -var "version=$version" -var "output=$out" -var "payload=$out/payload.tar" \
    -var "ssh_key=$out/build_key" -var "seed=$out/build_seed.iso" -var "accelerator=$accelerator" -var "cpu_model=$cpu" \
    $base_arguments "$@" $template >&2
echo "$hash" >"$stamp"
finish
