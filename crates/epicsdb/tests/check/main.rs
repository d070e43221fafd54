//! `check_ioc` as its caller uses it: files in memory, findings as text.

use std::collections::BTreeMap;

use epicsdb::dbd::Dbd;
use epicsdb::macros::Environment;
use epicsdb::{Files, Generated, Lookup, Report, check_ioc};

mod loading;
mod scripts;

/// Files by path; what begins with `/image/` is not at hand.
pub(crate) struct TestFiles {
    files: BTreeMap<String, String>,
    generated: BTreeMap<String, Generated>,
}

impl Files for TestFiles {
    fn read(&self, path: &str) -> Lookup {
        match self.files.get(path) {
            Some(text) => Lookup::Text(text.as_str().into()),
            None if path.starts_with("/image/") => Lookup::Unknown,
            None => Lookup::Missing,
        }
    }

    fn working_directory(&self) -> String {
        "/ioc".to_owned()
    }

    fn generated(&self, path: &str) -> Option<Generated> {
        self.generated.get(path).cloned()
    }
}

pub(crate) const BASE: &str = include_str!("../data/base.dbd");

pub(crate) fn files(list: &[(&str, &str)]) -> TestFiles {
    let mut files: BTreeMap<String, String> = list
        .iter()
        .map(|&(name, text)| (name.to_owned(), text.to_owned()))
        .collect();
    files.insert("/ioc/dbd/ioc.dbd".to_owned(), BASE.to_owned());
    TestFiles {
        files,
        generated: BTreeMap::new(),
    }
}

pub(crate) fn check(list: &[(&str, &str)], dbd: Option<&Dbd>) -> Report {
    let environment = Environment::from([("IOC_NAME".to_owned(), "t01-ea-ioc-01".to_owned())]);
    check_ioc(&files(list), "/ioc/st.cmd", &environment, dbd)
}

/// The findings for a script, one per line.
pub(crate) fn findings(list: &[(&str, &str)]) -> String {
    text(&check(list, None))
}

pub(crate) fn text(report: &Report) -> String {
    let lines: Vec<String> = report.diagnostics.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// The findings for one database, loaded with `P=T01` in an otherwise faultless IOC.
pub(crate) fn database(db: &str) -> String {
    findings(&[
        (
            "/ioc/st.cmd",
            "dbLoadDatabase dbd/ioc.dbd\nioc_registerRecordDeviceDriver pdbbase\n\
             dbLoadRecords(\"x.db\", \"P=T01\")\niocInit\n",
        ),
        ("/ioc/x.db", db),
    ])
}
