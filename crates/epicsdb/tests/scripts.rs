//! Start-up scripts compared with what the IOC shell of EPICS base made of them.
//!
//! `data/scripts.jsonl`: one case per line; `calls` are the arguments with which the command `t`
//! was called, `complained` says whether the shell printed an error, `silent` that it dropped
//! something without a word (reported here as an error). In the environment were E=env, E2=t and
//! Q=`a "b, c" d`; `sub.cmd` held `t sub $(M=none)`.
//!
//! `record.py` in this folder records the answers anew.

use std::collections::BTreeMap;

use epicsdb::Severity;
use epicsdb::macros::Environment;
use epicsdb::startup::{Command, scan};
use serde_json::Value;

#[test]
fn commands_are_those_that_the_shell_runs() {
    let environment = Environment::from(
        [("E", "env"), ("E2", "t"), ("Q", "a \"b, c\" d")]
            .map(|(n, v)| (n.to_owned(), v.to_owned())),
    );
    let mut wrong = Vec::new();
    let mut compared = 0;
    for line in include_str!("data/scripts.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let script = format!("{}\n", case["script"].as_str().unwrap());
        let files = BTreeMap::from([
            ("x.cmd".to_owned(), script.clone()),
            ("sub.cmd".to_owned(), "t sub $(M=none)\n".to_owned()),
        ]);
        let startup = scan(&files, "x.cmd", &environment);
        let calls: Vec<Value> = startup
            .statements
            .iter()
            .filter_map(|statement| match &statement.command {
                Command::Unknown { name, arguments } if name == "t" => Some(
                    arguments
                        .iter()
                        .map(|a| Value::from(a.text.as_str()))
                        .collect(),
                ),
                _ => None,
            })
            .collect();
        let refused = startup
            .diagnostics
            .iter()
            .any(|found| found.severity == Severity::Error);
        // Which commands exist cannot be known here.
        let unknown = script.contains("nosuchcommand") || script.starts_with("t a \\ \n");
        let complained = case["complained"] == true && !unknown || case["silent"] == true;
        compared += 1;
        if Some(&calls) != case["calls"].as_array() || refused != complained {
            wrong.push(format!("{case}\n{calls:?} {:#?}", startup.diagnostics));
        }
    }
    assert!(compared > 80, "only {compared} cases");
    assert!(
        wrong.is_empty(),
        "{} of {compared} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
