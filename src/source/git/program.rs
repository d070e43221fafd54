//! Running the `git` program so that neither the place it runs in nor a repository changes what it does, and
//! understanding what it says when it fails.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::source::download::bypasses_proxy;
use crate::source::error::writing;
use crate::source::mirror::{Address, without_credentials};
use crate::source::{FetchContext, SourceError};

/// Variables of a surrounding git, such as a hook that calls us, which would lead ours astray.
const FOREIGN_VARIABLES: [&str; 12] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_CONFIG",
    "GIT_SHALLOW_FILE",
    "GIT_ATTR_SOURCE",
    "GIT_TRACE",
];

/// Settings that a repository or a user may not turn on for a fetch; everything else of the user's (keys,
/// helpers, `insteadOf`) stays.
const SETTINGS: [&str; 9] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "gc.auto=0",
    "maintenance.auto=false",
    "tar.umask=0022",
    "fetch.writeCommitGraph=false",
    // a server that has gone silent for a minute
    "http.lowSpeedLimit=100",
    "http.lowSpeedTime=60",
];

/// Where certificates of the machine stand, by distribution.
const CERTIFICATES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The program, with everything switched off that a surrounding git, a hook or a repository could change.
pub(crate) fn plain() -> std::process::Command {
    let mut command = std::process::Command::new("git");
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    for variable in FOREIGN_VARIABLES {
        command.env_remove(variable);
    }
    command
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}

/// How much of what git says is kept, in bytes.
const KEPT_OUTPUT: usize = 16 * 1024;
/// Largest answer on standard output, in bytes; the tags of a large repository have some hundred kilobytes.
const LARGEST_ANSWER: u64 = 32 << 20;

/// The program with the repository that it works on.
pub(super) struct Git<'a> {
    context: &'a FetchContext,
    folder: PathBuf,
    work: PathBuf,
    certificates: Option<PathBuf>,
    #[cfg(test)]
    variable: Option<(&'static str, PathBuf)>,
}

impl<'a> Git<'a> {
    /// `folder` is the bare repository, `work` a folder for temporary files.
    pub(super) fn new(
        context: &'a FetchContext,
        folder: PathBuf,
        work: &Path,
    ) -> Result<Self, SourceError> {
        let certificates = match &context.ca_bundle {
            Some(bundle) => Some(all_certificates(bundle, work)?),
            None => None,
        };
        Ok(Self {
            context,
            folder,
            work: work.to_path_buf(),
            certificates,
            #[cfg(test)]
            variable: None,
        })
    }

    /// One more variable for a test.
    #[cfg(test)]
    pub(super) fn with_variable(mut self, name: &'static str, value: &Path) -> Self {
        self.variable = Some((name, value.to_path_buf()));
        self
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn work(&self) -> &Path {
        &self.work
    }

    /// The same program on another repository.
    pub(super) fn on(&self, folder: PathBuf) -> Git<'a> {
        Git {
            context: self.context,
            folder,
            work: self.work.clone(),
            certificates: self.certificates.clone(),
            #[cfg(test)]
            variable: self.variable.clone(),
        }
    }

    /// Runs git and returns what it prints. `what` completes "git failed to …"; `address` is the server that it
    /// talks to, if it does.
    pub(super) async fn run(
        &self,
        what: &str,
        address: Option<&Address>,
        arguments: &[&str],
    ) -> Result<Vec<u8>, SourceError> {
        let mut child = self
            .command(arguments)
            .spawn()
            .map_err(|cause| self.not_started(what, address, cause))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let (output, said) = tokio::join!(read_all(stdout), self.listen(stderr));
            let status = child.wait().await;
            (output, said, status)
        };
        let (output, said, status) = tokio::select! {
            // dropping the child kills it
            () = self.context.cancel.cancelled() => return Err(SourceError::Cancelled),
            done = work => done,
        };
        let status = status.map_err(|cause| SourceError::io("wait for git", cause))?;
        if status.success() {
            return output.map_err(|cause| SourceError::io("read what git says", cause));
        }
        Err(classify(what, &said, address, self.context))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::from(plain());
        command
            .args(arguments)
            .current_dir(&self.folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .env("GIT_DIR", &self.folder);
        #[cfg(test)]
        if let Some((name, value)) = &self.variable {
            command.env(name, value);
        }
        if let Some(certificates) = &self.certificates {
            command.env("GIT_SSL_CAINFO", certificates);
        }
        if let Some(proxy) = &self.context.proxy {
            command.env("http_proxy", proxy).env("https_proxy", proxy);
            if let Some(no_proxy) = &self.context.no_proxy {
                command.env("no_proxy", no_proxy);
            }
        }
        command
    }

    fn not_started(
        &self,
        what: &str,
        address: Option<&Address>,
        cause: std::io::Error,
    ) -> SourceError {
        if cause.kind() == std::io::ErrorKind::NotFound && self.folder.is_dir() {
            return SourceError::GitMissing {
                what: address
                    .map_or_else(|| what.to_owned(), |address| format!("fetch `{address}`")),
            };
        }
        SourceError::io(format!("start git to {what}"), cause)
    }

    /// Reads what git says on standard error, passes its progress on, and keeps the end.
    async fn listen(&self, stream: Option<impl AsyncRead + Unpin>) -> String {
        let mut kept: Vec<u8> = Vec::new();
        let Some(mut stream) = stream else {
            return String::new();
        };
        let mut buffer = [0; 4096];
        let mut line: Vec<u8> = Vec::new();
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            for byte in &buffer[..count] {
                if !matches!(byte, b'\r' | b'\n') {
                    if line.len() < 1024 {
                        line.push(*byte);
                    }
                    continue;
                }
                let text = String::from_utf8_lossy(&line);
                if is_progress(&text) {
                    self.context.step(text.trim());
                } else {
                    kept.extend_from_slice(&line);
                    kept.push(b'\n');
                }
                line.clear();
            }
            if kept.len() > KEPT_OUTPUT {
                kept.drain(..kept.len() - KEPT_OUTPUT);
            }
        }
        kept.extend_from_slice(&line);
        String::from_utf8_lossy(&kept).into_owned()
    }
}

async fn read_all(stream: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut output = Vec::new();
    if let Some(stream) = stream {
        stream.take(LARGEST_ANSWER).read_to_end(&mut output).await?;
    }
    Ok(output)
}

/// Git takes one file of certificates in place of the machine's, so both are put into one.
fn all_certificates(bundle: &Path, work: &Path) -> Result<PathBuf, SourceError> {
    let mut all = fs_err::read(bundle).map_err(|cause| SourceError::CaBundle {
        path: bundle.to_path_buf(),
        cause: cause.into(),
    })?;
    for path in CERTIFICATES {
        if let Ok(machine) = fs_err::read(path) {
            all.push(b'\n');
            all.extend(machine);
            break;
        }
    }
    let path = work.join("certificates.pem");
    fs_err::write(&path, all).map_err(writing(&path))?;
    Ok(path)
}

/// Lines that tell how far it is.
fn is_progress(line: &str) -> bool {
    const STEPS: [&str; 3] = ["Receiving objects:", "Resolving deltas:", "remote: "];
    STEPS.iter().any(|step| line.starts_with(step)) && !line.contains("ERROR")
}

/// Whether git says that the server has no such reference.
pub(super) fn is_missing_tag(said: &str) -> bool {
    said.contains("couldn't find remote ref")
}

/// Whether git says that the server cannot leave the history out.
pub(super) fn lacks_shallow(said: &str) -> bool {
    said.contains("does not support shallow") || said.contains("does not support --depth")
}

/// What a failure of git was, from its own words (with `LC_ALL=C`).
fn classify(
    what: &str,
    said: &str,
    address: Option<&Address>,
    context: &FetchContext,
) -> SourceError {
    let said = tail(said);
    let lower = said.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(&["no space left on device"]) {
        return SourceError::io(what, std::io::Error::from(std::io::ErrorKind::StorageFull));
    }
    let Some(address) = address else {
        return SourceError::Git {
            what: what.to_owned(),
            output: said.into(),
        };
    };
    let (url, rule) = (address.to_string(), address.rule.clone());
    let proxy = context
        .proxy
        .as_deref()
        .filter(|_| !bypasses_proxy(&address.url, context.no_proxy.as_deref()));
    let unreachable = [
        "could not resolve",
        "couldn't connect",
        "failed to connect",
        "connection refused",
        "connection timed out",
        "network is unreachable",
        "no route to host",
        "unable to connect",
        "name or service not known",
        "operation too slow",
    ];
    if says(&[
        "could not resolve proxy",
        "proxy connect",
        "from proxy",
        "connect tunnel failed",
    ]) || (proxy.is_some() && says(&unreachable))
    {
        let proxy = proxy.map_or_else(
            || "of git's own settings".to_owned(),
            |proxy| format!("`{}`", without_credentials(proxy)),
        );
        return SourceError::Proxy {
            url,
            proxy,
            cause: said.into(),
        };
    }
    if says(&[
        "certificate",
        "ssl_error",
        "gnutls_handshake",
        "ssl connect error",
        "tls",
    ]) {
        return SourceError::Tls {
            url,
            cause: said.into(),
        };
    }
    if says(&[
        "authentication failed",
        "could not read username",
        "could not read password",
        "permission denied",
        "host key verification failed",
        "error: 401",
        "error: 403",
    ]) {
        return SourceError::Refused {
            url,
            cause: said.into(),
        };
    }
    if says(&unreachable) {
        return SourceError::Unreachable {
            url,
            rule,
            cause: said.into(),
        };
    }
    if says(&[
        "not found",
        "does not appear to be a git repository",
        "does not exist",
        "error: 404",
        "error: 410",
    ]) {
        return SourceError::Status {
            url,
            rule,
            status: "there is no such repository".to_owned(),
        };
    }
    SourceError::Git {
        what: what.to_owned(),
        output: said.into(),
    }
}

/// The last lines, without control characters and passwords in URLs.
fn tail(said: &str) -> String {
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let start = lines.len().saturating_sub(6);
    let words = lines[start..]
        .iter()
        .flat_map(|line| line.split_whitespace())
        .map(|word| {
            let word: String = word.chars().filter(|letter| !letter.is_control()).collect();
            match word.find("://") {
                Some(_) => without_credentials_in(&word),
                None => word,
            }
        });
    words.collect::<Vec<_>>().join(" ")
}

/// A URL in the middle of a word, such as `'https://user:secret@host/x':`.
fn without_credentials_in(word: &str) -> String {
    let start = ["https://", "http://", "ssh://", "git://"]
        .iter()
        .find_map(|scheme| word.find(scheme));
    match start {
        Some(start) => format!("{}{}", &word[..start], without_credentials(&word[start..])),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::context::tests::Site;

    #[test]
    fn failures_are_understood() {
        let context = Site::new().context();
        let address = Address {
            url: "https://user:secret@host/asyn.git".to_owned(),
            rule: None,
        };
        let mut report = String::new();
        for said in [
            "fatal: unable to access 'https://user:secret@host/asyn.git/': Could not resolve host: host",
            "fatal: unable to access 'https://host/': Failed to connect to host port 443 after 3 ms: Couldn't connect to server",
            "fatal: unable to access 'https://host/': server certificate verification failed. CAfile: none CRLfile: none",
            "fatal: unable to access 'https://host/': SSL certificate problem: self-signed certificate in certificate chain",
            "fatal: unable to access 'https://host/': Received HTTP code 403 from proxy after CONNECT",
            "fatal: unable to access 'https://host/': Could not resolve proxy: px",
            "fatal: could not read Username for 'https://host': terminal prompts disabled",
            "git@host: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            "fatal: repository 'https://host/asyn.git/' not found",
            "fatal: '/srv/x.git' does not appear to be a git repository",
            "fatal: unable to write file: No space left on device",
            "fatal: early EOF\nfatal: index-pack failed",
        ] {
            let error = classify("fetch tag `v1`", said, Some(&address), &context);
            let name = format!("{error:?}");
            let name = name.split([' ', '{']).next().unwrap();
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let line = format!("{name}: {error}: {}\n", cause.unwrap_or_default());
            assert!(!line.contains("secret"), "{line}");
            report.push_str(&line);
        }
        insta::assert_snapshot!(report, @"
        Unreachable: `https://host/asyn.git` cannot be reached: fatal: unable to access 'https://host/asyn.git/': Could not resolve host: host
        Unreachable: `https://host/asyn.git` cannot be reached: fatal: unable to access 'https://host/': Failed to connect to host port 443 after 3 ms: Couldn't connect to server
        Tls: the certificate of `https://host/asyn.git` is not trusted: fatal: unable to access 'https://host/': server certificate verification failed. CAfile: none CRLfile: none
        Tls: the certificate of `https://host/asyn.git` is not trusted: fatal: unable to access 'https://host/': SSL certificate problem: self-signed certificate in certificate chain
        Proxy: the proxy of git's own settings refuses to fetch `https://host/asyn.git`: fatal: unable to access 'https://host/': Received HTTP code 403 from proxy after CONNECT
        Proxy: the proxy of git's own settings refuses to fetch `https://host/asyn.git`: fatal: unable to access 'https://host/': Could not resolve proxy: px
        Refused: `https://host/asyn.git` refuses access: fatal: could not read Username for 'https://host': terminal prompts disabled
        Refused: `https://host/asyn.git` refuses access: git@host: Permission denied (publickey). fatal: Could not read from remote repository.
        Status: the server does not give `https://host/asyn.git`: there is no such repository: 
        Status: the server does not give `https://host/asyn.git`: there is no such repository: 
        Io: failed to fetch tag `v1`: no storage space
        Git: git failed to fetch tag `v1`: fatal: early EOF fatal: index-pack failed
        ");
    }

    #[test]
    fn a_host_that_a_proxy_should_reach_is_the_proxys_failure() {
        let mut context = Site::new().context();
        context.proxy = Some("http://user:secret@px:3128".to_owned());
        let address = Address {
            url: "https://host/asyn.git".to_owned(),
            rule: None,
        };
        let said = "fatal: unable to access: Failed to connect to px port 3128: Connection refused";
        let error = classify("fetch", said, Some(&address), &context).to_string();
        assert_eq!(
            error,
            "the proxy `http://px:3128` refuses to fetch `https://host/asyn.git`"
        );
        context.no_proxy = Some("host".to_owned());
        let error = classify("fetch", said, Some(&address), &context);
        assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
    }
}
