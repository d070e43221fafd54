//! Against real repositories made in the test, with the real `git`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::project::Mirror;
use crate::source::context::tests::{Site, rendered};
use crate::source::definition::{GitUrl, RelativePath};

/// Runs git in a folder and returns what it prints.
fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.org"])
        .args([
            "-c",
            "protocol.file.allow=always",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env_remove("GIT_DIR")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository with one file and a tag.
fn repository(site: &Site, name: &str) -> PathBuf {
    let folder = site.root().join(name);
    fs_err::create_dir_all(&folder).unwrap();
    git(&folder, &["init", "--quiet"]);
    fs_err::write(folder.join("Makefile"), "TOP = .\n").unwrap();
    tag(&folder, "R1-0");
    folder
}

/// Commits everything and tags it; returns the commit.
fn tag(folder: &Path, tag: &str) -> String {
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "--allow-empty", "-m", tag]);
    git(folder, &["tag", "--force", "--annotate", "-m", tag, tag]);
    git(folder, &["rev-parse", "HEAD"])
}

fn url(folder: &Path) -> String {
    format!("file://{}", folder.display())
}

fn source(url: &str, tag: &str) -> GitSource {
    GitSource {
        url: GitUrl::new(url).unwrap(),
        tag: Tag::new(tag).unwrap(),
        commit: None,
        submodules: Vec::new(),
    }
}

#[tokio::test]
async fn a_tag_is_fetched_and_exported_without_git() {
    let site = Site::new();
    let folder = repository(&site, "asyn");
    fs_err::create_dir(folder.join("bin")).unwrap();
    fs_err::write(folder.join("bin/run"), "#!/bin/sh\n").unwrap();
    set_executable(&folder.join("bin/run"));
    let commit = tag(&folder, "R4-45");
    let fetched = fetch(&source(&url(&folder), "R4-45"), &site.context())
        .await
        .unwrap();
    assert_eq!(fetched.identity.value, commit);
    let found: Vec<String> = crate::source::tree::entries(&fetched.tree)
        .unwrap()
        .iter()
        .map(|entry| format!("{} {:?}", entry.path.display(), entry.kind))
        .collect();
    insta::assert_snapshot!(found.join("\n"), @"
    Makefile File { executable: false }
    bin Folder
    bin/run File { executable: true }
    ");
    assert_eq!(site.work_left(), 0);
}

fn set_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_pinned_commit_needs_no_repository_the_second_time() {
    let site = Site::new();
    let folder = repository(&site, "asyn");
    let mut source = source(&url(&folder), "R1-0");
    source.commit = Some(Commit::new(git(&folder, &["rev-parse", "HEAD"])).unwrap());
    let first = fetch(&source, &site.context()).await.unwrap();
    fs_err::remove_dir_all(&folder).unwrap();
    assert_eq!(fetch(&source, &site.context()).await.unwrap(), first);
}

#[tokio::test]
async fn a_moved_tag_shows_both_commits() {
    let site = Site::new();
    let folder = repository(&site, "asyn");
    let before = git(&folder, &["rev-parse", "HEAD"]);
    let mut pinned = source(&url(&folder), "R1-0");
    pinned.commit = Some(Commit::new(before.clone()).unwrap());
    fs_err::write(folder.join("Makefile"), "TOP = ..\n").unwrap();
    let after = tag(&folder, "R1-0");
    let error = fetch(&pinned, &site.context()).await.unwrap_err();
    let text = rendered(error, &site)
        .replace(&before, "BEFORE")
        .replace(&after, "AFTER");
    insta::assert_snapshot!(text, @"
    tag `R1-0` of `file://SITE/asyn` points to commit AFTER, the recipe pins BEFORE [8]
      hint: somebody moved the tag; if you trust the new commit, put it into the recipe, or take another tag
    ");
    assert_eq!((site.trees(), site.work_left()), (0, 0), "nothing is kept");
    // Without a pin the tag is asked for again, so the new commit is seen.
    let moved = fetch(&source(&url(&folder), "R1-0"), &site.context())
        .await
        .unwrap();
    assert_eq!(moved.identity.value, after);
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let site = Site::new();
    let folder = repository(&site, "asyn");
    let mut report = String::new();
    let mut unknown = source(&url(&folder), "R1-0");
    unknown
        .submodules
        .push(RelativePath::new("bundle").unwrap());
    for source in [
        source(&url(&folder), "R1.0"),
        source(&url(&folder), "main"),
        source(&url(&folder), "something-else"),
        source(&url(&site.root().join("none")), "R1-0"),
        // TCP port 1 of this machine: nobody listens
        source("git://127.0.0.1:1/asyn", "R1-0"),
        source("http://127.0.0.1:1/asyn", "R1-0"),
        unknown,
    ] {
        let error = fetch(&source, &site.context()).await.unwrap_err();
        report.push_str(&rendered(error, &site));
    }
    let milliseconds = regex::Regex::new(r"after \d+ ms").unwrap();
    let report = milliseconds.replace_all(&report, "after N ms");
    insta::assert_snapshot!(report, @r#"
    `file://SITE/asyn` has no tag `R1.0` [8]
      hint: did you mean `R1-0`?
    `file://SITE/asyn` has no tag `main` [8]
      hint: `main` is a branch, which is not the same tomorrow: take a tag
    `file://SITE/asyn` has no tag `something-else` [8]
      hint: `git ls-remote --tags file://SITE/asyn` lists them
    the server does not give `file://SITE/none`: there is no such repository [8]
      hint: was it moved or renamed? the page of the project says where this version is now
    `git://127.0.0.1:1/asyn` cannot be reached [8]
      cause: fatal: unable to connect to 127.0.0.1: 127.0.0.1[0: 127.0.0.1]: errno=Connection refused
      hint: if your site keeps a copy, add to `ioc.toml`:
    [[mirror]]
    prefix = "git://127.0.0.1:1/"
    replace = "https://mirror.example.org/"
      hint: behind a proxy, set `[fetch] proxy` in `ioc.toml` or `IOC_PROXY`
    `http://127.0.0.1:1/asyn` cannot be reached [8]
      cause: fatal: unable to access 'http://127.0.0.1:1/asyn/': Failed to connect to 127.0.0.1 port 1 after N ms: Couldn't connect to server
      hint: if your site keeps a copy, add to `ioc.toml`:
    [[mirror]]
    prefix = "http://127.0.0.1:1/"
    replace = "https://mirror.example.org/"
      hint: behind a proxy, set `[fetch] proxy` in `ioc.toml` or `IOC_PROXY`
    `file://SITE/asyn` has no submodule `bundle` [8]
      hint: this repository has no submodules: remove `submodules` from the recipe
    "#);
    assert_eq!(site.work_left(), 0);
}

#[tokio::test]
async fn a_mirror_serves_it_and_offline_repeats_it() {
    let site = Site::new();
    let folder = repository(&site, "mirror/epics-modules/asyn.git");
    let mut context = site.context();
    context.mirrors.push(Mirror {
        prefix: "https://example.org/".to_owned(),
        replace: format!("{}/", url(&site.root().join("mirror"))),
    });
    let source = source("https://example.org/epics-modules/asyn.git", "R1-0");
    let fetched = fetch(&source, &context).await.unwrap();
    assert_eq!(
        fetched.identity.description,
        "https://example.org/epics-modules/asyn.git at R1-0"
    );
    // A mirror on this machine is no network; without the rule only the cache is left.
    fs_err::remove_dir_all(&folder).unwrap();
    context.mirrors.clear();
    context.offline = true;
    assert_eq!(fetch(&source, &context).await.unwrap(), fetched);
    let mut other = source.clone();
    other.tag = Tag::new("R2-0").unwrap();
    let error = fetch(&other, &context).await.unwrap_err();
    insta::assert_snapshot!(rendered(error, &site), @"
    `https://example.org/epics-modules/asyn.git at R2-0` is not in the cache, and fetching is switched off [8]
      hint: run the same command once with the network (`IOC_OFFLINE=0`, `[fetch] offline` in `ioc.toml`), or copy the cache folder of a machine that has it and name it with `IOC_CACHE_DIR`
    ");
}

#[tokio::test]
async fn nothing_that_a_repository_asks_for_is_run_or_changed() {
    let site = Site::new();
    let folder = repository(&site, "hostile");
    let attributes = "*.bin filter=evil\nversion export-subst\nsecret export-ignore\n*.txt text eol=crlf\n*.id ident\n";
    for (name, text) in [
        (".gitattributes", attributes),
        ("a.bin", "pointer\n"),
        ("version", "$Format:%H$\n"),
        ("secret", "kept\n"),
        ("a.txt", "line\n"),
        ("a.id", "$Id$\n"),
    ] {
        fs_err::write(folder.join(name), text).unwrap();
    }
    tag(&folder, "v1");
    // A filter that the user has set up for other repositories, such as git-lfs.
    let proof = site.root().join("filter-ran");
    let config = site.root().join("gitconfig");
    let text = format!("[filter \"evil\"]\n\tsmudge = touch {}\n", proof.display());
    fs_err::write(&config, text).unwrap();
    let work = tempfile::tempdir().unwrap();
    let context = site.context();
    let address = mirror::rewrite(&url(&folder), &[]);
    let repository = Repository {
        git: Git::new(&context, work.path().join("bare.git"), work.path())
            .unwrap()
            .with_variable("GIT_CONFIG_GLOBAL", &config),
        address: &address,
    };
    repository.prepare().await.unwrap();
    let commit = repository
        .tag(&source(&url(&folder), "v1"), &context)
        .await
        .unwrap();
    let tree = work.path().join("tree");
    repository
        .export(&commit, &tree, "", &context)
        .await
        .unwrap();
    assert!(!proof.exists(), "a filter ran");
    let read = |name: &str| fs_err::read_to_string(tree.join(name)).unwrap();
    assert_eq!(read("a.bin"), "pointer\n");
    assert_eq!(read("version"), "$Format:%H$\n");
    assert_eq!(read("secret"), "kept\n");
    assert_eq!(read("a.txt"), "line\n");
    assert_eq!(read("a.id"), "$Id$\n");
}

#[tokio::test]
async fn a_link_out_of_the_repository_is_refused() {
    let site = Site::new();
    let folder = repository(&site, "hostile");
    std::os::unix::fs::symlink("/etc/passwd", folder.join("config")).unwrap();
    let commit = tag(&folder, "v1");
    let error = fetch(&source(&url(&folder), "v1"), &site.context())
        .await
        .unwrap_err();
    insta::assert_snapshot!(rendered(error, &site).replace(&commit, "COMMIT"), @"`file://SITE/hostile at COMMIT` is refused because of its entry `config`: it is a symbolic link to `/etc/passwd`, an absolute name [8]");
    assert_eq!((site.trees(), site.work_left()), (0, 0));
}

#[tokio::test]
async fn submodules_are_taken_when_named_and_follow_mirror_rules() {
    let site = Site::new();
    let inner = repository(&site, "mirror/ADCore");
    let wanted = git(&inner, &["rev-parse", "HEAD"]);
    // The branch goes on, so that the wanted commit is not its newest.
    fs_err::write(inner.join("Makefile"), "newer\n").unwrap();
    git(&inner, &["commit", "--quiet", "--all", "-m", "newer"]);
    let outer = repository(&site, "mirror/ad");
    for name in ["one", "two"] {
        git(&outer, &["submodule", "--quiet", "add", &url(&inner), name]);
        git(&outer.join(name), &["checkout", "--quiet", &wanted]);
        let key = format!("submodule.{name}.url");
        git(
            &outer,
            &["config", "--file", ".gitmodules", &key, "../ADCore"],
        );
    }
    tag(&outer, "v1");
    let mut context = site.context();
    context.mirrors.push(Mirror {
        prefix: "https://example.org/".to_owned(),
        replace: format!("{}/", url(&site.root().join("mirror"))),
    });
    let mut source = source("https://example.org/ad", "v1");
    source.submodules = vec![RelativePath::new("one").unwrap()];
    let fetched = fetch(&source, &context).await.unwrap();
    let text = fs_err::read_to_string(fetched.tree.join("one/Makefile")).unwrap();
    assert_eq!(text, "TOP = .\n");
    assert_eq!(
        fs_err::read_dir(fetched.tree.join("two")).unwrap().count(),
        0
    );
    // Other submodules are another tree.
    source.submodules.clear();
    let without = fetch(&source, &context).await.unwrap();
    assert_ne!(without.tree, fetched.tree);
    assert_eq!(
        fs_err::read_dir(without.tree.join("one")).unwrap().count(),
        0
    );
}

#[tokio::test]
async fn https_with_the_certificate_of_the_site_and_a_server_without_shallow_fetches() {
    use crate::source::download::server::{Answer, Server};
    let site = Site::new();
    let folder = repository(&site, "asyn");
    // Plain files on a web server: the oldest way to serve a repository, which knows no shallow fetches.
    git(&folder, &["update-server-info"]);
    let root = folder.join(".git");
    let files: Vec<(String, Vec<u8>)> = walkdir::WalkDir::new(&root)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry.path().strip_prefix(&root).unwrap();
            let contents = fs_err::read(entry.path()).unwrap();
            (format!("/asyn.git/{}", path.display()), contents)
        })
        .collect();
    let mut answers: Vec<(&str, Answer)> = files
        .iter()
        .map(|(path, contents)| (path.as_str(), Answer::File(contents.clone())))
        .collect();
    let references = "/asyn.git/info/refs?service=git-upload-pack";
    let listing = fs_err::read(root.join("info/refs")).unwrap();
    answers.push((references, Answer::File(listing)));
    let authority = site.root().join("ca.pem");
    let server = Server::start_tls(&answers, &authority).await;
    let source = source(&format!("{}/asyn.git", server.url), "R1-0");
    let error = fetch(&source, &site.context()).await.unwrap_err();
    assert!(matches!(error, SourceError::Tls { .. }), "{error:?}");
    let mut context = site.context();
    context.ca_bundle = Some(authority);
    let fetched = fetch(&source, &context).await.unwrap();
    assert!(fetched.tree.join("Makefile").is_file());
    let left: Vec<_> = fs_err::read_dir(fetched.tree.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(
        left.len(),
        2,
        "certificates stay out of the cache: {left:?}"
    );
}

#[tokio::test]
async fn many_at_once_make_one_entry() {
    let site = Site::new();
    let folder = repository(&site, "asyn");
    let source = source(&url(&folder), "R1-0");
    let tasks = (0..6).map(|_| {
        let (source, context) = (source.clone(), site.context());
        tokio::spawn(async move { fetch(&source, &context).await })
    });
    let tasks: Vec<_> = tasks.collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!((site.trees(), site.work_left()), (1, 0));
}
