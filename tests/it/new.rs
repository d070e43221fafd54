//! `ioc new`: what it writes, what it refuses, and that nothing is ever overwritten.

use crate::context::TestContext;

/// A project with an image definition and a beamline.
fn project() -> TestContext {
    let context = TestContext::new();
    context.write(
        "generic-iocs/ioc-sim/image.yaml",
        "description: x\nbase: os\n",
    );
    context.write(
        "ioc.toml",
        "# ours\n[images]\ntag = \"2026.11\" # the tag\n",
    );
    assert!(
        context
            .run(&["new", "beamline", "t02"])
            .starts_with("exit code: 0")
    );
    context
}

fn read(context: &TestContext, path: &str) -> String {
    std::fs::read_to_string(context.project().join(path)).unwrap()
}

#[test]
fn a_beamline_is_added_to_the_project_file_as_it_is_written() {
    let context = TestContext::new();
    context.write("ioc.toml", "# ours\n[images]\ntag = \"2026.11\" # the tag\n\n[beamline.t01]\nrepository = \"b\"\n# end");
    insta::assert_snapshot!(context.run(&["new", "beamline", "t02", "--location", "hall-2"]), @"
    exit code: 0
    ----- stderr -----
    beamline `t02` is in `beamlines/t02` and in `ioc.toml`
    hint: `ioc new instance t02-ea-ioc-01 --image IMAGE` adds an instance
    ");
    insta::assert_snapshot!(read(&context, "ioc.toml"), @r#"
    # ours
    [images]
    tag = "2026.11" # the tag

    [beamline.t01]
    repository = "b"
    # end

    [beamline.t02]
    repository = "beamlines/t02"
    # where its instances run: "local" (this machine) or "kubernetes"
    backend = "local"
    "#);
    insta::assert_snapshot!(read(&context, "beamlines/t02/services/values.yaml"), @r#"
    # yaml-language-server: $schema=../.helm-shared/values.schema.json
    # Values of all instances of beamline t02. An instance's own values.yaml wins over them.
    # What can be set: .helm-shared/charts/ioc-instance/README.md
    global:
      location: "hall-2"
      domain: "t02"

    ioc-instance:
      # On a cluster, true lets instances run only on nodes labelled beamline=t02.
      useAffinity: false

      # The user and group that the IOCs of this beamline run as; those of the image while this is empty.
      podSecurityContext: {}
      #  runAsUser: 37000
      #  runAsGroup: 37000
      #  fsGroup: 37000

      securityContext:
        allowPrivilegeEscalation: false
        capabilities:
          drop: [ALL]

      # Channel Access and PV Access stay on this machine: nothing is heard by, or answers, the rest of the
      # network. On a real beamline remove these lines, or name the beamline's network.
      globalEnv:
        # where the IOC listens and announces itself; the second address lets several IOCs share a machine
        - {name: EPICS_CAS_INTF_ADDR_LIST, value: "127.0.0.1 127.255.255.255"}
        - {name: EPICS_CAS_BEACON_ADDR_LIST, value: "127.0.0.1"}
        - {name: EPICS_CAS_AUTO_BEACON_ADDR_LIST, value: "NO"}
        - {name: EPICS_PVAS_INTF_ADDR_LIST, value: "127.0.0.1"}
        - {name: EPICS_PVAS_BEACON_ADDR_LIST, value: "127.0.0.1"}
        - {name: EPICS_PVAS_AUTO_BEACON_ADDR_LIST, value: "NO"}
        # where caget, caput and links between IOCs look
        - {name: EPICS_CA_ADDR_LIST, value: "127.255.255.255"}
        - {name: EPICS_CA_AUTO_ADDR_LIST, value: "NO"}
        - {name: EPICS_PVA_ADDR_LIST, value: "127.0.0.1"}
        - {name: EPICS_PVA_AUTO_ADDR_LIST, value: "NO"}
    "#);
}

#[test]
fn the_first_beamline_makes_the_project_file() {
    let context = TestContext::new();
    assert!(
        context
            .run(&["new", "beamline", "t02"])
            .starts_with("exit code: 0")
    );
    insta::assert_snapshot!(read(&context, "ioc.toml"), @r#"
    # Project file of `ioc`: beamlines, images, engine. Every key may be missing.

    [beamline.t02]
    repository = "beamlines/t02"
    # where its instances run: "local" (this machine) or "kubernetes"
    backend = "local"
    "#);
}

#[test]
fn an_instance_of_an_image_of_the_project() {
    let context = project();
    insta::assert_snapshot!(context.run(&["new", "instance", "t02-mo-ioc-01", "--image", "ioc-sim"]), @"
    exit code: 0
    ----- stderr -----
    instance `t02-mo-ioc-01` is in `beamlines/t02/services/t02-mo-ioc-01`
    hint: `ioc build ioc-sim` builds its image, unless it is there
    hint: edit `beamlines/t02/services/t02-mo-ioc-01/config/st.cmd`, then `ioc check t02 t02-mo-ioc-01` and `ioc deploy t02-mo-ioc-01`
    ");
    insta::assert_snapshot!(read(&context, "beamlines/t02/services/t02-mo-ioc-01/values.yaml"), @r#"
    # yaml-language-server: $schema=../../.helm-shared/values.schema.json
    # t02-mo-ioc-01: what is special about this instance; values of all instances are in ../values.yaml
    ioc-instance:
      image: "localhost/ioc-sim-runtime:2026.11"

      # The IOC's own PVs begin with this; the liveness check reads T02-MO-IOC-01:UPTIME.
      prefix: "T02-MO-IOC-01"

      # More environment for this instance. Values are always text, so numbers need quotes.
      # iocEnv:
      #   - {name: EPICS_CAS_SERVER_PORT, value: "5064"}

      # Devices of the node that the IOC talks to.
      # devices:
      #   - path: /dev/ttyS0
    "#);
    let folder = context
        .project()
        .join("beamlines/t02/services/t02-mo-ioc-01");
    for link in ["Chart.yaml", "templates", "charts"] {
        assert!(
            folder.join(link).is_symlink() && folder.join(link).exists(),
            "{link}"
        );
    }
}

#[test]
fn a_dry_run_lists_and_writes_nothing() {
    let context = project();
    let arguments = [
        "new",
        "instance",
        "t02-ea-ioc-01",
        "--image",
        "x.org/a:1",
        "--dry-run",
    ];
    insta::assert_snapshot!(context.run(&arguments), @"
    exit code: 0
    ----- stdout -----
    beamlines/t02/services/t02-ea-ioc-01/Chart.yaml -> ../../.helm-shared/Chart.yaml
    beamlines/t02/services/t02-ea-ioc-01/templates -> ../../.helm-shared/templates
    beamlines/t02/services/t02-ea-ioc-01/charts -> ../../.helm-shared/charts
    beamlines/t02/services/t02-ea-ioc-01/values.yaml
    beamlines/t02/services/t02-ea-ioc-01/config/st.cmd
    beamlines/t02/services/t02-ea-ioc-01/config/ioc.db
    ");
    assert!(
        !context
            .project()
            .join("beamlines/t02/services/t02-ea-ioc-01")
            .exists()
    );
    assert!(
        context
            .run(&["new", "beamline", "t03", "--dry-run"])
            .starts_with("exit code: 0")
    );
    assert!(!context.project().join("beamlines/t03").exists());
    assert!(!read(&context, "ioc.toml").contains("t03"));
}

#[test]
fn nothing_is_overwritten() {
    let context = project();
    context.write("beamlines/t03/notes", "mine");
    let before = read(&context, "ioc.toml");
    insta::assert_snapshot!(context.run(&["new", "beamline", "t03"]), @r#"
    exit code: 5
    ----- stderr -----
    error: `beamlines/t03` exists already
    hint: if it is a services repository, put `[beamline.t03]` with `repository = "beamlines/t03"` into `ioc.toml`
    "#);
    insta::assert_snapshot!(context.run(&["new", "beamline", "t02"]), @"
    exit code: 5
    ----- stderr -----
    error: `ioc.toml` has a beamline `t02` already
    hint: `ioc new instance t02-ea-ioc-01 --image IMAGE` adds an instance to it
    ");
    assert_eq!(read(&context, "ioc.toml"), before);
    let instance = ["new", "instance", "t02-ea-ioc-01", "--image", "ioc-sim"];
    assert!(context.run(&instance).starts_with("exit code: 0"));
    context.write("beamlines/t02/services/t02-ea-ioc-01/config/st.cmd", "mine");
    insta::assert_snapshot!(context.run(&instance), @"
    exit code: 5
    ----- stderr -----
    error: beamline `t02` has an instance `t02-ea-ioc-01` already
    hint: it is in `[ROOT]/project/beamlines/t02/services/t02-ea-ioc-01`
    ");
    assert_eq!(
        read(
            &context,
            "beamlines/t02/services/t02-ea-ioc-01/config/st.cmd"
        ),
        "mine"
    );
}

#[test]
fn names_that_cannot_be() {
    let context = project();
    insta::assert_snapshot!(context.run(&["new", "beamline", "T_03"]), @"
    exit code: 2
    ----- stderr -----
    error: a beamline cannot be called `T_03`
      cause: `T` is not allowed: a name has lower-case letters, digits and `-`
    ");
    insta::assert_snapshot!(context.run(&["new", "instance", "t02-ea-ioc-01-", "--image", "ioc-sim"]), @"
    exit code: 2
    ----- stderr -----
    error: an instance cannot be called `t02-ea-ioc-01-`
      cause: a name begins and ends with a letter or a digit
    ");
    insta::assert_snapshot!(context.run(&["new", "instance", "../t02", "--image", "ioc-sim"]), @"
    exit code: 2
    ----- stderr -----
    error: an instance cannot be called `../t02`
      cause: `.` is not allowed: a name has lower-case letters, digits and `-`
    ");
    let long = format!("t02-{}", "x".repeat(49));
    insta::assert_snapshot!(context.run(&["new", "instance", &long, "--image", "ioc-sim"]), @"
    exit code: 2
    ----- stderr -----
    error: an instance cannot be called `t02-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`
      cause: it has 53 characters, and a name has at most 52
    ");
}

#[test]
fn a_location_that_cannot_be_a_label() {
    let context = project();
    let arguments = ["new", "beamline", "t03", "--location", "hall: 2"];
    insta::assert_snapshot!(context.run(&arguments), @"
    exit code: 2
    ----- stderr -----
    error: a location cannot be called `hall: 2`
      cause: it has letters, digits, `-`, `_` and `.`
    ");
}

#[test]
fn an_unknown_image_or_beamline_names_the_nearest() {
    let context = project();
    insta::assert_snapshot!(context.run(&["new", "instance", "t02-ea-ioc-01", "--image", "ioc-sin"]), @"
    exit code: 4
    ----- stderr -----
    error: the project has no image `ioc-sin`
    hint: did you mean `ioc-sim`?
    ");
    insta::assert_snapshot!(context.run(&["new", "instance", "t20-ea-ioc-01", "--image", "ioc-sim"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no beamline `t20`
    hint: did you mean `t02`?
    hint: the name of an instance begins with that of its beamline, unless `--beamline` says which
    ");
}
