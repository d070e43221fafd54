//! Registries that fail: connections that break off, wrong digests, certificates that nobody knows.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Bed;

/// When a connection breaks off, once.
#[derive(Clone, Copy)]
enum When {
    /// After so many bytes were sent to the registry, in the middle of whatever it is.
    Bytes(u64),
    /// Before the request that has this in its head; nothing of it reaches the registry.
    Request(&'static str),
}

/// Passes everything on to a registry, and breaks off once.
struct Breaking {
    address: String,
    sent: Arc<AtomicU64>,
    broke: Arc<AtomicBool>,
}

impl Breaking {
    fn start(registry: &str, when: When) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let started = Self {
            address: listener.local_addr().unwrap().to_string(),
            sent: Arc::default(),
            broke: Arc::default(),
        };
        let registry = registry.to_owned();
        let (sent, broke) = (Arc::clone(&started.sent), Arc::clone(&started.broke));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(&registry).unwrap();
                let from_server = server.try_clone().unwrap();
                let to_client = client.try_clone().unwrap();
                let (sent, broke) = (Arc::clone(&sent), Arc::clone(&broke));
                let goes_on = move |bytes: &[u8]| {
                    let before = sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
                    let breaks = match when {
                        When::Bytes(after) => before + bytes.len() as u64 >= after,
                        When::Request(head) => {
                            String::from_utf8_lossy(bytes).to_lowercase().contains(head)
                        }
                    };
                    !breaks || broke.swap(true, Ordering::SeqCst)
                };
                std::thread::spawn(move || pass(client, server, goes_on));
                std::thread::spawn(move || pass(from_server, to_client, |_| true));
            }
        });
        started
    }
}

/// Passes bytes on while `goes_on` says so, then closes both ends.
fn pass(mut from: TcpStream, mut to: TcpStream, goes_on: impl Fn(&[u8]) -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !goes_on(&buffer[..count]) || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _closed = from.shutdown(Shutdown::Both);
    let _closed = to.shutdown(Shutdown::Both);
}

/// Packs a chart of 12 MB, pushes it through a connection that breaks off once, and lets helm look at what arrived.
/// Gives how many bytes were sent, and how many there are.
fn push_broken(bed: &Bed, when: When) -> (u64, u64) {
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
    let between = Breaking::start(&bed.open, when);
    let remote = format!("oci://{}/{}", between.address, bed.folder);
    let push = ["chart", "push", "app-1.0.0.tgz", &remote, "--plain-http"];
    let pushed = bed.context.json(&push);
    assert_eq!(pushed["sent"], true);
    assert!(between.broke.load(Ordering::SeqCst), "nothing broke");
    let chart = format!("{}/app", bed.remote());
    bed.helm_succeeds(&[
        "pull",
        &chart,
        "--version",
        "1.0.0",
        "--plain-http",
        "--untar",
        "-d",
        "got",
    ]);
    (between.sent.load(Ordering::SeqCst), size)
}

#[test]
fn an_upload_that_breaks_off_goes_on() {
    let Some(bed) = Bed::new("broken") else {
        return;
    };
    // the second chunk of 4 MiB
    let (sent, size) = push_broken(&bed, When::Request("content-range: 4194304-"));
    assert!(
        (size..size + 1_000_000).contains(&sent),
        "{sent} bytes sent for {size}"
    );
}

#[test]
fn an_upload_that_breaks_off_inside_a_chunk_arrives() {
    let Some(bed) = Bed::new("inside") else {
        return;
    };
    // this registry gives up an upload of which half a chunk arrived: it begins anew
    let (sent, size) = push_broken(&bed, When::Bytes(6_000_000));
    assert!(
        (size..size * 2).contains(&sent),
        "{sent} bytes sent for {size}"
    );
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
