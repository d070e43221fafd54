//! Between `ioc` and the API server: delays, lost requests, lost answers, connections that are cut, other answers.
//!
//! Plain HTTP comes in; real `kubectl proxy` takes care of TLS and login. Every connection is closed after its answer, so
//! that one connection is one request.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::cluster::Cluster;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// The connection is cut before the API server sees it.
    LostRequest,
    /// The API server does it, and the connection is cut before the answer.
    LostAnswer,
    /// The same, with something that happens in between.
    LostAnswerAfter(Act),
    /// It reaches the API server so much later.
    Late(Duration),
    /// The answer is cut off after so many bytes of its body.
    CutAfter(usize),
    /// After so many bytes of the body nothing more comes, and the connection stays open: the other end lost its power.
    HeldAfter(usize),
    /// The API server is not asked, and this is the answer: a status code and a body.
    Instead(u16, String),
}

/// Something that is done once the API server has answered.
#[derive(Clone)]
pub(super) struct Act(Arc<dyn Fn() + Send + Sync>);

impl Act {
    pub(super) fn new(act: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(act))
    }
}

impl std::fmt::Debug for Act {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Act")
    }
}

impl Fault {
    /// The answer of an API server that has forgotten what a watch wants to continue from.
    pub(super) fn gone() -> Self {
        let body = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version: 1 (2)","reason":"Expired","code":410}"#;
        Self::Instead(410, body.to_owned())
    }
}

/// A request that came through.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// `GET`, `PATCH` and so on.
    pub(super) method: String,
    /// With its query.
    pub(super) path: String,
}

impl Request {
    /// Whether it wants to change something.
    pub(super) fn is_change(&self) -> bool {
        self.method != "GET"
            && !self.path.contains("dryRun=")
            && !self.path.starts_with("/apis/authorization.k8s.io/")
            && !self.path.starts_with("/apis/authentication.k8s.io/")
    }

    /// Whether it is a watch.
    pub(super) fn is_watch(&self) -> bool {
        self.path.contains("watch=true") || self.path.contains("watch=1")
    }
}

type Decision = dyn FnMut(&Request) -> Option<Fault> + Send;

/// The proxy; it ends when it is dropped.
pub(super) struct Proxy {
    address: String,
    kubectl: Child,
    seen: Arc<Mutex<Vec<Request>>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// Starts one that asks `decide` about every request.
    pub(super) fn start(
        cluster: &Cluster,
        decide: impl FnMut(&Request) -> Option<Fault> + Send + 'static,
    ) -> Self {
        let mut kubectl = cluster
            .kubectl_command(&["proxy", "--port=0", "--reject-paths=^$"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(kubectl.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let upstream = line.trim().rsplit(' ').next().unwrap().to_owned();

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&seen);
        let open = Arc::new(Mutex::new(Vec::new()));
        let opened = Arc::clone(&open);
        let decide: Arc<Mutex<Box<Decision>>> = Arc::new(Mutex::new(Box::new(decide)));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                opened.lock().unwrap().extend(client.try_clone());
                let (seen, decide, upstream) =
                    (Arc::clone(&shared), Arc::clone(&decide), upstream.clone());
                std::thread::spawn(move || {
                    // Connections that end early are what this is for.
                    let _ended = serve(&client, &upstream, &seen, &decide);
                });
            }
        });
        Self {
            address,
            kubectl,
            seen,
            open,
        }
    }

    /// Cuts every connection that is open.
    pub(super) fn cut(&self) {
        for connection in self.open.lock().unwrap().drain(..) {
            // Most have ended long ago.
            let _ended = connection.shutdown(Shutdown::Both);
        }
    }

    /// Writes a kubeconfig that leads here.
    pub(super) fn kubeconfig(&self, folder: &Path) -> PathBuf {
        let port = self.address.rsplit(':').next().unwrap();
        let path = folder.join(format!("proxy-{port}.kubeconfig"));
        let text = format!(
            "\
apiVersion: v1
kind: Config
clusters: [{{name: proxy, cluster: {{server: \"http://{}\"}}}}]
users: [{{name: proxy, user: {{}}}}]
contexts: [{{name: proxy, context: {{cluster: proxy, user: proxy}}}}]
current-context: proxy
",
            self.address
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// What came through until now.
    pub(super) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _gone = self.kubectl.kill();
        let _gone = self.kubectl.wait();
    }
}

fn serve(
    mut client: &TcpStream,
    upstream: &str,
    seen: &Mutex<Vec<Request>>,
    decide: &Mutex<Box<Decision>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (request, head) = read_head(&mut reader)?;
    seen.lock().unwrap().push(request.clone());
    let fault = (decide.lock().unwrap())(&request);
    match &fault {
        Some(Fault::LostRequest) => return client.shutdown(Shutdown::Both),
        Some(Fault::Late(delay)) => std::thread::sleep(*delay),
        Some(Fault::Instead(code, body)) => {
            let length = body.len();
            return client.write_all(
                format!(
                    "HTTP/1.1 {code} x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                )
                .as_bytes(),
            );
        }
        Some(
            Fault::LostAnswer
            | Fault::LostAnswerAfter(_)
            | Fault::CutAfter(_)
            | Fault::HeldAfter(_),
        )
        | None => {}
    }
    let mut server = TcpStream::connect(upstream)?;
    server.write_all(head.as_bytes())?;
    let mut body = server.try_clone()?;
    std::thread::spawn(move || {
        let _ended = std::io::copy(&mut reader, &mut body);
        let _ended = body.shutdown(Shutdown::Write);
    });
    match fault {
        Some(Fault::LostAnswer) => {
            std::io::copy(&mut server, &mut std::io::sink())?;
        }
        Some(Fault::LostAnswerAfter(Act(act))) => {
            std::io::copy(&mut server, &mut std::io::sink())?;
            act();
        }
        Some(Fault::CutAfter(bytes) | Fault::HeldAfter(bytes)) => {
            let mut answers = BufReader::new(server);
            let mut line = String::new();
            while answers.read_line(&mut line)? > 2 {
                client.write_all(line.as_bytes())?;
                line.clear();
            }
            client.write_all(b"\r\n")?;
            let mut some = answers.take(u64::try_from(bytes).unwrap_or(u64::MAX));
            std::io::copy(&mut some, &mut client)?;
            if matches!(fault, Some(Fault::HeldAfter(_))) {
                // until `ioc` gives it up
                client.peek(&mut [0])?;
            }
        }
        _ => {
            std::io::copy(&mut server, &mut client)?;
        }
    }
    client.shutdown(Shutdown::Both)
}

/// The first line and the headers, with the wish to close the connection afterwards.
fn read_head(reader: &mut BufReader<TcpStream>) -> std::io::Result<(Request, String)> {
    let mut head = String::new();
    reader.read_line(&mut head)?;
    let mut words = head.split(' ');
    let request = Request {
        method: words.next().unwrap_or_default().to_owned(),
        path: words.next().unwrap_or_default().to_owned(),
    };
    head.push_str("Connection: close\r\n");
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        if !line.to_ascii_lowercase().starts_with("connection:") {
            head.push_str(&line);
        }
        line.clear();
    }
    head.push_str("\r\n");
    Ok((request, head))
}
