#!/bin/sh
# build.sh BINARY FOLDER: makes FOLDER/swarmer_VERSION_ARCH.deb of that binary, and prints its name.
# The same input makes the same bytes.
set -eu
here=$(CDPATH= cd "$(dirname "$0")" && pwd)
binary=$1
folder=$2
version=$("$binary" --version | cut -d' ' -f2)
arch=$(dpkg --print-architecture)
commit=$(git -C "$here" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
[ -z "$(git -C "$here" status --porcelain 2>/dev/null)" ] || commit=$commit-dirty
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
# The oldest libc that has all symbols which the binary asks for.
libc=$(grep -aoE 'GLIBC_2\.[0-9]+' "$binary" | sort -Vu | tail -1 | cut -d_ -f2)

mkdir -p "$folder"
tree=$(mktemp -d "$folder/deb.XXXXXX")
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
put() { install -D -m "$1" "$2" "$tree/$3"; }
put 755 "$binary" usr/bin/swarmer
for unit in "$here"/*.service "$here"/*.path; do
    put 644 "$unit" "lib/systemd/system/$(basename "$unit")"
done
put 755 "$here/last-words" usr/lib/swarmer/last-words
put 644 "$here/../../LICENSE" usr/share/doc/swarmer/copyright
mkdir -p "$tree/usr/share/bash-completion/completions" "$tree/etc/docker/certs.d" "$tree/DEBIAN"
"$binary" completions bash >"$tree/usr/share/bash-completion/completions/swarmer"
install -d -m 755 "$tree/etc/swarmer"
printf '{"version": "%s", "commit": "%s"}\n' "$version" "$commit" >"$tree/usr/share/doc/swarmer/build.json"
for script in postinst prerm postrm; do put 755 "$here/$script" "DEBIAN/$script"; done
cat >"$tree/DEBIAN/control" <<EOF
Package: swarmer
Version: $version
Architecture: $arch
Maintainer: The Swarmer developers <swarmer@localhost>
Section: admin
Priority: optional
Depends: libc6 (>= $libc), init-system-helpers
Recommends: docker.io | docker-ce, docker-registry, cloud-init, ca-certificates
Installed-Size: $(du -sk "$tree" | cut -f1)
Description: one agent a node: discovery, keys, certificates, registry and Swarm
 One program that runs on every node of a cluster. From one YAML file it finds
 its peers, forms a cluster with its own CA, and gives every node Consul's HTTP
 API and DNS, one Docker Swarm of all engines, and an image registry over TLS.
EOF
find "$tree" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
deb=$folder/swarmer_${version}_$arch.deb
dpkg-deb --root-owner-group -Zxz --build "$tree" "$deb" >/dev/null
echo "$deb"
