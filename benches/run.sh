#!/usr/bin/env bash
# Comparison tables: `ioc` side by side with the named peer, in one run, on this machine. Figures are medians; the
# ratio is what counts, because machines differ. Run by `make bench`.
#
#   IOC=path/to/release/ioc benches/run.sh [start|render|versions|build|size|ps|fleet|deploy|bus|ca|alarm|alarm_kafka|alarm_log|replicas]...
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
: "${IOC:=$root/target/release/ioc}"
work=$(mktemp -d "${TMPDIR:-/tmp}/ioc-bench-XXXXXX")
bed=$root/tests/testbed
export NO_COLOR=1
trap 'cleanup' EXIT

say() { printf '%s\n' "$*" >&2; }
cleanup() {
    [ ! -d "$work/ps" ] || (cd "$work/ps" && "$IOC" delete --all -b bench --yes --volumes >/dev/null 2>&1) || true
    [ ! -e "$work/cluster" ] || "$bed/kubernetes.sh" --name bench down || true
    rm -rf "$work"
}

# median_ms RUNS COMMAND... : milliseconds of the whole process, one run before that is not counted
median_ms() {
    local runs=$1 times=() begin end i
    shift
    "$@" >/dev/null 2>"$work/err" || { say "failed: $*"; cat "$work/err" >&2; exit 1; }
    for i in $(seq "$runs"); do
        begin=$EPOCHREALTIME
        "$@" >/dev/null 2>&1
        end=$EPOCHREALTIME
        times+=("$(((${end/./} - ${begin/./})))")
    done
    printf '%s\n' "${times[@]}" | sort -n | awk '{t[NR]=$1} END {printf "%.1f", t[int((NR+1)/2)]/1000}'
}
row() { printf '| %-44s | %12s | %12s | %8s | %-22s |\n' "$@"; }
header() {
    printf '\n### %s\n\n' "$1"
    row what ioc peer ratio 'wanted'
    printf '|%s|%s|%s|%s|%s|\n' ---------------------------------------------- -------------- -------------- ---------- ------------------------
}
ratio() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.1f x", b/a}'; }

new_services() { # FOLDER COUNT: a project with a services repository of COUNT instances
    local folder=$1 count=$2 i
    mkdir -p "$folder"
    printf '[channel-access]\naddress-list = "127.255.255.255"\nauto-address-list = false\n' >"$folder/ioc.toml"
    cp -a generic-iocs "$folder/"
    (
        cd "$folder"
        "$IOC" -q new beamline bench
        for i in $(seq -w "$count"); do "$IOC" -q new instance "bench-ea-ioc-$i" --image ioc-sim; done
    ) >/dev/null
}

render() {
    "$bed/helm.sh" up >/dev/null
    eval "$("$bed/helm.sh" env)"
    new_services "$work/render" 100
    cd "$work/render"
    local services=beamlines/bench/services
    all_with_helm() {
        local i
        for i in "$services"/bench-ea-ioc-*; do
            "$HELM_BINARY" template "$(basename "$i")" "$i" --namespace bench --values "$services/values.yaml" --values "$i/values.yaml" 2>/dev/null
        done
    }
    local ours theirs
    all_with_helm >"$work/helm.yaml"
    "$IOC" render --all -b bench >"$work/ioc.yaml"
    if cmp -s "$work/helm.yaml" "$work/ioc.yaml"; then say "render: the output of both is the same, byte for byte"; else say "render: THE OUTPUT DIFFERS"; diff "$work/helm.yaml" "$work/ioc.yaml" | head -5 >&2 || true; fi
    ours=$(median_ms 10 "$IOC" render --all -b bench)
    export -f all_with_helm
    export services HELM_BINARY
    theirs=$(median_ms 3 all_with_helm)
    header "Rendering a services repository of 100 instances (helm template $("$HELM_BINARY" version --template '{{.Version}}'), 100 runs)"
    row "100 instances" "$ours ms" "$theirs ms" "$(ratio "$ours" "$theirs")" ">= 50 x, < 100 ms"
    cd "$root"
    new_services "$work/render-1000" 1000
    cd "$work/render-1000"
    row "1000 instances" "$(median_ms 5 "$IOC" render --all -b bench) ms" - - "< 1000 ms"
    cd "$root"
}

start() {
    header "Starting"
    row "ioc --version" "$(median_ms 30 "$IOC" --version) ms" - - "< 10 ms"
}

engine_up() {
    "$bed/engine.sh" up
    set -a
    eval "$("$bed/engine.sh" env)"
    set +a
    export IOC_CACHE_DIR=$root/.cache/ioc IOC_STATE_DIR=$work/state
}

build() {
    engine_up
    "$IOC" image bootstrap --suite trixie >/dev/null
    "$IOC" build ioc-sim >/dev/null
    # A chain of four images that builds without a git host: the same depth as the areaDetector chain.
    mkdir -p "$work/chain"
    cp -a generic-iocs ioc.toml "$work/chain/"
    (
        cd "$work/chain"
        sed -i '/^\[beamline/,$d' ioc.toml
        rm -rf generic-iocs/epics-modules generic-iocs/epics-areadetector generic-iocs/ioc-adsimdetector generic-iocs/ioc-motorsim generic-iocs/ioc-sim/*.lock
        mkdir -p generic-iocs/chain-modules generic-iocs/chain-detector
        printf 'description: second of the chain\nbase: epics-base\n' >generic-iocs/chain-modules/image.yaml
        printf 'description: third of the chain\nbase: chain-modules\n' >generic-iocs/chain-detector/image.yaml
        sed -i 's/^base: .*/base: chain-detector/' generic-iocs/ioc-sim/image.yaml
    )
    cd "$work/chain"
    IOC_IMAGE_TAG=bench "$IOC" build ioc-sim >/dev/null
    header "Nothing-to-do build of a chain of four images"
    export IOC_IMAGE_TAG=bench
    row "ioc build ioc-sim" "$(median_ms 10 "$IOC" build ioc-sim) ms" - - "< 2000 ms"
    unset IOC_IMAGE_TAG
    cd "$root"
}

size() {
    engine_up
    header "Sizes"
    "$IOC" image ls
    local bytes
    bytes=$(stat -c %s "$IOC")
    row "release binary" "$((bytes / 1024 / 1024)) MiB" - - "aim at 30 MB"
}

ps() {
    engine_up
    new_services "$work/ps" 50
    cd "$work/ps"
    "$IOC" deploy --all -b bench --yes --no-wait >/dev/null
    local ours theirs=-
    ours=$(median_ms 10 "$IOC" ps)
    if command -v docker >/dev/null && [ -n "${DOCKER_HOST:-}" ]; then theirs=$(median_ms 10 docker ps -a); fi
    header "ioc ps of 50 local instances (peer: the docker client's own list, which shows less)"
    row "ioc ps" "$ours ms" "$theirs ms" "$( [ "$theirs" = - ] && echo - || ratio "$ours" "$theirs")" "< 150 ms"
    "$IOC" delete --all -b bench --yes --volumes >/dev/null
    cd "$root"
}

# kilobytes COMMAND... : the most memory that a process had, or the largest of several in a row
kilobytes() { python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$@"; }

# What a list costs that is watched while nothing happens: processor time of a minute, after it has come to rest.
idle() {
    local process before after
    "$IOC" ps -A -w >/dev/null 2>&1 &
    process=$!
    sleep 15
    before=$(awk '{print $14 + $15}' "/proc/$process/stat")
    sleep 60
    after=$(awk '{print $14 + $15}' "/proc/$process/stat")
    kill "$process"
    wait "$process" 2>/dev/null || true
    row "ioc ps -w, processor while nothing happens" "$(awk -v t=$((after - before)) -v hz="$(getconf CLK_TCK)" 'BEGIN {printf "%.2f", 100 * t / hz / 60}') %" - - "near zero"
}

# A cluster beside the one of the tests, with simulated IOCs on it, and one that is real.
fleet() {
    local count=${FLEET:-2000} theirs ours=- memory=- answer=0
    touch "$work/cluster"
    NODE_GRACE_PERIOD=24h "$bed/kubernetes.sh" --name bench up
    "$bed/kwok.sh" --name bench up
    "$bed/kwok.sh" --name bench fill "$count"
    eval "$("$bed/helm.sh" env)"
    KUBECONFIG=$("$bed/kubernetes.sh" --name bench env | sed -n 's/^KUBERNETES_TESTBED=//p')
    export KUBECONFIG HELM_BINARY KUBECTL_BINARY
    # What `ec ps` runs.
    ps_with_both() {
        "$KUBECTL_BINARY" get statefulset -A -l ioc=true -o yaml
        "$HELM_BINARY" list -A -o json -m 0
    }
    export -f ps_with_both
    header "ioc ps of $count IOCs on a cluster (peer: kubectl get statefulset -l ioc=true -o yaml, then helm list -o json)"
    theirs=$(median_ms 3 ps_with_both)
    "$IOC" -o json ps -A >"$work/rows" 2>"$work/err" || answer=$?
    if [ $answer = 0 ]; then
        [ "$(python3 -c 'import json, sys; print(len(json.load(sys.stdin)))' <"$work/rows")" = "$count" ] || { say "ioc ps does not show $count rows"; exit 1; }
        ours=$(median_ms 10 "$IOC" ps -A)
        memory=$(kilobytes "$IOC" ps -A)
        row "ioc ps, $count IOCs" "$ours ms" "$theirs ms" "$(ratio "$ours" "$theirs")" ">= 10 x, < 1000 ms"
        idle
        row "its memory" "$((memory / 1024)) MB" "$(($(kilobytes bash -c ps_with_both) / 1024)) MB" - "< 100 MB"
    else
        say "ioc ps: $(head -n1 "$work/err")"
        row "ioc ps, $count IOCs" 'fails' "$theirs ms" - ">= 10 x, < 1000 ms"
    fi
    "$bed/kwok.sh" --name bench down
    "$bed/kubernetes.sh" --name bench down
    rm -f "$work/cluster"
}

# One instance from nothing to ready, taking turns.
deploy() {
    local instance=bench-ea-ioc-1 services=beamlines/bench/services ours=() theirs=() begin answer=0 i
    engine_up
    touch "$work/cluster"
    "$bed/kubernetes.sh" --name bench up
    eval "$("$bed/helm.sh" env)"
    KUBECONFIG=$("$bed/kubernetes.sh" --name bench env | sed -n 's/^KUBERNETES_TESTBED=//p')
    export KUBECONFIG HELM_BINARY KUBECTL_BINARY
    "$IOC" image bootstrap --suite trixie >/dev/null
    "$IOC" build ioc-sim >/dev/null
    "$bed/kubernetes.sh" --name bench load "localhost/ioc-sim-runtime:${IOC_IMAGE_TAG:-latest}"
    new_services "$work/fleet" 1
    cd "$work/fleet"
    sed -i 's/backend = "local"/backend = "kubernetes"/' ioc.toml
    "$KUBECTL_BINARY" create namespace bench >/dev/null
    once() { # COMMAND...: tenths of milliseconds, and everything is gone afterwards
        begin=$EPOCHREALTIME
        "$@" >/dev/null 2>"$work/err" || { cat "$work/err" >&2; return 1; }
        echo $(((${EPOCHREALTIME/./} - ${begin/./}) / 100))
        "$HELM_BINARY" uninstall "$instance" -n bench --wait >/dev/null 2>&1
        "$KUBECTL_BINARY" -n bench wait --for=delete "pod/$instance-0" --timeout=60s >/dev/null 2>&1 || true
    }
    for i in 1 2 3 4 5; do
        theirs+=("$(once "$HELM_BINARY" upgrade --install "$instance" "$services/$instance" -n bench -f "$services/values.yaml" \
            -f "$services/$instance/values.yaml" --wait --timeout 60s)")
        [ $answer = 0 ] || continue
        ours+=("$(once "$IOC" deploy "$instance" -b bench --yes)") || { answer=1; say "ioc deploy: $(head -n1 "$work/err")"; }
    done
    median() { printf '%s\n' "$@" | sort -n | awk '{t[NR]=$1} END {printf "%.1f", t[int((NR+1)/2)]/10}'; }
    header "Deploying one instance on a cluster, plan to ready (peer: helm upgrade --install --wait)"
    if [ $answer = 0 ]; then
        row "ioc deploy" "$(median "${ours[@]}") ms" "$(median "${theirs[@]}") ms" "$(ratio "$(median "${ours[@]}")" "$(median "${theirs[@]}")")" ">= 1 x"
    else
        row "ioc deploy" fails "$(median "${theirs[@]}") ms" - ">= 1 x"
    fi
    cd "$root"
    "$bed/kubernetes.sh" --name bench down
    rm -f "$work/cluster"
}

# A services repository with 100 instances and 500 tags: each tag changes one to three instances, every fiftieth the values
# of all, every hundredth the templates that all link to.
tagged_repository() { # FOLDER
    git init --quiet --initial-branch=main "$1"
    awk 'function file(mode, path, text) { printf "M %s inline %s\ndata %d\n%s\n", mode, path, length(text), text }
        BEGIN {
            for (tag = 0; tag < 500; tag++) {
                printf "commit refs/heads/main\nmark :%d\ncommitter b <b@b> %d +0000\ndata 1\nx\n", tag + 1, 1700000000 + tag * 3600
                if (tag == 0) {
                    file("100644", ".helm-shared/Chart.yaml", "apiVersion: v2\nname: ec-service\nversion: 1.0.0")
                    file("100644", "services/values.yaml", "shared: 0")
                    for (i = 0; i < 100; i++) {
                        folder = sprintf("services/bench-ea-ioc-%02d", i)
                        file("120000", folder "/Chart.yaml", "../../.helm-shared/Chart.yaml")
                        file("120000", folder "/templates", "../../.helm-shared/templates")
                        file("100644", folder "/values.yaml", "a: 0")
                        file("100644", folder "/config/st.cmd", "iocInit")
                    }
                }
                if (tag % 100 == 0) file("100644", ".helm-shared/templates/ioc.yaml", "# " tag)
                if (tag % 50 == 0) file("100644", "services/values.yaml", "shared: " tag)
                for (n = 0; n <= tag % 3; n++) file("100644", sprintf("services/bench-ea-ioc-%02d/config/st.cmd", (tag * 7 + n * 31) % 100), "# " tag)
                printf "reset refs/tags/2026.%d.%d\nfrom :%d\n\n", tag / 50 + 1, tag % 50, tag + 1
            }
        }' | git -C "$1" fast-import --quiet
}

versions() {
    local repository=$work/tagged ours every theirs
    tagged_repository "$repository"
    # what `ec` runs per tag; its clone, its Python and its own work are left out
    two_processes_per_tag() {
        local tag before=
        for tag in $(git -C "$repository" tag --sort=committerdate); do
            if [ -z "$before" ]; then git -C "$repository" ls-tree -r "$tag" --name-only; else git -C "$repository" diff --name-only "$before" "$tag"; fi
            git -C "$repository" ls-tree -r "$tag" services | grep '^120000' || true
            before=$tag
        done
    }
    export -f two_processes_per_tag
    export repository
    ours=$(median_ms 10 "$IOC" versions bench-ea-ioc-07 --repository "$repository")
    every=$(median_ms 10 "$IOC" versions --repository "$repository")
    theirs=$(median_ms 3 two_processes_per_tag)
    header "Versions of a repository with 500 tags and 100 instances (peer: two git processes per tag, as ec runs them)"
    row "ioc versions INSTANCE" "$ours ms" "$theirs ms" "$(ratio "$ours" "$theirs")" ">= 20 x"
    row "ioc versions (all 100 instances)" "$every ms" "$theirs ms" "$(ratio "$every" "$theirs")" ">= 20 x"
}

# Both buses with the same program in one run: the embedded one is on the disk of this checkout, Kafka has one broker there.
bus() {
    local bench=${BUS_BENCH:-$root/target/release/examples/bench} folder=$root/.cache/bench-bus
    [ -n "${BUS_BENCH:-}" ] || cargo build --quiet --release --locked --package bus --example bench
    rm -rf "$folder"
    mkdir -p "$folder"
    "$bench" embedded "$folder/bus" >"$work/bus.embedded"
    rm -rf "$folder"
    "$bed/kafka.sh" --name bench --die-with $$ up >"$work/kafka.env"
    "$bench" kafka "$(sed -n 's/^KAFKA_SERVERS=//p' "$work/kafka.env")" >"$work/bus.kafka"
    "$bed/kafka.sh" --name bench down
    figure() { awk -v name="$2" -v digits="$3" '$1 == name {printf "%.*f", digits, $2}' "$work/bus.$1"; }
    header "The alarm system's bus: embedded, and Apache Kafka with one broker (records of 220 bytes)"
    both() { row "$1" "$(figure embedded "$2" "$3")$4" "$(figure kafka "$2" "$3")$4" - "$5"; }
    both 'one by one, each durable before the next, per s' one_by_one_per_second 0 '' 'both shown'
    both 'a burst of 100,000 until all is durable, per s' burst_per_second 0 '' 'both shown'
    both 'its processor time' burst_processor_ms 0 ' ms' ''
    both 'read from the beginning, per s' read_per_second 0 '' ''
    both '200 per s, send to reader, p50' latency_p50_ms 2 ' ms' '< 3 ms'
    both '200 per s, send to reader, p99' latency_p99_ms 2 ' ms' '< 10 ms'
    both 'processor at 200 per s' steady_processor_percent 1 ' %' ''
    both 'processor when nothing happens' idle_processor_percent 1 ' %' ''
}

# The Channel Access client and libca, taking turns at one IOC with 100,000 records that stand still and 1,000 that change.
ca() {
    local folder libraries ours=$root/target/release/examples/watch_many peer=$work/watch server i what
    "$bed/softioc.sh" up >/dev/null
    eval "$("$bed/softioc.sh" env)"
    folder=$("$SOFTIOC_PYTHON" -c 'import os, epicscorelibs; print(os.path.dirname(epicscorelibs.__file__))')
    libraries=$folder/lib
    cargo build --quiet --release --locked -p ca --example watch_many
    cc -O2 "-I$folder/include" "-I$folder/include/os/Linux" "-I$folder/include/compiler/gcc" benches/ca/watch.c -o "$peer" \
        "$libraries"/libca.so "$libraries"/libCom.so "-Wl,-rpath,$libraries"
    awk 'BEGIN {
        for (i = 0; i < 100000; i++) printf "record(ao, \"BENCH:%d\") { field(VAL, \"%d\") field(PINI, \"YES\") }\n", i, i
        for (i = 0; i < 1000; i++) printf "record(calc, \"TICK:%d\") { field(CALC, \"VAL+1\") field(SCAN, \".1 second\") }\n", i
    }' >"$work/ca.db"
    local port
    port=$("$SOFTIOC_PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    export EPICS_CA_SERVER_PORT=$port EPICS_CA_ADDR_LIST=127.0.0.1 EPICS_CA_AUTO_ADDR_LIST=NO EPICS_CA_REPEATER_PORT=$((port > 60000 ? port - 1 : port + 1))
    coproc BENCH_IOC { EPICS_CAS_SERVER_PORT=$port EPICS_CAS_INTF_ADDR_LIST=127.0.0.1 EPICS_CAS_BEACON_ADDR_LIST=127.0.0.1 EPICS_CAS_AUTO_BEACON_ADDR_LIST=NO \
        exec "$SOFTIOC_PYTHON" "$root/benches/ca/serve.py" "$work/ca.db" 2>"$work/err"; }
    server=$BENCH_IOC_PID
    while read -r what <&"${BENCH_IOC[0]}"; do [ "$what" != ready ] || break; done
    [ "$what" = ready ] || { say "the IOC did not start"; cat "$work/err" >&2; exit 1; }
    "$peer" BENCH: 1000 >/dev/null 2>&1
    for i in 1 2 3 4 5; do
        "$peer" BENCH: 100000 2>/dev/null | sed 's/^/peer /'
        # the IOC takes a while to forget a hundred thousand subscriptions
        sleep 3
        "$ours" BENCH: 100000 | sed 's/^/ours /'
        sleep 3
    done >"$work/ca.many"
    for i in 1 2 3; do
        "$peer" TICK: 1000 10 2>/dev/null | sed 's/^/peer /'
        "$ours" TICK: 1000 10 | sed 's/^/ours /'
    done >"$work/ca.tick"
    kill "$server"
    wait "$server" 2>/dev/null || true
    watched() { awk -v who="$2" -v what="$3" '$1 == who && $2 == what {print $3}' "$work/$1" | sort -n | awk '{t[NR]=$1} END {print t[int((NR+1)/2)]}'; }
    header "Watching PVs of one IOC (peer: libca with preemptive callbacks, DBR_TIME_DOUBLE)"
    row "100,000 PVs, all first values" "$(watched ca.many ours values) s" "$(watched ca.many peer values) s" "$(ratio "$(watched ca.many ours values)" "$(watched ca.many peer values)")" "> 1 x"
    row "memory with them" "$(watched ca.many ours resident) kB" "$(watched ca.many peer resident) kB" "$(ratio "$(watched ca.many ours resident)" "$(watched ca.many peer resident)")" "> 2 x"
    row "processor, 1,000 PVs at 10 Hz" "$(watched ca.tick ours processor) %" "$(watched ca.tick peer processor) %" "$(ratio "$(watched ca.tick ours processor)" "$(watched ca.tick peer processor)")" "< 3 % of a core"
    unset EPICS_CA_SERVER_PORT EPICS_CA_ADDR_LIST EPICS_CA_AUTO_ADDR_LIST EPICS_CA_REPEATER_PORT
}

# The alarm server of crates/alarm-server as a process of its own, with a real IOC. Phoebus cannot be installed here: its
# figures were recorded on a machine of the same size (2 cores, 24 GiB) and are not measured beside ours.
alarm_figures() { # OUTPUT WORDS...: runs the program that measures, its lines go to that file
    local output=$1
    shift
    "${ALARM_FIGURES:-$root/target/release/examples/figures}" "$@" >"$work/alarm.$output"
}
alarm_up() {
    "$bed/softioc.sh" up >/dev/null
    SOFTIOC_PYTHON=$("$bed/softioc.sh" env | sed -n 's/^SOFTIOC_PYTHON=//p')
    export SOFTIOC_PYTHON
    [ -n "${ALARM_FIGURES:-}" ] || cargo build --quiet --release --locked --package alarm-server --example figures
}
# alarm_value OUTPUT NAME DIGITS: the median if there are several
alarm_value() {
    awk -v name="$2" '$1 == name {print $2}' "$work/alarm.$1" | sort -n | awk -v digits="$3" '{t[NR]=$1} END {printf "%.*f", digits, t[int((NR+1)/2)]}'
}

alarm() {
    alarm_up
    local bus=embedded rate
    alarm_figures 10k load $bus 10000 1000
    alarm_figures 50k load $bus 50000 0
    alarm_figures 200 load $bus 10000 200
    alarm_figures 30000 load $bus 10000 30000
    alarm_figures limit limit $bus 10000
    alarm_figures kill kill $bus 1000
    header "The alarm server on the bus in files (peer: Phoebus 5.0.5 on Kafka, recorded elsewhere)"
    row "start to all states, 10,000 PVs" "$(alarm_value 10k start_seconds 2) s" '13.5 s' - '< 1 s'
    row "start to all states, 50,000 PVs" "$(alarm_value 50k start_seconds 2) s" '22.2 s' - '< 3 s'
    row "memory, 10,000 PVs" "$(alarm_value 10k start_memory_mib 0) MiB" '223 MiB' - '< 22 MiB'
    row "memory, 50,000 PVs" "$(alarm_value 50k start_memory_mib 0) MiB" '634 MiB' - '< 64 MiB'
    row "memory after a restart, 50,000 PVs" "$(alarm_value 50k restart_memory_mib 0) MiB" '611 MiB' - ''
    for rate in 200 1000; do
        local name=$rate
        [ $rate = 200 ] || name=10k
        row "value to consumer, $rate/s, p50" "$(alarm_value $name start_p50_ms 1) ms" "$([ $rate = 200 ] && echo '18.2 ms' || echo '10 ms')" - '< 3 ms'
        row "value to consumer, $rate/s, p99" "$(alarm_value $name start_p99_ms 1) ms" '33 ms' - '< 10 ms'
    done
    row "processor at 1,000/s" "$(alarm_value 10k start_processor_percent 1) %" '9 %' - '< 2 %'
    row "processor at 30,000/s" "$(alarm_value 30000 start_processor_percent 1) %" '21 %' - '< 15 %'
    row "value to consumer, 30,000/s, p99" "$(alarm_value 30000 start_p99_ms 0) ms" '49 ms' - ''
    row "most changes a second before it is behind" "$(alarm_value limit limit_per_second 0)" 'over 30,000' - ''
    row "SIGKILL to the missed alarm, 1,000 PVs" "$(alarm_value kill kill_to_alarm_seconds 2) s" '6.1 s' - '< 1 s'
    alarm_import
}

# Ten of 10,000 PVs changed while a server runs. Needs no IOC.
alarm_import() {
    local folder=$work/alarm-import server begin end
    mkdir -p "$folder"
    tree() { # DESCRIPTION of every thousandth PV
        awk -v other="$1" 'BEGIN {
            print "<config name=\"Bench\">"
            for (group = 0; group < 100; group++) {
                printf "<component name=\"group%d\">\n", group
                for (i = 0; i < 100; i++) printf "<pv name=\"k%d-%d\"><description>%s</description></pv>\n", group, i, (i == 0 && group % 10 == 0 ? other : "a PV")
                print "</component>"
            }
            print "</config>"
        }'
    }
    tree 'a PV' >"$folder/before.xml"
    tree 'another' >"$folder/after.xml"
    export EPICS_CA_ADDR_LIST=127.0.0.1 EPICS_CA_AUTO_ADDR_LIST=NO
    begin=$EPOCHREALTIME
    "$IOC" alarm config apply "$folder/before.xml" --bus "$folder/bus" --yes >/dev/null 2>&1
    row "import, 10,000 PVs, empty bus" "$(((${EPOCHREALTIME/./} - ${begin/./}) / 1000)) ms" '11500 ms' - ''
    "$IOC" alarm serve --config Bench --bus "$folder/bus" >"$folder/log" 2>&1 &
    server=$!
    for _ in $(seq 100); do grep -q '^ready' "$folder/log" && break || sleep 0.1; done
    begin=$EPOCHREALTIME
    "$IOC" -o json alarm config apply "$folder/after.xml" --bus "$folder/bus" --yes >"$folder/report" 2>"$work/err" || cat "$work/err" >&2
    end=$EPOCHREALTIME
    kill "$server"
    wait "$server" 2>/dev/null || true
    row "again with ten changes, server running" "$(((${end/./} - ${begin/./}) / 1000)) ms" '446000 ms' - '< 1000 ms'
    row "records that it wrote" "$(sed -n 's/^  "records": \([0-9]*\),/\1/p' "$folder/report")" '30300' - '10'
    unset EPICS_CA_ADDR_LIST EPICS_CA_AUTO_ADDR_LIST
}

alarm_kafka() {
    alarm_up
    "$bed/kafka.sh" --name bench --die-with $$ up >"$work/kafka.env"
    local bus
    bus=kafka:$(sed -n 's/^KAFKA_SERVERS=//p' "$work/kafka.env")
    alarm_figures kafka.10k load "$bus" 10000 1000
    alarm_figures kafka.200 load "$bus" 10000 200
    alarm_figures kafka.kill kill "$bus" 1000
    "$bed/kafka.sh" --name bench down
    header "The alarm server on Apache Kafka with one broker (peer: Phoebus 5.0.5, recorded elsewhere)"
    row "start to all states, 10,000 PVs" "$(alarm_value kafka.10k start_seconds 2) s" '13.5 s' - '< 1 s'
    row "memory, 10,000 PVs" "$(alarm_value kafka.10k start_memory_mib 0) MiB" '223 MiB' - ''
    row "value to consumer, 200/s, p50" "$(alarm_value kafka.200 start_p50_ms 1) ms" '18.2 ms' - '< 3 ms'
    row "value to consumer, 200/s, p99" "$(alarm_value kafka.200 start_p99_ms 1) ms" '33 ms' - '< 10 ms'
    row "value to consumer, 1,000/s, p50" "$(alarm_value kafka.10k start_p50_ms 1) ms" '10 ms' - '< 3 ms'
    row "processor at 1,000/s" "$(alarm_value kafka.10k start_processor_percent 1) %" '9 %' - '< 2 %'
    row "SIGKILL to the missed alarm, 1,000 PVs" "$(alarm_value kafka.kill kill_to_alarm_seconds 2) s" '6.1 s' - '< 1 s'
}

# 50,000 states that are on the bus in files, from the start of the logger until all are found. Phoebus' logger was recorded on
# a machine of the same size and is not measured beside ours.
alarm_log() {
    local sinks=${ALARM_SINKS:-$root/target/release/examples/sinks} at
    [ -n "${ALARM_SINKS:-}" ] || cargo build --quiet --release --locked --package alarm-log --example sinks
    "$sinks" sqlite >"$work/alarm.sqlite"
    "$bed/elasticsearch.sh" --name bench --die-with $$ up
    at=$("$bed/elasticsearch.sh" --name bench env | cut -d= -f2)
    # templates, indices and the server's own compiler are there in the second run
    "$sinks" "$at" >/dev/null
    "$sinks" "$at" >"$work/alarm.elasticsearch"
    "$bed/elasticsearch.sh" --name bench down
    header "The alarm logger: 50,000 records on the bus until all are found (peer: Phoebus' logger 5.0.5, recorded elsewhere)"
    row "in Elasticsearch 8.2.0" "$(alarm_value elasticsearch seconds 2) s" '10.6 s' - '< 3 s'
    row "memory of the logger" "$(alarm_value elasticsearch memory_mib 0) MiB" '528 MiB' - '< 60 MiB'
    row "in SQLite" "$(alarm_value sqlite seconds 2) s" - - '< 1 s'
}

# From the end of a leading alarm server to the first record of the next one, on both buses.
replicas() {
    local ours=$root/target/release/examples/takeover bus place
    "$bed/kafka.sh" --name bench up >"$work/kafka" 2>/dev/null
    cargo build --quiet --release --locked -p alarm-server --example takeover --example replica
    header "Several alarm servers: how long nobody speaks (100 PVs; half of the times killed, half handed over)"
    for bus in embedded kafka; do
        place=$work/replicas
        [ "$bus" = embedded ] || place=kafka:$(sed -n 's/^KAFKA_SERVERS=//p' "$work/kafka")
        "$ours" "$place" "${TAKEOVERS:-20}" >"$work/takeover"
        row "$bus, SIGKILL" "$(sed -n 's/^SIGKILL.*: //p' "$work/takeover")" - - "$([ "$bus" = embedded ] && echo '< 1 s' || echo '< 3 s')"
        row "$bus, planned" "$(sed -n 's/^planned: //p' "$work/takeover")" - - '< 1 s'
    done
    "$bed/kafka.sh" --name bench down
}

printf 'ioc %s, %s processors, %s\n' "$("$IOC" --version | cut -d' ' -f2)" "$(nproc)" "$(uname -sm)"
if [ $# -eq 0 ]; then set -- start render versions build size ps fleet deploy bus ca alarm alarm_kafka alarm_log replicas; fi
for part in "$@"; do "$part"; done
