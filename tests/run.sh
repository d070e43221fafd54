#!/usr/bin/env bash
# All checks, or one part of them: lint, deny, unit, integration, soak, testbed. Prints the time of each part at
# the end. A part that cannot run fails under CI=true; elsewhere it says loudly what was not checked.
set -euo pipefail
cd "$(dirname "$0")/.."

part=${1:-all}
bed=tests/testbed
times=()
started=$SECONDS

say() { printf '\n== %s\n' "$*"; }

timed() { # NAME COMMAND...
    local name=$1 begin=$SECONDS
    shift
    say "$name"
    "$@"
    times+=("$(printf '%-28s %4d s' "$name" $((SECONDS - begin)))")
}

lint() {
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --workspace --no-deps --locked --document-private-items --quiet
    bash -n "$bed"/*.sh "$bed"/*.bash "$bed"/*/*.bash tests/*.sh benches/*.sh
}

deny() {
    local tool=.cache/tools/bin/cargo-deny
    if [ ! -x "$tool" ]; then
        say "building cargo-deny once (kept in .cache/tools)"
        CARGO_TARGET_DIR=.cache/tools/target cargo install --quiet --locked --root .cache/tools cargo-deny
        rm -rf .cache/tools/target
    fi
    "$tool" --locked check bans licenses sources
}

# Starts the real parts and exports how to reach them.
testbed() {
    local script
    for script in "$@"; do
        "$bed/$script.sh" up
        set -a
        eval "$("$bed/$script.sh" env)"
        set +a
    done
}

unit() {
    testbed helm softioc
    cargo test --workspace --exclude ioc --locked
    cargo test --package ioc --lib --locked
}

integration() {
    testbed helm softioc engine modules
    cargo test --package ioc --test it --locked
}

soak() {
    testbed helm softioc engine
    local round
    for round in $(seq "${ROUNDS:-20}"); do
        say "round $round"
        IOC_SOAK=1 cargo test --package ioc --test it --locked kill
    done
}

"$bed/prerequisites.sh"
case $part in
all)
    timed "lint" lint
    timed "dependencies" deny
    timed "unit and conformance" unit
    timed "integration, end to end" integration
    ;;
lint | deny | unit | integration | soak) timed "$part" "$part" ;;
testbed)
    testbed helm softioc engine modules
    for script in helm softioc engine modules; do "$bed/$script.sh" env; done
    ;;
*)
    echo "usage: $0 [lint|deny|unit|integration|soak|testbed]" >&2
    exit 2
    ;;
esac

say "passed in $((SECONDS - started)) s"
printf '   %s\n' "${times[@]}"
