//! Reads the files of a chart's folder. Symbolic links are followed as Helm does, and recorded.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

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
    let rules = if ignore_file.exists() {
        Rules::parse(&String::from_utf8_lossy(&fs_err::read(&ignore_file)?))?
    } else {
        Rules::default()
    };
    let mut walk = Walk {
        options,
        rules: rules.with_defaults()?,
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
        if kind.is_symlink() {
            let target = fs_err::canonicalize(path).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => ChartError::BrokenLink {
                    link: path.to_owned(),
                    target: fs_err::read_link(path).unwrap_or_default(),
                },
                _ => error.into(),
            })?;
            kind = fs_err::metadata(&target)?;
            if self.rules.ignores(name, kind.is_dir()) {
                return Ok(());
            }
            self.check_link(path, &target)?;
            self.walked.links.push(Link {
                path: path.to_owned(),
                target,
            });
        }
        if self.rules.ignores(name, kind.is_dir()) {
            return Ok(());
        }
        if kind.is_dir() {
            return self.folder(path, name, depth + 1);
        }
        if !kind.is_file() {
            return Err(ChartError::Irregular(path.to_owned()));
        }
        self.file(path, name, &kind)
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

    fn file(
        &mut self,
        path: &Path,
        name: &str,
        kind: &std::fs::Metadata,
    ) -> Result<(), ChartError> {
        let limits = &self.options.limits;
        self.bytes = self.bytes.saturating_add(kind.len());
        if self.bytes > limits.total_bytes {
            return Err(ChartError::TooLarge(format!(
                "{} bytes",
                limits.total_bytes
            )));
        }
        if self.walked.files.len() >= limits.entries {
            return Err(ChartError::TooLarge(format!("{} files", limits.entries)));
        }
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
