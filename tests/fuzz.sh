#!/usr/bin/env bash
# Runs the targets of fuzz/, each for a bounded time, beginning with the cases of tests/conformance/helm.
#
#   fuzz.sh [SECONDS] [TARGET...]     default: 60 seconds for each target
#
# Needs the nightly toolchain of rustup; cargo-fuzz is built once into .cache/tools. What is found lies in
# fuzz/artifacts/TARGET; fix it, and keep the input as a test (crates/helm/tests/fuzzed).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools=$PWD/.cache/tools
seeds=$PWD/.cache/fuzz-seeds
seconds=${1:-60}
shift || true

say() { printf 'fuzz.sh: %s\n' "$*" >&2; }

if ! rustup run nightly rustc --version >/dev/null 2>&1; then
    say "error: the nightly toolchain is missing: rustup toolchain install nightly --profile minimal"
    exit 1
fi
if [ ! -x "$tools/bin/cargo-fuzz" ]; then
    say "building cargo-fuzz once (kept in .cache/tools)"
    CARGO_TARGET_DIR=$tools/target cargo install --quiet --locked --root "$tools" cargo-fuzz
    rm -rf "$tools/target"
fi
export PATH=$tools/bin:$PATH

# Templates, values and documents of the conformance cases, each a file.
python3 - tests/conformance/helm/corpus "$seeds" <<'PYTHON'
import hashlib, pathlib, re, sys

corpus, seeds = map(pathlib.Path, sys.argv[1:])
found = {"template": set(), "yaml": set(), "values": set(), "chart": set()}
for path in corpus.glob("*.txt"):
    for case in re.split(r"(?m)^=== ", path.read_text())[1:]:
        chart = {}
        for section in re.split(r"(?m)^--- ", case)[1:]:
            mark, _, body = section.partition("\n")
            lines = body.splitlines()
            if mark == "expressions":
                found["template"].update(l[1:] if l.startswith("@") else "{{ " + l + " }}" for l in lines)
            elif mark == "failures":
                found["template"].update(lines)
            elif mark == "expected":
                found["yaml"].update(body.split("\n---\n"))
            elif mark.startswith("templates/"):
                found["template"].add(body)
                chart["templates/_a.tpl" if "/_" in mark else "templates/a.yaml"] = body
            elif mark.endswith((".yaml", ".json")):
                found["yaml"].add(body)
                found["values"].add(body)
                chart[mark] = body
        order = ["Chart.yaml", "values.yaml", "values.schema.json", "templates/_a.tpl", "templates/a.yaml"]
        chart.setdefault("Chart.yaml", "apiVersion: v2\nname: t\nversion: 1.0.0\n")
        found["chart"].add("\0".join(chart.get(name, "") for name in order))
        found["values"].update(word.strip("'") for word in re.findall(r"--set[a-z-]* ('[^']*'|\S+)", case))
for target, texts in found.items():
    folder = seeds / target
    folder.mkdir(parents=True, exist_ok=True)
    for text in texts:
        if 0 < len(text) < 4000:
            (folder / hashlib.sha1(text.encode()).hexdigest()).write_text(text)
PYTHON

targets=("$@")
[ ${#targets[@]} != 0 ] || mapfile -t targets < <(cargo +nightly fuzz list)
# All of our code is safe Rust: a sanitizer would find nothing and takes half of the speed.
cargo +nightly fuzz build --sanitizer none
for target in "${targets[@]}"; do
    say "$target, $seconds s"
    mkdir -p "fuzz/corpus/$target" "$seeds/$target"
    cargo +nightly fuzz run --sanitizer none "$target" "fuzz/corpus/$target" "$seeds/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=4000 -verbosity=0 -print_final_stats=1
done
