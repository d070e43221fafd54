//! Chart repositories: a web server (or folder) with an `index.yaml`, and the names that Helm's `repositories.yaml`
//! gives them.

use std::path::{Path, PathBuf};

use helm::yaml::Value;

use super::locate::{Found, choose};
use crate::registry::Digest;
use crate::source::FetchContext;
use crate::source::download::Downloader;
use crate::source::mirror::{rewrite, without_credentials};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Largest `index.yaml` that is read, in bytes.
const LARGEST_INDEX: u64 = 64 * 1024 * 1024;
/// Largest archive, in bytes.
const LARGEST_ARCHIVE: u64 = 100 * 1024 * 1024;

/// Chart repositories as one command sees them.
#[derive(Debug, Clone)]
pub struct Repositories {
    fetch: FetchContext,
    names: Option<PathBuf>,
}

impl Repositories {
    /// Repositories reached as the settings say; `names` is Helm's `repositories.yaml`.
    pub fn new(fetch: FetchContext, names: Option<PathBuf>) -> Self {
        Self { fetch, names }
    }

    /// The URL of a repository that `helm repo add` gave a name.
    ///
    /// # Errors
    ///
    /// There is no such name, with those that there are; or the repository wants a login, which `ioc` does not send.
    pub fn named(&self, name: &str) -> CommandResult<String> {
        let path = self.names.clone().unwrap_or_default();
        let text = match fs_err::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error.into()),
        };
        let value = helm::yaml::parse(&text).map_err(|error| {
            CommandError::new(
                ErrorKind::Input,
                format!(
                    "the chart repositories in `{}` cannot be read",
                    path.display()
                ),
            )
            .caused_by(error)
        })?;
        let entries: Vec<&Value> = match value.at(["repositories"]) {
            Some(Value::List(entries)) => entries.iter().collect(),
            _ => Vec::new(),
        };
        let text = |entry: &Value, key: &str| {
            entry
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let Some(entry) = entries.iter().find(|entry| text(entry, "name") == name) else {
            let known: Vec<String> = entries.iter().map(|entry| text(entry, "name")).collect();
            let error = CommandError::not_found(format!("there is no chart repository `{name}`"));
            let near = crate::diagnostic::nearest(name, known.iter().map(String::as_str));
            return Err(match near {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!(
                    "`helm repo add {name} URL` gives one a name, in `{}`; or name its URL with `--repo`",
                    path.display()
                )),
            });
        };
        if !text(entry, "username").is_empty() {
            return Err(CommandError::new(
                ErrorKind::Unsupported,
                format!("the chart repository `{name}` wants a login, which is sent to OCI registries only"),
            )
            .hint("`helm pull` receives the chart; `ioc` then takes the file"));
        }
        Ok(text(entry, "url"))
    }

    /// The versions of a chart in a repository, newest first.
    ///
    /// # Errors
    ///
    /// The repository cannot be asked or does not have the chart.
    pub async fn versions(&self, repository: &str, chart: &str) -> CommandResult<Vec<String>> {
        let entries = self.entries(repository, chart).await?;
        Ok(entries.into_iter().map(|entry| entry.version).collect())
    }

    /// Receives the newest version of a chart that a range allows, checked against the digest of the index.
    ///
    /// # Errors
    ///
    /// The repository cannot be asked, does not have the chart, or has another file than its index says.
    pub async fn receive(
        &self,
        repository: &str,
        chart: &str,
        range: &str,
    ) -> CommandResult<Found> {
        let entries = self.entries(repository, chart).await?;
        let versions: Vec<String> = entries.iter().map(|entry| entry.version.clone()).collect();
        let version = choose(chart, range, &versions)?;
        let entry = entries
            .iter()
            .find(|entry| entry.version == version)
            .ok_or_else(|| CommandError::new(ErrorKind::Internal, "a chosen version is gone"))?;
        let url = absolute(repository, &entry.url);
        let found = self.receive_url(&url).await?;
        let digest = Digest::of(&found.archive);
        let sum = digest.as_str().trim_start_matches("sha256:");
        let promised = entry.digest.trim_start_matches("sha256:");
        if !promised.is_empty() && promised != sum {
            return Err(CommandError::new(
                ErrorKind::Fetch,
                format!(
                    "`{}` is not what the index promises: its digest is {sum}, not {promised}",
                    without_credentials(&url)
                ),
            )
            .hint("nothing of it was kept; a proxy or mirror may have changed it, or the repository is damaged"));
        }
        Ok(Found {
            file_name: format!("{chart}-{version}.tgz"),
            ..found
        })
    }

    /// Receives an archive by its URL.
    ///
    /// # Errors
    ///
    /// It cannot be received or is too large.
    pub async fn receive_url(&self, url: &str) -> CommandResult<Found> {
        let archive = self.file(url, LARGEST_ARCHIVE).await?;
        let name = url.split(['?', '#']).next().unwrap_or(url);
        let name = name.rsplit('/').next().unwrap_or(name).to_owned();
        if name.is_empty() || name.starts_with('.') {
            return Err(CommandError::new(
                ErrorKind::Usage,
                format!(
                    "`{}` does not end with the name of a file",
                    without_credentials(url)
                ),
            )
            .hint("name the `.tgz` itself, or the repository with `--repo`"));
        }
        Ok(Found {
            from: without_credentials(url),
            file_name: name,
            archive,
            provenance: None,
            digest: None,
        })
    }

    async fn entries(&self, repository: &str, chart: &str) -> CommandResult<Vec<Entry>> {
        let url = format!("{}/index.yaml", repository.trim_end_matches('/'));
        let bytes = self.file(&url, LARGEST_INDEX).await?;
        let shown = without_credentials(&url);
        let (entries, known) = index(&bytes, chart).map_err(|why| {
            CommandError::new(
                ErrorKind::Fetch,
                format!("`{shown}` is not the index of a chart repository"),
            )
            .caused_by(why)
            .hint("`--repo` names the folder of `index.yaml`")
        })?;
        if entries.is_empty() {
            let shown = without_credentials(repository);
            let error = CommandError::not_found(format!("`{shown}` has no chart `{chart}`"));
            let near = crate::diagnostic::nearest(chart, known.iter().map(String::as_str));
            return Err(match near {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None if known.is_empty() => error,
                None => error.hint(format!(
                    "it has {}",
                    known
                        .iter()
                        .take(10)
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(", ")
                )),
            });
        }
        Ok(entries)
    }

    async fn file(&self, url: &str, limit: u64) -> CommandResult<Vec<u8>> {
        let address = rewrite(url, &self.fetch.mirrors);
        let work = tempfile::tempdir()?;
        let path = work.path().join("received");
        let received = Downloader::new(&self.fetch)
            .receive(&address, &path, limit)
            .await?;
        Ok(fs_err::read(received.path)?)
    }
}

/// One version of a chart in an index.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    version: String,
    url: String,
    digest: String,
}

/// The versions of a chart in an index, newest first, and the names of all charts.
fn index(bytes: &[u8], chart: &str) -> Result<(Vec<Entry>, Vec<String>), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    // Helm writes JSON there too, which is read a hundred times as fast.
    let value = if text.trim_start().starts_with('{') {
        let json: serde_json::Value =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        Value::from_json(&json)
    } else {
        helm::yaml::parse(text).map_err(|error| error.to_string())?
    };
    let charts = value
        .at(["entries"])
        .and_then(Value::as_map)
        .ok_or("it has no `entries`")?;
    let known = charts.keys().map(ToString::to_string).collect();
    let Some(Value::List(versions)) = charts.get(chart) else {
        return Ok((Vec::new(), known));
    };
    let mut entries: Vec<Entry> = versions
        .iter()
        .filter_map(|version| {
            let text = |key: &str| version.get(key).and_then(Value::as_str);
            let url = match version.get("urls") {
                Some(Value::List(urls)) => urls.first()?.as_str()?,
                _ => return None,
            };
            Some(Entry {
                version: text("version")?.to_owned(),
                url: url.to_owned(),
                digest: text("digest").unwrap_or_default().to_owned(),
            })
        })
        .collect();
    entries.sort_by(|one, other| {
        let newest = helm::newest_matching(">=0.0.0-0", [one.version.as_str(), &other.version]);
        match newest {
            _ if one.version == other.version => std::cmp::Ordering::Equal,
            Ok(Some(newest)) if newest == one.version => std::cmp::Ordering::Less,
            _ => std::cmp::Ordering::Greater,
        }
    });
    Ok((entries, known))
}

/// The URL of an archive, which may be relative to the repository.
fn absolute(repository: &str, url: &str) -> String {
    if url.contains("://") || Path::new(url).is_absolute() {
        return url.to_owned();
    }
    format!("{}/{url}", repository.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "apiVersion: v1\nentries:\n  app:\n  - version: 0.9.0\n    urls: [app-0.9.0.tgz]\n  - version: 1.10.0\n    urls: [https://x/app.tgz]\n    digest: ab\n  - version: 1.9.0\n    urls: [app-1.9.0.tgz]\n  - version: 2.0.0\n";

    #[test]
    fn an_index_is_read_newest_first() {
        let (entries, known) = index(INDEX.as_bytes(), "app").unwrap();
        let versions: Vec<&str> = entries.iter().map(|entry| entry.version.as_str()).collect();
        assert_eq!(versions, ["1.10.0", "1.9.0", "0.9.0"]);
        assert_eq!(entries[0].digest, "ab");
        assert_eq!(known, ["app"]);
        assert!(index(b"<html>", "app").is_err());
        assert!(
            index(br#"{"entries": {"app": []}}"#, "app")
                .unwrap()
                .0
                .is_empty()
        );
    }

    #[test]
    fn urls_are_relative_to_the_repository() {
        assert_eq!(absolute("https://r/c/", "a.tgz"), "https://r/c/a.tgz");
        assert_eq!(
            absolute("https://r/c", "https://x/a.tgz"),
            "https://x/a.tgz"
        );
    }
}
