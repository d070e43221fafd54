#!/usr/bin/env bash
# The main job on this machine, from nothing to IOCs that were built, deployed, looked at, changed and rolled back, and to
# an alarm that was raised, seen, acknowledged and over, with the leading alarm server killed in between.
# Ends by itself and leaves nothing running, unless KEEP=1. What it makes stays below .cache/ for the next run.
#
#   IOC=path/to/ioc tests/demo.sh        (make demo builds the binary first)
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
: "${IOC:=$root/target/release/ioc}"
started=$SECONDS
engine=$root/tests/testbed/engine.sh
demo=$root/.cache/demo
transcript=()

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' green=$'\e[32m' plain=$'\e[0m'; else bold='' green='' plain=''; fi
chapter() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
shown() { transcript+=("$*"); }
run() { # prints the command as a user would type it, then runs it
    printf '%s$ %s%s\n' "$green" "ioc $*" "$plain"
    "$IOC" "$@"
}
fail() { printf '\ndemo: %s\n' "$*" >&2; exit 1; }

"$engine" status >/dev/null 2>&1 && engine_was_there=1 || engine_was_there=0
servers='' watcher='' logger=''
cleanup() {
    local code=$?
    local process
    for process in $watcher $servers $logger; do kill "$process" 2>/dev/null || true; done
    if [ "${KEEP:-0}" = 1 ]; then
        printf '\nKEEP=1: the IOCs go on. To use them:\n'
        printf '  export DOCKER_HOST=%s IOC_STATE_DIR=%s IOC_PROJECT=%s\n' "$DOCKER_HOST" "$IOC_STATE_DIR" "$IOC_PROJECT"
        printf '  %s ps ; %s delete --all -b t01 --yes ; tests/testbed/engine.sh down\n' "$IOC" "$IOC"
    elif [ -n "${IOC_STATE_DIR:-}" ]; then
        "$IOC" delete --all -b t01 --yes --volumes >/dev/null 2>&1 || true
        if [ "$engine_was_there" = 0 ]; then "$engine" down || true; fi
    fi
    exit "$code"
}
trap cleanup EXIT

chapter "A container engine"
"$engine" up
set -a
eval "$("$engine" env)"
set +a
# The demo works on a copy of the example, with its own records, so that your checkout and your IOCs stay as they are.
rm -rf "$demo/project"
mkdir -p "$demo/project" "$demo/state"
cp -a ioc.toml generic-iocs beamlines alarm "$demo/project/"
export IOC_PROJECT=$demo/project IOC_STATE_DIR=$demo/state IOC_CACHE_DIR=$root/.cache/ioc
cd "$demo/project"
# A repository of its own, so that versions show the commit and whether the working copy was changed.
git init -q .
git add -A
git -c user.name=demo -c user.email=demo@localhost commit -qm "The example beamline"
"$IOC" delete --all -b t01 --yes --volumes >/dev/null 2>&1 || true
rm -rf "$demo/state"

chapter "The operating-system image and the IOC image"
run image bootstrap --suite trixie
run build ioc-sim
run image ls
shown "built ioc-sim on epics-base, developer and runtime, from the Debian package mirror only"
run image show ioc-sim

chapter "Three IOC instances from charts"
run check beamlines/t01
run deploy --all -b t01 --yes --message "first deployment"
run ps
shown "deployed three instances and waited until each answered Channel Access"

chapter "Looking at them"
run exec t01-ea-ioc-01 -- caget T01:UPTIME T01:STAGE:TEMP T01:STAGE:TEMP.HIGH
run logs --tail 3 t01-ea-ioc-01 t01-mo-ioc-01
printf '%s$ %s%s\n' "$green" "echo 'dbgf T01:STAGE:TEMP' | ioc attach t01-ea-ioc-01" "$plain"
echo 'dbgf T01:STAGE:TEMP' | "$IOC" attach --tail 0 t01-ea-ioc-01
shown "typed a command into the IOC shell"
# its stage heats up ten times as fast as the clock: within seconds it passes its limits
printf '%s$ %s%s\n' "$green" "ioc exec t01-al-ioc-01 -- caget -a T01-AL:STAGE:TEMP" "$plain"
for _ in $(seq 30); do
    alarm=$("$IOC" exec t01-al-ioc-01 -- caget -a T01-AL:STAGE:TEMP)
    grep -q MAJOR <<<"$alarm" && break
    sleep 1
done
echo "$alarm"
grep -q MAJOR <<<"$alarm" || fail "the third instance is not in alarm"
shown "read a PV that is in alarm"

chapter "A change: shown, deployed, rolled back"
high() { "$IOC" exec t01-ea-ioc-01 -- caget -t T01:STAGE:TEMP.HIGH | tr -d '\r'; }
before=$(high)
sed -i 's/HIGH=60/HIGH=61/' beamlines/t01/services/t01-ea-ioc-01/config/st.cmd
run diff t01-ea-ioc-01
run deploy t01-ea-ioc-01 --yes --message "alarm limit 61 degC"
changed=$(high)
run history t01-ea-ioc-01
run rollback t01-ea-ioc-01 --yes
after=$(high)
printf 'T01:STAGE:TEMP.HIGH: %s before, %s deployed, %s after the rollback\n' "$before" "$changed" "$after"
[ "$changed" = 61 ] && [ "$after" = "$before" ] || fail "the rollback did not bring the old value back"
run history t01-ea-ioc-01
run ps
shown "changed an alarm limit, saw the difference, deployed it, rolled it back: the PV has its old value"

chapter "An alarm: raised, seen, acknowledged, over; no broker needed"
run alarm config apply alarm/t01.yaml --yes
background() { # LOG ARGUMENTS...: prints the command, runs it in the background; its process is $!
    local log=$1
    shift
    printf '%s$ %s &%s\n' "$green" "ioc $*" "$plain"
    "$IOC" "$@" >"$log" 2>&1 &
}
until_line() { # LOG PATTERN: waits for a line that somebody writes
    for _ in $(seq 300); do
        grep -qE "$2" "$1" && return
        sleep 0.1
    done
    cat "$1"
    fail "nobody said \`$2\` within 30 s"
}
background "$demo/logger.log" alarm logger --config T01 --log warn
logger=$!
until_line "$demo/logger.log" '^alarm logger of'
for name in one two; do
    background "$demo/$name.log" alarm serve --config T01 --replica --name "$name" --log info
    servers+=" $!"
done
until_line "$demo/one.log" '^ready:'
until_line "$demo/two.log" 'standing by|^ready:'
run alarm replicas --config T01
leader() { "$IOC" alarm replicas --config T01 -o json | tr -d ' \n' | grep -oE '"name":"[a-z]+","role":"leader"[^}]*"pid":[0-9]+' || true; }
background "$demo/watch.log" alarm watch /T01/Stage
watcher=$!
until_line "$demo/watch.log" '^watching'
# the sensor of a stage breaks: the interlock trips at once, and the temperature is an alarm after two seconds
run pv put T01:STAGE:SIM:SENSOR Broken
until_line "$demo/watch.log" 'INVALID .*STAGE:TEMP'
run alarm ls --active /T01/Stage
run alarm status T01:STAGE:INTERLOCK
run alarm ack /T01/Stage
shown "an alarm was raised by an IOC, seen by \`ioc alarm watch\`, acknowledged; the bus is a folder"

chapter "The alarm server that leads is killed; the other one goes on"
before=$(leader)
[ -n "$before" ] || fail "no alarm server leads"
printf '%s$ kill -9 %s%s\n' "$green" "${before##*:}   # $before" "$plain"
kill -9 "${before##*:}"
for _ in $(seq 100); do
    after=$(leader)
    [ -z "$after" ] || [ "$after" = "$before" ] || break
    sleep 0.1
done
[ -n "$after" ] && [ "$after" != "$before" ] || fail "nobody leads within 10 s"
run alarm replicas --config T01
run alarm ls --acknowledged /T01/Stage
"$IOC" alarm ls --acknowledged /T01/Stage | grep -q INTERLOCK || fail "the acknowledgement is gone"
run pv put T01:STAGE:SIM:SENSOR Good
until_line "$demo/watch.log" ' OK .*STAGE:TEMP  OK  [-0-9.]+$'
run pv put T01:STAGE:INTERLOCK:RESET Reset
until_line "$demo/watch.log" ' OK .*STAGE:INTERLOCK '
kill "$watcher"
wait "$watcher" || fail "watching did not end well"
watcher=''
printf '%sWhat `ioc alarm watch` has shown meanwhile:%s\n' "$bold" "$plain"
cat "$demo/watch.log"
shown "the leading alarm server was killed: the other one went on with the same acknowledgements, and the alarm was over"

chapter "The whole story, from the history"
for process in $servers; do
    [ "$process" = "${before##*:}" ] || { kill "$process"; wait "$process" || fail "the alarm server did not end well"; }
done
servers=''
kill "$logger"
wait "$logger" || fail "the alarm logger did not end well"
logger=''
run alarm log --at /T01/Stage --since 1h
story=$("$IOC" alarm log --at /T01/Stage --since 1h)
for part in 'MAJOR|INVALID' 'acknowledge' ' OK '; do
    grep -qE "$part" <<<"$story" || fail "the history does not tell of \`$part\`"
done
shown "\`ioc alarm log\` told the whole story: raised, acknowledged by whom, over"

chapter "Shown in $((SECONDS - started)) s"
printf '  * %s\n' "${transcript[@]}"
