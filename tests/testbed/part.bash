# shellcheck shell=bash
# What scripts of real parts have in common: programs from Maven Central, ports, ending with somebody; sourced by the scripts
# here, no program of its own.
#
# Needs `program` (the script that sources it) and its functions `say` and `fail`.

# java_prerequisites [TOOL=PACKAGE]...: Java 17, Maven and what else is named, from Debian where they are missing.
java_prerequisites() {
    local need=() one
    for one in java=default-jre-headless mvn=maven "$@"; do
        command -v "${one%%=*}" >/dev/null || need+=("${one#*=}")
    done
    [ ${#need[@]} -gt 0 ] || return 0
    { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } || fail "missing: ${need[*]}" "install the packages ${need[*]}"
    say "installing ${need[*]} from Debian"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null; } >&2 ||
        fail "cannot install ${need[*]}"
}

# maven_fetch FOLDER WHAT GROUP:NAME:VERSION...: artefacts and what they need into FOLDER/lib.
maven_fetch() {
    local folder=$1 what=$2 one group artefact
    shift 2
    say "fetching $what from Maven Central (about 50 MB)"
    rm -rf "$folder"
    mkdir -p "$folder/lib"
    {
        echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        echo '  <groupId>testbed</groupId><artifactId>part</artifactId><version>1</version><dependencies>'
        for one in "$@"; do
            IFS=: read -r group artefact one <<<"$one"
            echo "    <dependency><groupId>$group</groupId><artifactId>$artefact</artifactId><version>$one</version></dependency>"
        done
        echo '  </dependencies></project>'
    } >"$folder/pom.xml"
    (cd "$folder" && mvn -B -q dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=lib) >"$folder/log" 2>&1 ||
        { tail -n 5 "$folder/log" >&2; fail "maven cannot fetch $what (log: \`$folder/log\`)"; }
}

# free_ports COUNT [IP]: ports of an address (default: 127.0.0.1) that are free now, and that the kernel does not give to
# others while a part is down: below its own range.
free_ports() {
    python3 - "$1" "${2:-127.0.0.1}" <<'PYTHON'
import random, socket, sys
taken = []
while len(taken) < int(sys.argv[1]):
    one = socket.socket()
    try:
        one.bind((sys.argv[2], random.randrange(15000, 32000)))
        taken.append(one)
    except OSError:
        pass
print(*(one.getsockname()[1] for one in taken))
PYTHON
}

# die_with PID COMMAND...: runs a command when a process ends. The descriptors of a caller are closed, so that nobody waits
# for this one.
die_with() {
    setsid bash -c 'tail --pid="$1" -f /dev/null; shift; exec "$@"' - "$@" >/dev/null 2>&1 </dev/null 9>&- &
}
