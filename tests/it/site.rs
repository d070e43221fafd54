//! A site that reaches the world only through its proxy, with certificates of its own: fetches and package installs
//! go through it, and nothing of it stays in an image.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::beamline::base_image;
use crate::context::TestContext;
use crate::engine::{Engine, PrivateEngine};
use crate::{testbed, web};

/// A host that only the proxy knows.
const SOURCES: &str = "sources.lab.test";

/// An HTTP proxy that writes down what it was asked for, and can refuse.
struct Proxy {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    refuses: Arc<AtomicBool>,
}

impl Proxy {
    /// Hands requests for [`SOURCES`] to `sources` and all others to where they name.
    fn start(sources: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Self {
            url,
            asked: Arc::default(),
            refuses: Arc::default(),
        };
        let (asked, refuses) = (Arc::clone(&proxy.asked), Arc::clone(&proxy.refuses));
        let sources = sources.trim_start_matches("http://").to_owned();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (asked, refuses) = (Arc::clone(&asked), Arc::clone(&refuses));
                let sources = sources.clone();
                std::thread::spawn(move || {
                    // a client that goes away is not this test's affair
                    let _gone = forward(client, &sources, &asked, &refuses);
                });
            }
        });
        proxy
    }

    fn was_asked_for(&self, part: &str) -> bool {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .any(|url| url.contains(part))
    }
}

/// One request and its answer; the connection ends with it.
fn forward(
    mut client: TcpStream,
    sources: &str,
    asked: &Mutex<Vec<String>>,
    refuses: &AtomicBool,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(client.try_clone()?);
    let mut request = String::new();
    lines.read_line(&mut request)?;
    let mut headers = String::new();
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? <= 2 {
            break;
        }
        let name = line.to_lowercase();
        if !name.starts_with("proxy-") && !name.starts_with("connection:") {
            headers.push_str(&line);
        }
    }
    let url = request.split(' ').nth(1).unwrap_or_default().to_owned();
    asked.lock().unwrap().push(url.clone());
    let Some(rest) = url
        .strip_prefix("http://")
        .filter(|_| !refuses.load(Ordering::SeqCst))
    else {
        return client.write_all(
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = match host {
        SOURCES => sources.to_owned(),
        host if host.contains(':') => host.to_owned(),
        host => format!("{host}:80"),
    };
    let mut server = TcpStream::connect(address)?;
    write!(
        server,
        "GET /{path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n"
    )?;
    std::io::copy(&mut server, &mut client)?;
    Ok(())
}

/// A project with an image of one module from an archive and with the given package.
fn project(engine: &Engine, digest: &str, package: &str, base: &str) -> TestContext {
    let context = TestContext::new().env("DOCKER_HOST", engine.host());
    context.write("ioc.toml", format!("[images]\nbase = \"{base}\"\n"));
    context.write(
        "generic-iocs/site-tool/image.yaml",
        "description: a tool\nbase: os\nmodules: [tool]\n",
    );
    context.write(
        "generic-iocs/modules/tool.yaml",
        format!(
            "description: a tool\nsource:\n  archive: {{url: \"http://{SOURCES}/tool-1.0.tar.gz\", sha256: {digest}}}\npackages:\n  build: [{package}]\nbuild:\n  - env | sort > /tool-was-built\n  - sed -i /proxy/Id /tool-was-built\n"
        ),
    );
    context
}

/// All layers of an image and what is said about it, as the engine hands them out.
fn everything_of(engine: &Engine, image: &str) -> Vec<u8> {
    let output = Command::new("curl")
        .args(["-fsS", "--unix-socket"])
        .arg(engine.host().strip_prefix("unix://").unwrap())
        .arg(format!("http://engine/images/{image}/get"))
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout
}

fn contains(bytes: &[u8], text: &str) -> bool {
    let text = regex::bytes::Regex::new(&regex::escape(text)).unwrap();
    text.is_match(bytes)
}

#[test]
fn a_build_goes_through_the_proxy_and_keeps_nothing_of_it() {
    // an engine of its own: its caches are empty, so that everything has to be fetched
    let (Some(private), Some(shared)) = (PrivateEngine::start("it-site", &[]), Engine::shared())
    else {
        return;
    };
    base_image(shared);
    let engine = Engine::at(&private.host());
    engine.copy_images(shared, &["localhost/debian:trixie".to_owned()]);
    let bytes = web::archive(&[("tool-1.0/README", "a tool\n")]);
    let digest = web::sha256(&bytes);
    let sources = web::Server::start(&[("tool-1.0.tar.gz", bytes)]);
    let certificate = web::Server::start_tls(&[]).certificate;
    let proxy = Proxy::start(&sources.url);

    let context = project(&engine, &digest, "bc", "localhost/debian:trixie");
    context.write("site-ca.pem", &certificate);
    context.append(
        "ioc.toml",
        &format!(
            "\n[fetch]\nproxy = \"{}\"\nca-bundle = \"site-ca.pem\"\n",
            proxy.url
        ),
    );
    context.succeed(&["build", "site-tool"]);
    assert!(proxy.was_asked_for("tool-1.0.tar.gz"), "{:?}", proxy.asked);
    assert!(proxy.was_asked_for("/bc_"), "{:?}", proxy.asked);

    let line = certificate.lines().nth(1).unwrap();
    let port = proxy.url.rsplit(':').next().unwrap();
    for target in ["developer", "runtime"] {
        let image = everything_of(&engine, &format!("localhost/site-tool-{target}:latest"));
        assert!(image.len() > 10_000_000, "{}", image.len());
        assert!(!contains(&image, line), "the certificate is in {target}");
        assert!(
            !contains(&image, &format!("127.0.0.1:{port}")),
            "the proxy is in {target}"
        );
        assert!(
            !contains(&image, "ca-bundle.pem\";"),
            "apt's settings are in {target}"
        );
    }
    // what is looked for would be found
    let image = everything_of(&engine, "localhost/site-tool-developer:latest");
    assert!(contains(&image, "tool-was-built"));

    // without the proxy's consent nothing is fetched: there is no other way
    proxy.refuses.store(true, Ordering::SeqCst);
    context.replace("generic-iocs/modules/tool.yaml", "[bc]", "[dc]");
    let refused = context.run(&["build", "site-tool"]);
    assert!(refused.starts_with("exit code: 7\n"), "{refused}");
    assert!(
        refused.contains("generic-iocs/modules/tool.yaml"),
        "{refused}"
    );
    context.replace("generic-iocs/modules/tool.yaml", &digest, &"0".repeat(64));
    let refused = context.run(&["build", "site-tool"]);
    assert!(!refused.starts_with("exit code: 0\n"), "{refused}");
    assert!(refused.contains("403"), "{refused}");
}

/// One request to the engine; its answer.
fn ask(engine: &Engine, method: &str, path: &str) -> String {
    let output = Command::new("curl")
        .args([
            "-sS",
            "-X",
            method,
            "-H",
            "X-Registry-Auth: e30=",
            "--unix-socket",
        ])
        .arg(engine.host().strip_prefix("unix://").unwrap())
        .arg(format!("http://engine{path}"))
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_base_image_comes_from_a_registry() {
    let (Some(registry), Some(engine)) =
        (testbed::part("registry.sh", "REGISTRY"), Engine::shared())
    else {
        return;
    };
    base_image(engine);
    let name = format!("{registry}/it-base-{}", std::process::id());
    ask(
        engine,
        "POST",
        &format!("/images/localhost/debian:trixie/tag?repo={name}&tag=trixie"),
    );
    let pushed = ask(engine, "POST", &format!("/images/{name}/push?tag=trixie"));
    assert!(pushed.contains("sha256:"), "{pushed}");
    ask(engine, "DELETE", &format!("/images/{name}:trixie"));

    let tag = format!("it-{}", std::process::id());
    let bytes = web::archive(&[("tool-1.0/README", "a tool\n")]);
    let sources = web::Server::start(&[("tool-1.0.tar.gz", bytes.clone())]);
    let context = project(engine, &web::sha256(&bytes), "", &format!("{name}:trixie"))
        .env("IOC_IMAGE_TAG", &tag);
    context.replace(
        "generic-iocs/modules/tool.yaml",
        &format!("http://{SOURCES}"),
        &sources.url,
    );
    context.succeed(&["build", "site-tool"]);
    let shown = context.json(&["build", "site-tool", "--dry-run"]);
    let steps = shown.as_array().unwrap();
    assert!(
        steps.iter().all(|step| step["state"] == "up to date"),
        "{shown:#}"
    );
    let lock = std::fs::read_to_string(context.project().join("generic-iocs/image.lock")).unwrap();
    assert!(lock.contains(&name) && lock.contains("sha256:"), "{lock}");

    // no registry in reach: what else there is
    context.write(
        "ioc.toml",
        "[images]\nbase = \"127.0.0.1:1/debian:trixie\"\n",
    );
    let refused = context.run(&["build", "site-tool"]);
    assert!(refused.starts_with("exit code: 8\n"), "{refused}");
    assert!(refused.contains("ioc image bootstrap"), "{refused}");
    for image in [
        format!("localhost/site-tool-runtime:{tag}"),
        format!("localhost/site-tool-developer:{tag}"),
        format!("{name}:trixie"),
    ] {
        ask(engine, "DELETE", &format!("/images/{image}?force=true"));
    }
}
