#!/bin/bash
# Last step of a runtime image: finish.sh UID. Folders and user of the IOC, and the proof that every program
# finds its libraries.
set -euo pipefail
echo "::ioc runtime check 0"
uid=$1
bad=$(
    find /epics /usr/local -type f \( -perm /111 -o -name '*.so*' \) -print | while read -r file; do
        if [ "$(head -c 4 "$file" | tr -d '\0')" = $'\x7fELF' ]; then
            ldd "$file" 2>/dev/null | awk -v file="$file" '$3 == "not" { print "  " file " needs " $1 }' || true
        fi
    done
)
if [ -n "$bad" ]; then
    echo "error: libraries are missing in the runtime image:" >&2
    echo "$bad" >&2
    exit 1
fi
if ! getent passwd "$uid" >/dev/null; then
    groupadd --gid "$uid" ioc
    useradd --uid "$uid" --gid "$uid" --home-dir /tmp --no-create-home --shell /bin/bash ioc
    rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid-
fi
mkdir -p /epics/ioc/config /epics/runtime /autosave
# A chart may choose any user.
chmod 1777 /epics/runtime /autosave
