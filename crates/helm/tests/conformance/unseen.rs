//! Charts of others, which are no part of the project: `CHARTS=FOLDER` renders every chart right below that folder, once
//! as it is, once with each file of values that it brings along, and many times with changes of its own defaults.
//! `SEED` chooses other changes, `COUNT` how many. What comes out differently becomes a small case of the corpus.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use helm::yaml::{Value, parse, to_yaml};

use crate::corpus::in_parallel;
use crate::difference;
use crate::run::{binary, ours, theirs};

/// Changes of a tree of values, always the same for a seed.
struct Changes {
    state: u64,
    /// How many of a thousand values are changed.
    share: u64,
}

impl Changes {
    fn next(&mut self, below: u64) -> u64 {
        // Knuth's multiplier; the upper bits are the good ones.
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % below
    }

    fn one_of(&mut self, documents: &[&str]) -> Value {
        let count = u64::try_from(documents.len()).unwrap();
        let at = usize::try_from(self.next(count)).unwrap();
        parse(documents[at]).unwrap()
    }

    /// What is different, as a file of values says it.
    fn of(&mut self, value: &Value) -> Option<Value> {
        if let Value::Map(entries) = value
            && !entries.is_empty()
        {
            let changed: Vec<_> = entries
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), self.of(value)?)))
                .collect();
            return (!changed.is_empty()).then(|| Value::Map(changed.into_iter().collect()));
        }
        if self.next(1000) >= self.share {
            return None;
        }
        Some(match value {
            Value::Bool(truth) => Value::Bool(!truth),
            Value::Map(_) => self.one_of(&["{a: b}", "{x.y/z: 'on', n: 1}"]),
            Value::List(_) => self.one_of(&[
                "[]",
                "[a, b]",
                "[{name: x, value: '1'}]",
                "[{host: h, name: q, paths: [/], secretName: s, hosts: [h]}]",
            ]),
            Value::Null => self.one_of(&["x", "1", "true", "{a: b}", "[q]", "{enabled: true}"]),
            Value::Int(_) | Value::Float(_) => self.one_of(&["0", "3", "1000000", "1.5", "-1"]),
            Value::String(_) => self.one_of(&[
                "''",
                "'{{ .Release.Name }}-t'",
                "\"it's: x\"",
                "\"a\\nb\\n\"",
                "'0755'",
                "null",
            ]),
        })
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

/// The values that a chart is rendered with: arguments, and what they are called.
fn variants(chart: &Path, scratch: &Path) -> Vec<Vec<String>> {
    let mut files: Vec<PathBuf> = [chart.to_owned(), chart.join("ci")]
        .iter()
        .filter_map(|folder| fs_err::read_dir(folder).ok())
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_stem().unwrap().to_string_lossy();
            let is_values = name.contains("values-") || name.contains("-values");
            is_values
                && path
                    .extension()
                    .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    let defaults = fs_err::read_to_string(chart.join("values.yaml")).unwrap_or_default();
    let defaults = parse(&defaults).unwrap();
    for at in 0..number("COUNT", 20) {
        let mut changes = Changes {
            state: number("SEED", 1) * 1_000 + at,
            share: [10, 30, 100, 300][usize::try_from(at % 4).unwrap()],
        };
        let values = changes.of(&defaults).unwrap_or_else(Value::empty_map);
        let path = scratch.join(format!("{at}.yaml"));
        fs_err::write(&path, to_yaml(&values)).unwrap();
        files.push(path);
    }
    let with_file = |path: &PathBuf| vec!["-f".to_owned(), path.display().to_string()];
    std::iter::once(Vec::new())
        .chain(files.iter().map(with_file))
        .collect()
}

#[test]
#[ignore = "a tool: CHARTS is a folder with charts of others"]
fn charts_of_others_are_as_in_helm() {
    let folder = std::env::var("CHARTS").expect("CHARTS is a folder with charts");
    let binary = binary().expect("HELM_BINARY is a helm");
    let mut text = String::new();
    let (mut rendered, mut refused, mut different) = (0, 0, 0);
    let mut charts: Vec<PathBuf> = fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("Chart.yaml").exists())
        .collect();
    charts.sort();
    for chart in charts {
        let scratch = tempfile::tempdir().unwrap();
        let here = scratch.path();
        std::os::unix::fs::symlink(std::path::absolute(&chart).unwrap(), here.join("chart"))
            .unwrap();
        let found = Mutex::new(Vec::new());
        in_parallel(&variants(&chart, here), |arguments| {
            let wanted = theirs(&binary, arguments, here);
            let difference = difference(&wanted, &ours(arguments, here));
            found
                .lock()
                .unwrap()
                .push((arguments.join(" "), wanted.is_ok(), difference));
        });
        for (arguments, succeeded, difference) in found.into_inner().unwrap() {
            match difference {
                None if succeeded => rendered += 1,
                None => refused += 1,
                Some(difference) => {
                    different += 1;
                    let values = arguments.strip_prefix("-f ");
                    let values = values.and_then(|path| fs_err::read_to_string(path).ok());
                    let _ = writeln!(
                        text,
                        "== {} {arguments}\n{difference}\nvalues:\n{}",
                        chart.display(),
                        values.unwrap_or_default()
                    );
                }
            }
        }
    }
    assert!(different == 0, "{different} are not as in helm\n{text}");
    println!("as in helm: {rendered} rendered, {refused} refused in the same words");
}
