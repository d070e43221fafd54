//! Against a real web server on this machine that has the layout of a package mirror.

use super::*;
use crate::source::context::tests::{Site, rendered};
use crate::source::definition::{
    ArchiveComponent, PackageName, PackageVersion, RelativePath, Sha256,
};
use crate::source::download::server::{Answer, Server};

const POOL: &str = "/debian/pool/main/e/epics-base";

fn tarball(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(liblzma::write::XzEncoder::new(Vec::new(), 1));
    for (name, text) in entries {
        crate::source::tree::append_bytes(&mut builder, Path::new(name), false, text.as_bytes())
            .unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn sum(bytes: &[u8]) -> String {
    hexadecimal(&Hash::digest(bytes))
}

fn source(files: &[(&str, &str)]) -> DebianSource {
    DebianSource {
        package: PackageName::new("epics-base").unwrap(),
        version: PackageVersion::new("1:7.0.8+dfsg-7").unwrap(),
        component: ArchiveComponent::Main,
        files: files
            .iter()
            .map(|(name, sum)| DebianFile {
                name: RelativePath::new(*name).unwrap(),
                sha256: Sha256::new(*sum).unwrap(),
            })
            .collect(),
    }
}

fn context(site: &Site, server: &Server) -> FetchContext {
    let mut context = site.context();
    context.debian_mirror = Some(format!("{}/debian/", server.url));
    context
}

#[tokio::test]
async fn archives_are_put_together() {
    let site = Site::new();
    let orig = tarball(&[("base-7/Makefile", "TOP"), ("base-7/src/a.c", "a")]);
    let part = tarball(&[("pva/Makefile", "PVA")]);
    let debian = tarball(&[("debian/changelog", "log")]);
    let names = [
        "epics-base_7.0.8+dfsg.orig.tar.xz",
        "epics-base_7.0.8+dfsg.orig-pva.tar.xz",
        "epics-base_7.0.8+dfsg-7.debian.tar.xz",
    ];
    let paths = names.map(|name| format!("{POOL}/{name}"));
    let server = Server::start([
        (paths[0].as_str(), Answer::File(orig.clone())),
        (paths[1].as_str(), Answer::File(part.clone())),
        (paths[2].as_str(), Answer::File(debian.clone())),
    ])
    .await;
    let sums = [&orig, &part, &debian].map(|bytes| sum(bytes));
    // listed in another order than they are unpacked
    let source = source(&[
        (names[2], sums[2].as_str()),
        (names[1], sums[1].as_str()),
        (names[0], sums[0].as_str()),
    ]);
    let mut context = context(&site, &server);
    let fetched = fetch(&source, &context).await.unwrap();
    let found: Vec<String> = crate::source::tree::entries(&fetched.tree)
        .unwrap()
        .iter()
        .map(|entry| entry.path.display().to_string())
        .collect();
    assert_eq!(
        found.join(" "),
        "Makefile debian debian/changelog pva pva/Makefile src src/a.c"
    );
    assert_eq!(site.work_left(), 0);
    context.offline = true;
    assert_eq!(fetch(&source, &context).await.unwrap(), fetched);
}

#[tokio::test]
async fn what_is_wrong_with_a_package_is_told() {
    let site = Site::new();
    let orig = tarball(&[("base-7/Makefile", "TOP")]);
    let changed = format!("{POOL}/epics-base_2.orig.tar.xz");
    let server = Server::start([(changed.as_str(), Answer::File(orig))]).await;
    let context = context(&site, &server);
    let zero = "0".repeat(64);
    let mut report = String::new();
    for files in [
        vec!["epics-base_1.orig.tar.xz"],
        vec!["epics-base_2.orig.tar.xz"],
        vec!["other_1.orig.tar.xz"],
        vec!["epics-base_1.dsc"],
        vec!["epics-base_1.orig-pva.tar.xz"],
        vec!["epics-base_1.orig.tar.xz", "epics-base_1.tar.xz"],
        vec!["epics-base_/../x.tar.xz"],
    ] {
        let files: Vec<_> = files
            .into_iter()
            .filter(|name| RelativePath::new(*name).is_ok())
            .map(|name| (name, zero.as_str()))
            .collect();
        if files.is_empty() {
            // refused when the recipe is read
            continue;
        }
        let error = fetch(&source(&files), &context).await.unwrap_err();
        report += &rendered(error, &site);
    }
    let port = regex::Regex::new(r"127\.0\.0\.1:\d+").unwrap();
    insta::assert_snapshot!(port.replace_all(&report, "HOST"), @"
    no package mirror has `http://HOST/debian/pool/main/e/epics-base/epics-base_1.orig.tar.xz`: 404 Not Found [8]
      hint: a mirror keeps only the newest revisions: leave `files` of `epics-base` 1:7.0.8+dfsg-7 empty once to see what there is, or name a snapshot of the archive as `[fetch]` `debian-mirror` in `ioc.toml`
    the checksum of `http://HOST/debian/pool/main/e/epics-base/epics-base_2.orig.tar.xz` is wrong: the recipe says 0000000000000000000000000000000000000000000000000000000000000000, the file has 396011315c804221b01b21451bc4e4249c9d259e633ce7d30378cb70da16490b [8]
      hint: nothing of it was kept; if the project replaced the file on purpose and you trust it, put the new sum into the recipe
    file `other_1.orig.tar.xz` of Debian source package `epics-base` cannot be used: its name must begin with the package and `_` [3]
    file `epics-base_1.dsc` of Debian source package `epics-base` cannot be used: it is not a tar archive; list only those [3]
    file `epics-base_1.orig-pva.tar.xz` of Debian source package `epics-base` cannot be used: the `.orig.tar.*` must be listed too [3]
    file `epics-base_1.tar.xz` of Debian source package `epics-base` cannot be used: there is a main archive already [3]
    ");
    assert_eq!((site.trees(), site.work_left()), (0, 0));
}

#[tokio::test]
async fn a_recipe_without_files_is_told_what_to_write() {
    let site = Site::new();
    let dsc = "-----BEGIN PGP SIGNED MESSAGE-----\n\nChecksums-Sha256:\n 00aa 12 epics-base_7.0.8+dfsg.orig.tar.xz\n 00bb 12 epics-base_7.0.8+dfsg-7.debian.tar.xz\n 00cc 1 epics-base_7.0.8+dfsg.orig.tar.xz.asc\nFiles:\n 11 1 x.tar.xz\n";
    let path = format!("{POOL}/epics-base_7.0.8+dfsg-7.dsc");
    let server = Server::start([(path.as_str(), Answer::File(dsc.into()))]).await;
    let error = fetch(&source(&[]), &context(&site, &server))
        .await
        .unwrap_err();
    let mut report = rendered(error, &site);

    // A mirror that hands out no .dsc still has its index.
    let stanza = |version: &str| {
        format!(
            "Package: epics-base\nVersion: {version}\nChecksums-Sha256:\n 00dd 12 epics-base_7.orig.tar.gz\n"
        )
    };
    let compress = |text: &str| {
        use std::io::Write;
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let path = "/debian/dists/bookworm/main/source/Sources.xz";
    for version in ["1:7.0.8+dfsg-7", "1:7.0.9-1"] {
        let text = format!("Package: other\nVersion: 1\n\n{}\n", stanza(version));
        let server = Server::start([(path, Answer::File(compress(&text)))]).await;
        let error = fetch(&source(&[]), &context(&site, &server))
            .await
            .unwrap_err();
        report += &rendered(error, &site);
    }
    insta::assert_snapshot!(report, @"
    the recipe must list the files of Debian source package `epics-base` 1:7.0.8+dfsg-7 with their SHA-256 [3]
      hint: this is what the mirror has now; compare it with a source you trust, then paste it into the recipe:
    files:
      - name: epics-base_7.0.8+dfsg.orig.tar.xz
        sha256: 00aa
    the recipe must list the files of Debian source package `epics-base` 1:7.0.8+dfsg-7 with their SHA-256 [3]
      hint: this is what the mirror has now; compare it with a source you trust, then paste it into the recipe:
    files:
      - name: epics-base_7.orig.tar.gz
        sha256: 00dd
    the recipe must list the files of Debian source package `epics-base` 1:7.0.8+dfsg-7 with their SHA-256 [3]
      hint: the mirror has 1:7.0.9-1
      hint: `apt-cache showsrc epics-base` prints them under `Checksums-Sha256`
    ");
    assert_eq!(site.work_left(), 0);
}

#[test]
fn no_mirror_is_an_error_with_a_hint() {
    let site = Site::new();
    assert_eq!(debian_mirrors(None, site.root()).unwrap(), []);
    let error = no_mirror("apt's configuration of this machine names none");
    insta::assert_snapshot!(rendered(error, &site), @r#"
    no mirror of Debian packages is known: apt's configuration of this machine names none [8]
      hint: name one in `ioc.toml`: `[fetch]` `debian-mirror = "http://packages.site/debian"`, or set `IOC_DEBIAN_MIRROR`
    "#);
}

#[test]
fn packages_of_libraries_have_longer_folders() {
    let mirror = AptMirror {
        url: "http://m".to_owned(),
        suites: Vec::new(),
    };
    let mut source = source(&[]);
    assert_eq!(pool(&source, &mirror), "http://m/pool/main/e/epics-base");
    source.package = PackageName::new("libtirpc").unwrap();
    assert_eq!(pool(&source, &mirror), "http://m/pool/main/libt/libtirpc");
}
