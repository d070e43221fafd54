# shellcheck shell=bash
# Building real parts from the Go module proxy; sourced by the scripts here, no program of its own.
#
# Needs `project` (the checkout), `program` (the script that sources it) and its functions `say` and `fail`.
# What it deliberately does not do: install a Go toolchain.

go_cache=$project/.cache/go/${program%.sh}

go_environment() {
    command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
    command -v go >/dev/null || fail "the Go toolchain is missing, and $1 is built with it" \
        "install Go 1.24 or later, so that \`go version\` works"
    # Scripts may build at the same time, and each removes what it no longer needs: a folder for each.
    export GOMODCACHE=$go_cache/modules GOCACHE=$go_cache/build CGO_ENABLED=0 GOWORK=off
    export GOFLAGS="-modcacherw -buildvcs=false ${2:-}"
    mkdir -p "$go_cache"
}

# go_build FOLDER PACKAGE FILE [LINKER-FLAGS [GO-FLAGS]]: builds PACKAGE of the module in FOLDER into FILE, and says
# every half minute how far it is.
go_build() {
    local folder=$1 package=$2 file=$3 linker=${4:-} begin=$SECONDS builder all ticks=0
    local log=$file.log name=${3##*/}
    go_environment "$name" "${5:-}"
    mkdir -p "$(dirname "$file")"
    say "building $name from Go modules, once (kept in \`${file#"$project"/}\`)"
    : >"$log"
    all=$(cd "$folder" && go list -deps "$package" 2>>"$log" 9>&- | wc -l) || all='?'
    (cd "$folder" && exec nice -n 5 go build -v -trimpath -ldflags "-s -w $linker" -o "$file.new" "$package") \
        >>"$log" 2>&1 9>&- &
    builder=$!
    while kill -0 $builder 2>/dev/null; do
        sleep 1
        ticks=$((ticks + 1))
        [ $((ticks % 30)) != 0 ] || say "  $(grep -c '^[^ ]*/[^ ]*$' "$log") of $all packages of $name after $((SECONDS - begin)) s"
    done
    if ! wait $builder; then
        tail -n 20 "$log" >&2
        fail "$name could not be built (all output: \`$log\`)" "the Go module proxy must be reachable: \`go env GOPROXY\`"
    fi
    mv "$file.new" "$file"
    rm -f "$log"
    say "built $name in $((SECONDS - begin)) s"
}

# Gigabytes of build cache and sources are of no use once a program is there.
go_tidy_up() { rm -rf "$go_cache"; }

# go_stamp FOLDER: changes whenever what is built from the module in FOLDER changes.
go_stamp() {
    find "$1" \( -name '*.go' -o -name 'go.*' \) -print0 | LC_ALL=C sort -z | xargs -0 cat | sha256sum | cut -c1-16
}

# go_module MODULE VERSION: fetches a module and prints the folder of its sources.
go_module() {
    go_environment "$1"
    (cd "$go_cache" && go mod download -json "$1@$2" 9>&-) | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' | grep . ||
        fail "the sources of $1 $2 could not be fetched" "the Go module proxy must be reachable: \`go env GOPROXY\`"
}
