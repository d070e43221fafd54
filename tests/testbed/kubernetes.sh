#!/usr/bin/env bash
# A real Kubernetes cluster for tests and benchmarks: a control plane and two nodes on this machine.
#
#   kubernetes.sh [--name NAME] up             start it, or what of it is missing; idempotent
#   kubernetes.sh [--name NAME] env            print KUBECONFIG=… and where the nodes are
#   kubernetes.sh [--name NAME] status         say what runs; exit 0 if both nodes are ready, 3 if not
#   kubernetes.sh [--name NAME] load IMAGE...  copy images of the container engine to every node
#   kubernetes.sh [--name NAME] kill PART      as a crash: etcd, apiserver, controllers, scheduler, node-1 or node-2
#                                              with all its pods; `up` starts it again
#   kubernetes.sh [--name NAME] down           remove the cluster; without a name every cluster of this checkout
#   kubernetes.sh build                        only build the programs
#
# `--name` is another cluster beside the usual one: for what must not happen to the cluster of others.
#
# Built once from Go modules (minutes; kept in .cache/testbed/kubernetes/bin): API server, controller manager,
# scheduler and kubelet. From Debian, as root, which is announced: etcd-server, containerd, runc and
# containernetworking-plugins. The control plane and each node have a network namespace of their own on a bridge
# that this script makes, in a subnet 10.X.Y.0/24 that is free on this machine. This machine reaches it through the
# interface ioc-ID; no way leads from it to other machines. ID is derived from the path of the checkout.
#
# What it deliberately does not do: name service, kube-proxy (cluster addresses of services do not answer), network
# policies, an ingress. Volumes are folders of this machine that belong to root.
# Messages go to stderr, data to stdout.

set -euo pipefail

program=kubernetes.sh
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
case $verb in
    up | env | status | down | build) [ $# = 0 ] || usage ;;
    load) [ $# -gt 0 ] || usage ;;
    kill) [ $# = 1 ] || usage ;;
    *) usage ;;
esac
[[ $name =~ ^[a-z0-9][a-z0-9-]*$ ]] || fail "cluster name \`$name\`: only small letters, digits and \`-\`"

version=1.34.2
nodes='node-1 node-2'
home=$project/.cache/testbed/kubernetes
bin=$home/bin
state=$home/$name
mkdir -p "$bin" "$state"
# Names on this machine: interfaces may have 15 characters, paths of sockets 107.
id=ioc-$(printf %s "$state" | sha256sum | cut -c1-8)
run=/run/$id
kubeconfig=$state/kubeconfig

if [ "$verb" = down ] && ! $is_named; then
    for state in "$home"/*/; do
        name=$(basename "$state")
        [ "$name" = bin ] || [ "$name" = default ] || "${BASH_SOURCE[0]}" --name "$name" down
    done
    exec "${BASH_SOURCE[0]}" --name default down
fi

for part in build network certificates processes control node images; do
    # shellcheck source=/dev/null
    . "$bed/kubernetes/$part.bash"
done
. "$bed/go.bash"

is_up() { [ -e "$state/complete" ] && namespace_is_there control; }

up() {
    [ "$(id -u)" = 0 ] || fail 'only root can start nodes' "run this as root on Debian"
    "$bed/helm.sh" up
    install_packages
    build_programs
    # A cluster that was not finished, or that a reboot took away, is begun anew.
    if ! is_up; then
        remove_all
        choose_subnet
        make_network
        make_certificates
        make_pause_image
        touch "$state/complete"
    fi
    local begin=$SECONDS started
    start_control_plane
    for node in $nodes; do start_node "$node"; done
    wait_for_nodes
    started=$((SECONDS - begin))
    say "both nodes are ready (after $started s): $(subnet_of_nodes), KUBECONFIG=$kubeconfig"
}

remove_all() {
    local node
    kill_all
    for node in $nodes; do remove_cgroups "$node"; done
    remove_network
    rm -rf "$run" "$state"/*
    # The places that nodes mount their own folders on; those of other checkouts do so too.
    [ -n "$(compgen -G '/run/netns/ioc-*-control')" ] ||
        rmdir /var/log/containers /var/log/pods /var/lib/kubelet /tmp/hostpath_pv /run/containerd 2>/dev/null || true
}

status() {
    local part answer=0
    if ! is_up; then
        say 'no cluster was started'
        return 3
    fi
    for part in etcd apiserver controllers scheduler; do
        if is_running control "$part"; then echo "$part: process $(pid_of "$part")"; else echo "$part: does not run"; answer=3; fi
    done
    for part in $nodes; do
        if node_is_running "$part" && node_is_ready "$part"; then
            echo "$part: ready at $(address_of "$part")"
        else
            echo "$part: not ready"
            answer=3
        fi
    done
    return $answer
}

print_environment() {
    local node pairs=
    for node in $nodes; do pairs+="${pairs:+,}$node=$(address_of "$node")"; done
    echo "KUBECONFIG=$kubeconfig"
    # The same; unlike that one it can never be a cluster that somebody works with.
    echo "KUBERNETES_TESTBED=$kubeconfig"
    echo "KUBERNETES_NODES=$pairs"
    echo "KUBERNETES_BROADCAST=$(address_of broadcast)"
    echo "KUBERNETES_HOST=$(address_of host)"
}

# One of these at a time.
exec 9>"$home/$name.lock"
flock 9

case $verb in
    up) up ;;
    build) build_programs ;;
    env)
        is_up || fail 'no cluster was started' "$0 up"
        print_environment
        ;;
    status) status ;;
    load)
        is_up || fail 'no cluster was started' "$0 up"
        load_images "$@"
        ;;
    kill)
        is_up || fail 'no cluster was started' "$0 up"
        kill_part "$1"
        ;;
    down)
        remove_all
        rmdir "$state"
        say "the cluster \`$name\` does not run"
        ;;
esac
