# shellcheck shell=bash
# Part of kubernetes.sh: who may talk to whom, as `kubeadm` sets it up.

pki=$state/pki

# certificate FILE USER [GROUP [EXTENSIONS]]
certificate() {
    local file=$pki/$1 user=$2 group=${3:-} extensions=${4:-}
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$file.key" \
        -subj "${group:+/O=$group}/CN=$user" -out "$file.csr" 2>>"$state/openssl.log"
    openssl x509 -req -in "$file.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 365 -out "$file.crt" \
        -extfile <(printf '%s\n' 'basicConstraints=critical,CA:FALSE' 'keyUsage=critical,digitalSignature' \
            'extendedKeyUsage=serverAuth,clientAuth' ${extensions:+"$extensions"}) 2>>"$state/openssl.log"
    rm "$file.csr"
}

# kubeconfig_of NAME FILE: a kubeconfig that holds all it needs.
kubeconfig_of() {
    local file=$pki/$1
    (
        umask 077
        cat >"$2" <<YAML
apiVersion: v1
kind: Config
clusters:
- name: testbed
  cluster:
    server: https://$(address_of control):6443
    certificate-authority-data: $(base64 -w0 "$pki/ca.crt")
users:
- name: $1
  user:
    client-certificate-data: $(base64 -w0 "$file.crt")
    client-key-data: $(base64 -w0 "$file.key")
contexts:
- name: testbed
  context: {cluster: testbed, user: $1}
current-context: testbed
YAML
    )
}

make_certificates() {
    local node
    mkdir -p -m 700 "$pki"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$pki/ca.key" -out "$pki/ca.crt" \
        -subj /CN=testbed -days 365 2>>"$state/openssl.log"
    certificate apiserver kube-apiserver '' \
        "subjectAltName=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1,IP:10.96.0.1,IP:$(address_of control)"
    certificate apiserver-to-kubelet kube-apiserver-kubelet-client system:masters
    certificate admin testbed-admin system:masters
    certificate controllers system:kube-controller-manager
    certificate scheduler system:kube-scheduler
    openssl ecparam -name prime256v1 -genkey -noout -out "$pki/accounts.key" 2>>"$state/openssl.log"
    openssl ec -in "$pki/accounts.key" -pubout -out "$pki/accounts.pub" 2>>"$state/openssl.log"
    kubeconfig_of admin "$kubeconfig"
    kubeconfig_of controllers "$pki/controllers.conf"
    kubeconfig_of scheduler "$pki/scheduler.conf"
    for node in $nodes; do
        certificate "$node" "system:node:$node" system:nodes "subjectAltName=DNS:$node,IP:$(address_of "$node")"
        kubeconfig_of "$node" "$pki/$node.conf"
    done
}
