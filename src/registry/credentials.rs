//! Logins that other programs keep: Docker's `config.json`, Helm's `registry/config.json`, Podman's `auth.json`,
//! and the credential helpers that they name.
//!
//! Reads only; `ioc` has no login of its own, so that there is one place to change a password. Secrets live in
//! [`Login`], which does not print them.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::error::{LoginTried, RegistryError};
use super::helper::{self, HelperError};

/// Largest file that is read, in bytes.
const LARGEST_FILE: usize = 1024 * 1024;
/// What Docker's files call the registry `docker.io`.
const DOCKER_IO: &str = "https://index.docker.io/v1/";

/// A login for a registry, or that there is none.
#[derive(Clone)]
pub(super) struct Login {
    secret: Secret,
    /// Where it is from; without a login, where was looked.
    files: Vec<PathBuf>,
}

#[derive(Clone)]
pub(super) enum Secret {
    None,
    Password {
        user: String,
        password: String,
    },
    /// A token that the registry's token service exchanges for one that can be used.
    Identity(String),
}

impl Login {
    pub(super) const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What may be told about it.
    pub(super) fn tried(&self) -> LoginTried {
        LoginTried {
            user: match &self.secret {
                Secret::None => None,
                Secret::Password { user, .. } => Some(user.clone()),
                Secret::Identity(_) => Some("<token>".to_owned()),
            },
            files: self.files.clone(),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Login")
            .field("tried", &self.tried())
            .finish_non_exhaustive()
    }
}

/// What a file says about logins.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Logins {
    #[serde(default)]
    auths: Option<BTreeMap<String, Entry>>,
    #[serde(default)]
    cred_helpers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    creds_store: Option<String>,
}

/// A login in a file.
#[derive(Deserialize, Default)]
struct Entry {
    /// `user:password` in Base64; goes before the two by themselves.
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl Logins {
    /// The program that has the login of a key; one for this very key goes before entries, the general one after.
    fn helper(&self, key: &str) -> Option<&str> {
        let own = self.cred_helpers.as_ref()?.get(key)?;
        (!own.is_empty()).then_some(own)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.auths.as_ref()?.get(key)
    }
}

impl Entry {
    /// The login; nothing when the entry is empty, an error when it cannot be decoded.
    fn secret(&self) -> Result<Option<Secret>, Undecodable> {
        if let Some(token) = filled(self.identitytoken.as_ref()) {
            return Ok(Some(Secret::Identity(token.clone())));
        }
        let (user, password) = if let Some(auth) = filled(self.auth.as_ref()) {
            decoded(auth).ok_or(Undecodable)?
        } else {
            let text = |part: &Option<String>| part.clone().unwrap_or_default();
            (text(&self.username), text(&self.password))
        };
        let is_there = !user.is_empty() || !password.is_empty();
        Ok(is_there.then_some(Secret::Password { user, password }))
    }
}

/// An entry is not what Docker writes.
struct Undecodable;

fn filled(text: Option<&String>) -> Option<&String> {
    text.filter(|text| !text.is_empty())
}

/// User and password of an `auth`, with or without padding.
fn decoded(auth: &str) -> Option<(String, String)> {
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&STANDARD, lenient).decode(auth).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// The first login that the files have for a registry; the longest path that fits wins in a file.
///
/// Runs credential helpers: it blocks.
pub(super) fn find(
    files: &[PathBuf],
    registry: &str,
    repository: &str,
) -> Result<Login, RegistryError> {
    for path in files {
        let Some(text) = read(path)? else { continue };
        let logins: Logins =
            serde_json::from_str(&text).map_err(|error| RegistryError::Credentials {
                path: path.clone(),
                why: format!(
                    "line {}, column {}: it is not the JSON of a login file",
                    error.line(),
                    error.column()
                ),
                hint: "repair it, or move it away and log in again".to_owned(),
            })?;
        let Some(key) = key_for(&logins, registry, repository) else {
            continue;
        };
        if let Some(secret) = secret(path, &logins, &key)? {
            return Ok(Login {
                secret,
                files: vec![path.clone()],
            });
        }
    }
    Ok(Login {
        secret: Secret::None,
        files: files.to_vec(),
    })
}

fn read(path: &Path) -> Result<Option<String>, RegistryError> {
    let unusable = |why: String| RegistryError::Credentials {
        path: path.to_owned(),
        why,
        hint: "it is read because a registry may want a login: make it readable, or move it away"
            .to_owned(),
    };
    match fs_err::metadata(path) {
        Ok(metadata) if metadata.len() > LARGEST_FILE as u64 => {
            return Err(unusable(format!("it has more than {LARGEST_FILE} bytes")));
        }
        Ok(_) => {}
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(unusable(error.kind().to_string())),
    }
    match fs_err::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(unusable(error.kind().to_string())),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The key under which a file has something for the registry.
fn key_for(logins: &Logins, registry: &str, repository: &str) -> Option<String> {
    let names: &[&str] = match registry {
        "docker.io" => &[
            DOCKER_IO,
            "index.docker.io",
            "docker.io",
            "registry-1.docker.io",
        ],
        other => &[other],
    };
    if let Some(helpers) = &logins.cred_helpers
        && let Some(name) = names.iter().find(|name| helpers.contains_key(**name))
    {
        return Some((*name).to_owned());
    }
    if let Some(auths) = &logins.auths {
        // Podman keeps logins per path too, the whole repository first.
        let mut path = Some(repository);
        while let Some(part) = path {
            let key = format!("{registry}/{part}");
            if auths.contains_key(&key) {
                return Some(key);
            }
            path = part.rsplit_once('/').map(|(above, _)| above);
        }
        for name in names {
            let spellings = [
                (*name).to_owned(),
                format!("https://{name}"),
                format!("https://{name}/"),
                format!("http://{name}"),
                format!("https://{name}/v1/"),
                format!("https://{name}/v2/"),
            ];
            if let Some(key) = spellings.into_iter().find(|key| auths.contains_key(key)) {
                return Some(key);
            }
        }
    }
    logins
        .creds_store
        .as_deref()
        .filter(|store| !store.is_empty())
        .and_then(|_| names.first())
        .map(|name| (*name).to_owned())
}

fn secret(path: &Path, logins: &Logins, key: &str) -> Result<Option<Secret>, RegistryError> {
    let unusable = |why: String, hint: String| {
        Err(RegistryError::Credentials {
            path: path.to_owned(),
            why,
            hint,
        })
    };
    let entry = logins.entry(key);
    let helper = logins.helper(key).or_else(|| match entry {
        // an entry without a login only says that the store has it
        Some(entry) if !matches!(entry.secret(), Ok(None)) => None,
        _ => logins
            .creds_store
            .as_deref()
            .filter(|store| !store.is_empty()),
    });
    let Some(helper) = helper else {
        return match entry.unwrap_or(&Entry::default()).secret() {
            Ok(secret) => Ok(secret),
            Err(Undecodable) => unusable(
                format!("its entry `{key}` cannot be decoded"),
                "log in again".to_owned(),
            ),
        };
    };
    match helper::ask(helper, key) {
        Ok(secret) => Ok(secret),
        Err(HelperError::Failed(program)) => unusable(
            format!("the credential helper `{program}` failed for `{key}`"),
            format!("try it by hand: `echo {key} | {program} get`"),
        ),
        Err(HelperError::NotRun) => unusable(
            format!("the credential helper that it names for `{key}` cannot be run"),
            "`credHelpers` and `credsStore` name it: is `docker-credential-…` installed and in `PATH`?"
                .to_owned(),
        ),
        Err(HelperError::Nonsense) => unusable(
            format!("the credential helper that it names for `{key}` answers nonsense"),
            "`credHelpers` and `credsStore` name it".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, registry: &str, repository: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs_err::write(&path, text).unwrap();
        match find(&[folder.path().join("none"), path], registry, repository) {
            Ok(login) => match login.secret() {
                Secret::None => "none".to_owned(),
                Secret::Password { user, password } => format!("{user}:{password}"),
                Secret::Identity(token) => token.clone(),
            },
            Err(error) => error
                .to_string()
                .replace(&folder.path().display().to_string(), "DIR"),
        }
    }

    #[test]
    fn the_entry_that_fits_best_is_taken() {
        // user:pass, other:word
        let file = r#"{"auths": {
            "r.io": {"auth": "dXNlcjpwYXNz"},
            "r.io/team/a": {"auth": "b3RoZXI6d29yZA=="},
            "https://index.docker.io/v1/": {"username": "hub", "password": "x"},
            "https://s.io": {"auth": "dXNlcjpwYXNz"},
            "t.io": {"identitytoken": "tok"},
            "empty.io": {},
            "bare.io": {"auth": "dTpw"},
            "both.io": {"auth": "", "username": "u", "password": "p"}
        }}"#;
        for (registry, repository, expected) in [
            ("r.io", "team/b", "user:pass"),
            ("r.io", "team/a/c", "other:word"),
            ("r.io", "team/ab", "user:pass"),
            ("docker.io", "library/debian", "hub:x"),
            ("s.io", "a", "user:pass"),
            ("t.io", "a", "tok"),
            ("empty.io", "a", "none"),
            ("bare.io", "a", "u:p"),
            ("both.io", "a", "u:p"),
            ("r.io:5000", "a", "none"),
        ] {
            assert_eq!(found(file, registry, repository), expected, "{registry}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_said_without_its_content() {
        assert_eq!(
            found("{\"auths\": {", "r.io", "a"),
            "the logins in `DIR/config.json` cannot be used: line 1, column 11: it is not the JSON of a login file"
        );
        assert_eq!(
            found(r#"{"auths": {"r.io": {"auth": "!!"}}}"#, "r.io", "a"),
            "the logins in `DIR/config.json` cannot be used: its entry `r.io` cannot be decoded"
        );
        assert_eq!(
            found(r#"{"credsStore": "is-not-installed"}"#, "r.io", "a"),
            "the logins in `DIR/config.json` cannot be used: the credential helper that it names for `r.io` cannot be run"
        );
    }

    #[test]
    fn a_login_does_not_print_its_secret() {
        let login = Login {
            secret: Secret::Password {
                user: "u".into(),
                password: "hidden".into(),
            },
            files: Vec::new(),
        };
        assert!(!format!("{login:?}").contains("hidden"));
    }
}
