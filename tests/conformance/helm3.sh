#!/usr/bin/env bash
# Compares Helm 3 with this engine over the cases of tests/conformance/helm, and with the list of known differences
# beside them (helm3.txt). Not a part of `make test`: Helm 3 is built from Go modules, once, which takes 3 to 15 minutes.
#
#   helm3.sh            build Helm 3 unless it is there, compare
#   helm3.sh record     write helm3.txt anew; read the difference before you commit it
#
# DETAILS=FILE writes each difference to a file. HELM3_BINARY names a Helm 3 that is there.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
program=helm3.sh
version=v3.22.0
binary=${HELM3_BINARY:-$project/.cache/testbed/helm3/helm}

say() { printf 'helm3.sh: %s\n' "$*" >&2; }
fail() { printf 'helm3.sh: error: %s\n' "$1" >&2; [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2; exit 1; }
# shellcheck source=tests/testbed/go.bash
. "$project/tests/testbed/go.bash"

if [ ! -x "$binary" ]; then
    go_environment "Helm 3"
    # the Kubernetes version that released programs are given at link time: that of their client library
    package=helm.sh/helm/v3
    kubernetes=
    for part in chartutil lint/rules; do
        kubernetes+=" -X $package/pkg/$part.k8sVersionMajor=1 -X $package/pkg/$part.k8sVersionMinor=37"
    done
    sources=$(go_module helm.sh/helm/v3 "$version")
    go_build "$sources" ./cmd/helm "$binary" \
        "-X $package/internal/version.version=$version $kubernetes" "-mod=mod"
    go_tidy_up
fi
say "$("$binary" version --short)"
[ "${1:-}" != record ] || export RECORD=1
if [ -n "${DETAILS:-}" ]; then
    HELM3_DETAILS=$(realpath -m "$DETAILS")
    export HELM3_DETAILS
fi
cd "$project"
HELM3_BINARY=$binary cargo test --package helm --test conformance --locked helm_3
