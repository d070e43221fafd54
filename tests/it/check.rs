//! `ioc check`: one finding for each way to be wrong, with place, reason and hint; what was not checked is said.
//!
//! These run without a container engine. What is read out of images is checked in the end-to-end tests.

use crate::context::{TestContext, repository};

const FOLDER: &str = "beamlines/t02/services/t02-ea-ioc-01";

/// The findings of a check of `t02`, without the lines about images that are not at hand.
fn check(context: &TestContext) -> String {
    let output = context.run(&["check", "t02", "--no-engine"]);
    let kept = output
        .lines()
        .filter(|line| !line.starts_with("not checked: ") || line.contains("start-up"));
    kept.collect::<Vec<_>>().join("\n") + "\n"
}

fn values(context: &TestContext, text: &str) {
    context.write(&format!("{FOLDER}/values.yaml"), text);
}

#[test]
fn the_example_has_no_findings_and_what_was_not_checked_is_said() {
    let context = TestContext::new();
    let example = repository().join("beamlines/t01");
    let example = example.to_str().unwrap();
    insta::assert_snapshot!(context.run(&["check", example, "--no-engine"]), @"
    exit code: 0
    ----- stdout -----
    3 instances, 0 records: no findings
    ----- stderr -----
    not checked: whether the images exist, since no engine was asked: `localhost/ioc-sim-runtime:latest`
    not checked: record types, fields, databases and variables that come from the images that are not at hand: `localhost/ioc-sim-runtime:latest`
    ");
}

#[test]
fn no_engine_is_a_finding() {
    let context = TestContext::with_instance();
    let output = context.run(&["--engine", "unix:///nowhere.sock", "check", "t02"]);
    insta::assert_snapshot!(output, @"
    exit code: 0
    ----- stdout -----
    1 instance, 0 records: 1 warning
    ----- stderr -----
    warning: images are not checked: the container engine at `unix:///nowhere.sock` cannot be reached
    hint: there is no such socket: start the engine, or name another with `--engine`; `--no-engine` checks without images
    not checked: whether the images exist, since no engine was asked: `localhost/ioc-sim-runtime:latest`
    not checked: record types, fields, databases and variables that come from the images that are not at hand: `localhost/ioc-sim-runtime:latest`
    ");
    let strict = context.run(&[
        "--engine",
        "unix:///nowhere.sock",
        "check",
        "t02",
        "--strict",
    ]);
    assert!(strict.starts_with("exit code: 1"), "{strict}");
}

#[test]
fn findings_as_data() {
    let context = TestContext::with_instance();
    values(&context, "ioc-instance:\n  iamge: a/b:1\n");
    let output = context
        .command(&["check", "t02", "--no-engine", "-o", "json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    insta::assert_json_snapshot!(report, @r#"
    {
      "findings": [
        {
          "expected": null,
          "hint": "did you mean `image`?",
          "message": "unknown value `iamge`",
          "place": {
            "column": 3,
            "length": 5,
            "line": 2,
            "path": "beamlines/t02/services/t02-ea-ioc-01/values.yaml",
            "text": "  iamge: a/b:1"
          },
          "severity": "error"
        }
      ],
      "not_checked": [],
      "summary": {
        "errors": 1,
        "instances": 1,
        "notes": 0,
        "records": 0,
        "warnings": 0
      }
    }
    "#);
}

#[test]
fn a_misspelt_value() {
    let context = TestContext::with_instance();
    values(
        &context,
        "ioc-instance:\n  image: a/b:1\n  hostNetwrok: true\nioc-instnace: {}\n",
    );
    insta::assert_snapshot!(check(&context), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error, 1 warning
    ----- stderr -----
    warning: no template of the chart reads the value `ioc-instnace`
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:4:1
      |
    4 | ioc-instnace: {}
      | ^^^^^^^^^^^^
    hint: did you mean `ioc-instance`?
    error: unknown value `hostNetwrok`
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:3:3
      |
    3 |   hostNetwrok: true
      |   ^^^^^^^^^^^
    hint: did you mean `hostNetwork`?
    ");
}

#[test]
fn a_key_that_stands_twice_and_broken_yaml() {
    let context = TestContext::with_instance();
    values(&context, "ioc-instance:\n  image: a/b:1\n  image: a/b:2\n");
    insta::assert_snapshot!(check(&context), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: `image` stands here a second time
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:3:3
      |
    3 |   image: a/b:2
      |   ^^^^^
    hint: keep one of the two
    ");
    values(&context, "ioc-instance:\n\timage: a/b:1\n");
    insta::assert_snapshot!(check(&context), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: tabs disallowed within this context (block indentation)
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:2:2
      |
    2 |  image: a/b:1
      |  ^
    ");
    values(&context, "- a\n");
    insta::assert_snapshot!(check(&context), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: values are a mapping of names to values
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:1:1
      |
    1 | - a
      | ^ expected `name: value` lines
    ");
}

#[test]
fn a_bomb_is_refused() {
    let context = TestContext::with_instance();
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let row = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{row}]\n"));
    }
    values(&context, &bomb);
    let output = check(&context);
    assert!(output.starts_with("exit code: 1"), "{output}");
    assert!(output.contains("values.yaml"), "{output}");
}

#[test]
fn images_that_cannot_be() {
    let context = TestContext::with_instance();
    values(
        &context,
        "ioc-instance:\n  image: localhost/ioc-sin-runtime:latest\n",
    );
    insta::assert_snapshot!(check(&context), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: the project does not build an image `localhost/ioc-sin-runtime:latest`
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:2:10
      |
    2 |   image: localhost/ioc-sin-runtime:latest
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: did you mean `localhost/ioc-sim-runtime:latest`?
    ");
    values(&context, "ioc-instance:\n  image: Registry/Ioc:1\n");
    insta::assert_snapshot!(check(&context), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: `Registry/Ioc:1` cannot be the name of an image: a name has lower-case letters, digits, `.`, `_`, `-` and `/`
     --> beamlines/t02/services/t02-ea-ioc-01/values.yaml:2:10
      |
    2 |   image: Registry/Ioc:1
      |          ^^^^^^^^^^^^^^ expected `registry/path/name:tag`
    ");
}

#[test]
fn a_configuration_without_a_start_up_file() {
    let context = TestContext::with_instance();
    let config = context.project().join(FOLDER).join("config");
    std::fs::rename(config.join("st.cmd"), config.join("st.cdm")).unwrap();
    insta::assert_snapshot!(check(&context), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: the configuration has no start-up file
     --> beamlines/t02/services/t02-ea-ioc-01/config
      = expected `st.cmd`, `ioc.yaml` or `start.sh`
    hint: is `st.cdm` meant to be `st.cmd`?
    ");
    std::fs::remove_dir_all(&config).unwrap();
    insta::assert_snapshot!(check(&context), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: the instance has no configuration files
     --> beamlines/t02/services/t02-ea-ioc-01/config
      = expected a start-up file `st.cmd`, `ioc.yaml` or `start.sh`
    hint: `ioc new instance` writes a `config/st.cmd` that works
    ");
}

#[test]
fn a_binary_file_and_a_folder_in_the_configuration() {
    let context = TestContext::with_instance();
    context.write(&format!("{FOLDER}/config/map.bin"), [b'a', b'\n', 0, 255]);
    context.write(&format!("{FOLDER}/config/old/x.db"), "");
    context.write(&format!("{FOLDER}/config/st.cmd~"), "");
    insta::assert_snapshot!(check(&context), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 2 errors, 1 warning
    ----- stderr -----
    error: `map.bin` is not text in UTF-8
     --> beamlines/t02/services/t02-ea-ioc-01/config/map.bin:2
      = expected text
    hint: move it to `config-binary/`, which the IOC sees in the same place; or convert text with `iconv -t utf-8`
    warning: the folder `old` is not part of the configuration
     --> beamlines/t02/services/t02-ea-ioc-01/config/old
    hint: only files directly in `config/` reach the IOC: move them up, or the folder out
    error: the file name `st.cmd~` cannot be a key of a ConfigMap: `~` is not allowed
     --> beamlines/t02/services/t02-ea-ioc-01/config/st.cmd~
    hint: use letters, digits, `-`, `_` and `.`; remove backup copies of editors
    not checked: start-up of `t02-ea-ioc-01`, as long as its configuration has `map.bin`
    ");
}

#[test]
fn a_configuration_that_is_too_large() {
    let context = TestContext::with_instance();
    context.write(&format!("{FOLDER}/config/large.db"), "#".repeat(1_100_000));
    insta::assert_snapshot!(check(&context), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: the configuration has 1101 kB, and a ConfigMap holds at most 1048 kB
     --> beamlines/t02/services/t02-ea-ioc-01/config
      = the largest files are `large.db` 1100 kB, `st.cmd` 1 kB
    hint: put databases that all instances share into the image, or make them from a template with `ioc.subst`
    not checked: start-up of `t02-ea-ioc-01`, as long as its configuration has `large.db`
    ");
    context.write(&format!("{FOLDER}/config/large.db"), "#".repeat(950_000));
    assert!(check(&context).starts_with("exit code: 0"));
}

#[test]
fn links_that_leave_or_lead_nowhere() {
    let context = TestContext::with_instance();
    context.write("secret", "password");
    context.symlink("../../../../../secret", &format!("{FOLDER}/config/key"));
    context.symlink("nowhere.db", &format!("{FOLDER}/config/x.db"));
    insta::assert_snapshot!(check(&context), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 2 errors
    ----- stderr -----
    error: the symbolic link to `../../../../../secret` leaves the services repository
     --> beamlines/t02/services/t02-ea-ioc-01/config/key
      = a relative link that stays below `[ROOT]/project/beamlines/t02`
    hint: copy the file into the services repository
    error: the symbolic link to `nowhere.db` leads nowhere
     --> beamlines/t02/services/t02-ea-ioc-01/config/x.db
    hint: copy the file into the services repository
    ");
}

#[test]
fn a_database_that_does_not_parse_and_a_macro_that_is_missing() {
    let context = TestContext::with_instance();
    context.write(
        &format!("{FOLDER}/config/x.db"),
        "record(ai, \"$(P)X\") {\n    field(DESC, \"a)\n}\n",
    );
    context.write(
        &format!("{FOLDER}/config/y.db"),
        "record(ai, \"$(P)Y\") {\n    field(DESC, \"$(Q)\")\n    field(EGU,  \"$(Q)\")\n}\n",
    );
    context.write(
        &format!("{FOLDER}/config/st.cmd"),
        "dbLoadDatabase(\"dbd/ioc.dbd\")\nioc_registerRecordDeviceDriver(pdbbase)\ndbLoadRecords(\"x.db\", \"P=A:\")\ndbLoadRecords(\"y.db\", \"P=A:\")\niocInit\n",
    );
    insta::assert_snapshot!(check(&context), @r#"
    exit code: 1
    ----- stdout -----
    1 instance, 2 records: 3 errors
    ----- stderr -----
    error: the closing quote is missing on this line
     --> beamlines/t02/services/t02-ea-ioc-01/config/x.db:2:17
      |
    2 |     field(DESC, "a)
      |                 ^^^
    error: `}` is not expected here
     --> beamlines/t02/services/t02-ea-ioc-01/config/x.db:3:1
      |
    3 | }
      | ^ a value
    hint: the IOC stops reading the file here and refuses it
    error: macro `Q` is not defined, here and in 1 more place
     --> beamlines/t02/services/t02-ea-ioc-01/config/y.db:2:18
      |
    2 |     field(DESC, "$(Q)")
      |                  ^^^^
    hint: add `Q=…` to the macros at beamlines/t02/services/t02-ea-ioc-01/config/st.cmd:4:1, or write `$(Q=default)`
    "#);
}

#[test]
fn a_start_up_that_cannot_be_followed_is_said() {
    let context = TestContext::with_instance();
    context.write(&format!("{FOLDER}/config/start.sh"), "exec ioc st.cmd\n");
    insta::assert_snapshot!(check(&context), @"
    exit code: 0
    ----- stdout -----
    1 instance, 0 records: no findings
    ----- stderr -----
    not checked: start-up of `t02-ea-ioc-01`: `config/start.sh` starts it, so what is loaded is not known
    ");
}

#[test]
fn two_instances_with_the_same_prefix_records_and_ports() {
    let context = TestContext::with_instance();
    for name in ["t02-ea-ioc-02", "t02-mo-ioc-01"] {
        let new = ["new", "instance", name, "--image", "ioc-sim"];
        assert!(context.run(&new).starts_with("exit code: 0"));
    }
    for name in ["t02-ea-ioc-01", "t02-ea-ioc-02"] {
        let folder = format!("beamlines/t02/services/{name}");
        context.write(
            &format!("{folder}/config/own.db"),
            "record(ai, \"T02:A\") {}\nrecord(ai, \"T02:B\") {}\n",
        );
        context.write(
            &format!("{folder}/config/st.cmd"),
            "dbLoadDatabase(\"dbd/ioc.dbd\")\nioc_registerRecordDeviceDriver(pdbbase)\ndbLoadRecords(\"own.db\")\niocInit\n",
        );
        context.write(
            &format!("{folder}/values.yaml"),
            "ioc-instance:\n  image: localhost/ioc-sim-runtime:latest\n  prefix: T02\n  iocEnv: [{name: EPICS_CAS_SERVER_PORT, value: \"6064\"}]\n",
        );
    }
    insta::assert_snapshot!(check(&context), @r#"
    exit code: 1
    ----- stdout -----
    3 instances, 4 records: 2 errors, 1 warning
    ----- stderr -----
    error: `t02-ea-ioc-01` and `t02-ea-ioc-02` have the same PV prefix `T02`
     --> beamlines/t02/services/t02-ea-ioc-02/values.yaml:3:11
      |
    3 |   prefix: T02
      |           ^^^
    hint: give each instance a prefix of its own: clients find one of the two at random
    error: `t02-ea-ioc-01` and `t02-ea-ioc-02` both have the PVs `T02:A`, `T02:B`
     --> beamlines/t02/services/t02-ea-ioc-02/config/own.db:1:12
      |
    1 | record(ai, "T02:A") {}
      |            ^^^^^^^
    hint: clients find one of the two at random: change the prefix (`P=…`) of one of them
    warning: `t02-ea-ioc-01` and `t02-ea-ioc-02` both want TCP port 6064 of their node
     --> beamlines/t02/services/t02-ea-ioc-02/values.yaml:2:3
      |
    2 |   image: localhost/ioc-sim-runtime:latest
      |   ^^^^^
    hint: leave `EPICS_CAS_SERVER_PORT` out: IOCs of one node share 5064 for searches, and each takes a port of its own for the rest
    "#);
    let other = context.run(&["check", "beamlines/t02", "t02-ea-ioc-01", "--no-engine"]);
    assert!(other.contains("1 instance"), "{other}");
    assert!(other.contains("same PV prefix"), "{other}");
}

#[test]
fn names_of_instances() {
    let context = TestContext::with_instance();
    let plain = "apiVersion: v2\nname: plain\nversion: 1.0.0\n";
    let long = "x".repeat(53);
    for name in ["t02_bad", "T02-EA-IOC-01", &long] {
        context.write(&format!("beamlines/t02/services/{name}/Chart.yaml"), plain);
    }
    context.write("other/services/t02-ea-ioc-01/Chart.yaml", plain);
    let mut project = std::fs::read_to_string(context.project().join("ioc.toml")).unwrap();
    project.push_str("[beamline.other]\nrepository = \"other\"\n");
    context.write("ioc.toml", project);
    insta::assert_snapshot!(check(&context), @"
    exit code: 1
    ----- stdout -----
    4 instances, 0 records: 5 errors, 4 warnings
    ----- stderr -----
    warning: the chart of `t02-ea-ioc-01` makes no resources: nothing would run
     --> beamlines/t02/services/T02-EA-IOC-01
    hint: is `templates` missing, or has a value switched everything off?
    warning: the chart of `t02_bad` makes no resources: nothing would run
     --> beamlines/t02/services/t02_bad
    hint: is `templates` missing, or has a value switched everything off?
    warning: the chart of `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` makes no resources: nothing would run
     --> beamlines/t02/services/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    hint: is `templates` missing, or has a value switched everything off?
    warning: the folder `T02-EA-IOC-01` becomes the release `t02-ea-ioc-01`
     --> beamlines/t02/services/T02-EA-IOC-01
    hint: names of releases are lower case: rename the folder
    error: an instance cannot be called `t02_bad`: `_` is not allowed: a name has lower-case letters, digits and `-`
     --> beamlines/t02/services/t02_bad
    hint: rename the folder
    error: an instance cannot be called `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`: it has 53 characters, and a name has at most 52
     --> beamlines/t02/services/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    hint: rename the folder
    error: `T02-EA-IOC-01` and `t02-ea-ioc-01` are the same name but for case, and both become the release `t02-ea-ioc-01`
     --> beamlines/t02/services/t02-ea-ioc-01
    hint: rename one of them
    error: beamline `other` has an instance `t02-ea-ioc-01` too
     --> beamlines/t02/services/T02-EA-IOC-01
    hint: commands find an instance by its name alone: begin each name with its beamline
    error: beamline `other` has an instance `t02-ea-ioc-01` too
     --> beamlines/t02/services/t02-ea-ioc-01
    hint: commands find an instance by its name alone: begin each name with its beamline
    ");
}

#[test]
fn what_the_local_backend_cannot_do() {
    let context = TestContext::with_instance();
    values(
        &context,
        "ioc-instance:\n  image: localhost/ioc-sim-runtime:latest\n  initContainers: [{name: first, image: a:1}]\n",
    );
    insta::assert_snapshot!(check(&context), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 1 error
    ----- stderr -----
    error: `StatefulSet t02-ea-ioc-01`: `spec.template.spec.initContainers`: there is nothing here that runs containers one after another
     --> beamlines/t02/.helm-shared/templates/ioc-instance.yaml
    hint: do its work in the start script of the image, or make it an extra container
    ");
}

#[test]
fn a_pipe_in_the_configuration_is_refused_and_not_read() {
    let context = TestContext::with_instance();
    let path = context.project().join(FOLDER).join("config/x.db");
    let made = std::process::Command::new("mkfifo")
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    insta::assert_snapshot!(check(&context), @"
    exit code: 1
    ----- stdout -----
    1 instance, 0 records: 2 errors
    ----- stderr -----
    error: `beamlines/t02/services/t02-ea-ioc-01/config/x.db` is not a regular file
     --> beamlines/t02/services/t02-ea-ioc-01
    error: `x.db` is neither a file nor a folder
     --> beamlines/t02/services/t02-ea-ioc-01/config/x.db
    hint: remove it: devices, pipes and sockets cannot be part of a configuration
    ");
}

#[test]
fn a_folder_that_is_no_services_repository_or_an_unknown_name() {
    let context = TestContext::with_instance();
    context.write("empty/README", "");
    insta::assert_snapshot!(context.run(&["check", "empty", "--no-engine"]), @"
    exit code: 3
    ----- stderr -----
    error: `empty` is not a services repository
    hint: a services repository has a folder `services` with one folder per instance; `ioc new beamline NAME` writes one
    ");
    insta::assert_snapshot!(context.run(&["check", "t03", "--no-engine"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no beamline `t03`
    hint: did you mean `t02`?
    hint: an instance is checked by its name, or as `ioc check BEAMLINE INSTANCE`
    ");
    insta::assert_snapshot!(context.run(&["check", "t02", "t02-ae-ioc-01", "--no-engine"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no IOC instance `t02-ae-ioc-01` in `beamlines/t02`
    hint: did you mean `t02-ea-ioc-01`?
    ");
    insta::assert_snapshot!(TestContext::new().run(&["check", "--no-engine"]), @"
    exit code: 4
    ----- stderr -----
    error: there is nothing to check: no folder is named, and `ioc.toml` has no beamline
    hint: `ioc check FOLDER` checks a services repository
    ");
}
