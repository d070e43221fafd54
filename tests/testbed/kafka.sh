#!/usr/bin/env bash
# Real Apache Kafka brokers, on the loopback interface if nothing else is said: one, or three that keep copies for each other.
#
#   kafka.sh [OPTION]... up             start it, and wait until it answers; idempotent
#   kafka.sh [OPTION]... env            print the environment
#   kafka.sh [OPTION]... status         exit 0 if it runs, 3 if not
#   kafka.sh [OPTION]... kill [NODE]    end a node with SIGKILL (all of them without NODE)
#   kafka.sh [OPTION]... start [NODE]   start it again on the same port, with what it had stored
#   kafka.sh [OPTION]... down           end it and remove what it stored
#   kafka.sh [OPTION]... tool CLASS ARGUMENT...   run a tool of Kafka's own, such as kafka.admin.ConfigCommand
#   kafka.sh [--version V] fetch        only fetch the program
#
#   --name NAME      several side by side (default: `default`)
#   --version V      of Kafka (default: 4.1.0); a name keeps the version that it was started with
#   --nodes N        1 or 3
#   --secure         also listeners with TLS and logins
#   --listen IP      an address of this machine that clients come to, such as that of a test bed's bridge (default: 127.0.0.1)
#   --die-with PID   is ended when that process ends
#
# The environment:
#   KAFKA_SERVERS=IP:PORT[,…]   no TLS, no login
# and with --secure, where topics are closed to everybody but `operator` (and to those without a login):
#   KAFKA_TLS_SERVERS      TLS
#   KAFKA_MUTUAL_SERVERS   TLS that wants a certificate of the client
#   KAFKA_SASL_SERVERS     TLS and a login by PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
#   KAFKA_CERTIFICATES     folder: ca.pem, other-ca.pem (of nobody here), client.pem (key and certificates), client-encrypted.pem and
#                          client.p12 (password `only-for-tests`)
#   KAFKA_USER, KAFKA_GUEST, KAFKA_PASSWORD   logins with that password; they are made up and worth nothing
#
# Kafka comes from Maven Central and runs on the machine's Java (17 or newer). Messages go to stderr, data to stdout.

set -euo pipefail

program=kafka.sh
bed=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
home=$(cd "$bed/../.." && pwd -P)/.cache/testbed/kafka
user=operator guest=guest password=only-for-tests

say() { printf '%s: %s\n' "$program" "$*" >&2; }
fail() { printf '%s: error: %s\n' "$program" "$1" >&2; shift; for line in "$@"; do printf '  hint: %s\n' "$line" >&2; done; exit 1; }
usage() { sed -n '2,/^$/{s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2; exit 2; }
. "$bed/part.bash"

name=default version= nodes= secure= listen= watcher=
while [ $# -gt 0 ]; do
    case $1 in
        --name) name=$2; shift 2 ;;
        --version) version=$2; shift 2 ;;
        --nodes) nodes=$2; shift 2 ;;
        --secure) secure=yes; shift ;;
        --listen) listen=$2; shift 2 ;;
        --die-with) watcher=$2; shift 2 ;;
        *) break ;;
    esac
done
[ $# -gt 0 ] || usage
state=$home/state/$name
if [ -e "$state/settings" ]; then . "$state/settings"; fi
: "${version:=4.1.0}" "${nodes:=1}" "${listen:=127.0.0.1}"
library=$home/$version/lib

fetch() {
    [ ! -e "$library/complete" ] || return 0
    java_prerequisites openssl=openssl
    maven_fetch "$home/$version" "Kafka $version" "org.apache.kafka:kafka_2.13:$version" "org.apache.kafka:kafka-tools:$version" \
        org.slf4j:slf4j-simple:1.7.36
    # one binding of the logger; some versions bring another
    find "$library" -name 'slf4j-reload4j*' -delete
    touch "$library/complete"
}

certificates() {
    local folder=$state/certificates one
    mkdir -p "$folder"
    (
        cd "$folder"
        for one in ca other-ca; do
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$one" -keyout $one.key -out $one.pem
        done
        for one in server client; do
            openssl req -newkey rsa:2048 -nodes -subj "/CN=$one" -keyout $one.key -out $one.csr
            openssl x509 -req -in $one.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -out $one.crt -extfile <(echo "subjectAltName=IP:$listen")
        done
        cat client.key client.crt ca.pem >client.pem
        cat server.key server.crt ca.pem >server.pem
        openssl pkcs8 -topk8 -in client.key -out client-encrypted.pem -passout "pass:$password"
        cat client.crt ca.pem >>client-encrypted.pem
        openssl pkcs12 -export -in client.pem -out client.p12 -passout "pass:$password" -name client
    ) >"$state/certificates.log" 2>&1 || fail "openssl cannot make certificates (log: \`$state/certificates.log\`)"
}

listener_names() { if [ -n "$secure" ]; then echo PLAIN TLS MUTUAL SASL; else echo PLAIN; fi; }

# Settings of a node; what makes it small is from Kafka's documentation of broker settings.
configure() { # NODE
    local node=$1 listeners= one voters= i jaas=org.apache.kafka.common.security
    local -n ports=ports_$node
    for one in $(listener_names); do listeners+="$one://$listen:${ports[$one]},"; done
    for i in $(seq "$nodes"); do
        local -n others=ports_$i
        voters+="$i@127.0.0.1:${others[CONTROLLER]},"
    done
    mkdir -p "$state/$node"
    cat >"$state/$node/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=$node
controller.quorum.voters=${voters%,}
controller.listener.names=CONTROLLER
listeners=${listeners}CONTROLLER://127.0.0.1:${ports[CONTROLLER]}
advertised.listeners=${listeners%,}
inter.broker.listener.name=PLAIN
listener.security.protocol.map=PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,MUTUAL:SSL,SASL:SASL_SSL
log.dirs=$state/$node/data
auto.create.topics.enable=false
default.replication.factor=$nodes
min.insync.replicas=$(((nodes + 1) / 2))
offsets.topic.replication.factor=$nodes
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=$nodes
transaction.state.log.min.isr=$(((nodes + 1) / 2))
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=2097152
log.cleaner.backoff.ms=500
log.initial.task.delay.ms=500
log.retention.check.interval.ms=1000
num.network.threads=2
num.io.threads=2
PROPERTIES
    [ -n "$secure" ] || return 0
    cat >>"$state/$node/server.properties" <<PROPERTIES
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:$user;User:CN=client
ssl.keystore.type=PEM
ssl.keystore.location=$state/certificates/server.pem
ssl.truststore.type=PEM
ssl.truststore.location=$state/certificates/ca.pem
listener.name.mutual.ssl.client.auth=required
listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config=$jaas.plain.PlainLoginModule required user_$user="$password" user_$guest="$password";
listener.name.sasl.scram-sha-256.sasl.jaas.config=$jaas.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=$jaas.scram.ScramLoginModule required;
PROPERTIES
}

java_class() { java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$library/*" "$@"; }

create() {
    local node one numbers identifier scram=()
    rm -rf "$state"
    mkdir -p "$state"
    read -ra numbers < <(free_ports $((nodes * 5)) "$listen")
    for node in $(seq "$nodes"); do
        declare -gA "ports_$node"
        local -n of_node=ports_$node
        for one in PLAIN TLS MUTUAL SASL CONTROLLER; do
            of_node[$one]=${numbers[0]}
            numbers=("${numbers[@]:1}")
        done
    done
    [ -z "$secure" ] || certificates
    if [ -n "$secure" ]; then
        for one in SCRAM-SHA-256 SCRAM-SHA-512; do
            for who in $user $guest; do scram+=(--add-scram "$one=[name=$who,password=$password]"); done
        done
    fi
    identifier=$(python3 -c 'import base64, uuid; print(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "x"))')
    for node in $(seq "$nodes"); do
        configure "$node"
        java_class kafka.tools.StorageTool format -t "$identifier" -c "$state/$node/server.properties" "${scram[@]}" >"$state/$node/format.log" 2>&1 ||
            { tail -n 5 "$state/$node/format.log" >&2; fail "Kafka cannot format its folder (log: \`$state/$node/format.log\`)"; }
    done
    { declare -p version nodes secure listen; for node in $(seq "$nodes"); do declare -p "ports_$node"; done; } | sed 's/^declare -A /declare -gA /' >"$state/settings"
}

pid_of() { cat "$state/$1/pid" 2>/dev/null || true; }
node_runs() {
    local pid
    pid=$(pid_of "$1")
    [ -n "$pid" ] && tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF "$state/$1/server.properties"
}
all_run() { local node; [ -e "$state/settings" ] || return 1; for node in $(seq "$nodes"); do node_runs "$node" || return 1; done; }

launch() { # NODE
    local log=$state/$1/log
    node_runs "$1" && return 0
    [ ! -e "$log" ] || mv "$log" "$log.before"
    setsid java -Xms64m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$library/*" kafka.Kafka "$state/$1/server.properties" \
        >"$log" 2>&1 </dev/null 9>&- &
    echo $! >"$state/$1/pid"
}

await() { # NODE
    local waited=0
    until grep -qF 'Kafka Server started' "$state/$1/log" 2>/dev/null; do
        node_runs "$1" || [ $waited -lt 10 ] || { tail -n 15 "$state/$1/log" >&2; fail "Kafka ended while starting (log: \`$state/$1/log\`)"; }
        [ $waited -lt 1200 ] || fail "Kafka was not ready within 120 s (log: \`$state/$1/log\`)"
        sleep 0.1
        waited=$((waited + 1))
    done
}

start_nodes() { # [NODE]...
    local node
    for node in "$@"; do launch "$node"; done
    for node in "$@"; do await "$node"; done
}

kill_nodes() { # [NODE]...
    local node
    for node in "$@"; do
        ! node_runs "$node" || kill -KILL "$(pid_of "$node")"
        while node_runs "$node"; do sleep 0.05; done
    done
}

servers() { # LISTENER
    local node answer=
    for node in $(seq "$nodes"); do
        local -n at=ports_$node
        answer+=$listen:${at[$1]},
    done
    echo "${answer%,}"
}

print_environment() {
    echo "KAFKA_SERVERS=$(servers PLAIN)"
    [ -n "$secure" ] || return 0
    echo "KAFKA_TLS_SERVERS=$(servers TLS)"
    echo "KAFKA_MUTUAL_SERVERS=$(servers MUTUAL)"
    echo "KAFKA_SASL_SERVERS=$(servers SASL)"
    echo "KAFKA_CERTIFICATES=$state/certificates"
    printf 'KAFKA_USER=%s\nKAFKA_GUEST=%s\nKAFKA_PASSWORD=%s\n' "$user" "$guest" "$password"
}

mkdir -p "$home/state"
locked() { exec 9>"$1"; flock 9; }
exists() { [ -e "$state/settings" ] || fail "there is no Kafka called \`$name\`" "$0 --name $name up"; }

case $1 in
    fetch)
        locked "$home/fetch.lock"
        fetch
        ;;
    up)
        locked "$home/fetch.lock"
        fetch
        locked "$home/state/$name.lock"
        if ! all_run; then
            java_prerequisites openssl=openssl
            [ -e "$state/settings" ] || create
            mapfile -t every < <(seq "$nodes")
            start_nodes "${every[@]}"
            [ -z "$watcher" ] || die_with "$watcher" "$bed/$program" --name "$name" down
        fi
        say "\`$name\`, Kafka $version, answers: $(servers PLAIN)"
        print_environment
        ;;
    env)
        exists
        print_environment
        ;;
    status)
        all_run || { say "\`$name\` does not run"; exit 3; }
        echo "answers: $(servers PLAIN)"
        ;;
    kill | start)
        exists
        locked "$home/state/$name.lock"
        if [ $# -gt 1 ]; then every=("$2"); else mapfile -t every < <(seq "$nodes"); fi
        "${1}_nodes" "${every[@]}"
        ;;
    down)
        locked "$home/state/$name.lock"
        if [ -e "$state/settings" ]; then
            mapfile -t every < <(seq "$nodes")
            kill_nodes "${every[@]}"
        fi
        rm -rf "$state"
        ;;
    tool)
        shift
        fetch
        java_class "$@"
        ;;
    *) usage ;;
esac
