//! Rendered Containerfiles and scripts of a small chain.

use std::path::Path;

use super::*;
use crate::image::catalog::Catalog;
use crate::image::{chain, script};

/// A base image with a patched module, and an IOC on it.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    };
    write(
        "modules/base.yaml",
        "description: base\nsource: {path: base}\nfolder: /epics/epics-base\nmacros: [EPICS_BASE]\npackages: {build: [gcc, make]}\nprograms: [caget]\nshared-config-site: {SHARED: 'YES'}\n",
    );
    write(
        "modules/asyn.yaml",
        "description: asyn\nsource: {path: asyn}\ndepends: [base]\npackages: {build: [libtirpc-dev], run: [netbase]}\npatches: [asyn/fix.patch]\nremove: ['test*']\nconfig-site: {TIRPC: 'YES', USR_CFLAGS: '+= -g'}\nedits: [{file: Makefile, delete: \"it's\"}, {file: x, append: 'a b'}]\nprepare: ['echo \"$HOME\"']\nmake-options: [-k]\njobs: 1\ndbds: [asyn.dbd]\nlibraries: [asyn]\nsystem-libraries: [tirpc]\nprotocols: [proto]\nenvironment: {PRICE: '5$'}\n",
    );
    write("modules/asyn/fix.patch", "");
    write("modules/base/x", "");
    write(
        "epics-base/image.yaml",
        "description: base\nbase: os\nmodules: [base]\n",
    );
    write(
        "ioc-x/image.yaml",
        "description: an IOC\nbase: epics-base\nmodules: [asyn]\napplication: {registrars: [own], libraries: [own]}\ndeveloper: {packages: [gdb]}\nruntime: {files: [/epics/extra], environment: {MODE: x}, uid: 1234}\n",
    );
    folder
}

fn surroundings() -> Surroundings {
    Surroundings {
        developer_base: "r/below-developer:1".into(),
        runtime_base: "r/below-runtime:1".into(),
        developer: "r/this-developer:1".into(),
        host_arch: "linux-x86_64".into(),
    }
}

#[test]
fn a_base_sets_the_layout_and_an_ioc_adds_to_it() {
    let folder = project();
    let catalog = Catalog::load(folder.path(), Path::new("g")).unwrap();
    let layers = chain::resolve(&catalog, ["ioc-x"]).unwrap();
    let render = |index: usize, target| render(&layers[index], target, &surroundings()).unwrap();
    insta::assert_snapshot!(render(0, Target::Developer), @r#"
    # epics-base, developer target. Written by ioc from g/epics-base/image.yaml.
    FROM r/below-developer:1 AS developer
    USER 0
    ENV EPICS_HOST_ARCH="linux-x86_64"
    ENV EPICS_ROOT="/epics"
    ENV INPUTRC="/epics/inputrc"
    ENV IOC="/epics/ioc"
    ENV SUPPORT="/epics/support"

    # base: g/modules/base.yaml
    RUN --mount=type=cache,target=/var/cache/apt,id=ioc-apt-archives,sharing=locked \
        --mount=type=cache,target=/var/lib/apt,id=ioc-apt-lists,sharing=locked \
        --mount=type=cache,target=/var/log,id=ioc-log,sharing=locked \
        --mount=type=bind,source=tools/install.sh,target=/tools/install.sh \
        --mount=type=bind,source=site,target=/site \
        bash /tools/install.sh base gcc make
    RUN --mount=type=cache,target=/root/.cache/ccache,id=ioc-ccache \
        --mount=type=bind,source=modules/base,target=/build --mount=type=bind,source=site,target=/site \
        bash /build/build.sh

    COPY versions.json /epics/versions.json
    ENV EPICS_BASE="/epics/epics-base"
    ENV EPICS_DB_INCLUDE_PATH="/epics/epics-base/db"
    ENV PATH="/epics/epics-base/bin/linux-x86_64:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    WORKDIR /epics
    CMD ["/bin/bash"]
    "#);
    insta::assert_snapshot!(render(1, Target::Developer), @r#"
    # ioc-x, developer target. Written by ioc from g/ioc-x/image.yaml.
    FROM r/below-developer:1 AS developer
    USER 0

    # asyn: g/modules/asyn.yaml
    RUN --mount=type=cache,target=/var/cache/apt,id=ioc-apt-archives,sharing=locked \
        --mount=type=cache,target=/var/lib/apt,id=ioc-apt-lists,sharing=locked \
        --mount=type=cache,target=/var/log,id=ioc-log,sharing=locked \
        --mount=type=bind,source=tools/install.sh,target=/tools/install.sh \
        --mount=type=bind,source=site,target=/site \
        bash /tools/install.sh asyn libtirpc-dev patch
    RUN --mount=type=cache,target=/root/.cache/ccache,id=ioc-ccache \
        --mount=type=bind,source=modules/asyn,target=/build --mount=type=bind,source=site,target=/site \
        bash /build/build.sh

    # packages of the developer target
    RUN --mount=type=cache,target=/var/cache/apt,id=ioc-apt-archives,sharing=locked \
        --mount=type=cache,target=/var/lib/apt,id=ioc-apt-lists,sharing=locked \
        --mount=type=cache,target=/var/log,id=ioc-log,sharing=locked \
        --mount=type=bind,source=tools/install.sh,target=/tools/install.sh \
        --mount=type=bind,source=site,target=/site \
        bash /tools/install.sh image gdb

    # the IOC application
    RUN --mount=type=cache,target=/root/.cache/ccache,id=ioc-ccache \
        --mount=type=bind,source=application,target=/build --mount=type=bind,source=site,target=/site \
        bash /build/build.sh
    # start scripts and console program
    RUN --mount=type=bind,source=scripts,target=/build \
        bash /build/build.sh

    COPY versions.json /epics/versions.json
    ENV ASYN="/epics/support/asyn"
    ENV EPICS_DB_INCLUDE_PATH="/epics/epics-base/db:/epics/support/asyn/db"
    ENV PRICE="5\$"
    ENV STREAM_PROTOCOL_PATH="/epics/support/asyn/proto"
    WORKDIR /epics/ioc
    CMD ["/bin/bash"]
    "#);
    insta::assert_snapshot!(render(1, Target::Runtime), @r#"
    # ioc-x, runtime target. Written by ioc from g/ioc-x/image.yaml.
    FROM r/this-developer:1 AS developer
    FROM r/below-runtime:1 AS base

    # what the IOC and its databases need of the developer image
    FROM developer AS files
    RUN --mount=type=bind,source=tools/collect.sh,target=/tools/collect.sh \
        --mount=type=bind,source=collect,target=/build/collect \
        --mount=type=bind,from=base,source=/,target=/base \
        bash /tools/collect.sh

    FROM base AS runtime
    USER 0
    RUN --mount=type=cache,target=/var/cache/apt,id=ioc-apt-archives,sharing=locked \
        --mount=type=cache,target=/var/lib/apt,id=ioc-apt-lists,sharing=locked \
        --mount=type=cache,target=/var/log,id=ioc-log,sharing=locked \
        --mount=type=bind,source=tools/install.sh,target=/tools/install.sh \
        --mount=type=bind,source=site,target=/site \
        --mount=type=bind,from=files,source=/packages,target=/packages \
        PACKAGES=/packages bash /tools/install.sh runtime netbase
    COPY --from=files /assets/ /
    RUN --mount=type=bind,source=tools/finish.sh,target=/tools/finish.sh \
        bash /tools/finish.sh 1234
    ENV ASYN="/epics/support/asyn"
    ENV EPICS_DB_INCLUDE_PATH="/epics/epics-base/db:/epics/support/asyn/db"
    ENV MODE="x"
    ENV PRICE="5\$"
    ENV STREAM_PROTOCOL_PATH="/epics/support/asyn/proto"
    USER 1234:1234
    WORKDIR /epics/ioc
    CMD ["/epics/ioc/start.sh"]
    "#);
    insta::assert_snapshot!(collect_list(&layers[1], "linux-x86_64"), @"
    file /epics/ioc/bin/linux-x86_64/ioc
    file /epics/ioc/dbd/ioc.dbd
    file /epics/ioc/start.sh
    file /epics/ioc/stop.sh
    file /epics/ioc/liveness.sh
    maybe /epics/ioc/db
    maybe /epics/ioc/iocsh
    file /usr/local/bin/ioc-console
    file /usr/local/bin/console
    maybe /epics/inputrc
    file /epics/support/configure/RELEASE.shell
    maybe /epics/epics-base/db
    maybe /epics/epics-base/iocsh
    maybe /epics/support/asyn/db
    maybe /epics/support/asyn/iocsh
    file /epics/support/asyn/proto
    file /epics/extra
    file /epics/versions.json
    ");
}

#[test]
fn scripts_quote_what_comes_from_a_recipe() {
    let folder = project();
    let catalog = Catalog::load(folder.path(), Path::new("g")).unwrap();
    let layers = chain::resolve(&catalog, ["ioc-x"]).unwrap();
    let layer = &layers[1];
    let text = script::module(layer, &layer.own[0]);
    insta::assert_snapshot!(text, @r#"
    #!/bin/bash
    set -euo pipefail
    step() { echo "::ioc $owner $1 $2"; }
    fail() { echo "error: $*" >&2; exit 1; }
    # A command of the recipe, in the module's folder, by a shell of its own.
    run() { step "$1" "$2"; (cd "$folder" && bash -euo pipefail -c "$3"); }
    # Certificates and proxy of the site, only while this runs.
    [ ! -f /site/environment ] || . /site/environment
    export CCACHE_DIR=/root/.cache/ccache
    owner=asyn
    folder=/epics/support/asyn
    s=$'\001'
    # edit INDEX FILES ACTION EXPRESSION [REPLACEMENT]
    edit() {
        local files command
        step edit "$1"
        case $3 in
            delete) command="\\$s$4${s}d" ;;
            comment) command="\\$s$4${s}s/^/#/" ;;
            replace) command="s$s$4$s$5${s}g" ;;
        esac
        cd "$folder"
        files=$(compgen -G "$2") || fail "\`$2\` is not in the source"
        # shellcheck disable=SC2086 # several files
        grep -qE -e "$4" -- $files || fail "nothing in \`$2\` matches \`$4\`"
        # shellcheck disable=SC2086
        sed -i -E -e "$command" -- $files
    }
    append() {
        step edit "$1"
        printf '%s\n' "$3" >>"$folder/$2"
    }
    step source 0
    mkdir -p "$folder"
    cp -a /build/source/. "$folder"/
    step remove 0
    (cd "$folder" && compgen -G 'test*' >/dev/null || fail '`test*` is not in the source'; rm -rf -- test*)
    step patches 0
    (cd "$folder" && patch -p1 --forward --no-backup-if-mismatch </build/patches/00.patch)
    edit 0 'Makefile' delete 'it'\''s'
    append 1 'x' 'a b'
    step release 0
    cp /build/RELEASE "$folder"/configure/RELEASE
    step config-site 0
    cat /build/CONFIG_SITE.local >>"$folder"/configure/CONFIG_SITE.local
    grep -q 'CONFIG_SITE\.local' "$folder"/configure/CONFIG_SITE 2>/dev/null ||
        printf '\n-include $(TOP)/configure/CONFIG_SITE.local\n' >>"$folder"/configure/CONFIG_SITE
    run prepare 0 'echo "$HOME"'
    step make 0
    (cd "$folder" && make -s -j1 '-k')
    make -s -C "$folder" clean
    "#);
    insta::assert_snapshot!(script::release(layer, &layer.own[0]).unwrap(), @"
    # written by ioc from the recipes of the modules
    EPICS_BASE = /epics/epics-base
    ");
    insta::assert_snapshot!(script::config_site(layer, &layer.own[0]).unwrap(), @"
    # written by ioc from the recipes of the modules
    SHARED = YES
    TIRPC = YES
    USR_CFLAGS += -g
    ");
    insta::assert_snapshot!(script::application_settings(layer), @"
    # written by ioc from image.yaml and the recipes of the modules
    SHARED = YES
    IOC_DBDS += asyn.dbd
    IOC_LIBS += own
    IOC_LIBS += asyn
    IOC_SYS_LIBS += tirpc
    IOC_REGISTRARS += own
    ");
    let checked = std::process::Command::new("bash")
        .args(["-n", "-c", &text])
        .status()
        .unwrap();
    assert!(checked.success(), "the script is no shell script");
}
