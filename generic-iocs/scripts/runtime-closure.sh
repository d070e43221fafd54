#!/bin/bash
# What an image needs of its developer image in order to run: copied to a folder, and checked.
#
#   runtime-closure.sh collect DEST [PATH…]   copy the closure, with its paths, below DEST
#   runtime-closure.sh packages DEST          print the Debian packages that the copied programs link to
#   runtime-closure.sh check                  in the runtime image: every program finds its libraries
#
# Copied are: the IOC's programs, dbd and db; of each support module db, iocsh and opi-free data (its
# `db` and `iocsh` folders); the EPICS tools listed below; every library below $EPICS_ROOT that one of
# the copied programs loads, at the same path (programs carry it as rpath); each PATH as it is.
# Programs and libraries are stripped.
#
# Not seen by it: libraries opened by name at run time (dlopen). Give those as PATH.

set -euo pipefail

root=${EPICS_ROOT:-/epics}
base=${EPICS_BASE:-$root/epics-base}
support=${SUPPORT:-$root/support}
ioc=${IOC:-$root/ioc}
arch=${EPICS_HOST_ARCH:-linux-x86_64}
tools=(caget caput cainfo camonitor caRepeater msi)

fail() { echo "runtime-closure.sh: error: $*" >&2; exit 1; }

is_elf() { [ "$(head -c 4 "$1" 2>/dev/null | tr -d '\0')" = $'\x7fELF' ]; }

copy() { # a file or folder, with its path and with the links on the way to the real file
    local path=$1 target
    [ -e "$path" ] || fail "\`$path\` is not there"
    mkdir -p "$dest$(dirname "$path")"
    cp -a "$path" "$dest$(dirname "$path")/"
    while [ -L "$path" ]; do
        target=$(readlink "$path")
        case $target in /*) path=$target ;; *) path=$(dirname "$path")/$target ;; esac
        mkdir -p "$dest$(dirname "$path")"
        cp -a "$path" "$dest$(dirname "$path")/"
    done
}

elf_files() { find "$1" -type f \( -perm /111 -o -name '*.so*' \) -print | while read -r f; do is_elf "$f" && echo "$f"; done || true; }

# Libraries that a program or library loads, one absolute path each; those not found as `missing NAME`.
libraries_of() { ldd "$1" 2>/dev/null | awk '$3 == "not" { print "missing", $1; next } $2 == "=>" { print $3 }'; }

case ${1:-} in
    collect)
        dest=${2:?DEST}
        shift 2
        [ -x "$ioc/bin/$arch/ioc" ] || fail "no IOC at \`$ioc/bin/$arch/ioc\`"
        copy "$ioc/bin/$arch/ioc"
        for part in dbd db iocsh start.sh stop.sh liveness.sh; do [ ! -e "$ioc/$part" ] || copy "$ioc/$part"; done
        # The application's own expanded dbd is enough; the parts it was made of stay behind.
        find "$dest$ioc/dbd" -type f ! -name ioc.dbd -delete
        for tool in "${tools[@]}"; do copy "$base/bin/$arch/$tool"; done
        for module in "$support"/*/; do
            module=${module%/}
            for part in db iocsh; do
                [ ! -d "$module/$part" ] || copy "$module/$part"
            done
        done
        [ ! -d "$support/configure" ] || copy "$support/configure/RELEASE.shell"
        [ ! -e "$root/versions.json" ] || copy "$root/versions.json"
        for path in "$@"; do copy "$path"; done
        elf_files "$dest" | while read -r file; do
            libraries_of "${file#"$dest"}" | while read -r library more; do
                [ "$library" != missing ] || fail "\`${file#"$dest"}\` needs \`$more\`, which is not in the developer image"
                case $library in "$root"/*) [ -e "$dest$library" ] || copy "$library" ;; esac
            done
        done
        elf_files "$dest" | while read -r file; do strip --strip-unneeded "$file"; done
        ;;
    packages)
        dest=${2:?DEST}
        elf_files "$dest" | while read -r file; do
            libraries_of "${file#"$dest"}" | while read -r library more; do
                case $library in "$root"/* | missing) ;; *) echo "$library" ;; esac
            done
        done | sort -u | while read -r library; do
            # dpkg knows files by their real place: /lib is a link to /usr/lib.
            dpkg -S "$(readlink -f "$library")" | cut -d: -f1
        done | sort -u
        ;;
    check)
        bad=$(
            elf_files "$root" | while read -r file; do
                libraries_of "$file" | while read -r library more; do
                    [ "$library" != missing ] || echo "  $file needs $more"
                done
            done
        )
        [ -z "$bad" ] || fail $'libraries are missing in the runtime image:\n'"$bad"$'\n  hint: name their packages under `apt.runtime` of the recipe'
        "$base/bin/$arch/caget" -V >/dev/null || fail "caget does not run"
        ;;
    *)
        sed -n '2,16s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
