//! A web server of a test's own on this machine, with or without a certificate that nobody knows.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// A running server; it ends with the test run.
pub(crate) struct Server {
    /// Beginning of its URLs, without a slash at the end.
    pub(crate) url: String,
    /// Its certificate in PEM form, for those who want to trust it.
    pub(crate) certificate: String,
}

impl Server {
    /// Answers every request for `/NAME` with the file of that name, and everything else with 404.
    pub(crate) fn start(files: &[(&str, Vec<u8>)]) -> Self {
        Self::serve(files, None, String::new())
    }

    /// The same over TLS.
    pub(crate) fn start_tls(files: &[(&str, Vec<u8>)]) -> Self {
        Self::tls(files, None)
    }

    /// The same for clients that show a certificate which this authority has issued.
    pub(crate) fn start_tls_for_clients_of(
        authority: CertificateDer<'static>,
        files: &[(&str, Vec<u8>)],
    ) -> Self {
        Self::tls(files, Some(authority))
    }

    fn tls(files: &[(&str, Vec<u8>)], authority: Option<CertificateDer<'static>>) -> Self {
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let issued = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
        let verifier = authority.map_or_else(WebPkiClientVerifier::no_client_auth, |authority| {
            let mut roots = RootCertStore::empty();
            roots.add(authority).unwrap();
            WebPkiClientVerifier::builder(Arc::new(roots))
                .build()
                .unwrap()
        });
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![issued.cert.der().clone()], key)
            .unwrap();
        Self::serve(files, Some(Arc::new(config)), issued.cert.pem())
    }

    fn serve(
        files: &[(&str, Vec<u8>)],
        tls: Option<Arc<ServerConfig>>,
        certificate: String,
    ) -> Self {
        let files: Vec<(String, Vec<u8>)> = files
            .iter()
            .map(|(name, bytes)| (format!("/{name}"), bytes.clone()))
            .collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A client that goes away, for instance because it trusts nobody, is what some tests are about.
                let _gone = match &tls {
                    None => answer(stream, &files),
                    Some(config) => ServerConnection::new(Arc::clone(config))
                        .map_err(std::io::Error::other)
                        .and_then(|connection| {
                            let mut stream = StreamOwned::new(connection, stream);
                            let answered = answer(&mut stream, &files);
                            if answered.is_err() {
                                // what it is told of a handshake that failed must reach the client
                                stream.sock.set_read_timeout(Some(Duration::from_secs(5)))?;
                                stream.sock.shutdown(Shutdown::Write)?;
                                std::io::copy(&mut stream.sock, &mut std::io::sink())?;
                            }
                            answered
                        }),
                };
            }
        });
        Self { url, certificate }
    }
}

fn answer(mut stream: impl Read + Write, files: &[(String, Vec<u8>)]) -> std::io::Result<()> {
    let mut request = String::new();
    let mut lines = BufReader::new(&mut stream);
    lines.read_line(&mut request)?;
    let mut header = String::new();
    while lines.read_line(&mut header)? > 2 {
        header.clear();
    }
    drop(lines);
    let path = request.split([' ', '?']).nth(1).unwrap_or_default();
    let file = files.iter().find(|(name, _)| name == path);
    let (status, body) = match file {
        Some((_, bytes)) => ("200 OK", bytes.as_slice()),
        None => ("404 Not Found", &[][..]),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    stream.flush()
}

/// A compressed archive with these entries, which may be named as no honest archive names them.
pub(crate) fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::fast(),
    ));
    for (name, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        // `set_path` refuses `..`, as it should.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// The checksum of a file as recipes name it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    format!("{:x}", sha2::Sha256::digest(bytes))
}

/// Writes the certificate of a server beside a project.
pub(crate) fn certificate_file(server: &Server, folder: &std::path::Path) -> PathBuf {
    let path = folder.join("site-ca.pem");
    std::fs::write(&path, &server.certificate).unwrap();
    path
}
