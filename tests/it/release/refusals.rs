//! What is not released, and that nothing is pushed then.

use super::{registry, services};
use crate::context::TestContext;

#[test]
fn tags_that_are_not_there_not_checked_out_or_no_version() {
    let context = TestContext::new().without_engine();
    let repository = services(&context);
    let release = |tag: &str| context.refuse(&["release", tag, "--charts", "oci://127.0.0.1:1/x"]);
    insta::assert_snapshot!(release("2026.1.2"), @"
    exit code: 4
    ----- stderr -----
    error: `[ROOT]/project` has no tag `2026.1.2`
    hint: did you mean `2026.1.1`?
    ");
    repository
        .write("services/x-01/values.yaml", "a: 3\n")
        .commit();
    let report = release("2026.1.1");
    assert!(report.contains("the tag `2026.1.1` is commit"), "{report}");
    assert!(
        report.contains(
            "hint: images are built from what is checked out: `git checkout 2026.1.1` first"
        ),
        "{report}"
    );
    insta::assert_snapshot!(context.refuse(&["release"]), @"
    exit code: 4
    ----- stderr -----
    error: the commit that is checked out has no tag
    hint: `git tag 2026.11.1` makes one; or name a tag: `ioc release TAG`
    ");
    repository.git(&["tag", "2026.02.1"]);
    insta::assert_snapshot!(release("2026.02.1"), @"
    exit code: 3
    ----- stderr -----
    error: the tag `2026.02.1` cannot be the version of charts: `02` begins with a zero
    hint: tag it again: `git tag 2026.2.1 2026.02.1^{}`
    ");
    repository.git(&["tag", "2026.2.1"]);
    insta::assert_snapshot!(context.refuse(&["release", "2026.2.1"]), @r#"
    exit code: 2
    ----- stderr -----
    error: nothing says where charts are pushed to
    hint: `--charts oci://HOST/PATH`, or `[release]` with `charts = "oci://HOST/PATH"` in `ioc.toml`
    "#);
    insta::assert_snapshot!(context.refuse(&["release", "2026.2.1", "--charts", "https://host/x"]), @"
    exit code: 2
    ----- stderr -----
    error: `https://host/x` is not a place in a registry
    hint: write it as `oci://HOST/PATH`
    ");
}

#[test]
fn chart_versions_that_are_kept_by_hand_and_wrong() {
    let context = TestContext::new().without_engine();
    let repository = services(&context);
    let chart = |version: &str| format!("apiVersion: v2\nname: x-01\nversion: {version}\n");
    std::fs::remove_file(context.project().join("services/x-01/Chart.yaml")).unwrap();
    repository
        .write("services/x-01/Chart.yaml", &chart("2026.2.1"))
        .release("2026.2.1");
    context.succeed(&["release", "--dry-run"]);
    repository
        .write("services/x-01/values.yaml", "a: 4\n")
        .release("2026.3.1");
    insta::assert_snapshot!(context.refuse(&["release", "--dry-run"]), @"
    exit code: 3
    ----- stderr -----
    error: the chart still has the version of 2026.2.1, and the tag is 2026.3.1
     --> 2026.3.1:services/x-01/Chart.yaml:3:1
      |
    3 | version: 2026.2.1
      | ^^^^^^^ expected 2026.3.1
    hint: write `version: 2026.3.1`, commit and tag again; or leave it as it was: the chart gets the version of the tag
    error: versions of charts are not those of the tag: nothing was pushed
    ");
    repository
        .write("services/x-01/Chart.yaml", &chart("2026.3.2"))
        .release("2026.3.3");
    insta::assert_snapshot!(context.refuse(&["release", "--dry-run"]), @"
    exit code: 3
    ----- stderr -----
    error: the version of the chart was changed to 2026.3.2 since 2026.3.1, and the tag is 2026.3.3
     --> 2026.3.3:services/x-01/Chart.yaml:3:1
      |
    3 | version: 2026.3.2
      | ^^^^^^^ expected 2026.3.3
    hint: write `version: 2026.3.3`, commit and tag again; or leave it as it was: the chart gets the version of the tag
    error: versions of charts are not those of the tag: nothing was pushed
    ");
}

#[test]
fn mistakes_of_all_instances_are_said_at_once() {
    let context = TestContext::new().without_engine();
    let repository = services(&context);
    repository
        .write("services/x-01/values.yaml", "a: [\n")
        .link("nowhere", "services/x-02/templates")
        .release("2026.2.1");
    insta::assert_snapshot!(context.refuse(&["release", "--dry-run"]), @"
    exit code: 3
    ----- stderr -----
    error: did not find expected node content
     --> 2026.2.1:services/x-01/values.yaml:2:1
    error: the symbolic link to `nowhere` leads nowhere
     --> 2026.2.1:services/x-02/templates
    hint: copy the file into the services repository
    error: 2 mistakes in the services repository
    ");
}

#[test]
fn what_was_released_is_not_replaced() {
    let Some(host) = registry() else {
        return;
    };
    let context = TestContext::new().without_engine();
    let repository = services(&context);
    let charts = super::place(&host);
    let release = ["release", "--charts", &charts, "--plain-http"];
    context.succeed(&release);
    repository
        .write("services/x-01/values.yaml", "a: 9\n")
        .commit();
    repository.git(&["tag", "--force", "2026.1.1"]);
    let context = context.shown_as(charts.trim_start_matches("oci://").to_owned(), "[CHARTS]");
    insta::assert_snapshot!(context.refuse(&release), @"
    exit code: 5
    ----- stderr -----
    warning: instances are not checked against their images: the container engine at `unix://[ROOT]/no-engine.sock` cannot be reached
    error: the registry has `[CHARTS]/x-01:2026.1.1` already, and it has other contents: nothing was pushed
    hint: what was released is not replaced: make a new tag
    ");
}

#[test]
fn a_registry_that_is_down() {
    let context = TestContext::new().without_engine();
    services(&context);
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let report = context.refuse(&[
        "release",
        "--charts",
        &format!("oci://{port}/x"),
        "--plain-http",
    ]);
    assert!(report.contains("exit code: 8\n"), "{report}");
}
