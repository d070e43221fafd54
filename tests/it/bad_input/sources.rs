//! Sources that cannot be fetched, or are not what the recipe promises.
//!
//! They are fetched only when an engine is there that could build them.

use crate::beamline::base_image;
use crate::context::TestContext;
use crate::engine::Engine;
use crate::web::{Server, archive, certificate_file, sha256};

/// A project whose only image has one module with this source.
fn project(source: &str) -> Option<TestContext> {
    let engine = Engine::shared()?;
    base_image(engine);
    let context = TestContext::new().env("DOCKER_HOST", engine.host());
    context.write("ioc.toml", "");
    context.write(
        "generic-iocs/top/image.yaml",
        "description: one module\nbase: os\nmodules: [thing]\n",
    );
    context.write(
        "generic-iocs/modules/thing.yaml",
        format!("description: a module\nsource:\n{source}"),
    );
    Some(context)
}

fn from_archive(url: &str, checksum: &str) -> String {
    format!("  archive:\n    url: {url}\n    sha256: {checksum}\n")
}

#[test]
fn a_wrong_checksum() {
    let bytes = archive(&[("thing/Makefile", "all:\n")]);
    let right = sha256(&bytes);
    let server = Server::start(&[("thing.tar.gz", bytes)]);
    let url = format!("{}/thing.tar.gz", server.url);
    let Some(context) = project(&from_archive(&url, &"0".repeat(64))) else {
        return;
    };
    let context = context
        .shown_as(server.url, "http://server")
        .shown_as(right, "[RIGHT]");
    insta::assert_snapshot!(context.refuse(&["build", "top"]), @"
    exit code: 8
    ----- stderr -----
    error: the checksum of `http://server/thing.tar.gz` is wrong: the recipe says 0000000000000000000000000000000000000000000000000000000000000000, the file has [RIGHT]
    hint: nothing of it was kept; if the project replaced the file on purpose and you trust it, put the new sum into the recipe
    hint: the source of `thing` is named at generic-iocs/modules/thing.yaml:3:3
    ");
}

#[test]
fn an_archive_that_writes_beside_its_folder() {
    let bytes = archive(&[
        ("thing/Makefile", "all:\n"),
        ("thing/../../../.bashrc", "echo gotcha\n"),
    ]);
    let checksum = sha256(&bytes);
    let server = Server::start(&[("thing.tar.gz", bytes)]);
    let url = format!("{}/thing.tar.gz", server.url);
    let Some(context) = project(&from_archive(&url, &checksum)) else {
        return;
    };
    let context = context.shown_as(server.url, "http://server");
    insta::assert_snapshot!(context.refuse(&["build", "top"]), @"
    exit code: 8
    ----- stderr -----
    error: `http://server/thing.tar.gz` is refused because of its entry `thing/../../../.bashrc`: its name leads out of the archive with `..`
    hint: the source of `thing` is named at generic-iocs/modules/thing.yaml:3:3
    ");
    assert!(!context.root().join("cache/sources/.bashrc").exists());
}

#[test]
fn a_file_that_is_no_archive() {
    let bytes = b"<html>please log in</html>".to_vec();
    let checksum = sha256(&bytes);
    let server = Server::start(&[("thing.tar.gz", bytes)]);
    let url = format!("{}/thing.tar.gz", server.url);
    let Some(context) = project(&from_archive(&url, &checksum)) else {
        return;
    };
    let context = context.shown_as(server.url, "http://server");
    insta::assert_snapshot!(context.refuse(&["build", "top"]), @"
    exit code: 8
    ----- stderr -----
    error: failed to unpack `http://server/thing.tar.gz`
      cause: it is a web page, not an archive
    hint: the source of `thing` is named at generic-iocs/modules/thing.yaml:3:3
    ");
}

#[test]
fn a_file_that_the_server_does_not_have() {
    let server = Server::start(&[]);
    let url = format!("{}/thing-1.tar.gz", server.url);
    let Some(context) = project(&from_archive(&url, &"0".repeat(64))) else {
        return;
    };
    let context = context.shown_as(server.url, "http://server");
    insta::assert_snapshot!(context.refuse(&["build", "top"]), @"
    exit code: 8
    ----- stderr -----
    error: the server does not give `http://server/thing-1.tar.gz`: 404 Not Found
    hint: was it moved or renamed? the page of the project says where this version is now
    hint: the source of `thing` is named at generic-iocs/modules/thing.yaml:3:3
    ");
}

#[test]
fn a_host_that_cannot_be_reached() {
    let url = "http://127.0.0.1:1/thing-1.tar.gz";
    let Some(context) = project(&from_archive(url, &"0".repeat(64))) else {
        return;
    };
    insta::assert_snapshot!(context.refuse(&["build", "top"]), @r#"
    exit code: 8
    ----- stderr -----
    error: `http://127.0.0.1:1/thing-1.tar.gz` cannot be reached
      cause: Connection refused (os error 111)
    hint: if your site keeps a copy, add to `ioc.toml`:
    [[mirror]]
    prefix = "http://127.0.0.1:1/"
    replace = "https://mirror.example.org/"
    hint: behind a proxy, set `[fetch] proxy` in `ioc.toml` or `IOC_PROXY`
    hint: the source of `thing` is named at generic-iocs/modules/thing.yaml:3:3
    "#);
}

#[test]
fn a_server_that_is_not_trusted() {
    let bytes = archive(&[("thing/Makefile", "all:\n")]);
    let server = Server::start_tls(&[("thing.tar.gz", bytes)]);
    let url = format!("{}/thing.tar.gz", server.url);
    let Some(context) = project(&from_archive(&url, &"0".repeat(64))) else {
        return;
    };
    let context = context.shown_as(server.url.clone(), "https://server");
    insta::assert_snapshot!(context.refuse(&["build", "top"]), @r#"
    exit code: 8
    ----- stderr -----
    error: the certificate of `https://server/thing.tar.gz` is not trusted
      cause: invalid peer certificate: UnknownIssuer
    hint: if your site's own certificate authority stands between, name its PEM file in `ioc.toml`: `[fetch]` `ca-bundle = "site-ca.pem"`, or set `IOC_CA_BUNDLE`
    hint: a machine without any certificates needs the package `ca-certificates`
    hint: the source of `thing` is named at generic-iocs/modules/thing.yaml:3:3
    "#);

    // What the hint says helps: with the certificate of the site it comes as far as the checksum.
    let file = certificate_file(&server, context.root());
    let context = context.env("IOC_CA_BUNDLE", file.to_str().unwrap());
    let report = context.refuse(&["build", "top"]);
    assert!(report.contains("checksum"), "{report}");
}

#[test]
fn a_source_that_is_not_in_the_cache() {
    let url = "http://127.0.0.1:1/thing-1.tar.gz";
    let Some(context) = project(&from_archive(url, &"0".repeat(64))) else {
        return;
    };
    let context = context.env("IOC_OFFLINE", "1");
    insta::assert_snapshot!(context.refuse(&["build", "top"]), @"
    exit code: 8
    ----- stderr -----
    error: `http://127.0.0.1:1/thing-1.tar.gz` is not in the cache, and fetching is switched off
    hint: run the same command once with the network (`IOC_OFFLINE=0`, `[fetch] offline` in `ioc.toml`), or copy the cache folder of a machine that has it and name it with `IOC_CACHE_DIR`
    hint: the source of `thing` is named at generic-iocs/modules/thing.yaml:3:3
    ");
}

#[test]
fn a_tag_that_the_repository_does_not_have() {
    let Some(context) = project("  git: {url: \"file:///nowhere/thing.git\", tag: R1-0}\n") else {
        return;
    };
    insta::assert_snapshot!(context.refuse(&["build", "top"]), @"
    exit code: 8
    ----- stderr -----
    error: the server does not give `file:///nowhere/thing.git`: there is no such repository
    hint: was it moved or renamed? the page of the project says where this version is now
    hint: the source of `thing` is named at generic-iocs/modules/thing.yaml:3:3
    ");
}

#[test]
fn an_operating_system_that_the_engine_does_not_have() {
    let Some(context) = project("  path: thing\n") else {
        return;
    };
    context.write("generic-iocs/modules/thing/Makefile", "all:\n");
    let context = context.env("IOC_IMAGE_BASE", "localhost/no-such-debian:13");
    insta::assert_snapshot!(context.refuse(&["build", "top"]), @"
    exit code: 4
    ----- stderr -----
    error: the engine has no image `localhost/no-such-debian:13`
    hint: build it, or name another base image
    ");
}

#[test]
fn a_package_that_the_distribution_does_not_have() {
    let Some(context) = project("  path: thing\npackages:\n  build: [libno-such-package-dev]\n")
    else {
        return;
    };
    context.write("generic-iocs/modules/thing/Makefile", "all:\n");
    let report = context.refuse(&["build", "top"]);
    assert!(report.starts_with("exit code: 7\n"), "{report}");
    assert!(report.contains("libno-such-package-dev"), "{report}");
    assert!(
        report.contains("generic-iocs/modules/thing.yaml:5"),
        "{report}"
    );
}

#[test]
fn a_module_that_does_not_compile() {
    let Some(context) = project(
        "  path: thing\nbuild: [\"echo compiling >&2; echo thing.c:1: no such header; exit 2\"]\n",
    ) else {
        return;
    };
    context.write("generic-iocs/modules/thing/Makefile", "all:\n");
    let report = context.refuse(&["build", "top"]);
    assert!(report.starts_with("exit code: 7\n"), "{report}");
    assert!(report.contains("thing.c:1: no such header"), "{report}");
    assert!(
        report.contains("generic-iocs/modules/thing.yaml:4"),
        "{report}"
    );
}
