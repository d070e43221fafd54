//! A version in place of the working copy.

use super::five_tags;
use crate::context::TestContext;

#[test]
fn manifests_are_those_of_the_tag_and_the_working_copy_stays_as_it_is() {
    let (context, repository) = five_tags();
    repository.write("services/x-0/values.yaml", "a: not-committed\n");
    let status = repository.git(&["status", "--porcelain"]);
    let first = context.succeed(&["render", "x-0", "--version", "2026.1.1"]);
    assert!(first.contains("a: \"1\"\n  shared: \"one\""), "{first}");
    let later = context.succeed(&["render", "x-0", "--version", "2026.5.1"]);
    assert!(later.contains("a: \"1\"\n  shared: \"two\""), "{later}");
    let now = context.succeed(&["render", "x-0"]);
    assert!(now.contains("a: \"not-committed\""), "{now}");
    let documents = context.json(&["render", "x-0", "--version", "2026.1.1"]);
    assert_eq!(documents[0]["version"], "2026.1.1");
    assert_eq!(repository.git(&["status", "--porcelain"]), status);
    // the same from the server, through the cache
    context.write(
        "ioc.toml",
        format!("[beamline.t01]\nrepository = \"{}\"\n", repository.url()),
    );
    for _ in 0..2 {
        let remote = context.succeed(&["render", "x-0", "--version", "2026.1.1"]);
        assert_eq!(remote, first);
    }
    let diff = context.succeed(&["diff", "x-0", "--version", "2026.1.1"]);
    assert!(diff.starts_with("x-0: not deployed yet\n"), "{diff}");
    assert_eq!(
        context.succeed(&["check", "t01", "--version", "2026.1.1", "--no-engine"]),
        "2 instances, 0 records: no findings\n"
    );
}

#[test]
fn a_tag_or_an_instance_that_is_not_there() {
    let (context, repository) = five_tags();
    repository.instance("late").release("2026.6.1");
    insta::assert_snapshot!(context.refuse(&["deploy", "x-0", "--version", "2026.1.2", "--yes"]), @"
    exit code: 4
    ----- stderr -----
    error: `services-t01` has no tag `2026.1.2`
    hint: did you mean `2026.1.1`?
    ");
    insta::assert_snapshot!(context.refuse(&["deploy", "x-0", "--version", "HEAD", "--yes"]), @"
    exit code: 4
    ----- stderr -----
    error: `services-t01` has no tag `HEAD`
    hint: `ioc versions` lists them; `git fetch --tags` fetches those of the server
    ");
    insta::assert_snapshot!(context.refuse(&["deploy", "late", "--version", "2026.5.1", "--yes"]), @"
    exit code: 4
    ----- stderr -----
    error: beamline `t01` has no IOC instance `late` at `2026.5.1`
    hint: the instances are `x-0`, `x-01`
    ");
    insta::assert_snapshot!(context.refuse(&["versions", "lte"]), @"
    exit code: 4
    ----- stderr -----
    error: no tag of `services-t01` has an IOC instance `lte`
    hint: did you mean `late`?
    ");
    context.write(
        "ioc.toml",
        format!("[beamline.t01]\nrepository = \"{}\"\n", repository.url()),
    );
    insta::assert_snapshot!(context.refuse(&["deploy", "x-0", "--version", "2026.1.2", "--yes"]), @"
    exit code: 4
    ----- stderr -----
    error: `file://[ROOT]/project/services-t01` has no tag `2026.1.2`
    hint: did you mean `2026.1.1`?
    ");
    insta::assert_snapshot!(context.refuse(&["deploy", "x-0", "--version", "--all", "--yes"]), @"
    exit code: 2
    ----- stderr -----
    error: a value is required for '--version <TAG>' but none was supplied

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(context.refuse(&["deploy", "x-0", "--yes"]), @"
    exit code: 2
    ----- stderr -----
    error: beamline `t01` has no working copy on this machine, its services repository is `file://[ROOT]/project/services-t01`
    hint: name a version with `--version`; `ioc versions` lists them
    ");
}

#[test]
fn a_link_that_leads_nowhere_or_out_at_that_tag() {
    let (context, repository) = five_tags();
    repository
        .link("../../.helm-shared/tmplates", "services/x-0/templates")
        .release("2026.7.1");
    repository
        .link("/etc", "services/x-0/templates")
        .release("2026.7.2");
    let refused = |tag: &str| context.refuse(&["render", "x-0", "--version", tag]);
    insta::assert_snapshot!(refused("2026.7.1"), @"
    exit code: 3
    ----- stderr -----
    error: the symbolic link to `../../.helm-shared/tmplates` leads nowhere
     --> 2026.7.1:services/x-0/templates
    hint: copy the file into the services repository
    ");
    insta::assert_snapshot!(refused("2026.7.2"), @"
    exit code: 3
    ----- stderr -----
    error: the symbolic link to `/etc` leaves the services repository
     --> 2026.7.2:services/x-0/templates
      = a relative link that stays below `the services repository`
    hint: copy the file into the services repository
    ");
}

#[test]
fn what_is_no_git_repository() {
    let context = TestContext::with_beamline();
    insta::assert_snapshot!(context.refuse(&["versions", "t02-ea-ioc-01"]), @"
    exit code: 4
    ----- stderr -----
    error: `beamlines/t02` is not in a git repository, so it has no versions
    hint: versions are git tags: use a clone of the services repository, or name its URL as `repository` of the beamline in `ioc.toml`
    ");
    insta::assert_snapshot!(context.refuse(&["deploy", "t02-ea-ioc-01", "--version", "1.0.0", "--yes"]), @"
    exit code: 4
    ----- stderr -----
    error: `beamlines/t02` is not in a git repository, so it has no versions
    hint: versions are git tags: use a clone of the services repository, or name its URL as `repository` of the beamline in `ioc.toml`
    ");
    insta::assert_snapshot!(context.refuse(&["versions", "x", "-r", "nowhere"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no services repository `nowhere`
    hint: `repository` of the beamline in `ioc.toml` names it: a folder, or the URL of a git repository
    ");
    insta::assert_snapshot!(context.refuse(&["versions", "x", "-r", "svn://host/x"]), @"
    exit code: 3
    ----- stderr -----
    error: `svn://host/x` is not the URL of a git repository (`https://…`, `ssh://…`, `git@host:path`, `file://…`)
    hint: charts in a registry are named with `oci://HOST/PATH`
    ");
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/r.git", server.local_addr().unwrap());
    drop(server);
    let context = context.shown_as(url.clone(), "[URL]");
    let report = context.refuse(&["versions", "x", "-r", &url]);
    assert!(report.contains("exit code: 8\n"), "{report}");
    assert!(
        report.contains("error: `[URL]` cannot be reached"),
        "{report}"
    );
}

#[test]
fn a_repository_without_tags_or_commits() {
    let context = TestContext::new().without_engine();
    let repository = super::GitRepository::new(context.project().join("r"));
    insta::assert_snapshot!(context.refuse(&["versions", "x", "-r", "r"]), @"
    exit code: 4
    ----- stderr -----
    error: `r` has no tags
    hint: `git tag 2026.11.1` makes one of the commit that is checked out; `git fetch --tags` fetches those of the server
    ");
    repository.shared().instance("x").commit();
    insta::assert_snapshot!(context.refuse(&["versions", "x", "-r", "r"]), @"
    exit code: 4
    ----- stderr -----
    error: `r` has no tags
    hint: `git tag 2026.11.1` makes one of the commit that is checked out; `git fetch --tags` fetches those of the server
    ");
    let url = repository.url();
    let context = context.shown_as(url.clone(), "[URL]");
    insta::assert_snapshot!(context.refuse(&["versions", "x", "-r", &url]), @"
    exit code: 4
    ----- stderr -----
    error: `file://[ROOT]/project/r` has no tags
    hint: `git tag 2026.11.1` makes one of the commit that is checked out; `git fetch --tags` fetches those of the server
    ");
}
