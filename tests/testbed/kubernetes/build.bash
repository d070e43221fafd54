# shellcheck shell=bash
# Part of kubernetes.sh: the programs.

# Debian packages; installed without starting the services that they bring.
install_packages() {
    local need=()
    command -v etcd >/dev/null || need+=(etcd-server)
    [ -x /usr/lib/cni/ptp ] || need+=(containernetworking-plugins)
    command -v containerd >/dev/null && command -v ctr >/dev/null || need+=(containerd)
    command -v runc >/dev/null || need+=(runc)
    command -v ip >/dev/null || need+=(iproute2)
    command -v openssl >/dev/null || need+=(openssl)
    command -v curl >/dev/null || need+=(curl)
    [ ${#need[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
        fail "missing for a cluster: ${need[*]}" 'install them; this script can do that as root on Debian'
    say "installing ${need[*]} from Debian (apt-get install --no-install-recommends)"
    local policy=/usr/sbin/policy-rc.d ours=false log=$home/apt.log answer=0
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
        ours=true
    fi
    {
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q -o DPkg::Lock::Timeout=300 --no-install-recommends "${need[@]}" || {
            apt-get update -q &&
                DEBIAN_FRONTEND=noninteractive apt-get install -y -q -o DPkg::Lock::Timeout=300 --no-install-recommends "${need[@]}"
        }
    } >"$log" 2>&1 9>&- || answer=$?
    ! $ours || rm -f $policy
    [ $answer = 0 ] || { tail -n 15 "$log" >&2; fail "${need[*]} could not be installed (all output: \`$log\`)"; }
    if [ -d /run/systemd/system ]; then
        systemctl disable -q etcd.service containerd.service 2>>"$log" ||
            say "could not disable the system's own services of these packages; they start at the next boot"
    fi
}

# One program is four, by the name it is started under.
build_programs() {
    local stamp link key=k8s.io/component-base/version
    stamp=$(go_stamp "$bed/kubernetes")
    [ -x "$bin/kubernetes" ] && [ -x "$bin/pause" ] && [ "$(cat "$bin/stamp" 2>/dev/null)" = "$stamp" ] && return 0
    # Clusters of other names share the programs.
    exec 8>"$home/build.lock"
    flock 8
    if [ "$(cat "$bin/stamp" 2>/dev/null)" != "$stamp" ]; then
        go_build "$bed/kubernetes" . "$bin/kubernetes" "-X $key.gitVersion=v$version -X $key.gitMajor=1 -X $key.gitMinor=34"
        go_build "$bed/kubernetes" ./pause "$bin/pause"
        for link in kube-apiserver kube-controller-manager kube-scheduler kubelet; do ln -sf kubernetes "$bin/$link"; done
        printf '%s\n' "$stamp" >"$bin/stamp"
        go_tidy_up
    fi
    exec 8>&-
}
