//! Cases as data: a chart, how it is rendered, and what helm made of it.
//!
//! A file of `corpus/` holds many small charts:
//!
//! ```text
//! # where the expectations come from
//! === NAME | arguments of `helm template r chart` | behaviour
//! --- PATH              a file of the chart; `/PATH` is beside it, `PATH -> TARGET` a link,
//!                       `PATH base64` binary, `PATH unended` without a newline at its end
//! --- expressions       lines that become one template, one document entry each; none may fail
//! --- failures          lines that become a chart each; all must fail
//! --- expected          what helm prints; `expected error` when it fails
//! --- ours              what this engine says where it differs on purpose: a message of its own
//! ```
//!
//! A line of a file that looks like a mark begins with a backslash. A chart without `Chart.yaml`
//! gets a plain one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What a run gives: output or message.
pub(crate) type Outcome = Result<String, String>;

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) sections: Vec<Section>,
    pub(crate) expected: Option<Expected>,
    /// The message of this engine, where it refuses or words something in its own way.
    pub(crate) own: Option<String>,
    heading: String,
}

pub(crate) struct Section {
    mark: String,
    text: String,
}

pub(crate) enum Expected {
    One(Outcome),
    /// The message of each failing line.
    Failures(Vec<String>),
}

pub(crate) struct CorpusFile {
    path: PathBuf,
    preamble: String,
    pub(crate) cases: Vec<Case>,
}

const PLAIN_CHART: &str = "apiVersion: v2\nname: t\nversion: 1.0.0\n";

/// Splits at blanks; single quotes keep blanks together.
pub(crate) fn words(arguments: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted, mut started) = (String::new(), false, false);
    for character in arguments.chars() {
        match character {
            '\'' => {
                quoted = !quoted;
                started = true;
            }
            ' ' if !quoted => {
                if started {
                    words.push(std::mem::take(&mut word));
                }
                started = false;
            }
            other => {
                word.push(other);
                started = true;
            }
        }
    }
    if started {
        words.push(word);
    }
    words
}

impl CorpusFile {
    pub(crate) fn read_all(folder: &Path) -> Vec<Self> {
        let mut paths: Vec<PathBuf> = fs_err::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths.into_iter().map(Self::read).collect()
    }

    fn read(path: PathBuf) -> Self {
        let text = fs_err::read_to_string(&path).unwrap();
        let mut file = Self {
            path,
            preamble: String::new(),
            cases: Vec::new(),
        };
        for line in text.split_terminator('\n') {
            if let Some(heading) = line.strip_prefix("=== ") {
                file.cases.push(Case::begin(heading));
                continue;
            }
            let Some(case) = file.cases.last_mut() else {
                file.preamble.push_str(line);
                file.preamble.push('\n');
                continue;
            };
            if let Some(mark) = line.strip_prefix("--- ") {
                case.sections.push(Section {
                    mark: mark.to_owned(),
                    text: String::new(),
                });
            } else {
                let section = case.sections.last_mut();
                let section =
                    section.unwrap_or_else(|| panic!("{}: text before a mark", case.name));
                section
                    .text
                    .push_str(line.strip_prefix('\\').unwrap_or(line));
                section.text.push('\n');
            }
        }
        file.cases.iter_mut().for_each(Case::take_expected);
        file
    }

    /// Writes the cases with what is expected of each.
    pub(crate) fn write(&self) {
        let mut text = self.preamble.clone();
        for case in &self.cases {
            let _ = writeln!(text, "=== {}", case.heading);
            for section in &case.sections {
                write_section(&mut text, &section.mark, &section.text);
            }
            match &case.expected {
                Some(Expected::One(Ok(output))) => write_section(&mut text, "expected", output),
                Some(Expected::One(Err(message))) => {
                    write_section(&mut text, "expected error", message);
                }
                Some(Expected::Failures(messages)) => {
                    let all: Vec<String> = messages
                        .iter()
                        .map(|message| message.replace('\n', "\n  "))
                        .collect();
                    write_section(&mut text, "expected failures", &all.join("\n"));
                }
                None => {}
            }
            if let Some(own) = &case.own {
                write_section(&mut text, "ours", own);
            }
        }
        fs_err::write(&self.path, text).unwrap();
    }
}

fn write_section(out: &mut String, mark: &str, text: &str) {
    let _ = writeln!(out, "--- {mark}");
    for line in text.split_terminator('\n') {
        let escape = ["--- ", "=== ", "\\"]
            .iter()
            .any(|mark| line.starts_with(mark));
        let _ = writeln!(out, "{}{line}", if escape { "\\" } else { "" });
    }
}

impl Case {
    fn begin(heading: &str) -> Self {
        let mut cells = heading.splitn(3, '|').map(str::trim);
        let name = cells.next().unwrap_or_default().to_owned();
        let arguments = words(cells.next().unwrap_or_default());
        let behaviour = cells.next().unwrap_or_default();
        assert!(
            !behaviour.is_empty(),
            "case `{name}` does not say which behaviour it shows"
        );
        Self {
            name,
            arguments,
            sections: Vec::new(),
            expected: None,
            own: None,
            heading: heading.to_owned(),
        }
    }

    fn take_expected(&mut self) {
        if let Some(at) = self
            .sections
            .iter()
            .position(|section| section.mark == "ours")
        {
            self.own = Some(self.sections.remove(at).text.trim_end().to_owned());
        }
        let Some(at) = self
            .sections
            .iter()
            .position(|section| section.mark.starts_with("expected"))
        else {
            return;
        };
        let Section { mark, text } = self.sections.remove(at);
        self.expected = Some(match mark.as_str() {
            "expected" => Expected::One(Ok(text)),
            "expected error" => Expected::One(Err(text.trim_end().to_owned())),
            _ => Expected::Failures(
                text.replace("\n  ", "\u{0}")
                    .lines()
                    .map(|message| message.replace('\u{0}', "\n"))
                    .collect(),
            ),
        });
    }

    /// The lines of `failures`, for a case that is many.
    pub(crate) fn failures(&self) -> Option<Vec<&str>> {
        self.sections
            .iter()
            .find(|section| section.mark == "failures")
            .map(|section| section.text.lines().collect())
    }

    pub(crate) fn has_expressions(&self) -> bool {
        self.sections
            .iter()
            .any(|section| section.mark == "expressions")
    }

    /// Writes the chart and what is beside it below a folder, one failing line as its template.
    pub(crate) fn expand(&self, folder: &Path, failing: Option<&str>) {
        write(&folder.join("chart/Chart.yaml"), PLAIN_CHART.as_bytes());
        for section in &self.sections {
            section.expand(folder);
        }
        if let Some(line) = failing {
            write(&folder.join("chart/templates/a.yaml"), line.as_bytes());
        }
    }
}

impl Section {
    fn expand(&self, folder: &Path) {
        let place = |path: &str| match path.strip_prefix('/') {
            Some(beside) => folder.join(beside),
            None => folder.join("chart").join(path),
        };
        if self.mark == "expressions" {
            let template = expressions(&self.text);
            write(&folder.join("chart/templates/a.yaml"), template.as_bytes());
        } else if self.mark == "failures" {
        } else if let Some((link, target)) = self.mark.split_once(" -> ") {
            let link = place(link);
            fs_err::create_dir_all(link.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(target, link).unwrap();
        } else if let Some(path) = self.mark.strip_suffix(" base64") {
            let data = STANDARD.decode(self.text.replace('\n', "")).unwrap();
            write(&place(path), &data);
        } else if let Some(path) = self.mark.strip_suffix(" unended") {
            write(&place(path), self.text.trim_end_matches('\n').as_bytes());
        } else {
            write(&place(&self.mark), self.text.as_bytes());
        }
    }
}

fn write(path: &Path, data: &[u8]) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, data).unwrap();
}

/// One template of all lines: each value with its Go type, as a block of text. Lines that are no
/// more than an action of their own, such as definitions, begin with `@`.
fn expressions(lines: &str) -> String {
    let mut template = String::new();
    for (number, line) in lines.lines().enumerate() {
        if let Some(plain) = line.strip_prefix('@') {
            let _ = writeln!(template, "{plain}");
        } else {
            let number = number + 1;
            let _ = writeln!(
                template,
                "{{{{- $v := ({line}) }}}}\ne{number}: |2{{{{ printf \"%T %v\" $v $v | nindent 2 }}}}"
            );
        }
    }
    template
}
