#!/bin/bash
# Installs Debian packages in a build step: install.sh OWNER PACKAGE…
#
# Package lists and archives stay in the engine's cache, not in the image. The site's certificates and proxy
# come from /site, which is there only while a step runs. PACKAGES, if set, names a file with more packages.
set -euo pipefail
echo "::ioc $1 packages 0"
shift
# shellcheck disable=SC2046 # a list of words
[ ! -f "${PACKAGES:-}" ] || set -- "$@" $(cat "$PACKAGES")
[ $# -gt 0 ] || exit 0
export DEBIAN_FRONTEND=noninteractive
[ ! -f /site/apt.conf ] || export APT_CONFIG=/site/apt.conf
# Debian's container images delete what was downloaded; here it is kept in a cache mount.
clean=/etc/apt/apt.conf.d/docker-clean
[ ! -f "$clean" ] || mv "$clean" /tmp/docker-clean
have_index() { [ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' "$@" -print -quit 2>/dev/null)" ]; }
# An index younger than an hour is new enough for further steps of the same build; without network an old
# one is better than none.
if ! have_index -mmin -60 || ! apt-get install -y -q --no-install-recommends --simulate "$@" >/dev/null 2>&1; then
    apt-get update -q || have_index
fi
apt-get install -y -q --no-install-recommends \
    -o Dpkg::Options::=--path-exclude=/usr/share/doc/* \
    -o Dpkg::Options::=--path-exclude=/usr/share/man/* \
    -o Dpkg::Options::=--path-exclude=/usr/share/locale/* \
    -o Dpkg::Options::=--path-exclude=/usr/share/info/* \
    "$@"
[ ! -f /tmp/docker-clean ] || mv /tmp/docker-clean "$clean"
rm -f /var/lib/dpkg/*-old /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache
