#!/bin/bash
# Copies what the runtime image gets out of the developer image to /assets, with paths, and writes the Debian
# packages that its programs link to into /packages. What the base image (mounted at /base) has already is
# left out.
#
# /build/collect says what to take, one per line:
#   file PATH       a file or folder as it is; a pattern may match several
#   maybe PATH      the same, if it is there
# Programs among it are stripped and bring the libraries below /epics that they load.
set -euo pipefail
echo "::ioc runtime collect 0"
dest=/assets
mkdir -p "$dest"

fail() { echo "error: $*" >&2; exit 1; }

is_elf() { [ "$(head -c 4 "$1" 2>/dev/null | tr -d '\0')" = $'\x7fELF' ]; }

# A file or folder with its path, and with the links on the way to the real file.
copy() {
    local path=$1 target
    mkdir -p "$dest$(dirname "$path")"
    cp -a "$path" "$dest$(dirname "$path")/"
    while [ -L "$path" ]; do
        target=$(readlink "$path")
        case $target in /*) path=$target ;; *) path=$(dirname "$path")/$target ;; esac
        mkdir -p "$dest$(dirname "$path")"
        cp -a "$path" "$dest$(dirname "$path")/"
    done
}

elf_files() {
    find "$dest" -type f \( -perm /111 -o -name '*.so*' \) -print | while read -r file; do
        if is_elf "$file"; then echo "$file"; fi
    done
}

# What a program or library loads, one path per line; what is not found as `missing NAME`.
libraries_of() { ldd "$1" 2>/dev/null | awk '$3 == "not" { print "missing", $1; next } $2 == "=>" { print $3 }' || true; }

while read -r kind path; do
    if paths=$(compgen -G "$path"); then
        while read -r each; do copy "$each"; done <<<"$paths"
    elif [ "$kind" = file ]; then
        fail "\`$path\` is not in the developer image"
    fi
done </build/collect

elf_files | while read -r file; do
    own=${file#"$dest"}
    # At its original place, where its run path leads to its libraries.
    libraries_of "$own" | while read -r library more; do
        [ "$library" != missing ] || fail "\`$own\` needs \`$more\`, which is not in the developer image"
        case $library in /epics/* | /usr/local/*) [ -e "$dest$library" ] || copy "$library" ;; esac
    done
done

elf_files | while read -r file; do
    libraries_of "${file#"$dest"}" | while read -r library more; do
        case $library in /epics/* | /usr/local/* | missing) ;; *) readlink -f "$library" ;; esac
    done
done | sort -u | while read -r library; do
    dpkg -S "$library" | cut -d: -f1
done | sort -u >/packages

elf_files | while read -r file; do strip --strip-unneeded "$file"; done

# Two images of a chain share what the lower one has.
find "$dest" -type f -print | while read -r file; do
    below=/base${file#"$dest"}
    if [ -f "$below" ] && [ ! -L "$below" ] && cmp -s "$file" "$below"; then rm "$file"; fi
done
find "$dest" -mindepth 1 -type d -empty -delete
