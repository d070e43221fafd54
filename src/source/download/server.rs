//! A web server of a test: a table of answers on a port of this machine, with or without TLS.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// What a path is answered with.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// The file.
    File(Vec<u8>),
    /// Half of the file, then the connection is closed.
    Half(Vec<u8>),
    /// Another path or URL.
    Redirect(String),
    /// A status line such as `503 Service Unavailable`.
    Status(&'static str),
}

/// A running server; it ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts a server for these paths.
    pub(crate) async fn start<const N: usize>(answers: [(&str, Answer); N]) -> Self {
        Self::start_with(&answers, None).await
    }

    /// Starts a server whose certificate is signed by an authority of its own, and writes that authority's
    /// certificate to `authority`.
    pub(crate) async fn start_tls(answers: &[(&str, Answer)], authority: &PathBuf) -> Self {
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let root = parameters.self_signed(&key).unwrap();
        fs_err::write(authority, root.pem()).unwrap();
        let issuer = rcgen::Issuer::new(parameters, key);
        let server_key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
            .unwrap()
            .signed_by(&server_key, &issuer)
            .unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(server_key.serialize_der()).unwrap(),
            )
            .unwrap();
        Self::start_with(answers, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn start_with(answers: &[(&str, Answer)], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let answers: Arc<BTreeMap<String, Answer>> = Arc::new(
            answers
                .iter()
                .map(|(path, answer)| ((*path).to_owned(), answer.clone()))
                .collect(),
        );
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _peer)) = listener.accept().await {
                let (answers, seen, tls) = (Arc::clone(&answers), Arc::clone(&seen), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &answers, &seen).await,
                        // A client that does not trust us ends the handshake.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &answers, &seen).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url, requests }
    }

    /// The request lines since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answers: &BTreeMap<String, Answer>,
    seen: &Mutex<Vec<String>>,
) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_closed) => return,
        }
    }
    let request = String::from_utf8_lossy(&request);
    let line = request.lines().next().unwrap_or_default().to_owned();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    seen.lock().unwrap().push(line);
    let (head, body) = match answers.get(&path) {
        Some(Answer::File(bytes)) => (length("200 OK", bytes.len()), bytes.clone()),
        Some(Answer::Half(bytes)) => (
            length("200 OK", bytes.len()),
            bytes[..bytes.len() / 2].to_vec(),
        ),
        Some(Answer::Redirect(to)) => (
            format!(
                "HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            ),
            Vec::new(),
        ),
        Some(Answer::Status(status)) => (length(status, 0), Vec::new()),
        None => (length("404 Not Found", 0), Vec::new()),
    };
    // The client may have gone away, which is what some tests are about.
    let _closed = stream.write_all(head.as_bytes()).await;
    let _closed = stream.write_all(&body).await;
    let _closed = stream.shutdown().await;
}

fn length(status: &str, length: usize) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")
}
