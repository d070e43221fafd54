//! Reads the files of a chart's folder. Symbolic links are followed as Helm does, and recorded.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::cache::Linked;
use super::ignore::Rules;
use super::load::{LinkPolicy, LoadOptions};
use super::{ChartError, File, Link};

/// Folders inside one another that are entered at most, against links that form a circle.
const MAX_DEPTH: usize = 64;

#[derive(Default)]
pub(super) struct Walked {
    pub(super) files: Vec<File>,
    pub(super) links: Vec<Link>,
}

pub(super) fn walk(root: &Path, options: &LoadOptions) -> Result<Walked, ChartError> {
    let ignore_file = root.join(".helmignore");
    let has_rules = ignore_file.exists();
    let rules = if has_rules {
        Rules::parse(&String::from_utf8_lossy(&fs_err::read(&ignore_file)?))?
    } else {
        Rules::default()
    };
    let mut walk = Walk {
        options,
        rules: rules.with_defaults()?,
        has_rules,
        walked: Walked::default(),
        bytes: 0,
        boundary: match &options.links {
            LinkPolicy::Within(root) => Some(fs_err::canonicalize(root)?),
            LinkPolicy::Anywhere | LinkPolicy::Refuse => None,
        },
    };
    walk.folder(root, "", 0)?;
    Ok(walk.walked)
}

struct Walk<'o> {
    options: &'o LoadOptions,
    rules: Rules,
    /// Whether the chart has rules of its own about what is ignored.
    has_rules: bool,
    walked: Walked,
    bytes: u64,
    boundary: Option<PathBuf>,
}

impl Walk<'_> {
    fn folder(&mut self, path: &Path, name: &str, depth: usize) -> Result<(), ChartError> {
        if depth > MAX_DEPTH {
            return Err(ChartError::TooLarge(format!(
                "{MAX_DEPTH} levels of folders"
            )));
        }
        let mut entries = Vec::new();
        for entry in fs_err::read_dir(path)? {
            let entry = entry?;
            // Helm sorts names by their bytes; a name that is not UTF-8 cannot be a chart's.
            entries.push((
                entry.file_name().to_string_lossy().into_owned(),
                entry.path(),
            ));
        }
        entries.sort();
        for (file_name, path) in entries {
            let name = if name.is_empty() {
                file_name
            } else {
                format!("{name}/{file_name}")
            };
            self.entry(&path, &name, depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, name: &str, depth: usize) -> Result<(), ChartError> {
        let mut kind = fs_err::symlink_metadata(path)?;
        let mut target = None;
        if kind.is_symlink() {
            let leads_to = fs_err::canonicalize(path).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => ChartError::BrokenLink {
                    link: path.to_owned(),
                    target: fs_err::read_link(path).unwrap_or_default(),
                },
                _ => error.into(),
            })?;
            kind = fs_err::metadata(&leads_to)?;
            if self.rules.ignores(name, kind.is_dir()) {
                return Ok(());
            }
            self.check_link(path, &leads_to)?;
            self.walked.links.push(Link {
                path: path.to_owned(),
                target: leads_to.clone(),
            });
            target = Some(leads_to);
        }
        if self.rules.ignores(name, kind.is_dir()) {
            return Ok(());
        }
        if kind.is_dir() {
            return match target {
                Some(target) if !self.has_rules => {
                    self.linked_folder(path, &target, name, depth + 1)
                }
                _ => self.folder(path, name, depth + 1),
            };
        }
        if !kind.is_file() {
            return Err(ChartError::Irregular(path.to_owned()));
        }
        self.file(path, name, &kind)
    }

    /// A folder that charts share: read once, for those that ignore nothing of their own.
    fn linked_folder(
        &mut self,
        path: &Path,
        target: &Path,
        name: &str,
        depth: usize,
    ) -> Result<(), ChartError> {
        let cache = &self.options.cache;
        if let Some(found) = cache.folder(target, name) {
            for link in &found.links {
                let link = Link {
                    path: path.join(&link.path),
                    target: link.target.clone(),
                };
                self.check_link(&link.path, &link.target)?;
                self.walked.links.push(link);
            }
            for file in &found.files {
                self.count(file.data.len() as u64)?;
                self.walked.files.push(file.clone());
            }
            return Ok(());
        }
        let (files, links) = (self.walked.files.len(), self.walked.links.len());
        self.folder(path, name, depth)?;
        let links = self.walked.links[links..].iter().map(|link| {
            let inside = link.path.strip_prefix(path).unwrap_or(&link.path);
            Link {
                path: inside.to_owned(),
                target: link.target.clone(),
            }
        });
        let found = Linked {
            files: self.walked.files[files..].to_vec(),
            links: links.collect(),
        };
        cache.keep_folder(target, name, found);
        Ok(())
    }

    fn check_link(&self, link: &Path, target: &Path) -> Result<(), ChartError> {
        match (&self.options.links, &self.boundary) {
            (LinkPolicy::Refuse, _) => Err(ChartError::LinkRefused(link.to_owned())),
            (_, Some(root)) if !target.starts_with(root) => Err(ChartError::LinkOutside {
                link: link.to_owned(),
                target: target.to_owned(),
                root: root.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Counts one more file of so many bytes.
    fn count(&mut self, bytes: u64) -> Result<(), ChartError> {
        let limits = &self.options.limits;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > limits.total_bytes {
            let most = limits.total_bytes;
            return Err(ChartError::TooLarge(format!("{most} bytes")));
        }
        if self.walked.files.len() >= limits.entries {
            return Err(ChartError::TooLarge(format!("{} files", limits.entries)));
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &Path,
        name: &str,
        kind: &std::fs::Metadata,
    ) -> Result<(), ChartError> {
        self.count(kind.len())?;
        let data = fs_err::read(path)?;
        let data = data.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&data);
        let modified = kind
            .modified()
            .ok()
            .and_then(|time| Timestamp::try_from(time).ok());
        self.walked.files.push(File {
            name: name.into(),
            data: Arc::from(data),
            modified,
        });
        Ok(())
    }
}
