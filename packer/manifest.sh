#!/bin/sh
# manifest.sh VARIANT: what this machine holds, as JSON.
set -eu
. /etc/os-release
build=/usr/share/doc/swarmer/build.json
value() { sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p" $build; }
cat <<EOF
{
  "name": "swarmer",
  "variant": "$1",
  "version": "$(value version)",
  "commit": "$(value commit)",
  "swarmer_sha256": "$(sha256sum /usr/bin/swarmer | cut -d' ' -f1)",
  "debian": "$(cat /etc/debian_version)",
  "kernel": "$(ls /lib/modules | sort -V | tail -1)",
  "engine": "$(dpkg-query -W -f '${Version}' docker.io)",
  "registry": "$(dpkg-query -W -f '${Version}' docker-registry)",
  "packages": [
$(dpkg-query -W -f '    {"name": "${binary:Package}", "version": "${Version}", "architecture": "${Architecture}", "source": "${source:Package}"}\n' | LC_ALL=C sort | sed '$!s/$/,/')
  ]
}
EOF
