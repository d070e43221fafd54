//! Which tags are versions of an instance.

use super::repository::GitRepository;
use super::{five_tags, names};
use crate::context::TestContext;

/// The versions of `x` in a repository that `shape` made.
fn versions(shape: impl FnOnce(&GitRepository)) -> Vec<String> {
    let context = TestContext::new().without_engine();
    let repository = GitRepository::new(context.project().join("r"));
    shape(&repository);
    let of_folder = names(&context.json(&["versions", "x", "--repository", "r"]));
    let of_url = names(&context.json(&["versions", "x", "--repository", &repository.url()]));
    assert_eq!(of_folder, of_url);
    of_folder
}

#[test]
fn tags_at_which_something_of_the_instance_changed_releases_first() {
    let (context, _repository) = five_tags();
    let context = context.shown_as("[0-9a-f]{10}", "[COMMIT]");
    assert_eq!(
        names(&context.json(&["versions", "x-01"])),
        ["2026.04.1", "2026.2.1", "2026.1.1", "2026.3.1b1"]
    );
    // a change of `x-01` is none of `x-0`
    assert_eq!(
        names(&context.json(&["versions", "X-0"])),
        ["2026.04.1", "2026.1.1", "2026.3.1b1"]
    );
    let table = context.run(&["versions", "x-01"]);
    let table = regex::Regex::new("  [0-9a-f]{10}  ")
        .unwrap()
        .replace_all(&table, "  [COMMIT]  ");
    insta::assert_snapshot!(table, @"
    exit code: 0
    ----- stdout -----
    VERSION     DATE        COMMIT      CHART                           CHANGED
    2026.04.1   2026-09-21  [COMMIT]  no, `2026.4.1` could be         .helm-shared/templates/NOTES.txt
    2026.2.1    2026-09-21  [COMMIT]  2026.2.1                        services/x-01/config/st.cmd
    2026.1.1    2026-09-21  [COMMIT]  2026.1.1                        new
    2026.3.1b1  2026-09-21  [COMMIT]  no, `2026.3.1-beta.1` could be  services/values.yaml
    ");
    insta::assert_snapshot!(context.run(&["versions"]).lines().map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join("\n"), @"
    exit code: 0
    ----- stdout -----
    INSTANCE NEWEST DATE
    x-0 2026.04.1 2026-09-21
    x-01 2026.04.1 2026-09-21
    ");
}

#[test]
fn what_makes_a_version_is_told() {
    let (context, _repository) = five_tags();
    let versions = context.json(&["versions", "x-01"]);
    let of = |index: usize, key: &str| versions[index][key].clone();
    assert_eq!(
        of(0, "changed"),
        serde_json::json!([".helm-shared/templates/NOTES.txt"])
    );
    assert_eq!(
        of(1, "changed"),
        serde_json::json!(["services/x-01/config/st.cmd"])
    );
    assert_eq!(
        of(3, "changed"),
        serde_json::json!(["services/values.yaml"])
    );
    assert_eq!(of(2, "is_new"), true);
    assert_eq!(
        (of(0, "kind"), of(3, "kind")),
        ("release".into(), "pre-release".into())
    );
    assert_eq!(of(1, "chart_version"), "2026.2.1");
    assert_eq!(
        (of(0, "chart_version"), of(0, "suggestion")),
        (serde_json::Value::Null, "2026.4.1".into())
    );
    assert_eq!(of(3, "suggestion"), "2026.3.1-beta.1");
}

#[test]
fn links_are_followed_through_any_number_of_links() {
    let found = versions(|repository| {
        repository.shared().instance("x").instance("y");
        repository
            .link("../one", "services/x/config/chain")
            .link("../../../hop/two", "services/x/one")
            .link("../deep", "hop/two")
            .write("deep/file", "1")
            .link("../far/away", "deep/more")
            .write("far/away", "1")
            .link("deep", "through")
            .link("../../through/sub/leaf", "services/x/leaf")
            .write("deep/sub/leaf", "1");
        // one `..` too few for the folder that it is in: leads to `services/hop/two`, which is not there
        repository
            .link("../../hop/two", "services/x/one")
            .release("1.0.0");
        repository.write("deep/file", "2").release("1.1.0");
        repository.write("far/away", "2").release("1.2.0");
        repository.write("deep/sub/leaf", "2").release("1.3.0");
        repository.link("../other", "hop/two").release("1.4.0");
        repository.write("other", "new").release("1.5.0");
        repository.write("unrelated", "2").release("1.6.0");
        repository.link("elsewhere", "through").release("1.7.0");
    });
    assert_eq!(
        found,
        [
            "1.7.0", "1.5.0", "1.4.0", "1.3.0", "1.2.0", "1.1.0", "1.0.0"
        ]
    );
}

#[test]
fn links_to_nowhere_in_circles_out_of_the_repository_and_to_other_instances() {
    let found = versions(|repository| {
        repository.shared().instance("x").instance("y");
        repository
            .link("nowhere", "services/x/dangling")
            .link("circle", "services/x/circle")
            .link("..", "services/x/up")
            .link("/etc/passwd", "services/x/absolute")
            .link("../../../../../outside", "services/x/outside")
            .release("1.0.0");
        repository.write("README.md", "1").release("1.1.0");
        // `up` leads to all of `services`
        repository
            .write("services/y/values.yaml", "a: 2")
            .release("1.2.0");
        repository.write("services/x/nowhere", "").release("1.3.0");
    });
    assert_eq!(found, ["1.3.0", "1.2.0", "1.0.0"]);
}

#[test]
fn a_link_to_a_file_of_another_instance_only() {
    let found = versions(|repository| {
        repository.shared().instance("x").instance("y");
        repository
            .link("../y/values.yaml", "services/x/like-y.yaml")
            .release("1.0.0");
        repository
            .write("services/y/config/st.cmd", "2")
            .release("1.1.0");
        repository
            .write("services/y/values.yaml", "a: 2")
            .release("1.2.0");
    });
    assert_eq!(found, ["1.2.0", "1.0.0"]);
}

#[test]
fn chart_and_templates_that_are_links_or_become_files_and_modes() {
    let found = versions(|repository| {
        repository.shared().instance("x").release("v1.0.0");
        repository
            .write(
                ".helm-shared/Chart.yaml",
                "apiVersion: v2\nname: x\nversion: 2.0.0\n",
            )
            .release("v1.1.0");
        std::fs::remove_file(repository.folder().join("services/x/Chart.yaml")).unwrap();
        repository
            .write(
                "services/x/Chart.yaml",
                "apiVersion: v2\nname: x\nversion: 2.0.0\n",
            )
            .release("v1.2.0");
        repository
            .write(
                ".helm-shared/Chart.yaml",
                "apiVersion: v2\nname: x\nversion: 3.0.0\n",
            )
            .release("v1.3.0");
        repository.git(&["update-index", "--chmod=+x", "services/x/config/st.cmd"]);
        repository.git(&["commit", "--quiet", "--message", "x"]);
        repository.git(&["tag", "v1.4.0"]);
    });
    assert_eq!(found, ["v1.4.0", "v1.2.0", "v1.1.0", "v1.0.0"]);
}

#[test]
fn an_instance_that_is_a_link_and_the_older_folder_name() {
    let found = versions(|repository| {
        repository
            .write("iocs/real/Chart.yaml", "name: real")
            .link("real", "iocs/x")
            .release("1.0.0");
        repository
            .write("iocs/real/values.yaml", "a: 1")
            .release("1.1.0");
        repository
            .write("iocs/.template/values.yaml", "a: 1")
            .release("1.2.0");
    });
    assert_eq!(found, ["1.1.0", "1.0.0"]);
}

#[test]
fn removed_and_made_again() {
    let found = versions(|repository| {
        repository.shared().instance("y").release("1.0.0");
        repository.instance("x").release("1.1.0");
        std::fs::remove_dir_all(repository.folder().join("services/x")).unwrap();
        repository.release("1.2.0");
        repository
            .write("services/values.yaml", "shared: 2")
            .release("1.3.0");
        repository.instance("x").release("1.4.0");
    });
    assert_eq!(found, ["1.4.0", "1.1.0"]);
}

#[test]
fn annotated_nested_and_several_tags_of_a_commit_and_commits_of_one_second() {
    let found = versions(|repository| {
        repository.shared().instance("x").commit();
        repository.git(&["tag", "--annotate", "--message", "m", "1.10.0rc1"]);
        repository.git(&["tag", "--annotate", "--message", "m", "1.10.0", "1.10.0rc1"]);
        repository.git(&["tag", "latest"]);
        // older by name, newer by history, in the same second
        repository
            .write("services/x/values.yaml", "a: 2")
            .commit_in_the_same_second();
        repository.git(&["tag", "1.9.0"]);
        repository.write("README", "x").commit_in_the_same_second();
        repository.git(&["tag", "1.8.0"]);
        repository.git(&["tag", "a-file", "HEAD:README"]);
    });
    assert_eq!(found, ["1.10.0", "1.9.0"]);
}

#[test]
fn a_tag_that_moves_is_where_it_is_now() {
    let context = TestContext::new().without_engine();
    let repository = GitRepository::new(context.project().join("r"));
    repository.shared().instance("x").release("1.0.0");
    repository.write("README", "1").release("1.1.0");
    let url = repository.url();
    let arguments = ["versions", "x", "--repository", url.as_str()];
    assert_eq!(names(&context.json(&arguments)), ["1.0.0"]);
    repository.write("services/x/values.yaml", "a: 2").commit();
    repository.git(&["tag", "--force", "1.1.0"]);
    assert_eq!(names(&context.json(&arguments)), ["1.1.0", "1.0.0"]);
    repository.git(&["tag", "--delete", "1.0.0"]);
    assert_eq!(names(&context.json(&arguments)), ["1.1.0"]);
}

#[test]
fn one_chart_a_folder_below_the_root_and_a_worktree() {
    let context = TestContext::new().without_engine();
    let repository = GitRepository::new(context.project().join("x"));
    repository
        .write("Chart.yaml", "name: x")
        .write("values.yaml", "a: 1")
        .release("1.0.0");
    repository.write("values.yaml", "a: 2").release("1.1.0");
    assert_eq!(
        names(&context.json(&["versions", "x", "--repository", "x"])),
        ["1.1.0", "1.0.0"]
    );

    let outer = GitRepository::new(context.project().join("outer"));
    outer
        .write("beamlines/t01/services/a/Chart.yaml", "name: a")
        .link("../../../../common", "beamlines/t01/services/a/common")
        .write("common/file", "1")
        .release("1.0.0");
    outer
        .write("beamlines/t02/services/a/Chart.yaml", "name: a")
        .release("1.1.0");
    outer.write("common/file", "2").release("1.2.0");
    let below = ["versions", "a", "--repository", "outer/beamlines/t01"];
    assert_eq!(names(&context.json(&below)), ["1.2.0", "1.0.0"]);
    outer.git(&["worktree", "add", "--quiet", "../tree", "1.0.0"]);
    assert_eq!(
        names(&context.json(&["versions", "a", "--repository", "tree/beamlines/t01"])),
        ["1.2.0", "1.0.0"]
    );
    let instance = [
        "versions",
        "a",
        "--repository",
        "outer/beamlines/t01/services/a",
    ];
    assert_eq!(names(&context.json(&instance)), ["1.2.0", "1.0.0"]);
}

#[test]
fn a_shallow_clone_says_so() {
    let (context, repository) = five_tags();
    let clone = context.project().join("clone");
    let url = repository.url();
    repository.git(&[
        "clone",
        "--quiet",
        "--depth=1",
        "--branch=2026.3.1b1",
        &url,
        &clone.display().to_string(),
    ]);
    insta::assert_snapshot!(context.run(&["versions", "x-0", "-r", "clone", "-o", "json", "--quiet"]).lines().next().unwrap(), @"exit code: 0");
    let report = context.run(&["versions", "x-0", "-r", "clone"]);
    assert!(report.contains("this clone leaves history out"), "{report}");
    assert!(report.contains("2026.3.1b1"), "{report}");
}

#[test]
fn two_at_once_fetch_from_a_server_once_each_and_agree() {
    let (context, repository) = five_tags();
    let url = repository.url();
    let arguments = ["versions", "x-01", "--repository", &url, "-o", "json"];
    let children: Vec<_> = (0..4)
        .map(|_| {
            context
                .command(&arguments)
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(
            names(&serde_json::from_slice(&output.stdout).unwrap()).len(),
            4
        );
    }
    // offline the cache answers, and a server that was never asked is an error
    let offline = TestContext::new();
    let output = context
        .command(&arguments)
        .env("IOC_OFFLINE", "1")
        .output()
        .unwrap();
    assert!(output.status.success());
    drop(offline);
}
