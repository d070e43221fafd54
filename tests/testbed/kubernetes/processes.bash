# shellcheck shell=bash
# Part of kubernetes.sh: starting programs so that every one of them is found again, whatever became of this script.
#
# All that runs for a cluster is in one of its network namespaces or, as the processes of pods that have a network
# of their own, in the control groups of its nodes. So nothing has to be remembered to end it.

pid_of() { cat "$state/$1.pid" 2>/dev/null || true; }

# Does the process that was started as PART still run, in the namespace where it was started?
is_running() {
    local where=$1 part=$2 pid
    pid=$(pid_of "$part")
    [ -n "$pid" ] && [ "$(stat -Lc %i "/proc/$pid/ns/net" 2>/dev/null)" = "$(stat -Lc %i "/run/netns/$(namespace "$where")")" ]
}

# launch NAMESPACE PART COMMAND...: in the background, with a log of its own.
launch() {
    local where=$1 part=$2
    shift 2
    mkdir -p "$state/log"
    setsid nsenter --net="/run/netns/$(namespace "$where")" "$@" >>"$state/log/$part.log" 2>&1 </dev/null 9>&- &
    echo $! >"$state/$part.pid"
}

# wait_until SECONDS WHAT LOG COMMAND...
wait_until() {
    local patience=$1 what=$2 log=$3 waited=0
    shift 3
    until "$@" >/dev/null 2>&1; do
        if [ $waited -ge $((patience * 5)) ]; then
            tail -n 15 "$state/log/$log.log" >&2
            fail "$what did not happen within $patience s (log: \`$state/log/$log.log\`)"
        fi
        sleep 0.2
        waited=$((waited + 1))
    done
}

# Processes of a namespace and of the control groups below a name.
processes_of() {
    local where=$1
    ! namespace_is_there "$where" || ip netns pids "$(namespace "$where")"
    find /sys/fs/cgroup -path "/sys/fs/cgroup/*$id-$where*" -name cgroup.procs -exec cat {} + 2>/dev/null || true
}

kill_processes_of() {
    local where=$1 pids rounds=0
    while pids=$(processes_of "$where" | sort -u | grep -vx 0 | tr '\n' ' ') && [ -n "$pids" ]; do
        [ $rounds -lt 100 ] || fail "processes do not end: $pids"
        # shellcheck disable=SC2086 # one argument each
        kill -KILL $pids 2>/dev/null || true
        sleep 0.1
        rounds=$((rounds + 1))
    done
}

kill_all() { local where; for where in $nodes control; do kill_processes_of "$where"; done; }

kill_part() {
    local pid
    case $1 in
        etcd | apiserver | controllers | scheduler)
            pid=$(pid_of "$1")
            is_running control "$1" || fail "$1 does not run"
            kill -KILL "$pid"
            while [ -e "/proc/$pid/ns/net" ]; do sleep 0.05; done
            ;;
        node-1 | node-2) kill_processes_of "$1" ;;
        *) usage ;;
    esac
}
