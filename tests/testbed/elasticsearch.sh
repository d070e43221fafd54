#!/usr/bin/env bash
# A real Elasticsearch on the loopback interface, or an OpenSearch, as the store of alarm histories.
#
#   elasticsearch.sh [OPTION]... up       start it, and wait until it answers; idempotent
#   elasticsearch.sh [OPTION]... env      print the environment: ELASTICSEARCH_URL=…, or OPENSEARCH_URL=…
#   elasticsearch.sh [OPTION]... status   exit 0 if it answers, 3 if not
#   elasticsearch.sh [OPTION]... kill     end it with SIGKILL
#   elasticsearch.sh [OPTION]... start    start it again on the same port, with what it had stored
#   elasticsearch.sh [OPTION]... down     end it and remove what it stored
#   elasticsearch.sh [OPTION]... fetch    only fetch the program
#
#   --opensearch     OpenSearch 2.19.1 in place of Elasticsearch 8.2.0
#   --name NAME      several side by side (default: `default`)
#   --die-with PID   is ended when that process ends
#
# The artefacts come from Maven Central and run on the machine's Java (17 or newer); `elasticsearch/Server.java` starts
# them. Messages go to stderr, data to stdout.
#
# What it deliberately does not do: TLS and logins, which are part of the distribution and not of what is published there.

set -euo pipefail

program=elasticsearch.sh
bed=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
home=$(cd "$bed/../.." && pwd -P)/.cache/testbed/elasticsearch

say() { printf '%s: %s\n' "$program" "$*" >&2; }
fail() { printf '%s: error: %s\n' "$program" "$1" >&2; shift; for line in "$@"; do printf '  hint: %s\n' "$line" >&2; done; exit 1; }
usage() { sed -n '2,/^$/{s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2; exit 2; }
. "$bed/part.bash"

name=default watcher= product=Elasticsearch version=8.2.0 option=()
while [ $# -gt 0 ]; do
    case $1 in
        --opensearch) product=OpenSearch version=2.19.1 option=(--opensearch); shift ;;
        --name) name=$2; shift 2 ;;
        --die-with) watcher=$2; shift 2 ;;
        *) break ;;
    esac
done
[ $# -gt 0 ] || usage
word=${product,,}
programs=$home/$word-$version
state=$home/state/$word-$name

fetch() {
    local source=$programs/Server.java
    if [ ! -e "$programs/complete" ]; then
        java_prerequisites javac=default-jdk-headless curl=curl
        if [ $product = Elasticsearch ]; then
            maven_fetch "$programs" "$product $version" "org.elasticsearch:elasticsearch:$version" \
                "org.elasticsearch.plugin:transport-netty4:$version" org.apache.logging.log4j:log4j-core:2.17.1
        else
            maven_fetch "$programs" "$product $version" "org.opensearch:opensearch:$version" \
                "org.opensearch.plugin:transport-netty4-client:$version" org.apache.logging.log4j:log4j-core:2.21.0
        fi
        touch "$programs/complete"
    fi
    # compiled again when it has changed
    if [ "$programs/Server.class" -nt "$bed/elasticsearch/Server.java" ]; then return 0; fi
    cp "$bed/elasticsearch/Server.java" "$source"
    [ $product = Elasticsearch ] || sed -i 's/org\.elasticsearch\.transport\.netty4/org.opensearch.transport/; s/org\.elasticsearch/org.opensearch/' "$source"
    javac -nowarn -cp "$programs/lib/*" -d "$programs" "$source" >"$programs/log" 2>&1 ||
        { tail -n 15 "$programs/log" >&2; fail "$product's starter cannot be compiled (log: \`$programs/log\`)"; }
}

pid_of() { cat "$state/pid" 2>/dev/null || true; }
is_running() { local pid; pid=$(pid_of); [ -n "$pid" ] && tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF "$state"; }
url() { echo "http://127.0.0.1:$(cut -d' ' -f1 "$state/ports")"; }
answers() { is_running && curl -fs --max-time 5 "$(url)/_cluster/health?wait_for_status=yellow&timeout=4s" >/dev/null 2>&1; }

start() {
    local waited=0 http transport
    is_running || {
        mkdir -p "$state/config"
        [ -e "$state/ports" ] || free_ports 2 >"$state/ports"
        read -r http transport <"$state/ports"
        cat >"$state/config/log4j2.properties" <<'PROPERTIES'
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c: %m%n
PROPERTIES
        setsid java -Xms256m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.disable.jmx=true \
            -Dlog4j.configurationFile="$state/config/log4j2.properties" -cp "$programs:$programs/lib/*" \
            Server "$state" "$http" "$transport" >>"$state/log" 2>&1 </dev/null 9>&- &
        echo $! >"$state/pid"
    }
    until answers; do
        is_running || [ $waited -lt 10 ] || { tail -n 15 "$state/log" >&2; fail "$product ended while starting (log: \`$state/log\`)"; }
        [ $waited -lt 1200 ] || fail "$product was not ready within 120 s (log: \`$state/log\`)"
        sleep 0.1
        waited=$((waited + 1))
    done
}

stop() {
    ! is_running || kill -KILL "$(pid_of)"
    while is_running; do sleep 0.05; done
}

mkdir -p "$home/state"
locked() { exec 9>"$1"; flock 9; }
exists() { [ -e "$state/ports" ] || fail "there is no $product called \`$name\`" "$0 ${option[*]} --name $name up"; }

case $1 in
    fetch)
        locked "$home/fetch.lock"
        fetch
        ;;
    up)
        locked "$home/fetch.lock"
        fetch
        locked "$home/state/$word-$name.lock"
        if ! answers; then
            start
            [ -z "$watcher" ] || die_with "$watcher" "$bed/$program" "${option[@]}" --name "$name" down
        fi
        say "\`$name\`, $product $version, answers: $(url)"
        ;;
    env)
        exists
        echo "${product^^}_URL=$(url)"
        ;;
    status)
        answers || { say "\`$name\` does not answer"; exit 3; }
        echo "answers: $(url)"
        ;;
    kill | start)
        exists
        locked "$home/state/$word-$name.lock"
        if [ "$1" = kill ]; then stop; else start; fi
        ;;
    down)
        locked "$home/state/$word-$name.lock"
        stop
        rm -rf "$state"
        ;;
    *) usage ;;
esac
