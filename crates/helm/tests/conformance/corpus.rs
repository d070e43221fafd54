//! The cases of `corpus/`, each expanded into a chart of its own.

use std::path::Path;
use std::sync::Mutex;

use crate::case::{Case, CorpusFile, Expected, Outcome};
use crate::run::{binary, ours, theirs};
use crate::{difference, root};

/// Runs work for each item on as many threads as there are processors.
pub(crate) fn in_parallel<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let next = Mutex::new(items.iter());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let item = next.lock().unwrap().next();
                    let Some(item) = item else { return };
                    work(item);
                }
            });
        }
    });
}

/// The charts of a case: one, or one for each failing line.
pub(crate) fn runs(case: &Case) -> Vec<Option<&str>> {
    case.failures()
        .map_or_else(|| vec![None], |lines| lines.into_iter().map(Some).collect())
}

pub(crate) fn run_each(case: &Case, run: impl Fn(&Path) -> Outcome) -> Vec<Outcome> {
    runs(case)
        .into_iter()
        .map(|failing| {
            let folder = tempfile::tempdir().unwrap();
            case.expand(folder.path(), failing);
            run(folder.path())
        })
        .collect()
}

fn expected_of(case: &Case, outcomes: Vec<Outcome>) -> Expected {
    if case.failures().is_none() {
        return Expected::One(outcomes.into_iter().next().unwrap());
    }
    let messages = outcomes.into_iter().zip(case.failures().unwrap());
    Expected::Failures(
        messages
            .map(|(outcome, line)| match outcome {
                // Seen by whoever reads what was recorded; no message of ours is like it.
                Err(message) => message,
                Ok(text) => format!("HELM RENDERS IT: {line}: {text}"),
            })
            .collect(),
    )
}

fn recorded(case: &Case) -> Option<Vec<Outcome>> {
    Some(match case.expected.as_ref()? {
        Expected::One(outcome) => vec![outcome.clone()],
        Expected::Failures(messages) => messages.iter().cloned().map(Err).collect(),
    })
}

fn check(case: &Case, binary: Option<&String>) -> Vec<String> {
    let found = run_each(case, |folder| ours(&case.arguments, folder));
    let Some(golden) = recorded(case) else {
        return vec![format!("== {}: nothing was recorded", case.name)];
    };
    if golden.len() != found.len() {
        return vec![format!("== {}: recorded for other lines", case.name)];
    }
    if let (true, Some(Err(message))) = (case.has_expressions(), golden.first()) {
        return vec![format!("== {}: an expression fails: {message}", case.name)];
    }
    let mut failures = Vec::new();
    let live =
        binary.map(|binary| run_each(case, |folder| theirs(binary, &case.arguments, folder)));
    for (at, failing) in runs(case).into_iter().enumerate() {
        if let Some(own) = &case.own {
            let changed = live
                .as_ref()
                .and_then(|live| difference(&golden[at], &live[at]));
            let different = changed.or_else(|| difference(&Err(own.clone()), &found[at]));
            failures.extend(different.map(|text| format!("== {}\n{text}", case.name)));
            continue;
        }
        let wanted = [Some(&golden[at]), live.as_ref().map(|live| &live[at])];
        let different = wanted
            .into_iter()
            .flatten()
            .find_map(|wanted| difference(wanted, &found[at]));
        if let Some(different) = different {
            let failing = failing.unwrap_or_default();
            failures.push(format!("== {} {failing}\n{different}", case.name));
        }
    }
    failures
}

/// Each chart of the corpus gives the bytes, or the message, that helm gives.
#[test]
fn every_case_is_as_in_helm() {
    let binary = binary();
    let only = std::env::var("CASE").ok();
    let mut files = CorpusFile::read_all(&root().join("corpus"));
    if std::env::var("RECORD").is_ok() {
        let binary = binary.as_ref().unwrap();
        for file in &mut files {
            for case in &mut file.cases {
                if only
                    .as_ref()
                    .is_none_or(|only| case.name.contains(only.as_str()))
                {
                    let outcomes = run_each(case, |folder| theirs(binary, &case.arguments, folder));
                    case.expected = Some(expected_of(case, outcomes));
                }
            }
            file.write();
        }
    }
    let mut names = std::collections::HashSet::new();
    let cases: Vec<&Case> = files
        .iter()
        .flat_map(|file| &file.cases)
        .inspect(|case| assert!(names.insert(&case.name), "two cases `{}`", case.name))
        .filter(|case| {
            only.as_ref()
                .is_none_or(|only| case.name.contains(only.as_str()))
        })
        .collect();
    let failures = Mutex::new(Vec::new());
    in_parallel(&cases, |case| {
        let found = check(case, binary.as_ref());
        failures.lock().unwrap().extend(found);
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    let charts: usize = cases.iter().map(|case| runs(case).len()).sum();
    let text = failures.join("\n\n");
    assert!(
        failures.is_empty(),
        "{} of {charts} charts are not as in helm\n{text}",
        failures.len()
    );
    println!("{} cases, {charts} charts are as in helm", cases.len());
}
