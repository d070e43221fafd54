#!/bin/sh
# A real C soft IOC for tests, without building EPICS base: the PyPI package epicscorelibs.
#
#   softioc.sh up     install it once into .cache/testbed/softioc, then print the environment
#   softioc.sh env    print the environment, if it is installed; fail otherwise
#   softioc.sh down   remove it
#
# The environment is one line, SOFTIOC_PYTHON=<interpreter>. An IOC is started by
#   "$SOFTIOC_PYTHON" -m epicscorelibs.ioc -d records.db
# and lives until its standard input ends. caproto and pyepics are second opinions on values.
set -eu

home=$(cd "$(dirname "$0")/../.." && pwd)/.cache/testbed/softioc
packages='epicscorelibs==7.0.10.99.0.2 caproto==1.3.0 pyepics==3.5.10'
stamp="$home/installed"

# where the C soft IOC is, and the record definitions of the same EPICS base
print_environment() {
    echo "SOFTIOC_PYTHON=$home/bin/python"
    echo "EPICS_DBD=$(echo "$home"/lib/python3*/site-packages/epicscorelibs/dbd)"
}

is_installed() {
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$packages" ]
}

case "${1:-}" in
up)
    # one installation at a time
    mkdir -p "$(dirname "$home")"
    exec 9>"$home.lock"
    flock 9
    if ! is_installed; then
        echo "softioc.sh: installing $packages from PyPI into $home" >&2
        rm -rf "$home"
        python3 -m venv "$home"
        # the packages are separate arguments
        # shellcheck disable=SC2086
        "$home/bin/python" -m pip install --quiet --disable-pip-version-check $packages >&2
        printf '%s\n' "$packages" >"$stamp"
    fi
    print_environment
    ;;
env)
    if ! is_installed; then
        echo "softioc.sh: not installed; run \`tests/testbed/softioc.sh up\`" >&2
        exit 1
    fi
    print_environment
    ;;
down)
    rm -rf "$home"
    ;;
*)
    echo "usage: softioc.sh up|env|down" >&2
    exit 64
    ;;
esac
