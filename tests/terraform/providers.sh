#!/bin/sh
# providers.sh [vsphere|aws|lint]...: the real providers, built from source into target/terraform/mirror, where
# Terraform finds them, govc in target/terraform/bin, checkov in target/terraform/lint. What is there already is left
# alone. The AWS provider takes minutes: it is large. The simulators are tests/setup.sh's.
set -eu
here=$(CDPATH= cd "$(dirname "$0")/../.." && pwd)
cache=${SWARMER_TERRAFORM:-$here/target/terraform}
mirror=$cache/mirror/registry.terraform.io/hashicorp
platform=$(go env GOOS)_$(go env GOARCH)
log=$cache/build.log
mkdir -p "$cache/bin"

# build NAME OUTPUT PACKAGE MODULE@VERSION [REPLACEMENT@VERSION]: in a module of its own, by Go's own proxy and checksums.
build() {
    [ -x "$2" ] && return
    begun=$(date +%s)
    echo "providers: building $1 (log: $log)"
    mkdir -p "$cache/build/$1" "$(dirname "$2")"
    (
        cd "$cache/build/$1"
        rm -f go.mod go.sum
        go mod init "build.local/$1"
        if [ -n "${5:-}" ]; then
            go mod edit -replace "${4%@*}=$5"
            go mod edit -require "${4%@*}@${5#*@}"
        else
            go get "$4"
        fi
        nice -n 19 go build -mod=mod -trimpath -ldflags='-s -w' -o "$2.new" "$3"
    ) >"$log" 2>&1 || {
        tail -n 20 "$log"
        echo "providers: $1 could not be built"
        exit 1
    }
    mv "$2.new" "$2"
    echo "providers: $1 took $(($(date +%s) - begun)) s"
}

vsphere() {
    build vsphere "$mirror/vsphere/1.26.0/$platform/terraform-provider-vsphere_v1.26.0_x5" \
        github.com/hashicorp/terraform-provider-vsphere github.com/hashicorp/terraform-provider-vsphere@v1.26.0
    build govc "$cache/bin/govc" github.com/vmware/govmomi/govc github.com/vmware/govmomi/govc@v0.46.3
}

# A copy of 4.9 (May 2022) that Go's proxy has with its checksum, built as the original.
aws() {
    build aws "$mirror/aws/4.9.0/$platform/terraform-provider-aws_v4.9.0_x5" \
        github.com/hashicorp/terraform-provider-aws github.com/hashicorp/terraform-provider-aws@v4.9.0 \
        github.com/cycloidio/terraform-provider-aws@v1.60.1-0.20220513132327-e2dbdf90e533
}

# A policy lint; it needs no network and no account.
lint() {
    if ! "$cache/lint/bin/checkov" --version >/dev/null 2>&1; then
        begun=$(date +%s)
        python3 -m venv --clear "$cache/lint"
        "$cache/lint/bin/pip" install -q --disable-pip-version-check 'checkov>=3.2,<4'
        echo "providers: checkov took $(($(date +%s) - begun)) s"
    fi
}

for which in "${@:-vsphere}"; do
    case $which in
    vsphere) vsphere ;;
    aws) aws ;;
    lint) lint ;;
    *) echo "providers.sh knows vsphere, aws and lint" && exit 64 ;;
    esac
done
