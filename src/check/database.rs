//! The start-up script of an instance followed through everything that it loads, with the files that its
//! container would see: those of the configuration, and those of the image where it is at hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use epicsdb::{Files, Generated, Lookup, RecordSummary};

use crate::check::config::ConfigFile;
use crate::diagnostic::{Diagnostic, Place, Severity, nearest};
use crate::fleet::workload::model::{Container, Pod, Volume};
use crate::image::contents::{Contents, Inside};

/// What is known about the container of an IOC.
pub struct Surroundings<'a> {
    /// Its pod.
    pub pod: &'a Pod,
    /// The container in it.
    pub container: &'a Container,
    /// The files of `config/`, to name them as the user does.
    pub config: &'a [ConfigFile],
    /// What its image has; `None` when the image is not at hand.
    pub image: Option<&'a Contents>,
}

/// What the IOC would do.
#[derive(Debug, Default)]
pub struct Start {
    /// What is wrong, with the places of the files on disk.
    pub findings: Vec<Diagnostic>,
    /// The records that it would have.
    pub records: Vec<Record>,
    /// Why nothing was followed, if nothing was.
    pub unchecked: Option<String>,
}

/// A record of an IOC.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// What it is: `DESC`, if it is set.
    pub description: Option<String>,
    /// When it goes into alarm by its own fields.
    pub alarms: Vec<epicsdb::AlarmCondition>,
    /// Where it is defined.
    pub place: Place,
}

/// Follows the start-up script of an IOC.
pub fn check(surroundings: &Surroundings<'_>) -> Start {
    let files = ContainerFiles::new(surroundings);
    let report = match follow(&files, surroundings) {
        Ok(Some(report)) => report,
        // That it has no start-up file is a finding of its own.
        Ok(None) => return Start::default(),
        Err(reason) => {
            return Start {
                unchecked: Some(reason.to_owned()),
                ..Start::default()
            };
        }
    };
    let mut start = Start::default();
    let findings = report.diagnostics.into_iter();
    start.findings = gathered(
        findings
            .filter_map(|finding| translate(finding, &files, surroundings))
            .collect(),
    );
    start.records = report
        .records
        .into_iter()
        .map(|record: RecordSummary| Record {
            place: files.place(&record.span),
            description: record.description().map(str::to_owned),
            alarms: record.alarm_conditions(),
            name: record.name,
        })
        .collect();
    start
}

/// What the IOC in a container would load; `None` when it has no start-up script.
///
/// # Errors
///
/// Why its start-up script is not known.
pub(super) fn loaded(
    surroundings: &Surroundings<'_>,
) -> Result<Option<epicsdb::Report>, &'static str> {
    follow(&ContainerFiles::new(surroundings), surroundings)
}

fn follow(
    files: &ContainerFiles<'_>,
    surroundings: &Surroundings<'_>,
) -> Result<Option<epicsdb::Report>, &'static str> {
    let has = |name: &str| surroundings.config.iter().any(|file| file.name == name);
    if !starts_with_script(surroundings.container) {
        return Err("its container does not run `start.sh`, so the start-up script is not known");
    }
    if has("start.sh") {
        return Err("`config/start.sh` starts it, so what is loaded is not known");
    }
    if !has("st.cmd") {
        return if has("ioc.yaml") {
            Err("its start-up script is made from `ioc.yaml` when it starts")
        } else {
            Ok(None)
        };
    }
    let script = format!("{}/st.cmd", files.config_folder);
    let environment = &files.environment;
    Ok(Some(epicsdb::check_ioc(files, &script, environment, None)))
}

/// A finding of `epicsdb` with the place on disk; `None` for one that only says that the image is not at hand,
/// which is said once for all.
fn translate(
    finding: epicsdb::Diagnostic,
    files: &ContainerFiles<'_>,
    surroundings: &Surroundings<'_>,
) -> Option<Diagnostic> {
    let severity = match finding.severity {
        epicsdb::Severity::Error => Severity::Error,
        epicsdb::Severity::Warning => Severity::Warning,
        epicsdb::Severity::Note => Severity::Note,
    };
    if surroundings.image.is_none() {
        // The variables of the image are not known either, so a name that is not defined may well be.
        let is_undefined =
            finding.message.starts_with("macro `") && finding.message.contains("is not defined");
        let in_script = finding.span.file.ends_with("/st.cmd");
        if severity == Severity::Note || (is_undefined && in_script) {
            return None;
        }
    }
    let near = finding
        .message
        .strip_prefix("file `")
        .and_then(|rest| rest.strip_suffix("` does not exist"))
        .and_then(|name| files.nearest(name));
    let hint = match near {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None => finding.hint.map(|hint| files.in_words_of_the_user(&hint)),
    };
    Some(Diagnostic {
        severity,
        message: finding.message,
        place: Some(files.place(&finding.span)),
        expected: finding.expected,
        hint,
    })
}

/// The same mistake in many places of one file is one finding: a macro that is missing is missing in every
/// record.
fn gathered(findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let file = |finding: &Diagnostic| finding.place.as_ref().map(|place| place.path.clone());
    let mut kept: Vec<(Diagnostic, usize)> = Vec::new();
    for finding in findings {
        let same = kept.iter_mut().find(|(other, _)| {
            other.message == finding.message
                && other.hint == finding.hint
                && file(other) == file(&finding)
        });
        match same {
            Some((_, more)) => *more += 1,
            None => kept.push((finding, 0)),
        }
    }
    kept.into_iter()
        .map(|(mut finding, more)| {
            if more > 0 {
                let places = if more == 1 { "place" } else { "places" };
                finding
                    .message
                    .push_str(&format!(", here and in {more} more {places}"));
            }
            finding
        })
        .collect()
}

/// Whether the container runs the start script that images of this shape have.
fn starts_with_script(container: &Container) -> bool {
    let words = container.command.iter().chain(&container.args);
    let mut any = false;
    for word in words {
        any = true;
        if word.ends_with("/start.sh") {
            return true;
        }
    }
    // Without a command it is the image's own, which for these images is the script.
    !any
}

/// The files that a container sees, by path.
struct ContainerFiles<'a> {
    image: Option<&'a Contents>,
    /// Files of ConfigMaps and Secrets by absolute path.
    mounted: BTreeMap<String, String>,
    /// Folders that are mounted whole: what is not in `mounted` does not exist.
    folders: Vec<String>,
    /// Mounts whose files nobody knows.
    unknown: Vec<String>,
    /// Where each file of the configuration is on disk.
    sources: BTreeMap<String, &'a Path>,
    environment: BTreeMap<String, String>,
    config_folder: String,
    runtime_folder: String,
    working_directory: String,
    expands_substitutions: bool,
    image_name: &'a str,
}

impl<'a> ContainerFiles<'a> {
    fn new(surroundings: &Surroundings<'a>) -> Self {
        let Surroundings {
            pod,
            container,
            config,
            image,
        } = *surroundings;
        let (mut mounted, mut folders, mut unknown) = (BTreeMap::new(), Vec::new(), Vec::new());
        for mount in &container.mounts {
            match pod.volumes.get(&mount.volume) {
                Some(Volume::Files(files)) => {
                    for file in files {
                        let path = match &mount.sub_path {
                            None => format!("{}/{}", mount.path, file.path),
                            Some(only) if *only == file.path => mount.path.clone(),
                            Some(_) => continue,
                        };
                        let text = String::from_utf8_lossy(&file.contents).into_owned();
                        mounted.insert(path, text);
                    }
                    if mount.sub_path.is_none() {
                        folders.push(mount.path.clone());
                    }
                }
                _ => unknown.push(mount.path.clone()),
            }
        }
        let own: BTreeMap<String, String> = container.env.iter().cloned().collect();
        let environment = environment(image, &own);
        let variable = |name: &str| environment.get(name).cloned().unwrap_or_default();
        let config_folder = variable("CONFIG_DIR");
        let sources = config
            .iter()
            .map(|file| {
                (
                    format!("{config_folder}/{}", file.name),
                    file.path.as_path(),
                )
            })
            .collect();
        Self {
            image,
            mounted,
            folders,
            unknown,
            sources,
            config_folder,
            runtime_folder: variable("RUNTIME_DIR"),
            working_directory: variable("IOC"),
            expands_substitutions: config.iter().any(|file| file.name == "ioc.subst"),
            environment,
            image_name: &container.image,
        }
    }

    /// The file of the configuration or of the image whose name is nearest to a name that does not exist.
    fn nearest(&self, name: &str) -> Option<String> {
        let wanted = name.rsplit('/').next().unwrap_or(name);
        let ending = wanted.rsplit_once('.').map(|(_, ending)| ending);
        let image = self.image.map(Contents::paths).into_iter().flatten();
        let names = self.mounted.keys().map(String::as_str).chain(image);
        let names = names
            .filter_map(|path| path.rsplit('/').next())
            .filter(|name| name.rsplit_once('.').map(|(_, ending)| ending) == ending);
        nearest(wanted, names).map(str::to_owned)
    }

    /// Paths of the configuration in a text as they are on disk.
    fn in_words_of_the_user(&self, text: &str) -> String {
        self.sources
            .iter()
            .fold(text.to_owned(), |text, (inside, path)| {
                text.replace(&format!("{inside}:"), &format!("{}:", path.display()))
            })
    }

    /// A place of a path in the container as the user would name it.
    fn place(&self, span: &epicsdb::Span) -> Place {
        let path = self.sources.get(&*span.file).map_or_else(
            || PathBuf::from(format!("{}:{}", self.image_name, span.file)),
            |path| path.to_path_buf(),
        );
        let text = match self.read(&span.file) {
            Lookup::Text(text) => text,
            Lookup::Missing | Lookup::Unknown => return Place::file(path),
        };
        Place::in_text(
            path,
            &text,
            span.line as usize,
            span.column as usize,
            span.length as usize,
        )
    }
}

impl Files for ContainerFiles<'_> {
    fn read(&self, path: &str) -> Lookup {
        if let Some(text) = self.mounted.get(path) {
            return Lookup::Text(text.as_str().into());
        }
        let below = |folder: &String| {
            path.strip_prefix(folder.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
        };
        if self.folders.iter().any(below) {
            return Lookup::Missing;
        }
        if self.unknown.iter().any(below) {
            return Lookup::Unknown;
        }
        if below(&self.runtime_folder) && self.image.is_some() {
            // Holds what `start.sh` makes, and that is known: see `generated`.
            return Lookup::Missing;
        }
        match self.image.map(|image| image.read(path)) {
            Some(Inside::Text(text)) => Lookup::Text(text.into()),
            Some(Inside::Missing) => Lookup::Missing,
            Some(Inside::Unknown) | None => Lookup::Unknown,
        }
    }

    fn working_directory(&self) -> String {
        self.working_directory.clone()
    }

    fn generated(&self, path: &str) -> Option<Generated> {
        let made = self.expands_substitutions && path == format!("{}/ioc.db", self.runtime_folder);
        made.then(|| Generated {
            substitutions: format!("{}/ioc.subst", self.config_folder),
            include_path: self
                .environment
                .get("EPICS_DB_INCLUDE_PATH")
                .map(|list| list.split(':').map(str::to_owned).collect())
                .unwrap_or_default(),
        })
    }
}

/// The environment in which the IOC's program starts: that of the image, of the container, and what `start.sh`
/// adds (see `generic-iocs/scripts/start.sh`).
fn environment(
    image: Option<&Contents>,
    container: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut environment = image
        .map(|image| image.environment.clone())
        .unwrap_or_default();
    environment.extend(container.clone());
    let mut default = |name: &str, value: String| -> String {
        environment.entry(name.to_owned()).or_insert(value).clone()
    };
    let ioc = default("IOC", "/epics/ioc".to_owned());
    let support = default("SUPPORT", "/epics/support".to_owned());
    let config = default("CONFIG_DIR", format!("{ioc}/config"));
    let runtime = default("RUNTIME_DIR", "/epics/runtime".to_owned());
    if let Some(Inside::Text(text)) =
        image.map(|image| image.read(&format!("{support}/configure/RELEASE.shell")))
    {
        for (name, value) in exported(text) {
            let value = expand(&value, &environment);
            environment.insert(name, value);
        }
    }
    for (name, first) in [
        ("EPICS_DB_INCLUDE_PATH", format!("{runtime}:{config}")),
        ("STREAM_PROTOCOL_PATH", config),
    ] {
        let list = match environment.get(name).filter(|rest| !rest.is_empty()) {
            Some(rest) => format!("{first}:{rest}"),
            None => first,
        };
        environment.insert(name.to_owned(), list);
    }
    environment
}

/// `export NAME=VALUE` and `NAME=VALUE` lines of a shell file, quotes taken off.
fn exported(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    text.lines().filter_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let (name, value) = line.split_once('=')?;
        let is_name = !name.is_empty()
            && name
                .chars()
                .all(|character| character.is_ascii_alphanumeric() || character == '_');
        let value = value.trim();
        let unquoted = ['\'', '"']
            .iter()
            .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
            .unwrap_or(value);
        is_name.then(|| (name.to_owned(), unquoted.to_owned()))
    })
}

/// `$NAME` and `${NAME}` replaced by what is known; what is not known becomes empty, as in a shell.
fn expand(text: &str, environment: &BTreeMap<String, String>) -> String {
    let mut output = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        output.push_str(before);
        let braced = after
            .strip_prefix('{')
            .and_then(|inside| inside.split_once('}'));
        let (name, next) = braced.unwrap_or_else(|| {
            let end = after
                .find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
                .unwrap_or(after.len());
            after.split_at(end)
        });
        output.push_str(environment.get(name).map_or("", String::as_str));
        rest = next;
    }
    output.push_str(rest);
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_modules_are_read_from_the_release_file() {
        let text = "# made\nexport SIMPLANT='/epics/support/simplant'\nA=1\nB=\"${A}/x:$SIMPLANT/db\"\nif x; then\n";
        let mut known = BTreeMap::new();
        for (name, value) in exported(text) {
            let value = expand(&value, &known);
            known.insert(name, value);
        }
        assert_eq!(known["SIMPLANT"], "/epics/support/simplant");
        assert_eq!(known["B"], "1/x:/epics/support/simplant/db");
    }
}
