//! What an IOC loads before and after a deploy, compared record by record.
//!
//! Everything that decides on the records is taken from the manifests: the configuration files, the variables and the
//! start command of the container; databases of the image are looked up as [`super::check`] does. Nothing here fails:
//! what cannot be compared is said in words, and the difference by line stands beside it.

mod reduced;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use epicsdb::RecordSummary;

use crate::check::config::ConfigFile;
use crate::check::database::{self, Surroundings};
use crate::engine::Engine;
use crate::fleet::manifest::Resource;
use crate::fleet::plan::{Nature, Records, record_changes};
use crate::fleet::workload::model::{Container, Pod, Volume};
use crate::image::contents::{self, Contents};
use crate::settings::Settings;

/// Two revisions of an instance.
#[derive(Debug, Clone, Copy)]
pub struct Revisions<'a> {
    /// Name of the instance.
    pub instance: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// What is deployed.
    pub before: &'a [Resource],
    /// What would be.
    pub after: &'a [Resource],
}

/// Where the databases of images are read.
#[derive(Debug, Clone, Copy)]
pub struct Images<'a> {
    /// The engine that has the images; one is looked for when an image is needed.
    pub engine: Option<&'a Engine>,
    /// Identifiers, by reference, of the images that are deployed, where they are known.
    pub deployed: &'a BTreeMap<String, String>,
    /// As well those that would be.
    pub wanted: &'a BTreeMap<String, String>,
    /// Settings of the project.
    pub settings: &'a Settings,
}

/// Compares the records of the IOC of an instance. Without a revision before, and where nothing changes that its IOC
/// starts from, there is nothing to compare, and nothing is looked at.
pub async fn compare(revisions: Revisions<'_>, images: Images<'_>) -> Records {
    let Revisions {
        instance,
        namespace,
        ..
    } = revisions;
    if revisions.before.is_empty() {
        return Records::default();
    }
    let read = |resources| reduced::ioc(instance, namespace, resources);
    let (before, after) = match (read(revisions.before), read(revisions.after)) {
        (Ok(Some(before)), Ok(Some(after))) => (before, after),
        (Ok(_), Ok(_)) => return Records::default(),
        (Err(why), _) | (_, Err(why)) => return not_compared(why),
    };
    if before == after {
        return Records::default();
    }
    let known = |ioc: &Ioc, images: &BTreeMap<String, String>| {
        let reference = &ioc.container.image;
        images.get(reference).unwrap_or(reference).clone()
    };
    let deployed = known(&before, images.deployed);
    let wanted = known(&after, images.wanted);
    let contents = look(&deployed, &wanted, images).await;
    tokio::task::block_in_place(|| difference(&before, &after, &contents))
}

/// What decides on the records of an IOC.
#[derive(Debug, PartialEq)]
struct Ioc {
    pod: Pod,
    container: Container,
}

impl Ioc {
    /// The files of its configuration, by the names that they have there.
    fn config(&self) -> Vec<ConfigFile> {
        let whole = self
            .container
            .mounts
            .iter()
            .filter(|mount| mount.sub_path.is_none());
        whole
            .filter_map(|mount| match self.pod.volumes.get(&mount.volume)? {
                Volume::Files(files) => Some(files),
                _ => None,
            })
            .flatten()
            .map(|file| ConfigFile {
                name: file.path.clone(),
                path: PathBuf::from(&file.path),
                size: file.contents.len() as u64,
                text: None,
            })
            .collect()
    }

    /// A line of a configuration file, for a place that `epicsdb` names.
    fn line(&self, span: &epicsdb::Span) -> Option<String> {
        let name = base(&span.file);
        let files = self.pod.volumes.values().filter_map(|volume| match volume {
            Volume::Files(files) => Some(files),
            _ => None,
        });
        let file = files.flatten().find(|file| file.path == name)?;
        let text = String::from_utf8_lossy(&file.contents);
        let line = usize::try_from(span.line).ok()?.checked_sub(1)?;
        text.lines().nth(line).map(str::to_owned)
    }
}

/// Images before and after.
#[derive(Debug, Default)]
struct Found {
    before: Option<Contents>,
    /// `None` where it is the one before.
    after: Option<Contents>,
    /// Why there is none.
    missing: Option<String>,
}

/// Looks into both images. When one of them is not at hand, neither is used: with half of the databases in view, the
/// others would seem to be new or gone.
async fn look(before: &str, after: &str, images: Images<'_>) -> Found {
    let connected;
    let engine = match images.engine {
        Some(engine) => engine,
        None => match Engine::connect(images.settings).await {
            Ok(engine) => {
                connected = engine;
                &connected
            }
            Err(error) => {
                return Found {
                    missing: Some(format!("image `{after}` cannot be looked into: {error}")),
                    ..Found::default()
                };
            }
        },
    };
    let mut found = Found::default();
    let references = if before == after {
        vec![after]
    } else {
        vec![before, after]
    };
    for reference in references {
        match contents::look(engine, reference, &images.settings.cache).await {
            Ok(Some(contents)) => {
                let place = if found.before.is_none() {
                    &mut found.before
                } else {
                    &mut found.after
                };
                *place = Some(contents);
            }
            Ok(None) => {
                found.missing = Some(format!("the container engine has no image `{reference}`"));
            }
            Err(error) => {
                found.missing = Some(format!(
                    "image `{reference}` cannot be looked into: {error}"
                ));
            }
        }
    }
    if found.missing.is_some() {
        (found.before, found.after) = (None, None);
    }
    found
}

/// What one side loads, and what of it is not known.
struct Loaded {
    records: Vec<RecordSummary>,
    /// Databases, or lines of the start-up script, that were not read.
    unseen: Vec<String>,
    /// A file that does not parse.
    refused: Option<String>,
}

fn difference(before: &Ioc, after: &Ioc, images: &Found) -> Records {
    let image = images.after.as_ref().or(images.before.as_ref());
    let (old, new) = match (load(before, images.before.as_ref()), load(after, image)) {
        (Ok(Some(old)), Ok(Some(new))) => (old, new),
        (Err(why), _) => return not_compared(format!("of what is deployed, {why}")),
        (_, Err(why)) => return not_compared(why.to_owned()),
        // one of them has no start-up script
        _ => return Records::default(),
    };
    if let Some(place) = &new.refused {
        return not_compared(format!("{place}; the lines that differ stand above"));
    }
    if let Some(place) = &old.refused {
        return not_compared(format!(
            "of what is deployed, {place}; the lines that differ stand above"
        ));
    }
    let mut changes = record_changes(&old.records, &new.records);
    // what the other side has in a file that was not read is neither new nor gone
    changes.retain(|change| match change.nature {
        Nature::Added => !may_be_in(&old.unseen, file_of(&new.records, &change.name)),
        Nature::Removed => !may_be_in(&new.unseen, file_of(&old.records, &change.name)),
        Nature::Changed => true,
    });
    let mut unseen = old.unseen;
    unseen.extend(new.unseen);
    unseen.sort();
    unseen.dedup();
    let mut records = Records {
        changes,
        not_compared: Vec::new(),
    };
    if !unseen.is_empty() {
        let why = images
            .missing
            .as_deref()
            .unwrap_or("they are neither in the configuration nor in the image");
        records
            .not_compared
            .push(format!("those of {}: {why}", unseen.join(", ")));
    }
    records
}

fn not_compared(why: String) -> Records {
    Records {
        changes: Vec::new(),
        not_compared: vec![why],
    }
}

fn load(ioc: &Ioc, image: Option<&Contents>) -> Result<Option<Loaded>, &'static str> {
    let surroundings = Surroundings {
        pod: &ioc.pod,
        container: &ioc.container,
        config: &ioc.config(),
        image,
    };
    let Some(report) = database::loaded(&surroundings)? else {
        return Ok(None);
    };
    let mut unseen: Vec<String> = report
        .unseen
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    if image.is_none() {
        // variables of the image decide on these lines
        let lines = report.skipped.iter().filter_map(|span| ioc.line(span));
        unseen.extend(
            lines
                .map(|line| line.trim().to_owned())
                .filter(|line| loads(line))
                .map(|line| format!("`{line}`")),
        );
    }
    Ok(Some(Loaded {
        records: report.records,
        unseen,
        refused: report.refused.first().map(|finding| {
            format!(
                "`{}` does not parse, line {}: {}",
                base(&finding.span.file),
                finding.span.line,
                finding.message
            )
        }),
    }))
}

/// Whether a line of a start-up script may bring records.
fn loads(line: &str) -> bool {
    line.starts_with('<')
        || ["dbLoadRecords", "dbLoadTemplate", "iocshLoad"]
            .iter()
            .any(|command| line.contains(command))
}

fn file_of<'a>(records: &'a [RecordSummary], name: &str) -> &'a str {
    let record = records.iter().find(|record| record.name == name);
    record.map_or("", |record| base(&record.span.file))
}

fn may_be_in(unseen: &[String], file: &str) -> bool {
    unseen.iter().any(|name| name.contains(file))
}

fn base(path: &str) -> &str {
    Path::new(path)
        .file_name()
        .and_then(std::ffi::OsStr::to_str)
        .unwrap_or(path)
}
