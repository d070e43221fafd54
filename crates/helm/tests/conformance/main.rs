//! Compares this engine with Helm 4.3.1, case by case and byte by byte.
//!
//! Small charts are in `tests/conformance/helm/corpus`, many in a file (see `case`). A larger one is
//! a folder below `tests/conformance/helm` with a row in `cases.txt` that says how it is rendered
//! and where the expectation comes from. `expected.yaml` or
//! `expected-error.txt` beside the chart were recorded from the real helm; with `HELM_BINARY` set
//! the comparison is also made with the binary itself. `RECORD=1` writes the expected files anew,
//! `CASE=name` runs one case. `CHARTS=FOLDER` renders charts of others (see `unseen`).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test; clippy knows tests by their attribute, which helper functions lack"
)]

use std::path::{Path, PathBuf};

use pretty_assertions::StrComparison;

mod alarm_chart;
mod case;
mod corpus;
mod generated;
mod helm3;
mod run;
mod unseen;

use self::case::Outcome;
use self::run::{ours, theirs};

struct Folder {
    name: String,
    arguments: Vec<String>,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/helm")
}

/// Rows of `name | arguments of helm template | behaviour and source`.
fn cases() -> Vec<Folder> {
    let table = fs_err::read_to_string(root().join("cases.txt")).unwrap();
    let rows = table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|row| {
        let mut cells = row.split('|').map(str::trim);
        let name = cells.next().unwrap().to_owned();
        let arguments = cells.next().unwrap_or_default();
        let source = cells.next().unwrap_or_default();
        assert!(
            !source.is_empty(),
            "case `{name}` does not say where its expectation comes from"
        );
        Folder {
            name,
            arguments: arguments.split_whitespace().map(str::to_owned).collect(),
        }
    })
    .collect()
}

fn recorded(folder: &Path) -> Option<Outcome> {
    let read = |name: &str| fs_err::read_to_string(folder.join(name)).ok();
    read("expected.yaml")
        .map(Ok)
        .or_else(|| read("expected-error.txt").map(|text| Err(text.trim_end().to_owned())))
}

fn record(folder: &Path, outcome: &Outcome) {
    let (wanted, other, text) = match outcome {
        Ok(text) => ("expected.yaml", "expected-error.txt", text.clone()),
        Err(text) => ("expected-error.txt", "expected.yaml", format!("{text}\n")),
    };
    fs_err::write(folder.join(wanted), text).unwrap();
    let _ = fs_err::remove_file(folder.join(other));
}

/// Helm walks through the properties of a schema in an order that changes from run to run.
fn in_order(outcome: &Outcome) -> Outcome {
    match outcome {
        Err(message) if message.starts_with("values don't meet the specifications") => {
            let mut lines: Vec<&str> = message.lines().collect();
            lines.sort_unstable();
            Err(lines.join("\n"))
        }
        other => other.clone(),
    }
}

pub(crate) fn difference(wanted: &Outcome, found: &Outcome) -> Option<String> {
    let (wanted, found) = (&in_order(wanted), &in_order(found));
    match (wanted, found) {
        (Ok(wanted), Ok(found)) | (Err(wanted), Err(found)) => {
            let found = if wanted.ends_with('\n') {
                found.as_str()
            } else {
                found.trim_end()
            };
            (wanted != found).then(|| StrComparison::new(wanted.as_str(), found).to_string())
        }
        (Ok(_), Err(found)) => Some(format!("helm renders it, we say: {found}")),
        (Err(wanted), Ok(found)) => Some(format!("helm says: {wanted}\nwe render:\n{found}")),
    }
}

/// Every folder is in the table, so that no case is left out without being noticed.
fn check_folders(cases: &[Folder]) {
    for entry in fs_err::read_dir(root()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let known = !entry.file_type().unwrap().is_dir()
            || name == "corpus"
            || cases.iter().any(|case| case.name == name);
        assert!(known, "folder `{name}` has no row in cases.txt");
    }
}

#[test]
fn rendering_is_that_of_helm() {
    let binary = run::binary();
    let recording = std::env::var("RECORD").is_ok();
    let only = std::env::var("CASE").ok();
    let cases = cases();
    check_folders(&cases);
    let mut failures = Vec::new();
    for case in cases
        .iter()
        .filter(|case| only.as_ref().is_none_or(|only| *only == case.name))
    {
        let folder = root().join(&case.name);
        let live = binary
            .as_ref()
            .map(|binary| theirs(binary, &case.arguments, &folder));
        if let Some(live) = live.as_ref().filter(|_| recording) {
            record(&folder, live);
        }
        let found = ours(&case.arguments, &folder);
        let Some(golden) = recorded(&folder) else {
            failures.push(format!("== {}: nothing was recorded", case.name));
            continue;
        };
        let differences = [Some(golden), live]
            .into_iter()
            .flatten()
            .find_map(|wanted| difference(&wanted, &found));
        if let Some(difference) = differences {
            failures.push(format!("== {}\n{difference}", case.name));
        }
    }
    let passed = cases.len() - failures.len();
    let all = cases.len();
    let failures_text = failures.join("\n\n");
    assert!(
        failures.is_empty(),
        "{passed} of {all} cases are as in helm\n{failures_text}"
    );
    println!(
        "{passed} cases are as in helm, live comparison: {}",
        binary.is_some()
    );
}
