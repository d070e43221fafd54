//! What Helm 3 prints differently, measured over the same cases: `tests/conformance/helm3.sh`.
//!
//! Runs only where `HELM3_BINARY` names a Helm 3, which takes minutes to build. `helm3.txt` beside the cases has a line
//! for each chart that comes out differently; `RECORD=1` writes it anew.

use std::fmt::Write as _;
use std::sync::Mutex;

use crate::case::{CorpusFile, Outcome};
use crate::corpus::{in_parallel, run_each, runs};
use crate::run::{ours, theirs};
use crate::{cases, difference, root};

/// How two outcomes differ; nothing when they do not.
fn class(helm3: &Outcome, ours: &Outcome) -> Option<&'static str> {
    difference(helm3, ours)?;
    Some(match (helm3, ours) {
        (Ok(theirs), Ok(ours)) if documents(theirs) == documents(ours) => "blank lines",
        (Ok(_), Ok(_)) => "other output",
        (Err(_), Err(_)) => "other words",
        (Ok(_), Err(_)) => "only Helm 3 renders it",
        (Err(_), Ok(_)) => "Helm 3 fails",
    })
}

/// The documents without blanks at their ends.
fn documents(output: &str) -> Vec<&str> {
    output.split("\n---\n").map(str::trim).collect()
}

#[test]
fn what_helm_3_prints_differently_is_written_down() {
    let Some(binary) = std::env::var("HELM3_BINARY").ok() else {
        println!("HELM3_BINARY is not set: tests/conformance/helm3.sh compares with Helm 3");
        return;
    };
    let found = Mutex::new(Vec::new());
    let note = |name: String, helm3: &Outcome, own: &Outcome| {
        if let Some(class) = class(helm3, own) {
            let why = difference(helm3, own).unwrap_or_default();
            found
                .lock()
                .unwrap()
                .push((format!("{class} | {name}"), why));
        }
    };
    for folder in cases() {
        let path = root().join(&folder.name);
        let helm3 = theirs(&binary, &folder.arguments, &path);
        note(folder.name, &helm3, &ours(&folder.arguments, &path));
    }
    let files = CorpusFile::read_all(&root().join("corpus"));
    let all: Vec<_> = files.iter().flat_map(|file| &file.cases).collect();
    in_parallel(&all, |case| {
        let helm3 = run_each(case, |folder| theirs(&binary, &case.arguments, folder));
        let own = run_each(case, |folder| ours(&case.arguments, folder));
        for ((failing, helm3), own) in runs(case).into_iter().zip(helm3).zip(own) {
            let name = format!("{} {}", case.name, failing.unwrap_or_default());
            note(name.trim_end().to_owned(), &helm3, &own);
        }
    });
    let mut found = found.into_inner().unwrap();
    found.sort();
    let mut text = String::new();
    let mut details = String::new();
    for (line, why) in &found {
        let _ = writeln!(text, "{line}");
        let _ = writeln!(details, "== {line}\n{why}");
    }
    if let Ok(path) = std::env::var("HELM3_DETAILS") {
        fs_err::write(path, details).unwrap();
    }
    let path = root().join("helm3.txt");
    if std::env::var("RECORD").is_ok() {
        fs_err::write(&path, &text).unwrap();
    }
    let recorded = fs_err::read_to_string(&path).unwrap();
    pretty_assertions::assert_str_eq!(recorded, text);
}
