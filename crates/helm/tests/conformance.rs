//! Compares this engine with Helm 4.3.1, case by case and byte by byte.
//!
//! A case is a folder below `tests/conformance/helm` with a chart in it and a row in `cases.txt`
//! that says how it is rendered and where the expectation comes from. `expected.yaml` or
//! `expected-error.txt` beside the chart were recorded from the real helm; with `HELM_BINARY` set
//! the comparison is also made with the binary itself. `RECORD=1` writes the expected files anew,
//! `CASE=name` runs one case.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; clippy knows tests by their attribute, which helper functions lack"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use helm::{Capabilities, Chart, KubeVersion, Limits, LoadOptions, ReleaseOptions, Values, render};
use pretty_assertions::StrComparison;

struct Case {
    name: String,
    arguments: Vec<String>,
}

/// What a run gives: output or message.
type Outcome = Result<String, String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/helm")
}

/// Rows of `name | arguments of helm template | behaviour and source`.
fn cases() -> Vec<Case> {
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
        Case {
            name,
            arguments: arguments.split_whitespace().map(str::to_owned).collect(),
        }
    })
    .collect()
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn ours(case: &Case, folder: &Path) -> Outcome {
    let chart = Chart::load(&folder.join("chart"), &LoadOptions::default())
        .map_err(|error| error.helm_text())?;
    let mut release = ReleaseOptions::install("r", "default", jiff::Zoned::now());
    let mut capabilities = Capabilities::default();
    let mut values = Values::new();
    let mut with_crds = false;
    let mut arguments = case.arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut next = || arguments.next().unwrap().as_str();
        let read = |path: &str| fs_err::read_to_string(folder.join(path));
        let added = match argument.as_str() {
            "-f" => {
                let name = next();
                values.file(name, &read(name).unwrap())
            }
            "--set" => values.set(next()),
            "--set-string" => values.set_string(next()),
            "--set-json" => values.set_json(next()),
            "--set-literal" => values.set_literal(next()),
            "--set-file" => {
                values.set_file(next(), |path| read(path).map_err(|error| error.to_string()))
            }
            other => {
                match other {
                    "--namespace" => next().clone_into(&mut release.namespace),
                    "--is-upgrade" => release.is_upgrade = true,
                    "--include-crds" => with_crds = true,
                    "--kube-version" => {
                        capabilities.kube_version = KubeVersion::parse(next()).unwrap();
                    }
                    "--api-versions" => {
                        capabilities
                            .api_versions
                            .extend(next().split(',').map(str::to_owned));
                    }
                    unknown => panic!("the runner does not know `{unknown}`"),
                }
                Ok(values)
            }
        };
        values = added.map_err(|error| with_causes(&error))?;
    }
    let values = values.into_value();
    let rendered = render(&chart, &values, &release, &capabilities, &Limits::default())
        .map_err(|error| error.helm_text())?;
    Ok(if with_crds {
        rendered.to_template_output_with_crds()
    } else {
        rendered.to_template_output()
    })
}

fn theirs(binary: &str, case: &Case, folder: &Path) -> Outcome {
    let output = Command::new(binary)
        .args(["template", "r", "chart"])
        .args(&case.arguments)
        .current_dir(folder)
        .env("HELM_NAMESPACE", "default")
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).unwrap());
    }
    let message = String::from_utf8(output.stderr).unwrap();
    // Warnings come before the error, each in one line of its own.
    let at = message.find("Error: ").map_or(0, |at| at + "Error: ".len());
    Err(message[at..].trim_end().to_owned())
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

fn difference(wanted: &Outcome, found: &Outcome) -> Option<String> {
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
fn check_folders(cases: &[Case]) {
    for entry in fs_err::read_dir(root()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let known =
            !entry.file_type().unwrap().is_dir() || cases.iter().any(|case| case.name == name);
        assert!(known, "folder `{name}` has no row in cases.txt");
    }
}

#[test]
fn rendering_is_that_of_helm() {
    let binary = std::env::var("HELM_BINARY")
        .ok()
        .filter(|path| !path.is_empty());
    if binary.is_none() {
        let message = "HELM_BINARY is not set: compared with recorded output only \
                       (tests/testbed/helm.sh up; eval \"$(tests/testbed/helm.sh env)\")";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{message}");
        println!("{message}");
    }
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
        let live = binary.as_ref().map(|binary| theirs(binary, case, &folder));
        if let Some(live) = live.as_ref().filter(|_| recording) {
            record(&folder, live);
        }
        let found = ours(case, &folder);
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
