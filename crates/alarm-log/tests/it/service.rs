//! Services that tests reach over HTTP: the real ones of the test bed, and what can stand in front of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alarm_log::remote::{Fault, Login, Remote};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

/// The value of a variable that the test bed gives; without it the test says what it did not check.
pub(crate) fn part(variable: &str, script: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{variable} is not set, and CI is"
        );
        // past the test harness, which would swallow the words of a passing test
        let said =
            format!("\n*** NOT CHECKED: {variable} is not set; `tests/testbed/{script} up` ***\n");
        std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes()).unwrap();
    }
    found
}

fn client(certificates: Vec<reqwest::Certificate>) -> reqwest::Client {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only(certificates)
        .build()
        .unwrap()
}

/// A service that nobody has to log in to.
pub(crate) fn open(address: &str) -> Remote {
    Remote::new(client(Vec::new()), address, &Login::None).unwrap()
}

/// Something in front of a service.
pub(crate) struct Front {
    pub(crate) address: String,
    certificate: Option<reqwest::Certificate>,
    asked: Arc<AtomicUsize>,
}

/// What stands in front does.
#[derive(Clone, Default)]
pub(crate) struct Does {
    /// The only `Authorization` that it lets through.
    pub(crate) wants: Option<String>,
    /// The first so many requests of this path are answered by it: status and text.
    pub(crate) answers: Option<(&'static str, usize, u16, String)>,
    /// Whether it wants TLS.
    pub(crate) tls: bool,
}

#[derive(Clone)]
struct Inside {
    behind: String,
    does: Does,
    client: reqwest::Client,
    asked: Arc<AtomicUsize>,
}

impl Front {
    pub(crate) async fn new(behind: &str, does: Does) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let inside = Inside {
            behind: behind.to_owned(),
            does: does.clone(),
            client: client(Vec::new()),
            asked: Arc::clone(&asked),
        };
        let router = Router::new().fallback(pass).with_state(inside);
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = tcp.local_addr().unwrap().port();
        if !does.tls {
            tokio::spawn(async move { axum::serve(tcp, router).await });
            return Self {
                address: format!("http://127.0.0.1:{port}"),
                certificate: None,
                asked,
            };
        }
        let issued = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(issued.signing_key.serialize_der());
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.der().clone()], key.unwrap())
            .unwrap();
        let tls = Tls {
            tcp,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        };
        tokio::spawn(async move { axum::serve(tls, router).await });
        let pem = issued.cert.pem();
        Self {
            address: format!("https://127.0.0.1:{port}"),
            certificate: Some(reqwest::Certificate::from_pem(pem.as_bytes()).unwrap()),
            asked,
        }
    }

    /// The service behind it, for one who trusts it.
    pub(crate) fn remote(&self, login: &Login) -> Result<Remote, Fault> {
        let certificates = self.certificate.iter().cloned().collect();
        Remote::new(client(certificates), &self.address, login)
    }

    /// How many requests it has answered itself.
    pub(crate) fn answered(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn pass(State(inside): State<Inside>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if let Some(wants) = &inside.does.wants {
        let given = head.headers.get(header::AUTHORIZATION);
        if given.and_then(|given| given.to_str().ok()) != Some(wants) {
            return (StatusCode::UNAUTHORIZED, "who are you?").into_response();
        }
    }
    if let Some((path, most, status, text)) = &inside.does.answers
        && head.uri.path().ends_with(path)
        && inside.asked.fetch_add(1, Ordering::Relaxed) < *most
    {
        let status = StatusCode::from_u16(*status).unwrap();
        return (status, text.clone()).into_response();
    }
    let body: Bytes = axum::body::to_bytes(body, 1 << 28).await.unwrap();
    let url = format!("{}{}", inside.behind, head.uri);
    let mut request = inside.client.request(head.method, url).body(body);
    for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING] {
        if let Some(value) = head.headers.get(&name) {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    (status, Body::from(answer.bytes().await.unwrap())).into_response()
}

struct Tls {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
