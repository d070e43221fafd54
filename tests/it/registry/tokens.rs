//! A registry that hands out tokens and is busy at first: what docker-registry cannot be made to do on demand.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Heads of the requests in order, in lower case.
type Asked = Arc<Mutex<Vec<String>>>;

/// Answers for the tags of one chart, to whoever shows the token of `operator:secret` or of the identity `kept`.
fn registry() -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Asked::default();
    let (host, log) = (address.clone(), Arc::clone(&asked));
    std::thread::spawn(move || {
        let mut was_busy = false;
        for stream in listener.incoming().map_while(Result::ok) {
            let Some((head, body)) = request(&stream) else {
                continue;
            };
            log.lock().unwrap().push(head.clone());
            // operator:secret
            let knows_secret = head.contains("basic b3blcmf0b3i6c2vjcmv0")
                || body.contains("grant_type=refresh_token&client_id=ioc&refresh_token=kept");
            let challenge = format!(
                "www-authenticate: Bearer realm=\"http://{host}/token\",service=\"tests\"\r\n"
            );
            let (status, headers, text) = if head.contains(" /token") {
                if knows_secret {
                    ("200 OK", "", "{\"token\": \"granted\"}")
                } else {
                    (
                        "401 Unauthorized",
                        "",
                        "{\"details\": \"incorrect username or password\"}",
                    )
                }
            } else if !head.contains("authorization: bearer granted") {
                ("401 Unauthorized", challenge.as_str(), "")
            } else if was_busy {
                ("200 OK", "", "{\"tags\": [\"1.0.0-a\"]}")
            } else {
                was_busy = true;
                ("429 Too Many Requests", "retry-after: 0\r\n", "")
            };
            let mut stream = stream;
            let _gone = write!(
                stream,
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{text}",
                text.len()
            );
        }
    });
    (address, asked)
}

/// Head in lower case and body of a request.
fn request(stream: &TcpStream) -> Option<(String, String)> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    std::io::Read::read_exact(&mut reader, &mut body).ok()?;
    Some((head, String::from_utf8(body).ok()?))
}

/// What a pull says with this entry for the registry in Docker's file.
fn pull_with(entry: &str) -> (String, Vec<String>) {
    let (host, asked) = registry();
    let context = crate::context::TestContext::new();
    let docker = context.root().join("home/.docker");
    std::fs::create_dir_all(&docker).unwrap();
    std::fs::write(
        docker.join("config.json"),
        format!("{{\"auths\": {{\"{host}\": {entry}}}}}"),
    )
    .unwrap();
    let chart = format!("oci://{host}/charts/app");
    let report = context.refuse(&["chart", "pull", &chart, "--plain-http"]);
    let asked = asked.lock().unwrap().clone();
    (report, asked)
}

#[test]
fn a_token_is_fetched_once_and_a_busy_registry_asked_again() {
    let (report, asked) = pull_with("{\"username\": \"operator\", \"password\": \"secret\"}");
    // it lists one pre-release: that far only a token leads
    assert!(report.contains("has no release"), "{report}");
    let count = |what: &str| asked.iter().filter(|head| head.contains(what)).count();
    assert_eq!(count(" /token"), 1, "{asked:#?}");
    assert_eq!(count("bearer granted"), 2, "{asked:#?}");
    let wanted = "scope=repository%3acharts%2fapp%3apull&service=tests";
    assert_eq!(count(wanted), 1, "{asked:#?}");
}

#[test]
fn an_identity_token_is_exchanged() {
    let (report, asked) = pull_with("{\"identitytoken\": \"kept\"}");
    assert!(report.contains("has no release"), "{report}");
    assert!(
        asked.iter().any(|head| head.starts_with("post /token")),
        "{asked:#?}"
    );
}

#[test]
fn a_login_that_the_token_service_refuses_is_named() {
    let (report, _asked) = pull_with("{\"username\": \"operator\", \"password\": \"guessed\"}");
    assert!(report.starts_with("exit code: 8"), "{report}");
    assert!(
        report.contains("refuses the login of `operator` from `[ROOT]/home/.docker/config.json`"),
        "{report}"
    );
    assert!(
        report.contains("incorrect username or password"),
        "{report}"
    );
    assert!(!report.contains("guessed"), "{report}");
}
