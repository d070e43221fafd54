#!/usr/bin/env bash
# All checks, or one part of them: lint, deny, unit, integration, soak, testbed. Prints the time of each part at
# the end. A part that cannot run fails under CI=true; elsewhere it says loudly what was not checked.
set -euo pipefail
cd "$(dirname "$0")/.."

part=${1:-all}
bed=tests/testbed
real_parts=(helm softioc engine podman modules registry kubernetes loki kafka elasticsearch opensearch)
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
    bash -n "$bed"/*.sh "$bed"/*.bash "$bed"/*/*.bash tests/*.sh tests/conformance/*.sh benches/*.sh
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

# Two parts have one script.
part() { # PART VERB
    case $1 in
    opensearch) "$bed/elasticsearch.sh" --opensearch "$2" ;;
    *) "$bed/$1.sh" "$2" ;;
    esac
}

# Starts the real parts and exports how to reach them. One that cannot be had fails under CI=true.
testbed() {
    local script
    for script in "$@"; do
        if part "$script" up; then
            set -a
            eval "$(part "$script" env)"
            set +a
        elif [ "${CI:-}" = true ]; then
            printf 'error: the real part `%s` is missing, and CI=true\n' "$script" >&2
            exit 1
        else
            printf 'NOT CHECKED: what needs the real part `%s`, see above\n' "$script" >&2
        fi
    done
}

# Compiling Kubernetes and Loki takes minutes of which much is waiting; nothing before the integration tests needs them.
# Whatever became of it is said when they are started.
build_ahead() {
    mkdir -p .cache/testbed
    setsid bash -c '"$0/kubernetes.sh" build; "$0/loki.sh" build' "$bed" >.cache/testbed/build-ahead.log 2>&1 &
    ahead=$!
    trap 'kill -- -$ahead 2>/dev/null || true' EXIT
}

unit() {
    cargo test --workspace --exclude ioc --locked --no-run
    cargo test --package ioc --locked --no-run
    # Recordings are replayed in their own time: nothing else may have the processors.
    [ -z "${ahead:-}" ] || wait "$ahead" || true
    testbed helm softioc kafka loki elasticsearch opensearch
    cargo test --workspace --exclude ioc --locked
    cargo test --package ioc --lib --locked
}

integration() {
    testbed "${real_parts[@]}"
    cargo test --package ioc --test it --locked
}

soak() {
    testbed "${real_parts[@]}"
    local round
    if rustup run nightly rustc --version >/dev/null 2>&1; then
        say "fuzzing, ${FUZZ_SECONDS:-60} s for each target"
        tests/fuzz.sh "${FUZZ_SECONDS:-60}"
    else
        echo "NOT CHECKED: fuzzing needs a nightly toolchain (rustup toolchain install nightly --profile minimal)" >&2
    fi
    say "alarm servers that take over from each other"
    PROPTEST_CASES=100000 cargo test --package alarm --lib --locked -- standby
    cargo build --package alarm-server --examples --locked
    IOC_SOAK=1 cargo test --package alarm-server --test it --locked -- replicas
    for round in $(seq "${ROUNDS:-20}"); do
        say "round $round"
        IOC_SOAK=1 cargo test --package ioc --test it --locked -- kill kubernetes::at_once kubernetes::connection kubernetes::broken
    done
}

"$bed/prerequisites.sh"
case $part in
all)
    build_ahead
    timed "lint" lint
    timed "dependencies" deny
    timed "unit and conformance" unit
    timed "integration, end to end" integration
    ;;
lint | deny | unit | integration | soak) timed "$part" "$part" ;;
testbed)
    testbed "${real_parts[@]}"
    for script in "${real_parts[@]}"; do part "$script" env || true; done
    ;;
*)
    echo "usage: $0 [lint|deny|unit|integration|soak|testbed]" >&2
    exit 2
    ;;
esac

say "passed in $((SECONDS - started)) s"
printf '   %s\n' "${times[@]}"
