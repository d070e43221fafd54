//! The real parts that tests need, and what happens when one is missing.

use std::process::Command;

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
        eprintln!("NOT CHECKED: {variable} is missing; run `tests/testbed/{script} up`");
    }
    found
}
