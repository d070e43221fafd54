#!/usr/bin/env bash
# Says what is missing to build `ioc`, and installs it where that is possible without asking: on Debian as root.
set -euo pipefail

say() { printf '%s\n' "prerequisites: $*" >&2; }

need=()
command -v git >/dev/null || need+=(git)
command -v cc >/dev/null || need+=(build-essential)
command -v curl >/dev/null || need+=(curl)
command -v python3 >/dev/null || need+=(python3)
# librdkafka is compiled here and linked with the distribution's OpenSSL
command -v make >/dev/null || need+=(make)
command -v pkg-config >/dev/null || need+=(pkg-config)
pkg-config --exists openssl 2>/dev/null || need+=(libssl-dev)
# makes the base image where no container registry is in reach; elsewhere an image is pulled and nobody needs it
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v debootstrap >/dev/null; then need+=(debootstrap); fi
if [ ${#need[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing ${need[*]} from the distribution"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${need[@]}" >/dev/null
    else
        say "please install: ${need[*]}"
        exit 1
    fi
fi
if ! command -v cargo >/dev/null; then
    say "Rust is missing: install it with rustup, or your distribution's rustup package; rust-toolchain.toml names the version"
    exit 1
fi
