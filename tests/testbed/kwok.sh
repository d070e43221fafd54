#!/usr/bin/env bash
# Thousands of simulated IOCs on the cluster of kubernetes.sh, for figures that depend on their number.
#
#   kwok.sh build        only build it
#   kwok.sh up           build kwok once and start it: pods of the node `kwok` are said to run, and do not
#   kwok.sh env          print KWOK_BINARY=…
#   kwok.sh fill N       N instances in the namespace `kwok`: StatefulSet, pod and Helm release Secret each, in seconds
#   kwok.sh down         remove the namespace, the node and the process; without a name on every cluster
#
# kwok v0.8.0 is built from Go modules (minutes; kept in .cache/testbed/kwok). The release Secrets are what real
# `helm install` makes of a services repository's chart: 15 kB each.
# The node reports once: its cluster is to be started with NODE_GRACE_PERIOD=24h.
# Options for another cluster: `--name NAME`, as in kubernetes.sh. Messages go to stderr, data to stdout.

set -euo pipefail

program=kwok.sh
bed=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
project=$(cd "$bed/../.." && pwd -P)

say() { printf '%s: %s\n' "$program" "$*" >&2; }
fail() { printf '%s: error: %s\n' "$program" "$1" >&2; shift; for line in "$@"; do printf '  hint: %s\n' "$line" >&2; done; exit 1; }
usage() { sed -n '2,/^$/{s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2; exit 2; }

name=default is_named=false
if [ "${1:-}" = --name ]; then
    name=${2:?--name needs a value} is_named=true
    shift 2
fi
verb=${1:-}
[ $# = 0 ] || shift

version=v0.8.0
home=$project/.cache/testbed/kwok
binary=$home/bin/kwok
state=$home/$name
. "$bed/go.bash"

pid_of() { cat "$state/pid" 2>/dev/null || true; }
is_running() { local pid; pid=$(pid_of); [ -n "$pid" ] && [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$binary" ]; }

kubectl() { "$project/.cache/testbed/helm/kubectl" "$@"; }

use_cluster() {
    local line
    while read -r line; do export "${line?}"; done < <("$bed/kubernetes.sh" --name "$name" env)
    [ -n "${KUBERNETES_TESTBED:-}" ] || fail 'no cluster runs' "$bed/kubernetes.sh up"
    export KUBECONFIG=$KUBERNETES_TESTBED
}

build() {
    local folder
    mkdir -p "$home/bin"
    exec 8>"$home/build.lock"
    flock 8
    if [ "$(cat "$home/bin/version" 2>/dev/null)" != "$version" ]; then
        folder=$(go_module sigs.k8s.io/kwok "$version")
        go_build "$folder" ./cmd/kwok "$binary"
        echo "$version" >"$home/bin/version"
        go_tidy_up
    fi
    exec 8>&-
}

# The stages make a pod of the node run as soon as it is scheduled, and go as soon as it is deleted.
up() {
    build
    use_cluster
    mkdir -p "$state"
    if ! is_running; then
        cat >"$state/kwok.yaml" <<'YAML'
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: node-initialize}
spec:
  resourceRef: {apiGroup: v1, kind: Node}
  selector:
    matchExpressions:
    - {key: '.status.conditions.[] | select( .type == "Ready" ) | .status', operator: NotIn, values: ["True"]}
  next:
    statusTemplate: |
      {{ $now := Now }}
      conditions:
      - {type: Ready, status: "True", reason: KubeletReady, message: simulated, lastHeartbeatTime: {{ $now | Quote }}, lastTransitionTime: {{ $now | Quote }}}
      addresses: [{type: InternalIP, address: {{ NodeIP | Quote }}}]
      allocatable: {cpu: "10000", memory: 10Ti, pods: "100000"}
      capacity: {cpu: "10000", memory: 10Ti, pods: "100000"}
      nodeInfo: {kubeletVersion: kwok, operatingSystem: linux, architecture: amd64, bootID: "", containerRuntimeVersion: "", kernelVersion: "", kubeProxyVersion: "", machineID: "", osImage: "", systemUUID: ""}
      phase: Running
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-ready}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
    - {key: .status.podIP, operator: DoesNotExist}
  next:
    statusTemplate: |
      {{ $now := Now }}
      conditions:
      - {type: Initialized, status: "True", lastTransitionTime: {{ $now | Quote }}}
      - {type: Ready, status: "True", lastTransitionTime: {{ $now | Quote }}}
      - {type: ContainersReady, status: "True", lastTransitionTime: {{ $now | Quote }}}
      containerStatuses:
      {{ range .spec.containers }}
      - name: {{ .name | Quote }}
        image: {{ .image | Quote }}
        imageID: localhost/simulated@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
        containerID: containerd://e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
        ready: true
        started: true
        restartCount: 0
        state: {running: {startedAt: {{ $now | Quote }}}}
      {{ end }}
      hostIP: {{ NodeIP | Quote }}
      podIP: {{ PodIP | Quote }}
      podIPs: [{ip: {{ PodIP | Quote }}}]
      phase: Running
      startTime: {{ $now | Quote }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-delete}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: Exists}
  next: {finalizers: {empty: true}, delete: true}
YAML
        setsid "$binary" --config "$state/kwok.yaml" --kubeconfig "$KUBECONFIG" --manage-nodes-with-label-selector kwok=true \
            --node-ip 10.255.255.254 --server-address '' >>"$state/kwok.log" 2>&1 </dev/null &
        echo $! >"$state/pid"
    fi
    kubectl apply -f - >/dev/null <<'YAML'
apiVersion: v1
kind: Node
metadata:
  name: kwok
  labels: {kwok: "true", kubernetes.io/hostname: kwok}
spec:
  taints: [{key: kwok, value: "true", effect: NoSchedule}]
YAML
    kubectl wait --for=condition=Ready node/kwok --timeout=60s >/dev/null || { tail "$state/kwok.log" >&2; fail 'the simulated node did not become ready'; }
    say "the simulated node is ready (process $(pid_of))"
}

fill() {
    local count=$1 begin=$SECONDS
    is_running || fail 'kwok does not run' "$0 up"
    use_cluster
    kubectl create namespace kwok --dry-run=client -o yaml | kubectl apply -f - >/dev/null
    python3 "$bed/kwok/fill.py" "$(kubectl config view -o 'jsonpath={.clusters[0].cluster.server}')" \
        "$(dirname "$KUBECONFIG")/pki" "$project/helm-library/ioc-instance" kwok "$count"
    say "created (after $((SECONDS - begin)) s); waiting for the pods"
    until [ "$(kubectl -n kwok get pods --field-selector status.phase=Running -o name | wc -l)" -ge "$count" ]; do
        [ $((SECONDS - begin)) -lt 600 ] || fail "the pods do not run within 10 minutes" "$state/kwok.log"
        sleep 1
    done
    say "$count instances run in the namespace \`kwok\` (after $((SECONDS - begin)) s)"
}

down() {
    local pid
    if "$bed/kubernetes.sh" --name "$name" status >/dev/null 2>&1; then
        use_cluster
        is_running || ! kubectl get namespace kwok >/dev/null 2>&1 || up
        kubectl delete namespace kwok --ignore-not-found --timeout=300s >/dev/null
        kubectl delete node kwok --ignore-not-found >/dev/null
    fi
    if is_running; then
        pid=$(pid_of)
        kill "$pid"
        while is_running; do sleep 0.1; done
    fi
    rm -rf "$state"
}

case $verb in
    build) build ;;
    up) up ;;
    fill) [[ ${1:-} =~ ^[0-9]+$ ]] || usage; fill "$1" ;;
    env) [ -x "$binary" ] || fail 'kwok is not built' "$0 up"; echo "KWOK_BINARY=$binary" ;;
    down)
        if ! $is_named; then
            for state in "$home"/*/; do
                name=$(basename "$state")
                [ "$name" = bin ] || [ "$name" = default ] || "${BASH_SOURCE[0]}" --name "$name" down
            done
            name=default state=$home/default
        fi
        down
        ;;
    *) usage ;;
esac
