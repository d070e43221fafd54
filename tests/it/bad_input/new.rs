//! What `ioc new` does not write.

use crate::context::TestContext;

#[test]
fn a_beamline_with_a_name_that_no_label_may_have() {
    insta::assert_snapshot!(TestContext::new().refuse(&["new", "beamline", "T02_EA"]), @"
    exit code: 2
    ----- stderr -----
    error: a beamline cannot be called `T02_EA`
      cause: `T` is not allowed: a name has lower-case letters, digits and `-`
    ");
}

#[test]
fn a_beamline_with_a_path_for_a_name() {
    insta::assert_snapshot!(TestContext::new().refuse(&["new", "beamline", "../t02"]), @"
    exit code: 2
    ----- stderr -----
    error: a beamline cannot be called `../t02`
      cause: `.` is not allowed: a name has lower-case letters, digits and `-`
    ");
}

#[test]
fn a_beamline_that_is_there() {
    let context = TestContext::with_beamline();
    insta::assert_snapshot!(context.refuse(&["new", "beamline", "t02"]), @"
    exit code: 5
    ----- stderr -----
    error: `ioc.toml` has a beamline `t02` already
    hint: `ioc new instance t02-ea-ioc-01 --image IMAGE` adds an instance to it
    ");
}

#[test]
fn a_beamline_whose_folder_is_there() {
    let context = TestContext::new();
    context.write("beamlines/t03/README.md", "mine\n");
    insta::assert_snapshot!(context.refuse(&["new", "beamline", "t03"]), @r#"
    exit code: 5
    ----- stderr -----
    error: `beamlines/t03` exists already
    hint: if it is a services repository, put `[beamline.t03]` with `repository = "beamlines/t03"` into `ioc.toml`
    "#);
}

#[test]
fn an_instance_that_is_there() {
    let context = TestContext::with_beamline();
    insta::assert_snapshot!(
        context.refuse(&["new", "instance", "t02-ea-ioc-01", "--image", "localhost/x:1"]), @"
    exit code: 5
    ----- stderr -----
    error: beamline `t02` has an instance `t02-ea-ioc-01` already
    hint: it is in `[ROOT]/project/beamlines/t02/services/t02-ea-ioc-01`
    ");
}

#[test]
fn an_instance_with_a_name_that_is_too_long() {
    let context = TestContext::with_beamline();
    let name = format!("t02-{}", "a".repeat(60));
    insta::assert_snapshot!(context.refuse(&["new", "instance", &name, "--image", "localhost/x:1"]), @"
    exit code: 2
    ----- stderr -----
    error: an instance cannot be called `t02-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`
      cause: it has 64 characters, and a name has at most 52
    ");
}

#[test]
fn an_instance_of_a_beamline_that_is_not_there() {
    let context = TestContext::with_beamline();
    insta::assert_snapshot!(
        context.refuse(&["new", "instance", "t20-ea-ioc-01", "--image", "localhost/x:1"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no beamline `t20`
    hint: did you mean `t02`?
    hint: the name of an instance begins with that of its beamline, unless `--beamline` says which
    ");
}

#[test]
fn an_instance_of_an_image_that_is_not_there() {
    let context = TestContext::with_beamline();
    context.write("generic-iocs/ioc-sim/image.yaml", "base: os\n");
    insta::assert_snapshot!(
        context.refuse(&["new", "instance", "t02-ea-ioc-02", "--image", "ioc-smi"]), @"
    exit code: 4
    ----- stderr -----
    error: the project has no image `ioc-smi`
    hint: did you mean `ioc-sim`?
    ");
}

#[test]
fn a_folder_that_may_not_be_written() {
    let context = TestContext::with_beamline();
    // Even root cannot make a folder in a file.
    let services = context.project().join("beamlines/t02/services");
    std::fs::rename(&services, context.root().join("services")).unwrap();
    std::fs::write(&services, "not a folder\n").unwrap();
    insta::assert_snapshot!(
        context.refuse(&["new", "instance", "t02-ea-ioc-02", "--image", "localhost/x:1"]), @"
    exit code: 11
    ----- stderr -----
    error: failed to create directory `[ROOT]/project/beamlines/t02/services`: File exists (os error 17)
    ");
}
