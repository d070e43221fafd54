//! One file over HTTP, HTTPS or from this machine, hashed on the way.
//!
//! Trusts the certificates of the machine and those of the site. What is received is put into a work folder
//! and nowhere else; whether it is the right file is for the caller to say.

#[cfg(test)]
pub(crate) mod server;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::cache::hexadecimal;
use super::error::writing;
use super::mirror::{Address, without_credentials};
use super::{FetchContext, FetchProgress, SourceError};

/// Largest archive that is received, in bytes.
pub(crate) const LARGEST_ARCHIVE: u64 = 2 << 30;
/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a server may stay silent.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
/// Redirects followed for one file.
const REDIRECTS: usize = 8;
/// Received bytes between two reports of progress.
const REPORT_EVERY: u64 = 256 * 1024;

/// A received file.
#[derive(Debug)]
pub(crate) struct Received {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// SHA-256 of its bytes in lower-case hexadecimal digits.
    pub(crate) sha256: String,
    /// It begins like a web page.
    pub(crate) page: bool,
}

/// Receives files; keeps connections open between them.
#[derive(Debug)]
pub(crate) struct Downloader<'a> {
    context: &'a FetchContext,
    client: Option<reqwest::Client>,
}

impl<'a> Downloader<'a> {
    pub(crate) fn new(context: &'a FetchContext) -> Self {
        Self {
            context,
            client: None,
        }
    }

    /// Receives `address` into `path`, at most `limit` bytes.
    pub(crate) async fn receive(
        &mut self,
        address: &Address,
        path: &Path,
        limit: u64,
    ) -> Result<Received, SourceError> {
        let cancel = self.context.cancel.clone();
        tokio::select! {
            () = cancel.cancelled() => Err(SourceError::Cancelled),
            result = self.receive_unless_cancelled(address, path, limit) => result,
        }
    }

    async fn receive_unless_cancelled(
        &mut self,
        address: &Address,
        path: &Path,
        limit: u64,
    ) -> Result<Received, SourceError> {
        if let Some(local) = address.url.strip_prefix("file://") {
            return self.copy(address, Path::new(local), path, limit).await;
        }
        if self.context.offline {
            return Err(SourceError::Offline {
                wanted: address.to_string(),
            });
        }
        if !address.url.starts_with("https://") && !address.url.starts_with("http://") {
            return Err(SourceError::Url {
                url: address.to_string(),
                why: "it must begin with `https://`, `http://` or `file://`".to_owned(),
            });
        }
        let client = self.client()?;
        let response = client
            .get(&address.url)
            .send()
            .await
            .map_err(|cause| self.diagnose(address, &cause))?;
        let status = response.status();
        if status == reqwest::StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return Err(self.refused_by_proxy(address, status.to_string().into()));
        }
        if !status.is_success() {
            return Err(SourceError::Status {
                url: address.to_string(),
                rule: address.rule.clone(),
                status: status.to_string(),
            });
        }
        let total = response.content_length();
        if total.is_some_and(|total| total > limit) {
            return Err(too_large(address, limit));
        }
        let mut sink = Sink::create(self.context, address, path, limit, total).await?;
        let mut body = response.bytes_stream();
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|cause| SourceError::Transfer {
                url: address.to_string(),
                cause: innermost(&cause).into(),
            })?;
            sink.write(&bytes).await?;
        }
        sink.finish().await
    }

    async fn copy(
        &self,
        address: &Address,
        local: &Path,
        path: &Path,
        limit: u64,
    ) -> Result<Received, SourceError> {
        let unreachable = |cause: std::io::Error| SourceError::Unreachable {
            url: address.to_string(),
            rule: address.rule.clone(),
            cause: cause.into(),
        };
        let mut file = fs_err::tokio::File::open(local)
            .await
            .map_err(unreachable)?;
        let total = file.metadata().await.map_err(unreachable)?.len();
        let mut sink = Sink::create(self.context, address, path, limit, Some(total)).await?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = file.read(&mut buffer).await.map_err(unreachable)?;
            if count == 0 {
                return sink.finish().await;
            }
            sink.write(&buffer[..count]).await?;
        }
    }

    fn client(&mut self) -> Result<reqwest::Client, SourceError> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let client = build_client(self.context)?;
        self.client = Some(client.clone());
        Ok(client)
    }

    fn refused_by_proxy(&self, address: &Address, cause: super::error::Cause) -> SourceError {
        SourceError::Proxy {
            url: address.to_string(),
            proxy: format!(
                "`{}`",
                without_credentials(self.context.proxy.as_deref().unwrap_or_default())
            ),
            cause,
        }
    }

    /// Says which of the things that stand between us and the file is in the way.
    fn diagnose(&self, address: &Address, error: &reqwest::Error) -> SourceError {
        let url = address.to_string();
        let tls = tls_cause(error).is_some();
        let by_proxy = self.context.proxy.is_some()
            && !bypasses_proxy(&address.url, self.context.no_proxy.as_deref());
        let (connect, other) = (
            error.is_connect() || error.is_timeout(),
            error.is_redirect() || error.is_builder(),
        );
        let cause = innermost(error).into();
        if tls {
            SourceError::Tls { url, cause }
        } else if connect && by_proxy {
            self.refused_by_proxy(address, cause)
        } else if connect && !other {
            SourceError::Unreachable {
                url,
                rule: address.rule.clone(),
                cause,
            }
        } else {
            SourceError::Transfer { url, cause }
        }
    }
}

/// A client that trusts the machine's and the site's certificates and uses the site's proxy.
pub(crate) fn build_client(context: &FetchContext) -> Result<reqwest::Client, SourceError> {
    client(context, REDIRECTS)
}

/// The same for a service that is given a login: it follows nobody elsewhere.
pub(crate) fn build_service_client(context: &FetchContext) -> Result<reqwest::Client, SourceError> {
    client(context, 0)
}

fn client(context: &FetchContext, redirects: usize) -> Result<reqwest::Client, SourceError> {
    let certificates = match &context.ca_bundle {
        Some(path) => site_certificates(path)?,
        None => Vec::new(),
    };
    let with_machine = builder(context, redirects)?.tls_certs_merge(certificates.clone());
    with_machine
        .build()
        // A machine without certificates of its own can still use plain HTTP and hosts that the site vouches for.
        .or_else(|_none_on_this_machine| {
            builder(context, redirects)?
                .tls_certs_only(certificates)
                .build()
                .map_err(|cause| SourceError::Transfer {
                    url: "https:".to_owned(),
                    cause: innermost(&cause).into(),
                })
        })
}

/// The certificates of the site.
fn site_certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, SourceError> {
    let refused = |cause: super::error::Cause| SourceError::CaBundle {
        path: path.to_path_buf(),
        cause,
    };
    let pem = fs_err::read(path).map_err(|cause| refused(cause.into()))?;
    let certificates =
        reqwest::Certificate::from_pem_bundle(&pem).map_err(|cause| refused(cause.into()))?;
    if certificates.is_empty() {
        return Err(refused("it holds no certificate".into()));
    }
    Ok(certificates)
}

/// All of a client but whom it trusts.
fn builder(
    context: &FetchContext,
    redirects: usize,
) -> Result<reqwest::ClientBuilder, SourceError> {
    // Whoever comes first installs the one TLS provider of the process; later ones find it there.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("ioc/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .redirect(match redirects {
            0 => reqwest::redirect::Policy::none(),
            most => reqwest::redirect::Policy::limited(most),
        })
        // settings have read the environment already
        .no_proxy();
    if let Some(proxy) = &context.proxy {
        let no_proxy = context
            .no_proxy
            .as_deref()
            .and_then(reqwest::NoProxy::from_string);
        let proxy = reqwest::Proxy::all(proxy).map_err(|cause| SourceError::Url {
            url: without_credentials(proxy),
            why: format!("it is no proxy: {cause}"),
        })?;
        builder = builder.proxy(proxy.no_proxy(no_proxy));
    }
    Ok(builder)
}

/// The error that says what happened; those around it only say that something did.
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(below) = innermost.source() {
        innermost = below;
    }
    innermost.to_string()
}

/// The error of the TLS library among the causes; some of them hide inside I/O errors.
pub(crate) fn tls_cause<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        let inside = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if let Some(found) = inside.and_then(|inside| tls_cause(inside)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Whether a `NO_PROXY` list names the host of a URL: itself, a domain above it, or the network of its address.
pub(crate) fn bypasses_proxy(url: &str, no_proxy: Option<&str>) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let host = host.rsplit_once(':').map_or(host, |(host, _port)| host);
    no_proxy
        .into_iter()
        .flat_map(|list| list.split(','))
        .map(|entry| {
            entry
                .trim()
                .trim_start_matches("*.")
                .trim_start_matches('.')
        })
        .any(|entry| {
            entry == "*"
                || host == entry
                || is_in_network(host, entry)
                || (!entry.is_empty()
                    && host
                        .strip_suffix(entry)
                        .is_some_and(|above| above.ends_with('.')))
        })
}

/// Whether an address is in a network such as `10.0.0.0/8`.
fn is_in_network(host: &str, network: &str) -> bool {
    let bits = |address: &str| match address.trim_matches(['[', ']']).parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => Some((32, u128::from(address.to_bits()) << 96)),
        IpAddr::V6(address) => Some((128, address.to_bits())),
    };
    let read = || {
        let (base, length) = network.split_once('/')?;
        Some((bits(base)?, bits(host)?, length.parse::<u32>().ok()?))
    };
    read().is_some_and(|((width, base), (own, host), length)| {
        width == own
            && length <= width
            && (base ^ host).checked_shr(128 - length).unwrap_or_default() == 0
    })
}

fn too_large(address: &Address, limit: u64) -> SourceError {
    SourceError::TooLarge {
        url: address.to_string(),
        limit,
    }
}

/// The file under way.
struct Sink<'a> {
    context: &'a FetchContext,
    address: &'a Address,
    path: &'a Path,
    file: fs_err::tokio::File,
    hash: Sha256,
    limit: u64,
    bytes: u64,
    reported: u64,
    total: Option<u64>,
    first: Option<u8>,
}

impl<'a> Sink<'a> {
    async fn create(
        context: &'a FetchContext,
        address: &'a Address,
        path: &'a Path,
        limit: u64,
        total: Option<u64>,
    ) -> Result<Self, SourceError> {
        let file = fs_err::tokio::File::create(path)
            .await
            .map_err(writing(path))?;
        Ok(Self {
            context,
            address,
            path,
            file,
            hash: Sha256::new(),
            limit,
            bytes: 0,
            reported: 0,
            total,
            first: None,
        })
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limit {
            return Err(too_large(self.address, self.limit));
        }
        self.first = self.first.or(bytes.first().copied());
        self.hash.update(bytes);
        self.file
            .write_all(bytes)
            .await
            .map_err(writing(self.path))?;
        if self.bytes >= self.reported + REPORT_EVERY || self.reported == 0 {
            self.reported = self.bytes;
            self.report();
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Received, SourceError> {
        self.file.flush().await.map_err(writing(self.path))?;
        self.report();
        Ok(Received {
            path: self.path.to_path_buf(),
            sha256: hexadecimal(&self.hash.finalize()),
            page: self.first == Some(b'<'),
        })
    }

    fn report(&self) {
        self.context.report(FetchProgress::Received {
            bytes: self.bytes,
            total: self.total,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_names_hosts_and_domains() {
        for (url, list, expected) in [
            ("https://a.site/x", "a.site", true),
            ("https://a.site:8443/x", "b,site", true),
            ("https://a.site/x", ".site", true),
            ("https://user@a.site/x", "*.site", true),
            ("https://asite/x", "site", false),
            ("https://a.site/x", "", false),
            ("https://a.site/x", "*", true),
            ("https://10.1.2.3:6443", "10.0.0.0/8", true),
            ("https://11.1.2.3:6443", "10.0.0.0/8", false),
            ("https://10.1.2.3:6443", "0.0.0.0/0", true),
            ("https://10.1.2.3:6443", "10.1.2.3/32", true),
            ("https://10.1.2.3:6443", "10.1.2.4/32", false),
            ("https://10.1.2.3:6443", "10.0.0.0/40", false),
            ("https://[fd00::1]:6443", "fd00::/8", true),
            ("https://[fd00::1]:6443", "10.0.0.0/8", false),
            ("https://a.site:6443", "10.0.0.0/8", false),
        ] {
            assert_eq!(bypasses_proxy(url, Some(list)), expected, "{url} {list}");
        }
        assert!(!bypasses_proxy("https://a/", None));
    }
}
