//! Against a real web server on this machine, with and without TLS.

use super::*;
use crate::project::Mirror;
use crate::source::cache::hexadecimal;
use crate::source::context::tests::{Site, rendered};
use crate::source::download::server::{Answer, Server};

/// A small gzip archive with one file in one folder.
fn asyn() -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(encoder);
    crate::source::tree::append_bytes(&mut builder, Path::new("asyn-4/Makefile"), false, b"TOP")
        .unwrap();
    builder.into_inner().unwrap().finish().unwrap()
}

fn sum(bytes: &[u8]) -> Sha256 {
    use sha2::Digest;
    Sha256::new(hexadecimal(&sha2::Sha256::digest(bytes))).unwrap()
}

fn source(url: &str, bytes: &[u8]) -> ArchiveSource {
    ArchiveSource {
        url: url.to_owned(),
        sha256: sum(bytes),
        strip: 1,
    }
}

/// An error as a user sees it, with the port replaced.
async fn failure(source: &ArchiveSource, context: &FetchContext, site: &Site) -> String {
    let error = fetch(source, context).await.unwrap_err();
    assert_eq!((site.trees(), site.work_left()), (0, 0), "nothing is kept");
    let port = regex::Regex::new(r"127\.0\.0\.1:\d+").unwrap();
    port.replace_all(&rendered(error, site), "HOST")
        .into_owned()
}

#[tokio::test]
async fn an_archive_is_received_once() {
    let (site, bytes) = (Site::new(), asyn());
    let server = Server::start([("/asyn.tar.gz", Answer::File(bytes.clone()))]).await;
    let source = source(&format!("{}/asyn.tar.gz", server.url), &bytes);
    let first = fetch(&source, &site.context()).await.unwrap();
    let text = fs_err::read_to_string(first.tree.join("Makefile")).unwrap();
    assert_eq!(text, "TOP");
    assert_eq!(server.requests(), ["GET /asyn.tar.gz HTTP/1.1"]);
    let mut offline = site.context();
    offline.offline = true;
    assert_eq!(fetch(&source, &offline).await.unwrap(), first);
    assert_eq!(server.requests(), [""; 0]);
    assert_eq!(site.work_left(), 0);
}

#[tokio::test]
async fn two_at_once_receive_it_once() {
    let (site, bytes) = (Site::new(), asyn());
    let server = Server::start([("/a", Answer::File(bytes.clone()))]).await;
    let source = source(&format!("{}/a", server.url), &bytes);
    let (left, right) = (site.context(), site.context());
    let (left, right) = tokio::join!(fetch(&source, &left), fetch(&source, &right));
    assert_eq!(left.unwrap(), right.unwrap());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn redirects_are_followed_and_bounded() {
    let (site, bytes) = (Site::new(), asyn());
    let server = Server::start([
        ("/old", Answer::Redirect("/new".to_owned())),
        ("/new", Answer::File(bytes.clone())),
        ("/circle", Answer::Redirect("/circle".to_owned())),
        ("/out", Answer::Redirect("file:///etc/passwd".to_owned())),
    ])
    .await;
    let at = |path: &str| source(&format!("{}{path}", server.url), &bytes);
    let mut report = failure(&at("/circle"), &site.context(), &site).await;
    report += &failure(&at("/out"), &site.context(), &site).await;
    insta::assert_snapshot!(report, @"
    failed to receive `http://HOST/circle` [8]
      cause: too many redirects
    the server does not give `http://HOST/out`: 302 Found [8]
      hint: was it moved or renamed? the page of the project says where this version is now
    ");
    fetch(&at("/old"), &site.context()).await.unwrap();
}

#[tokio::test]
async fn what_is_not_the_file_is_refused() {
    let (site, bytes) = (Site::new(), asyn());
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    let server = Server::start([
        ("/changed", Answer::File(changed)),
        ("/login", Answer::File(b"<html>log in</html>".to_vec())),
        ("/half", Answer::Half(bytes.clone())),
        ("/busy", Answer::Status("503 Service Unavailable")),
    ])
    .await;
    let mut report = String::new();
    for path in ["/changed", "/login", "/half", "/busy", "/missing"] {
        let source = source(&format!("{}{path}", server.url), &bytes);
        report += &failure(&source, &site.context(), &site).await;
    }
    for url in ["ftp://host/x", "http://", "file:///none/x.tar.gz"] {
        report += &failure(&source(url, &bytes), &site.context(), &site).await;
    }
    insta::assert_snapshot!(report, @"
    the checksum of `http://HOST/changed` is wrong: the recipe says 21e8febbdabc16d39ba992ce1cb2b9293dd55eb8d2feb6d8eb2268c96affc5b8, the file has 2684b9104a232e0f3c8548f89514a04fc098bc68cd6e8ac68c50da7ca4100457 [8]
      hint: nothing of it was kept; if the project replaced the file on purpose and you trust it, put the new sum into the recipe
    the checksum of `http://HOST/login` is wrong: the recipe says 21e8febbdabc16d39ba992ce1cb2b9293dd55eb8d2feb6d8eb2268c96affc5b8, the file has 9a6242c8973c15c1f75d9c64c2289f216419e41e8f75e1c7d543ff256612ce7d [8]
      hint: a web page came instead of the file: a login page, or the answer of a proxy
    failed to receive `http://HOST/half` [8]
      cause: end of file before message length reached
    the server does not give `http://HOST/busy`: 503 Service Unavailable [8]
      hint: this is a failure of the server: try again later
    the server does not give `http://HOST/missing`: 404 Not Found [8]
      hint: was it moved or renamed? the page of the project says where this version is now
    `ftp://host/x` is not a URL that can be fetched: it must begin with `https://`, `http://` or `file://` [8]
    failed to receive `http://` [8]
      cause: empty host
    `file:///none/x.tar.gz` cannot be reached [8]
      cause: failed to open file `/none/x.tar.gz`: No such file or directory (os error 2)
      hint: it must be on this machine: is the disk mounted, may you read it?
    ");
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_before_and_while_it_comes() {
    let site = Site::new();
    let server = Server::start([("/x", Answer::File(vec![0; 2000]))]).await;
    let context = site.context();
    let address = mirror::rewrite(&format!("{}/x", server.url), &[]);
    let path = site.root().join("x");
    let error = Downloader::new(&context)
        .receive(&address, &path, 1999)
        .await
        .unwrap_err();
    assert!(
        matches!(error, SourceError::TooLarge { limit: 1999, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_host_that_does_not_answer_gets_a_mirror_rule() {
    let site = Site::new();
    // TCP port 1 of this machine: nobody listens
    let source = source("https://user:secret@127.0.0.1:1/epics/asyn.tar.gz", b"");
    let mut report = failure(&source, &site.context(), &site).await;
    let mut context = site.context();
    context.mirrors.push(Mirror {
        prefix: "https://user:secret@127.0.0.1:1/".to_owned(),
        replace: "http://127.0.0.1:1/mirror/".to_owned(),
    });
    report += &failure(&source, &context, &site).await;
    context.offline = true;
    report += &failure(&source, &context, &site).await;
    insta::assert_snapshot!(report, @r#"
    `https://HOST/epics/asyn.tar.gz` cannot be reached [8]
      cause: Connection refused (os error 111)
      hint: if your site keeps a copy, add to `ioc.toml`:
    [[mirror]]
    prefix = "https://HOST/"
    replace = "https://mirror.example.org/"
      hint: behind a proxy, set `[fetch] proxy` in `ioc.toml` or `IOC_PROXY`
    `http://HOST/mirror/epics/asyn.tar.gz` cannot be reached [8]
      cause: Connection refused (os error 111)
      hint: the mirror rule for `https://HOST/` in `ioc.toml` led there: is the mirror running?
      hint: behind a proxy, set `[fetch] proxy` in `ioc.toml` or `IOC_PROXY`
    `http://HOST/mirror/epics/asyn.tar.gz` is not in the cache, and fetching is switched off [8]
      hint: run the same command once with the network (`IOC_OFFLINE=0`, `[fetch] offline` in `ioc.toml`), or copy the cache folder of a machine that has it and name it with `IOC_CACHE_DIR`
    "#);
}

#[tokio::test]
async fn a_mirror_serves_it_and_offline_repeats_it() {
    let (site, bytes) = (Site::new(), asyn());
    let server = Server::start([("/copy/epics/asyn.tar.gz", Answer::File(bytes.clone()))]).await;
    let mut context = site.context();
    context.mirrors.push(Mirror {
        prefix: "https://example.org/".to_owned(),
        replace: format!("{}/copy/", server.url),
    });
    let source = source("https://example.org/epics/asyn.tar.gz", &bytes);
    let first = fetch(&source, &context).await.unwrap();
    assert_eq!(server.requests(), ["GET /copy/epics/asyn.tar.gz HTTP/1.1"]);
    assert_eq!(
        first.identity.description,
        "https://example.org/epics/asyn.tar.gz"
    );
    context.mirrors.clear();
    context.offline = true;
    assert_eq!(fetch(&source, &context).await.unwrap(), first);
}

#[tokio::test]
async fn tls_is_trusted_with_the_certificate_of_the_site_and_only_then() {
    let (site, bytes) = (Site::new(), asyn());
    let authority = site.root().join("ca.pem");
    let server = Server::start_tls(&[("/a", Answer::File(bytes.clone()))], &authority).await;
    let source = source(&format!("{}/a", server.url), &bytes);
    let mut report = failure(&source, &site.context(), &site).await;
    let mut context = site.context();
    context.ca_bundle = Some(site.root().join("none.pem"));
    report += &failure(&source, &context, &site).await;
    fs_err::write(site.root().join("empty.pem"), "no certificate\n").unwrap();
    context.ca_bundle = Some(site.root().join("empty.pem"));
    report += &failure(&source, &context, &site).await;
    insta::assert_snapshot!(report, @r#"
    the certificate of `https://HOST/a` is not trusted [8]
      cause: invalid peer certificate: UnknownIssuer
      hint: if your site's own certificate authority stands between, name its PEM file in `ioc.toml`: `[fetch]` `ca-bundle = "site-ca.pem"`, or set `IOC_CA_BUNDLE`
      hint: a machine without any certificates needs the package `ca-certificates`
    failed to read the certificates of the site from `SITE/none.pem` [3]
      cause: failed to open file `SITE/none.pem`: No such file or directory (os error 2)
      hint: it must hold certificates in PEM form (`-----BEGIN CERTIFICATE-----`)
    failed to read the certificates of the site from `SITE/empty.pem` [3]
      cause: it holds no certificate
      hint: it must hold certificates in PEM form (`-----BEGIN CERTIFICATE-----`)
    "#);
    context.ca_bundle = Some(authority);
    fetch(&source, &context).await.unwrap();
}

#[tokio::test]
async fn a_proxy_is_asked_and_its_refusal_is_told() {
    let (site, bytes) = (Site::new(), asyn());
    let url = "http://example.org/a";
    let proxy = Server::start([
        (url, Answer::File(bytes.clone())),
        (
            "http://example.org/b",
            Answer::Status("407 Proxy Authentication Required"),
        ),
        ("example.org:443", Answer::Status("403 Forbidden")),
    ])
    .await;
    let mut context = site.context();
    context.proxy = Some(proxy.url.replace("http://", "http://user:secret@"));
    let mut report = failure(&source("http://example.org/b", &bytes), &context, &site).await;
    report += &failure(&source("https://example.org/c", &bytes), &context, &site).await;
    let mut gone = site.context();
    gone.proxy = Some("http://127.0.0.1:1".to_owned());
    report += &failure(&source(url, &bytes), &gone, &site).await;
    insta::assert_snapshot!(report, @"
    the proxy `http://HOST` refuses to fetch `http://example.org/b` [8]
      cause: 407 Proxy Authentication Required
      hint: `[fetch] proxy` in `ioc.toml`, `IOC_PROXY` or `https_proxy` names it; `no-proxy` lists hosts that are reached without it
    the proxy `http://HOST` refuses to fetch `https://example.org/c` [8]
      cause: tunnel error: unsuccessful
      hint: `[fetch] proxy` in `ioc.toml`, `IOC_PROXY` or `https_proxy` names it; `no-proxy` lists hosts that are reached without it
    the proxy `http://HOST` refuses to fetch `http://example.org/a` [8]
      cause: Connection refused (os error 111)
      hint: `[fetch] proxy` in `ioc.toml`, `IOC_PROXY` or `https_proxy` names it; `no-proxy` lists hosts that are reached without it
    ");
    fetch(&source(url, &bytes), &context).await.unwrap();
    let direct = Server::start([("/a", Answer::File(bytes.clone()))]).await;
    gone.no_proxy = Some("127.0.0.1".to_owned());
    let other = ArchiveSource {
        strip: 0,
        ..source(&format!("{}/a", direct.url), &bytes)
    };
    fetch(&other, &gone).await.unwrap();
}

#[tokio::test]
async fn stopping_leaves_nothing() {
    let site = Site::new();
    // A server that accepts and never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/a", listener.local_addr().unwrap());
    let context = site.context();
    let cancel = context.cancel.clone();
    let task = tokio::spawn(async move { fetch(&source(&url, b""), &context).await });
    let _connection = listener.accept().await.unwrap();
    cancel.cancel();
    let error = task.await.unwrap().unwrap_err();
    assert!(matches!(error, SourceError::Cancelled), "{error}");
    assert_eq!((site.trees(), site.work_left()), (0, 0));
}

#[tokio::test]
async fn a_full_disk_is_named() {
    let site = Site::new();
    let context = site.context();
    let server = Server::start([("/x", Answer::File(vec![1; 4096]))]).await;
    let address = mirror::rewrite(&format!("{}/x", server.url), &[]);
    let error = Downloader::new(&context)
        .receive(&address, Path::new("/dev/full"), 10_000)
        .await
        .unwrap_err();
    insta::assert_snapshot!(rendered(error, &site), @"
    failed to write `/dev/full` [11]
      cause: failed to flush file `/dev/full`: No space left on device (os error 28)
      hint: the disk is full: free some space, or put the cache elsewhere with `IOC_CACHE_DIR`
    ");
}
