#!/usr/bin/env bash
# Git repositories of the shape of well-known EPICS support modules, for places where GitHub cannot be reached:
# the recipes of generic-iocs/modules are built from them as they stand.
#
#   modules.sh up      make the repositories (idempotent)
#   modules.sh env     print MODULE_REPOSITORIES=…, the folder for a [[mirror]] rule of ioc.toml
#   modules.sh down    remove them
#
# What they have in common with the real ones is what a recipe must cope with: names of dbd files and
# libraries, folders, example paths in configure/RELEASE, test folders that do not build, settings that must
# be given, system headers that must be installed, submodules. What they do not have is a function: each
# library only registers itself.

set -euo pipefail

program=modules.sh
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
place=$project/.cache/testbed/modules

say() { printf '%s: %s\n' "$program" "$*" >&2; }
git_here() { git -c user.name=testbed -c user.email=testbed@localhost -c init.defaultBranch=main -c protocol.file.allow=always "$@"; }

# begin ORGANISATION/NAME: an EPICS top in the current folder, with example paths in RELEASE.
begin() {
    repository=$1
    work=$(mktemp -d)
    cd "$work"
    mkdir configure
    cat >configure/CONFIG <<'END'
RULES = $(EPICS_BASE)
include $(TOP)/configure/RELEASE
CONFIG = $(RULES)/configure
include $(CONFIG)/CONFIG
INSTALL_LOCATION = $(TOP)
include $(TOP)/configure/CONFIG_SITE
END
    printf 'EPICS_BASE = /example/path/base\nSUPPORT = /example/path/support\n' >configure/RELEASE
    printf 'CHECK_RELEASE = YES\n' >configure/CONFIG_SITE
    for rules in RULES RULES_TOP RULES_DIRS; do echo "include \$(CONFIG)/$rules" >configure/$rules; done
    printf 'TOP = ..\ninclude $(TOP)/configure/CONFIG\nTARGETS = $(CONFIG_TARGETS)\ninclude $(TOP)/configure/RULES\n' >configure/Makefile
}

# top FOLDER…: the top makefile; `configure` comes first.
top() {
    {
        printf 'TOP = .\ninclude $(TOP)/configure/CONFIG\nDIRS += configure\n'
        for folder; do printf 'DIRS += %s\n%s_DEPEND_DIRS = configure\n' "$folder" "$folder"; done
        printf 'include $(TOP)/configure/RULES_TOP\n'
    } >Makefile
}

# library FOLDER NAME [DBD…]: a library, whose dbd files each name a registrar in it.
library() {
    local folder=$1 name=$2 dbd
    shift 2
    mkdir -p "$folder"
    {
        printf 'TOP = ..\ninclude $(TOP)/configure/CONFIG\nLIBRARY_IOC += %s\n%s_SRCS += %s.c\n' "$name" "$name" "$name"
        for dbd; do printf 'DBD += %s\n' "$dbd"; done
        printf 'DB += %s.db %s_settings.req\n%s_LIBS += $(EPICS_BASE_IOC_LIBS)\ninclude $(TOP)/configure/RULES\n' "$name" "$name" "$name"
    } >"$folder/Makefile"
    {
        printf '#include <epicsExport.h>\nint %s_is_there(void) { return 1; }\n' "${name//-/_}"
        for dbd; do
            printf 'static void %sRegistrar(void) {}\nepicsExportRegistrar(%sRegistrar);\n' "${dbd%.dbd}" "${dbd%.dbd}"
            printf 'registrar(%sRegistrar)\n' "${dbd%.dbd}" >"$folder/$dbd"
        done
    } >"$folder/$name.c"
    printf 'record(bi, "$(P)%s") {}\n' "$name" >"$folder/$name.db"
    printf '$(P)%s\n' "$name" >"$folder/${name}_settings.req"
}

# A folder that fails unless the recipe keeps make out of it.
forbidden() {
    mkdir -p "$1"
    printf '$(error %s must not be built)\n' "$1" >"$1/Makefile"
}

# A setting without which the folder does not build.
wants() { sed -i "2a \$(if \$($2),,\$(error $2 is not set))" "$1/Makefile"; }

# A C header, found with the given flag.
includes() {
    sed -i "1i #include <$2>" "$1/"*.c
    [ -z "${3:-}" ] || sed -i "2a USR_INCLUDES += -I$3" "$1/Makefile"
}

finish() { # TAG
    git_here init -q .
    git_here add -A
    git_here commit -q -m "$repository" --date 2024-01-01T00:00:00Z
    git_here tag "$1"
    mkdir -p "$(dirname "$new/$repository")"
    git_here clone -q --bare . "$new/$repository"
    ln -s "$(basename "$repository")" "$new/$repository.git"
    cd /
    rm -rf "$work"
}

make_all() {
    begin epics-modules/sequencer
    top src test examples
    library src seq
    library pvsrc pv
    sed -i '/^DIRS += src/a DIRS += pvsrc' Makefile
    sed -i '2a $(if $(shell command -v re2c),,$(error re2c is not installed))' src/Makefile
    forbidden test
    forbidden examples
    finish R2-2-9

    begin epics-modules/sscan
    top sscanApp
    library sscanApp sscan sscanSupport.dbd
    wants sscanApp TIRPC
    includes sscanApp rpc/xdr.h /usr/include/tirpc
    finish R2-12

    begin epics-modules/calc
    printf 'TOP = .\ninclude $(TOP)/configure/CONFIG\nDIRS += configure calcApp tests\ncalcApp_DEPEND_DIRS = configure\ntests_DEPEND_DIRS = calcApp\ninclude $(TOP)/configure/RULES_TOP\n' >Makefile
    library calcApp calc calcSupport.dbd
    # built with them, it wants them in RELEASE
    wants calcApp SSCAN
    forbidden tests
    finish R3-7-5

    begin epics-modules/autosave
    top asApp
    library asApp autosave asSupport.dbd
    finish R6-0

    begin epics-modules/iocStats
    top devIocStats testIocStatsApp iocBoot
    library devIocStats devIocStats devIocStats.dbd
    forbidden testIocStatsApp
    forbidden iocBoot
    finish 4.0.1

    begin epics-modules/asyn
    top asyn testApp testGpibApp iocBoot
    library asyn asyn asyn.dbd drvAsynIPPort.dbd drvAsynSerialPort.dbd
    wants asyn TIRPC
    includes asyn rpc/rpc.h /usr/include/tirpc
    sed -i '2a $(if $(shell command -v rpcgen),,$(error rpcgen is not installed))' asyn/Makefile
    forbidden testApp
    forbidden testGpibApp
    forbidden iocBoot
    finish R4-45

    begin epics-modules/busy
    echo 'BUSY = /example/path/busy' >>configure/RELEASE
    top busyApp
    library busyApp busy busySupport.dbd
    wants busyApp ASYN
    finish R1-7-4

    begin paulscherrerinstitute/StreamDevice
    top src
    sed -i '/^include.*RULES_TOP/i DIRS += streamApp\nstreamApp_DEPEND_DIRS = src' Makefile
    library src stream stream.dbd stream-base.dbd
    rm src/stream-base.dbd
    sed -i '/stream-base/d' src/Makefile src/stream.c
    wants src ASYN
    forbidden streamApp
    printf '$(error GNUmakefile was used)\n' >GNUmakefile
    finish 2.8.26

    begin epics-motor/motorMotorSim
    printf -- '-include $(TOP)/../RELEASE.$(EPICS_HOST_ARCH).local\n-include $(TOP)/configure/RELEASE.local\n' >configure/RELEASE
    sed -i 's/^INSTALL_LOCATION = .*/INSTALL_LOCATION = $(if $(MOTOR),$(MOTOR),$(TOP))/' configure/CONFIG
    top motorSimApp
    library motorSimApp motorSimSupport motorSimSupport.dbd
    finish R1-2

    begin epics-modules/motor
    top motorApp modules
    sed -i 's/^modules_DEPEND_DIRS.*/modules_DEPEND_DIRS = motorApp/' Makefile
    library motorApp motor motorSupport.dbd
    library softMotorApp softMotor devSoftMotor.dbd
    sed -i '/^DIRS += motorApp/a DIRS += softMotorApp' Makefile
    mkdir modules
    cat >modules/Makefile <<'END'
TOP = ..
include $(TOP)/configure/CONFIG
SUBMODULES += motorMotorSim motorNewport
DIRS += $(subst /Makefile,,$(wildcard $(addsuffix /Makefile, $(SUBMODULES))))
include $(TOP)/configure/RULES_DIRS
all host $(DIRS) $(ARCHS) $(ACTIONS) $(dirActionTargets) $(dirArchTargets) $(dirActionArchTargets) $(actionArchTargets): | RELEASE.$(EPICS_HOST_ARCH).local
RELEASE.$(EPICS_HOST_ARCH).local:
	@printf '%s\n' 'MOTOR = $(abspath $(INSTALL_LOCATION))' 'ASYN = $(ASYN)' 'EPICS_BASE = $(EPICS_BASE)' >$@
END
    git_here init -q .
    git_here submodule --quiet add "$new/epics-motor/motorMotorSim" modules/motorMotorSim
    git_here submodule --quiet add "$new/epics-motor/motorMotorSim" modules/motorNewport
    # as the real one says it; whoever fetches it must come here by the same rule
    sed -i -E "s#url = .*#url = https://github.com/epics-motor/motorMotorSim.git#" .gitmodules
    finish R7-3-1

    begin areaDetector/ADSupport
    top supportApp filterApp
    library supportApp hdf5
    library filterApp HDF5_shuffle_plugin
    wants supportApp WITH_HDF5
    includes supportApp libxml/parser.h /usr/include/libxml2
    includes filterApp tiffio.h
    finish R1-10

    begin areaDetector/ADCore
    # as in the releases that want static programs
    printf 'STATIC_BUILD = YES\nSHARED_LIBRARIES = NO\n' >>configure/CONFIG_SITE
    top ADApp pluginApp
    library ADApp ADBase ADSupport.dbd
    library pluginApp NDPlugin NDPluginSupport.dbd NDFileNull.dbd NDPosPlugin.dbd NDFileHDF5.dbd NDFileJPEG.dbd \
        NDFileTIFF.dbd NDFileNetCDF.dbd NDFileNexus.dbd
    wants ADApp ADSUPPORT
    wants pluginApp WITH_HDF5
    finish R3-14

    begin areaDetector/ADSimDetector
    top simDetectorApp
    library simDetectorApp simDetector simDetectorSupport.dbd
    wants simDetectorApp ADCORE
    finish R2-11
}

case ${1:-} in
    up)
        mkdir -p "$(dirname "$place")"
        exec 9>"$place.lock"
        flock 9
        # made anew when this script has changed
        sum=$(cksum <"${BASH_SOURCE[0]}")
        if [ "$(cat "$place/made-by" 2>/dev/null)" != "$sum" ]; then
            new=$(mktemp -d "$place.XXXXXX")
            chmod 755 "$new"
            make_all
            echo "$sum" >"$new/made-by"
            rm -rf "$place"
            mv "$new" "$place"
            say "made the repositories in \`$place\`"
        fi
        ;;
    env)
        [ -e "$place/made-by" ] || { say "there are no repositories yet: \`$0 up\`"; exit 1; }
        echo "MODULE_REPOSITORIES=$place"
        ;;
    down) rm -rf "$place" "$place.lock" ;;
    *)
        sed -n '2,/^$/{s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
esac
