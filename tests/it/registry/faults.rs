//! Registries that fail: connections that break off, wrong digests, certificates that nobody knows.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Bed;

/// Passes everything on to a registry, and breaks off once, when so many bytes were sent to it.
struct Breaking {
    address: String,
    sent: Arc<AtomicU64>,
}

impl Breaking {
    fn start(registry: &str, after: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let sent = Arc::new(AtomicU64::new(0));
        let (registry, counted) = (registry.to_owned(), Arc::clone(&sent));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(&registry).unwrap();
                let counted = Arc::clone(&counted);
                let (from_server, to_client) =
                    (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || {
                    pass(client, server, |count| {
                        let before = counted.fetch_add(count, Ordering::SeqCst);
                        !(before < after && before + count >= after)
                    })
                });
                std::thread::spawn(move || pass(from_server, to_client, |_| true));
            }
        });
        Self { address, sent }
    }
}

/// Passes bytes on while `goes_on` says so, then closes both ends.
fn pass(mut from: TcpStream, mut to: TcpStream, goes_on: impl Fn(u64) -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !goes_on(count as u64) || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _closed = from.shutdown(Shutdown::Both);
    let _closed = to.shutdown(Shutdown::Both);
}

#[test]
fn an_upload_that_breaks_off_goes_on() {
    let Some(bed) = Bed::new("broken") else {
        return;
    };
    bed.chart("app", "1.0.0");
    // what cannot be compressed, in files that helm accepts
    let mut state = 88_172_645_463_325_252_u64;
    for part in 0..3 {
        let noise: Vec<u8> = (0..4_000_000)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[0]
            })
            .collect();
        bed.context.write(&format!("app/noise-{part}.bin"), noise);
    }
    bed.context.succeed(&["chart", "package", "app"]);
    let size = std::fs::metadata(bed.path("app-1.0.0.tgz")).unwrap().len();
    assert!(size > 11_000_000, "{size}");
    let between = Breaking::start(&bed.open, 6_000_000);
    let remote = format!("oci://{}/{}", between.address, bed.folder);
    let pushed = bed
        .context
        .json(&["chart", "push", "app-1.0.0.tgz", &remote, "--plain-http"]);
    assert_eq!(pushed["sent"], true);
    let sent = between.sent.load(Ordering::SeqCst);
    // the chunk under way is lost, not what the registry had acknowledged before
    assert!(
        (size..size + 5_000_000).contains(&sent),
        "{sent} bytes sent for {size}"
    );
    bed.helm_succeeds(&[
        "pull",
        &format!("{}/app", bed.remote()),
        "--version",
        "1.0.0",
        "--plain-http",
        "--untar",
    ]);
}

#[test]
fn a_blob_with_a_wrong_digest_is_refused() {
    let Some(bed) = Bed::new("digest") else {
        return;
    };
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.cncf.helm.config.v1+json","digest":"sha256:{0}","size":2}},"layers":[{{"mediaType":"application/vnd.cncf.helm.chart.content.v1.tar+gzip","digest":"sha256:{0}","size":5}}]}}"#,
        "a".repeat(64)
    );
    let blob = format!("v2/charts/app/blobs/sha256:{}", "a".repeat(64));
    let web = crate::web::Server::start(&[
        ("v2/charts/app/manifests/1.0.0", manifest.into_bytes()),
        (&blob, b"other".to_vec()),
    ]);
    let host = web.url.trim_start_matches("http://");
    let report = bed.context.refuse(&[
        "chart",
        "pull",
        &format!("oci://{host}/charts/app:1.0.0"),
        "--plain-http",
    ]);
    assert!(report.starts_with("exit code: 8"), "{report}");
    assert!(
        report.contains("sent a wrong chart archive: its digest is sha256:"),
        "{report}"
    );
    assert!(report.contains("nothing of it was kept"), "{report}");
}

#[test]
fn a_certificate_that_nobody_knows_is_refused_until_it_is_named() {
    let context = crate::context::TestContext::new();
    let web = crate::web::Server::start_tls(&[(
        "v2/charts/app/tags/list",
        br#"{"tags": ["1.0.0-a"]}"#.to_vec(),
    )]);
    let chart = format!(
        "oci://{}/charts/app",
        web.url.trim_start_matches("https://")
    );
    let report = context.refuse(&["chart", "pull", &chart]);
    assert!(report.contains("is not trusted"), "{report}");
    assert!(report.contains("ca-bundle"), "{report}");
    context.write("site.pem", &web.certificate);
    context.write("ioc.toml", "[fetch]\nca-bundle = \"site.pem\"\n");
    let report = context.refuse(&["chart", "pull", &chart]);
    assert!(report.contains("has no release"), "{report}");
}

#[test]
fn a_registry_that_is_not_there() {
    let context = crate::context::TestContext::new();
    // bound and given back: nobody listens there
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let report = context.refuse(&["chart", "pull", &format!("oci://{free}/charts/app:1.0.0")]);
    assert!(report.starts_with("exit code: 8"), "{report}");
    assert!(
        report.contains(&format!("the registry `{free}` cannot be reached")),
        "{report}"
    );
}
