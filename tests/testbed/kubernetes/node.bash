# shellcheck shell=bash
# Part of kubernetes.sh: a node, which is containerd and kubelet in a network and a mount namespace of their own.
# When its last process ends, its mounts are gone.

node_is_running() { is_running "$1" "$1-containerd" && is_running "$1" "$1-kubelet"; }

# By its own word since it was started: the API server believes a node that died to be ready for a while.
node_is_ready() {
    local word
    word=$(kubectl get node "$1" -o 'jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}{end}' 2>/dev/null) || return 1
    [ "${word% *}" = True ] && [ "$(date -d "${word#* }" +%s)" -ge "$(stat -c %Y "$state/$1-kubelet.pid")" ]
}

runtime() { local node=$1; shift; ctr --address "$run/$node/containerd.sock" --namespace k8s.io "$@"; }

# Folders of the node's control groups; each hierarchy of version 1 has its own.
cgroup_folders() {
    local hierarchy
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        echo "/sys/fs/cgroup/$id-$1"
    else
        for hierarchy in /sys/fs/cgroup/*/; do [ ! -e "$hierarchy/cgroup.procs" ] || echo "$hierarchy$id-$1"; done
    fi
}

make_cgroups() {
    local folder file
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        sed 's/[a-z]\+/+&/g' /sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || true
    fi
    for folder in $(cgroup_folders "$1"); do
        mkdir -p "$folder"
        for file in cpuset.cpus cpuset.mems; do
            [ ! -e "$folder/$file" ] || [ -e /sys/fs/cgroup/cgroup.controllers ] || cat "$folder/../$file" >"$folder/$file"
        done
    done
}

remove_cgroups() {
    local folder
    for folder in $(cgroup_folders "$1"); do
        [ ! -d "$folder" ] || find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
}

configure_node() {
    local node=$1 own=$state/$1 snapshotter=overlayfs
    mkdir -p "$own"/{containerd,cni,kubelet,log/pods,log/containers,run} "$run/$node"
    # One overlay does not carry another.
    [ "$(stat -fc %T "$own")" != overlayfs ] || snapshotter=native
    cat >"$own/containerd.toml" <<TOML
version = 2
root = "$own/containerd"
state = "$run/$node/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
  address = "$run/$node/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:testbed"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "$snapshotter"

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "$own/cni"
TOML
    cat >"$own/cni/pods.conflist" <<JSON
{
  "cniVersion": "0.4.0", "name": "pods",
  "plugins": [{
    "type": "ptp", "ipMasq": false,
    "ipam": {"type": "host-local", "subnet": "$(pods_of "$node")", "dataDir": "$run/$node/addresses", "routes": [{"dst": "0.0.0.0/0"}]}
  }]
}
JSON
    # Pods see no name server: nothing may leave this machine.
    : >"$own/resolv.conf"
    cat >"$own/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://$run/$node/containerd.sock
address: $(address_of "$node")
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $pki/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: $pki/$node.crt
tlsPrivateKeyFile: $pki/$node.key
cgroupDriver: cgroupfs
cgroupRoot: /$id-$node
cgroupsPerQOS: true
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
featureGates: {KubeletInUserNamespace: true}
resolvConf: $own/resolv.conf
# The disk of this machine is not the nodes' own: when it is full, that is no reason to remove images and pods.
evictionHard: {memory.available: 0%, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%, imagefs.inodesFree: 0%}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
serializeImagePulls: false
nodeLeaseDurationSeconds: 20
nodeStatusUpdateFrequency: 5s
shutdownGracePeriod: 0s
YAML
}

# Kubernetes has fixed places for some things; a node has its own folders there.
start_node() {
    local node=$1 own=$state/$1 pid
    ! node_is_running "$node" || return 0
    # Half a node is a node that lost its power.
    kill_processes_of "$node"
    remove_cgroups "$node"
    rm -rf "${run:?}/$node"
    configure_node "$node"
    make_cgroups "$node"
    mkdir -p /run/containerd /var/lib/kubelet /var/log/pods /var/log/containers /tmp/hostpath_pv
    launch "$node" "$node-containerd" unshare --mount --propagation slave sh -euc '
        mount --make-rshared /
        mount --bind "$1/run" /run/containerd
        mount --bind "$1/kubelet" /var/lib/kubelet
        mount --bind "$1/log/pods" /var/log/pods
        mount --bind "$1/log/containers" /var/log/containers
        mount --bind "$2" /tmp/hostpath_pv
        exec containerd --config "$1/containerd.toml"' sh "$own" "$state/volumes"
    wait_until 60 "that containerd of $node answers" "$node-containerd" runtime "$node" version
    runtime "$node" images import "$state/pause.tar" >/dev/null 2>&1 9>&- || fail "the pause image could not be imported on $node"
    pid=$(pid_of "$node-containerd")
    launch "$node" "$node-kubelet" nsenter --target "$pid" --mount "$bin/kubelet" --config="$own/kubelet.yaml" \
        --kubeconfig="$pki/$node.conf" --hostname-override="$node" --node-ip="$(address_of "$node")" --root-dir=/var/lib/kubelet
}

# Ready, and with what every pod needs before it can be made.
wait_for_nodes() {
    local node
    for node in $nodes; do
        wait_until 120 "that $node is ready" "$node-kubelet" node_is_ready "$node"
    done
    wait_until 60 'that the namespace `default` has its service account' controllers api /api/v1/namespaces/default/serviceaccounts/default
    kubectl apply -f - >/dev/null <<'YAML'
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: folder
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: kubernetes.io/host-path
YAML
}
