//! The configuration files of an instance: what goes into its ConfigMap, and whether an IOC can start from it.

use std::path::{Path, PathBuf};

use crate::check::values;
use crate::diagnostic::{Diagnostic, Place, Severity};

/// What a ConfigMap may hold, in bytes (Kubernetes: 1 MiB of values, without their keys).
pub const LARGEST_CONFIG_MAP: u64 = 1024 * 1024;

/// From here on it is time to think of something else.
const LARGE_CONFIG_MAP: u64 = 900 * 1000;

/// Files from which an IOC can start, in the order in which start scripts look for them.
pub const START_UP_FILES: [&str; 3] = ["start.sh", "st.cmd", "ioc.yaml"];

/// Folder of text files, and folder of files that may be binary.
const FOLDERS: [(&str, bool); 2] = [("config", true), ("config-binary", false)];

/// One file of the configuration.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// Its name in the ConfigMap.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its text; `None` when it is binary.
    pub text: Option<String>,
}

/// Reads the configuration of the instance in `folder` and says what is wrong with it.
///
/// `binary` tells whether the chart takes `config-binary/` into the ConfigMap.
pub fn read(folder: &Path, binary: bool, findings: &mut Vec<Diagnostic>) -> Vec<ConfigFile> {
    let mut files: Vec<ConfigFile> = Vec::new();
    for (name, text_only) in FOLDERS {
        let folder = folder.join(name);
        if !folder.exists() || (!text_only && !binary) {
            continue;
        }
        let entries = match fs_err::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                findings.push(unreadable(&folder, &error));
                continue;
            }
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let Some(file) = read_file(&path, text_only, binary, findings) else {
                continue;
            };
            if files.iter().any(|other| other.name == file.name) {
                findings.push(
                    Diagnostic::error(format!(
                        "`{}` is in both folders of the configuration",
                        file.name
                    ))
                    .in_file(&path)
                    .hint("keep one of the two"),
                );
            }
            files.push(file);
        }
    }
    size(folder, &files, findings);
    files
}

/// What keeps the configuration of an instance from reaching its ConfigMap, for verbs that do not check all else.
///
/// Helm itself would deploy an empty ConfigMap for a folder with one binary file, and the IOC would find no
/// start-up script.
pub fn errors(folder: &Path, chart: &helm::Chart) -> Vec<Diagnostic> {
    if !values::chart_mentions(chart, "AsConfig") {
        // The chart reads its files in a way of its own.
        return Vec::new();
    }
    let mut findings = Vec::new();
    read(
        folder,
        values::chart_mentions(chart, "config-binary"),
        &mut findings,
    );
    findings.retain(|finding| finding.severity == Severity::Error);
    findings
}

/// Whether an IOC can start from these files.
pub fn start_up(folder: &Path, files: &[ConfigFile], findings: &mut Vec<Diagnostic>) {
    let folder = folder.join("config");
    if files.is_empty() {
        findings.push(
            Diagnostic::error("the instance has no configuration files")
                .at(Place::file(&folder))
                .expected("expected a start-up file `st.cmd`, `ioc.yaml` or `start.sh`")
                .hint("`ioc new instance` writes a `config/st.cmd` that works"),
        );
        return;
    }
    if files
        .iter()
        .any(|file| START_UP_FILES.contains(&file.name.as_str()))
    {
        return;
    }
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let near = START_UP_FILES.iter().find_map(|wanted| {
        Some((
            crate::diagnostic::nearest(wanted, names.iter().copied())?,
            wanted,
        ))
    });
    let finding = Diagnostic::error("the configuration has no start-up file")
        .at(Place::file(&folder))
        .expected("expected `st.cmd`, `ioc.yaml` or `start.sh`");
    findings.push(match near {
        Some((name, wanted)) => finding.hint(format!("is `{name}` meant to be `{wanted}`?")),
        None => finding.hint(format!("it has {}", names.join(", "))),
    });
}

fn read_file(
    path: &Path,
    text_only: bool,
    binary: bool,
    findings: &mut Vec<Diagnostic>,
) -> Option<ConfigFile> {
    // A link that leads nowhere is reported with the other links.
    let metadata = fs_err::metadata(path).ok()?;
    let Some(name) = path.file_name().and_then(std::ffi::OsStr::to_str) else {
        findings.push(
            Diagnostic::error("a file name that is not text in UTF-8")
                .in_file(path)
                .hint("rename the file"),
        );
        return None;
    };
    if metadata.is_dir() {
        findings.push(
            Diagnostic::warning(format!(
                "the folder `{name}` is not part of the configuration"
            ))
            .in_file(path)
            .hint(
                "only files directly in `config/` reach the IOC: move them up, or the folder out",
            ),
        );
        return None;
    }
    if !metadata.is_file() {
        findings.push(
            Diagnostic::error(format!("`{name}` is neither a file nor a folder"))
                .in_file(path)
                .hint("remove it: devices, pipes and sockets cannot be part of a configuration"),
        );
        return None;
    }
    if let Some(wrong) = name
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !"-_.".contains(*c))
    {
        findings.push(
            Diagnostic::error(format!(
                "the file name `{name}` cannot be a key of a ConfigMap: `{}` is not allowed",
                printable(wrong)
            ))
            .in_file(path)
            .hint("use letters, digits, `-`, `_` and `.`; remove backup copies of editors"),
        );
    }
    if metadata.len() > LARGEST_CONFIG_MAP {
        // Too large for the whole configuration already; its size is reported there.
        return Some(ConfigFile {
            name: name.to_owned(),
            path: path.to_path_buf(),
            size: metadata.len(),
            text: None,
        });
    }
    let bytes = match fs_err::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            findings.push(unreadable(path, &error));
            return None;
        }
    };
    let size = bytes.len() as u64;
    let text = match as_text(bytes) {
        Ok(text) => Some(text),
        Err(line) => {
            if text_only {
                let mut place = Place::file(path);
                place.line = line;
                let hint = if name.starts_with('.') {
                    "was it left by an editor? remove it: hidden files reach the IOC, too"
                } else if binary {
                    "move it to `config-binary/`, which the IOC sees in the same place; or convert text with `iconv -t utf-8`"
                } else {
                    "a ConfigMap takes binary files only as `binaryData`, which this chart does not write: put the file into the image, or convert text with `iconv -t utf-8`"
                };
                findings.push(
                    Diagnostic::error(format!("`{name}` is not text in UTF-8"))
                        .at(place)
                        .expected("expected text")
                        .hint(hint),
                );
            }
            None
        }
    };
    Some(ConfigFile {
        name: name.to_owned(),
        path: path.to_path_buf(),
        size,
        text,
    })
}

/// The bytes as text, or the line of the first byte that is not.
fn as_text(bytes: Vec<u8>) -> Result<String, usize> {
    let line_of = |end: usize, bytes: &[u8]| bytes[..end].split(|byte| *byte == b'\n').count();
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        return Err(line_of(end, &bytes));
    }
    String::from_utf8(bytes)
        .map_err(|error| line_of(error.utf8_error().valid_up_to(), error.as_bytes()))
}

fn size(folder: &Path, files: &[ConfigFile], findings: &mut Vec<Diagnostic>) {
    let size: u64 = files.iter().map(|file| file.size).sum();
    if size < LARGE_CONFIG_MAP {
        return;
    }
    let mut largest: Vec<&ConfigFile> = files.iter().collect();
    largest.sort_by_key(|file| std::cmp::Reverse(file.size));
    let largest: Vec<String> = largest
        .iter()
        .take(3)
        .map(|file| format!("`{}` {} kB", file.name, file.size.div_ceil(1000)))
        .collect();
    let message = format!(
        "the configuration has {} kB, and a ConfigMap holds at most {} kB",
        size.div_ceil(1000),
        LARGEST_CONFIG_MAP / 1000
    );
    let finding = if size > LARGEST_CONFIG_MAP {
        Diagnostic::error(message)
    } else {
        Diagnostic::warning(message)
    };
    findings.push(
        finding
            .at(Place::file(folder.join("config")))
            .expected(format!("the largest files are {}", largest.join(", ")))
            .hint("put databases that all instances share into the image, or make them from a template with `ioc.subst`"),
    );
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error(error.to_string())
        .in_file(path)
        .hint("make it readable, or remove it")
}

/// A character as people write it; only what cannot be seen is escaped.
fn printable(character: char) -> String {
    if character.is_control() {
        character.escape_default().to_string()
    } else {
        character.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &[u8])]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, bytes).unwrap();
        }
        let mut findings = Vec::new();
        let read = read(folder.path(), true, &mut findings);
        start_up(folder.path(), &read, &mut findings);
        findings
            .into_iter()
            .map(|finding| {
                let line = finding.place.map_or(0, |place| place.line);
                format!("{}: {} [{line}]", finding.severity, finding.message)
            })
            .collect()
    }

    #[test]
    fn what_an_ioc_can_start_from() {
        assert_eq!(check(&[("config/st.cmd", b"iocInit\n")]), [""; 0]);
        assert_eq!(check(&[("config/ioc.yaml", b"a: 1\n")]), [""; 0]);
        assert_eq!(
            check(&[]),
            ["error: the instance has no configuration files [0]"]
        );
        assert_eq!(
            check(&[("config/st.cdm", b"")]),
            ["error: the configuration has no start-up file [0]"]
        );
    }

    #[test]
    fn what_cannot_be_part_of_a_config_map() {
        let st_cmd: (&str, &[u8]) = ("config/st.cmd", b"iocInit\n");
        assert_eq!(
            check(&[st_cmd, ("config/a.bin", b"a\n\x00\xff")]),
            ["error: `a.bin` is not text in UTF-8 [2]"]
        );
        assert_eq!(
            check(&[st_cmd, ("config-binary/a.bin", b"\x00\xff")]),
            [""; 0]
        );
        assert_eq!(
            check(&[st_cmd, ("config/st.cmd~", b"")]),
            [
                "error: the file name `st.cmd~` cannot be a key of a ConfigMap: `~` is not allowed [0]"
            ]
        );
        assert_eq!(
            check(&[st_cmd, ("config/db/a.db", b"")]),
            ["warning: the folder `db` is not part of the configuration [0]"]
        );
    }

    #[test]
    fn the_size_of_a_config_map_is_bounded() {
        let st_cmd: (&str, &[u8]) = ("config/st.cmd", b"iocInit\n");
        let nearly = vec![b'#'; 950_000];
        let message = "the configuration has 951 kB, and a ConfigMap holds at most 1048 kB [0]";
        assert_eq!(
            check(&[st_cmd, ("config/a.db", &nearly)]),
            [format!("warning: {message}")]
        );
        let over = vec![b'#'; 1_048_576];
        assert!(check(&[st_cmd, ("config/a.db", &over)])[0].starts_with("error: "));
        let far_over = vec![b'#'; 3_000_000];
        assert!(check(&[st_cmd, ("config/a.db", &far_over)])[0].starts_with("error: "));
    }
}
