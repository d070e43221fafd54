//! The real parts that tests need, and what happens when one is missing.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::Command;
use std::sync::Mutex;

use crate::context::repository;

/// The value of a variable that a test-bed script gives, or of the environment.
///
/// `None` means that the part is not there: under `CI=true` this panics instead, so that a check that was left
/// out can never look like one that passed.
pub(crate) fn part(script: &str, variable: &str) -> Option<String> {
    if let Some(value) = std::env::var(variable)
        .ok()
        .filter(|value| !value.is_empty())
    {
        return Some(value);
    }
    let output = Command::new("bash")
        .arg(repository().join("tests/testbed").join(script))
        .arg("env")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text
        .lines()
        .filter_map(|line| line.trim_start_matches("export ").split_once('='))
        .find(|(key, _)| *key == variable)
        .map(|(_, value)| value.trim_matches(['"', '\'']).to_owned());
    if found.is_none() {
        assert!(
            std::env::var("CI").is_err(),
            "`tests/testbed/{script} env` gives no {variable}; run `tests/testbed/{script} up`"
        );
        not_checked(&format!(
            "{variable} is missing; run `tests/testbed/{script} up`"
        ));
    }
    found
}

/// Says aloud, once, what the run leaves out; the standard error of a test that passes would not be shown.
pub(crate) fn not_checked(what: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().unwrap().insert(what.to_owned()) {
        let line = format!("NOT CHECKED: {what}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
}
