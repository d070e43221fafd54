//! The start and liveness scripts of the images (`generic-iocs/scripts/`), run with stand-ins for the programs of
//! EPICS base.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::context::repository;

/// Something like the `/epics` of an image.
struct Image {
    root: TempDir,
}

impl Image {
    fn new() -> Self {
        let image = Self {
            root: tempfile::tempdir().unwrap(),
        };
        image.program(
            "ioc/bin/linux-x86_64/ioc",
            "echo \"ioc $1\"; echo \"databases $EPICS_DB_INCLUDE_PATH\"",
        );
        image.program("bin/caRepeater", "exit 0");
        image.program("bin/msi", "echo \"msi $*\"; [ ! -e \"$BROKEN\" ]");
        image.write(
            "support/configure/RELEASE.shell",
            "export EPICS_DB_INCLUDE_PATH=/modules/db\n",
        );
        image
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn program(&self, name: &str, script: &str) {
        self.write(name, &format!("#!/bin/bash\n{script}\n"));
        let path = self.path().join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Exit code and output of a script, with the image's folder as `/epics`.
    fn run(&self, script: &str, variables: &[(&str, &str)]) -> String {
        let output = Command::new("bash")
            .arg(repository().join("generic-iocs/scripts").join(script))
            .env_clear()
            .env(
                "PATH",
                format!("{}/bin:/usr/bin:/bin", self.path().display()),
            )
            .env("IOC", self.path().join("ioc"))
            .env("SUPPORT", self.path().join("support"))
            .env("RUNTIME_DIR", self.path().join("runtime"))
            .env("IOC_CONSOLE", "none")
            .env("IOC_START_FAILURE_SLEEP", "0")
            .env("BROKEN", self.path().join("broken"))
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        format!(
            "{}{}exit {}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            output.status.code().unwrap()
        )
        .replace(&self.path().display().to_string(), "/epics")
    }
}

#[test]
fn the_start_script_runs_the_ioc() {
    let image = Image::new();
    image.write("ioc/config/st.cmd", "");
    insta::assert_snapshot!(image.run("start.sh", &[]), @r"
    ioc /epics/ioc/config/st.cmd
    databases /epics/runtime:/epics/ioc/config:/modules/db
    exit 0
    ");

    image.write("ioc/config/ioc.subst", "");
    std::fs::create_dir(image.path().join("runtime")).unwrap();
    insta::assert_snapshot!(image.run("start.sh", &[]), @r"
    start.sh: expanding ioc.subst to /epics/runtime/ioc.db
    msi -V -o /epics/runtime/ioc.db -I /epics/runtime -I /epics/ioc/config -S /epics/ioc/config/ioc.subst
    ioc /epics/ioc/config/st.cmd
    databases /epics/runtime:/epics/ioc/config:/modules/db
    exit 0
    ");

    image.write("ioc/config/start.sh", "echo own start script in $PWD");
    insta::assert_snapshot!(image.run("start.sh", &[]), @r"
    own start script in /epics/ioc
    exit 0
    ");
}

#[test]
fn the_start_script_says_why_it_does_not_start() {
    let image = Image::new();
    insta::assert_snapshot!(image.run("start.sh", &[]), @r"

    start.sh: the IOC was not started: no configuration: /epics/ioc/config is not mounted
    exit 1
    ");

    image.write("ioc/config/a.db", "");
    image.write("ioc/config/b.proto", "");
    insta::assert_snapshot!(image.run("start.sh", &[]), @r"

    start.sh: the IOC was not started: no st.cmd in /epics/ioc/config
      it holds: a.db, b.proto
    exit 1
    ");

    image.write("ioc/config/ioc.yaml", "");
    insta::assert_snapshot!(image.run("start.sh", &[]), @r"

    start.sh: the IOC was not started: the configuration is an ioc.yaml, and this image cannot turn it into a st.cmd
    exit 1
    ");

    image.write("ioc/config/st.cmd", "");
    image.write("ioc/config/ioc.subst", "");
    image.write("broken", "");
    insta::assert_snapshot!(image.run("start.sh", &[]), @r"
    start.sh: expanding ioc.subst to /epics/runtime/ioc.db
    msi -V -o /epics/runtime/ioc.db -I /epics/runtime -I /epics/ioc/config -S /epics/ioc/config/ioc.subst

    start.sh: the IOC was not started: ioc.subst could not be expanded (above: msi's message)
    exit 1
    ");

    std::fs::remove_file(image.path().join("ioc/bin/linux-x86_64/ioc")).unwrap();
    insta::assert_snapshot!(image.run("start.sh", &[]), @r"

    start.sh: the IOC was not started: this image has no IOC: /epics/ioc/bin/linux-x86_64/ioc is missing
    exit 1
    ");
}

#[test]
fn the_liveness_script_asks_for_the_right_pv_at_the_right_place() {
    let image = Image::new();
    image.program(
        "bin/caget",
        "echo \"caget $* at $EPICS_CA_ADDR_LIST:$EPICS_CA_SERVER_PORT $EPICS_CA_AUTO_ADDR_LIST\" >>$ASKED; exit ${FAILS:-0}",
    );
    let asked = |variables: &[(&str, &str)]| {
        let file = image.path().join("asked");
        let path = file.display().to_string();
        let mut all = vec![("ASKED", path.as_str())];
        all.extend(variables);
        let result = image.run("liveness.sh", &all);
        let asked = std::fs::read_to_string(&file).unwrap_or_default();
        let _ = std::fs::remove_file(&file);
        format!("{asked}{result}")
    };
    insta::assert_snapshot!(asked(&[("IOC_PREFIX", "t01-ea-ioc-01")]), @r"
    caget -w 5 T01-EA-IOC-01:UPTIME at 127.255.255.255:5064 NO
    exit 0
    ");
    insta::assert_snapshot!(asked(&[("IOC_NAME", "t01-ea-ioc-01"), ("EPICS_CAS_SERVER_PORT", "5070")]), @r"
    caget -w 5 T01-EA-IOC-01:UPTIME at 127.255.255.255:5070 NO
    exit 0
    ");
    let own = [
        ("IOC_PREFIX", "T01"),
        ("K8S_IOC_PV", "T01:ALIVE"),
        ("K8S_IOC_ADDRESS", "172.23.1.4"),
        ("K8S_IOC_PORT", "7064"),
        ("K8S_IOC_TIMEOUT", "2"),
    ];
    insta::assert_snapshot!(asked(&own), @r"
    caget -w 2 T01:ALIVE at 172.23.1.4:7064 NO
    exit 0
    ");
    let failed = asked(&[("IOC_PREFIX", "T01"), ("FAILS", "1")]);
    assert!(
        failed.contains("liveness.sh: T01:UPTIME does not answer at 127.255.255.255 port 5064"),
        "{failed}"
    );
    assert!(failed.ends_with("exit 1"), "{failed}");

    image.write("ioc/config/liveness.sh", "echo own check; exit 3");
    insta::assert_snapshot!(asked(&[]), @r"
    own check
    exit 3
    ");
}
