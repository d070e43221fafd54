//! `ioc release` against a git repository and a real registry, and the pipelines that run it.

mod images;
mod pipeline;
mod refusals;

use std::sync::OnceLock;

use crate::context::TestContext;
use crate::testbed;
use crate::versions::repository::GitRepository;

/// Host and port of the registry of the test bed; `None` where there is none.
pub(crate) fn registry() -> Option<String> {
    static HOST: OnceLock<Option<String>> = OnceLock::new();
    HOST.get_or_init(|| testbed::part("registry.sh", "REGISTRY"))
        .clone()
}

/// A services repository without `ioc.toml`, at its first release 2026.1.1.
pub(crate) fn services(context: &TestContext) -> GitRepository {
    let repository = GitRepository::new(context.project());
    repository
        .shared()
        .instance("x-01")
        .instance("x-02")
        .release("2026.1.1");
    repository
}

/// A place in the registry of a test's own.
pub(crate) fn place(host: &str) -> String {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("oci://{host}/it-{}-{count}/charts", std::process::id())
}

fn states(released: &serde_json::Value) -> Vec<String> {
    let items = released["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["state"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn charts_are_pushed_once_and_what_is_there_is_left_alone() {
    let Some(host) = registry() else {
        return;
    };
    let context = TestContext::new().without_engine();
    let repository = services(&context);
    let charts = place(&host);
    let release = ["release", "--charts", &charts, "--plain-http"];
    let dry = context.json(&[&release[..], &["--dry-run"]].concat());
    assert_eq!(states(&dry), ["to push", "to push"]);
    let first = context.json(&release);
    assert_eq!(states(&first), ["pushed", "pushed"]);
    // another clone, at another time: the same bytes
    let other = TestContext::new().without_engine();
    repository.git(&[
        "clone",
        "--quiet",
        &repository.url(),
        &other.project().join("clone").display().to_string(),
    ]);
    let output = other
        .command(&[
            "release",
            "2026.1.1",
            "--charts",
            &charts,
            "--plain-http",
            "-o",
            "json",
        ])
        .current_dir(other.project().join("clone"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", other.report(&output));
    let again: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(states(&again), ["there", "there"]);
    assert_eq!(again["items"][0]["digest"], first["items"][0]["digest"]);

    // one chart is lost half-way: only it is pushed
    repository
        .write("services/x-02/values.yaml", "a: 2\n")
        .release("2026.2.1");
    let partly = place(&host);
    let release = ["release", "--charts", &partly, "--plain-http"];
    context.json(&release);
    let notes = context.succeed(&[&release[..], &["--notes", "notes.md"]].concat());
    assert!(notes.contains("there"), "{notes}");
    let notes = std::fs::read_to_string(context.project().join("notes.md")).unwrap();
    let commit = repository.git(&["rev-parse", "HEAD"]);
    insta::assert_snapshot!(notes.replace(&commit, "[COMMIT]"), @"
    # 2026.2.1

    Commit [COMMIT], compared with 2026.1.1.

    ## Changed

    ### x-02

    * `services/x-02/values.yaml`

    ```diff
      ~ ConfigMap x-02-config
          data.a: 1 -> 2
    ```

    One instance is unchanged.
    ");
}

#[test]
fn a_chart_that_only_a_cluster_can_run_is_checked_and_released() {
    let Some(host) = registry() else {
        return;
    };
    let context = TestContext::new().without_engine();
    GitRepository::new(context.project())
        .write(
            "services/opis/Chart.yaml",
            "apiVersion: v2\nname: opis\nversion: 0.1.0\n",
        )
        .write(
            "services/opis/templates/o.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: {name: opis}\nspec: {ports: [{port: 80}]}\n",
        )
        .release("2026.1.1");
    context.succeed(&["check", "."]);
    let released = context.json(&["release", "--charts", &place(&host), "--plain-http"]);
    assert_eq!(states(&released), ["pushed"]);
}

#[test]
fn a_released_chart_renders_to_what_the_repository_renders_to() {
    let Some(host) = registry() else {
        return;
    };
    let context = TestContext::new().without_engine();
    services(&context);
    let charts = place(&host);
    context.json(&["release", "--charts", &charts, "--plain-http"]);
    let Some(helm) = testbed::part("helm.sh", "HELM_BINARY") else {
        return;
    };
    // real helm reads it
    let output = std::process::Command::new(helm)
        .args([
            "template",
            "x-01",
            &format!("{charts}/x-01"),
            "--version",
            "2026.1.1",
            "--plain-http",
        ])
        .env("HELM_CACHE_HOME", context.root().join("helm-cache"))
        .env("HELM_CONFIG_HOME", context.root().join("helm-config"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("a: \"1\"\n  shared: \"one\""), "{text}");
}
