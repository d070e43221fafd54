//! Credential helpers: the programs `docker-credential-…` that keep logins for Docker, Helm and Podman.
//!
//! The protocol is that of `docker/docker-credential-helpers`: the argument `get`, the key on standard input, JSON on
//! standard output. Blocks until the program has ended.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::credentials::Secret;

/// Why a helper gave no login. What it printed is in none of them: that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HelperError {
    /// It cannot be started.
    NotRun,
    /// It ended with a failure; with its name.
    Failed(String),
    /// What it printed is no login.
    Nonsense,
}

/// What a helper prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks the helper `docker-credential-NAME` for the login of `key`; `None` when it has none.
pub(super) fn ask(name: &str, key: &str) -> Result<Option<Secret>, HelperError> {
    let program = format!("docker-credential-{name}");
    let mut process = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|_| HelperError::NotRun)?;
    if let Some(mut input) = process.stdin.take() {
        // one that knows a single login need not read which is wanted, and may have ended by now
        match input.write_all(key.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                return Err(HelperError::NotRun);
            }
            _ => {}
        }
    }
    let output = process
        .wait_with_output()
        .map_err(|_| HelperError::NotRun)?;
    if !output.status.success() {
        // said by the helpers of Docker when they have nothing; it is not an error then
        let has_none = [&output.stdout, &output.stderr]
            .into_iter()
            .any(|said| String::from_utf8_lossy(said).contains("credentials not found"));
        return if has_none {
            Ok(None)
        } else {
            Err(HelperError::Failed(program))
        };
    }
    let answer: Answer =
        serde_json::from_slice(&output.stdout).map_err(|_| HelperError::Nonsense)?;
    Ok(Some(if answer.username == "<token>" {
        Secret::Identity(answer.secret)
    } else {
        Secret::Password {
            user: answer.username,
            password: answer.secret,
        }
    }))
}
