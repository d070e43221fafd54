# shellcheck shell=bash
# Part of kubernetes.sh: etcd, API server, controller manager, scheduler, in one network namespace.

api() { curl -fsS --max-time 5 --cacert "$pki/ca.crt" --cert "$pki/admin.crt" --key "$pki/admin.key" "https://$(address_of control):6443$1"; }
kubectl() { "$project/.cache/testbed/helm/kubectl" --kubeconfig "$kubeconfig" --request-timeout 10s "$@" 9>&-; }

start_control_plane() {
    local api_started=false
    if ! is_running control etcd; then
        # Nothing outside the namespace can reach its loopback address.
        launch control etcd etcd --name testbed --data-dir "$state/etcd" --log-level warn \
            --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
            --listen-peer-urls http://127.0.0.1:2380
    fi
    if ! is_running control apiserver; then
        api_started=true
        launch control apiserver "$bin/kube-apiserver" \
            --etcd-servers=http://127.0.0.1:2379 \
            --bind-address="$(address_of control)" --advertise-address="$(address_of control)" \
            --service-cluster-ip-range=10.96.0.0/16 --allow-privileged --profiling=false \
            --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --anonymous-auth=true \
            --client-ca-file="$pki/ca.crt" --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
            --service-account-issuer=https://kubernetes.default.svc.cluster.local \
            --service-account-key-file="$pki/accounts.pub" --service-account-signing-key-file="$pki/accounts.key" \
            --kubelet-preferred-address-types=InternalIP --kubelet-certificate-authority="$pki/ca.crt" \
            --kubelet-client-certificate="$pki/apiserver-to-kubelet.crt" --kubelet-client-key="$pki/apiserver-to-kubelet.key"
    fi
    ! $api_started || wait_until 60 'that the API server is ready' apiserver api /readyz
    # Failed nodes are noticed after 20 s instead of 50 s, and thousands of instances may be made in a minute: tests
    # wait for both. Simulated nodes do not report in such intervals: NODE_GRACE_PERIOD.
    mkdir -p "$state/volumes" /tmp/hostpath_pv
    # shellcheck disable=SC2016 # expanded by the inner shell
    is_running control controllers || launch control controllers unshare --mount --propagation slave sh -euc '
        mount --bind "$1" /tmp/hostpath_pv
        shift
        exec "$@"' sh "$state/volumes" "$bin/kube-controller-manager" \
        --kubeconfig="$pki/controllers.conf" --leader-elect=false --controllers='*,-nodeipam' --bind-address=127.0.0.1 \
        --use-service-account-credentials --service-account-private-key-file="$pki/accounts.key" --root-ca-file="$pki/ca.crt" \
        --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
        --enable-hostpath-provisioner --node-monitor-grace-period="${NODE_GRACE_PERIOD:-20s}" \
        --kube-api-qps=400 --kube-api-burst=800 --concurrent-statefulset-syncs=10
    is_running control scheduler || launch control scheduler "$bin/kube-scheduler" \
        --kubeconfig="$pki/scheduler.conf" --leader-elect=false --bind-address=127.0.0.1 \
        --kube-api-qps=400 --kube-api-burst=800
}
