#!/bin/bash
# Does the IOC answer Channel Access? For the engine's or the kubelet's probe: 0 if it does.
#
#   config/liveness.sh   does it instead, if the instance has one
#   K8S_IOC_PV           the PV to read ($IOC_PREFIX in capitals, then :UPTIME)
#   K8S_IOC_ADDRESS      where the IOC listens (every IOC of this host)
#   K8S_IOC_PORT         its port (EPICS_CAS_SERVER_PORT, EPICS_CA_SERVER_PORT, 5064)
#   K8S_IOC_TIMEOUT      seconds to wait (5)

config=${CONFIG_DIR:-${IOC:-/epics/ioc}/config}
if [ -f "$config/liveness.sh" ]; then
    exec "$BASH" "$config/liveness.sh" "$@"
fi

prefix=${IOC_PREFIX:-$IOC_NAME}
pv=${K8S_IOC_PV:-${prefix^^}:UPTIME}
export EPICS_CA_AUTO_ADDR_LIST=NO
# The loopback broadcast reaches all IOCs of a host, 127.0.0.1 only one of them.
export EPICS_CA_ADDR_LIST=${K8S_IOC_ADDRESS:-127.255.255.255}
export EPICS_CA_SERVER_PORT=${K8S_IOC_PORT:-${EPICS_CAS_SERVER_PORT:-${EPICS_CA_SERVER_PORT:-5064}}}
unset EPICS_CA_NAME_SERVERS

caRepeater </dev/null >/dev/null 2>&1 &
answer=$(caget -w "${K8S_IOC_TIMEOUT:-5}" "$pv" 2>&1) && exit 0
message="liveness.sh: $pv does not answer at $EPICS_CA_ADDR_LIST port $EPICS_CA_SERVER_PORT: ${answer//$'\n'/ }"
echo "$message"
# Also into the container's log, beside what the IOC said at the time.
printf '%s\r\n' "$message" 2>/dev/null >/proc/1/fd/1
exit 1
