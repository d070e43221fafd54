#!/bin/bash
# Starts the IOC of an instance: the first program of its container.
#
#   /epics/ioc/config/    the instance's files (a ConfigMap; may be read-only)
#     start.sh            does everything instead of this script
#     st.cmd              the IOC shell's start-up script; required
#     ioc.subst           expanded to /epics/runtime/ioc.db (macros as in msi)
#     *.db *.template *.req *.proto *.protocol   found by name: the folder is on the search paths
#   /epics/runtime/       what is generated; emptied by nobody, overwritten at each start
#   /autosave/            what must survive
#
# In st.cmd: $(IOC_NAME), $(IOC_PREFIX), one variable per support module with its folder ($(SIMPLANT)),
# $(RUNTIME_DIR), $(CONFIG_DIR); databases are found through EPICS_DB_INCLUDE_PATH.
#
# On an error it says what is wrong, waits (IOC_START_FAILURE_SLEEP, 10 s) so that a restart policy
# does not spin, and ends with 1.

# Everything below runs on the console's terminal, so that it can be joined (see ioc-console).
if [ -z "$IOC_CONSOLE" ] && command -v ioc-console >/dev/null; then
    export IOC_CONSOLE=ioc-console
    exec ioc-console -- "$BASH" "$0" "$@"
fi

IOC=${IOC:-/epics/ioc}
export IOC
export CONFIG_DIR=${CONFIG_DIR:-$IOC/config} RUNTIME_DIR=${RUNTIME_DIR:-/epics/runtime}

fail() {
    echo
    echo "start.sh: the IOC was not started: $1"
    shift
    for line in "$@"; do echo "  $line"; done
    sleep "${IOC_START_FAILURE_SLEEP:-10}"
    exit 1
}

# Module folders and EPICS_DB_INCLUDE_PATH.
modules=${SUPPORT:-/epics/support}/configure/RELEASE.shell
# shellcheck source=/dev/null
[ ! -f "$modules" ] || . "$modules"
export EPICS_DB_INCLUDE_PATH=$RUNTIME_DIR:$CONFIG_DIR${EPICS_DB_INCLUDE_PATH:+:$EPICS_DB_INCLUDE_PATH}
export STREAM_PROTOCOL_PATH=$CONFIG_DIR${STREAM_PROTOCOL_PATH:+:$STREAM_PROTOCOL_PATH}

cd "$IOC" || fail "there is no folder $IOC in this image"

if [ -f "$CONFIG_DIR/start.sh" ]; then
    exec "$BASH" "$CONFIG_DIR/start.sh" "$@"
fi

binary=$IOC/bin/${EPICS_HOST_ARCH:-linux-x86_64}/ioc
[ -x "$binary" ] || fail "this image has no IOC: $binary is missing"
[ -d "$CONFIG_DIR" ] || fail "no configuration: $CONFIG_DIR is not mounted"
if [ ! -f "$CONFIG_DIR/st.cmd" ]; then
    if [ -f "$CONFIG_DIR/ioc.yaml" ]; then
        fail "the configuration is an ioc.yaml, and this image cannot turn it into a st.cmd"
    fi
    fail "no st.cmd in $CONFIG_DIR" "it holds: $(ls -m "$CONFIG_DIR")"
fi

if [ -f "$CONFIG_DIR/ioc.subst" ]; then
    mkdir -p "$RUNTIME_DIR" 2>/dev/null && [ -w "$RUNTIME_DIR" ] ||
        fail "ioc.subst cannot be expanded: user $(id -u) cannot write to $RUNTIME_DIR"
    include=()
    IFS=: read -r -a folders <<<"$EPICS_DB_INCLUDE_PATH"
    for folder in "${folders[@]}"; do [ ! -d "$folder" ] || include+=(-I "$folder"); done
    echo "start.sh: expanding ioc.subst to $RUNTIME_DIR/ioc.db"
    msi -V -o "$RUNTIME_DIR/ioc.db" "${include[@]}" -S "$CONFIG_DIR/ioc.subst" ||
        fail "ioc.subst could not be expanded (above: msi's message)"
fi

# The shell's command history, over restarts (without a file where there is no place for one).
if [ -w "$RUNTIME_DIR" ]; then
    export EPICS_IOCSH_HISTFILE=${EPICS_IOCSH_HISTFILE-$RUNTIME_DIR/.iocsh_history}
else
    export EPICS_IOCSH_HISTFILE=${EPICS_IOCSH_HISTFILE-}
fi

# A Channel Access repeater with no tie to anybody's terminal: a caget in `exec` would otherwise start
# one that keeps the session open.
caRepeater </dev/null >/dev/null 2>&1 &

exec "$binary" "$CONFIG_DIR/st.cmd"
