# shellcheck shell=bash
# Part of kubernetes.sh: namespaces, bridge, addresses.
#
# The bridge lives in the namespace of the control plane, where no firewall rules of this machine reach it. A subnet
# 10.X.Y.0/24 is divided: .0/26 are this machine, the control plane and the nodes, .64/26 and .128/26 the pods of
# node-1 and node-2 that have a network of their own.

address_of() {
    local subnet
    subnet=$(cat "$state/subnet")
    case $1 in
        host) echo "$subnet.1" ;;
        control) echo "$subnet.2" ;;
        node-1) echo "$subnet.11" ;;
        node-2) echo "$subnet.12" ;;
        broadcast) echo "$subnet.63" ;;
    esac
}

subnet_of_nodes() { echo "$(cat "$state/subnet").0/26"; }
pods_of() { local subnet; subnet=$(cat "$state/subnet"); case $1 in node-1) echo "$subnet.64/26" ;; node-2) echo "$subnet.128/26" ;; esac; }

namespace() { echo "$id-$1"; }
namespace_is_there() { [ -e "/run/netns/$(namespace "$1")" ]; }
inside() { local where=$1; shift; nsenter --net="/run/netns/$(namespace "$where")" "$@"; }

# The first of a row of subnets that no route and no address of this machine touches.
choose_subnet() {
    local try seed=$((0x${id#ioc-} % 12000)) number subnet
    # Another checkout may be choosing at this moment; it has chosen once its interface is there.
    exec 7>/run/ioc-testbed-subnet.lock
    flock 7
    for try in $(seq 0 200); do
        number=$(((seed + try * 37) % 12000))
        subnet=10.$((200 + number / 250)).$((1 + number % 250))
        if [ -z "$(ip -4 route show table all root "$subnet.0/24")" ] &&
            [ -z "$(ip -4 route show table all match "$subnet.0/24" | grep -v '^default ')" ]; then
            printf %s "$subnet" >"$state/subnet"
            return 0
        fi
    done
    fail 'no subnet 10.X.Y.0/24 is free on this machine' '`ip route` shows what takes them'
}

# plug NAMESPACE PORT ADDRESS: connects a namespace to the bridge.
plug() {
    local where=$1 port=$2 address=$3
    ip netns add "$(namespace "$where")"
    inside "$where" ip link set lo up
    inside control ip link add "$port" type veth peer name eth0 netns "$(namespace "$where")"
    inside control ip link set "$port" master bridge up
    inside "$where" ip address add "$address/26" broadcast + dev eth0
    inside "$where" ip link set eth0 up
}

make_network() {
    local node
    ip netns add "$(namespace control)"
    inside control ip link set lo up
    inside control ip link add bridge type bridge forward_delay 0
    inside control ip address add "$(address_of control)/26" broadcast + dev bridge
    inside control ip link set bridge up
    ip link add "$id" type veth peer name machine netns "$(namespace control)"
    inside control ip link set machine master bridge up
    ip address add "$(address_of host)/26" broadcast + dev "$id"
    ip link set "$id" up
    exec 7>&-
    for node in $nodes; do
        plug "$node" "$node" "$(address_of "$node")"
        inside "$node" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
        inside control ip route add "$(pods_of "$node")" via "$(address_of "$node")"
        ip route add "$(pods_of "$node")" via "$(address_of "$node")" dev "$id"
    done
    inside node-1 ip route add "$(pods_of node-2)" via "$(address_of node-2)"
    inside node-2 ip route add "$(pods_of node-1)" via "$(address_of node-1)"
}

remove_network() {
    local where
    ip link delete "$id" 2>/dev/null || true
    for where in $nodes control; do
        ! namespace_is_there "$where" || ip netns delete "$(namespace "$where")"
    done
}
