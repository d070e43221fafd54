//! What is in the configuration folder of an IOC, each text between two NUL bytes: start-up script, database, record
//! definitions, substitutions.
#![no_main]

use std::collections::BTreeMap;

use epicsdb::macros::{Expander, Macros};
use epicsdb::substitutions::{Reader, parse};
use epicsdb::{Environment, check_ioc};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 4] = ["st.cmd", "x.db", "x.dbd", "s.sub"];

fuzz_target!(|text: &str| {
    let files: BTreeMap<String, String> = NAMES
        .iter()
        .zip(text.split('\0'))
        .map(|(name, text)| ((*name).to_owned(), text.to_owned()))
        .collect();
    let _ = check_ioc(&files, "st.cmd", &Environment::new(), None);
    let definitions = epicsdb::dbd::Dbd::load(&files, "x.dbd", &[]);
    let macros = Macros::from_definitions(text);
    let _ = epicsdb::db::load(&files, "x.db", &["."], &macros, Some(&definitions.dbd));
    for reader in [Reader::Msi, Reader::DbLoadTemplate] {
        let _ = parse("s.sub", text, reader, &Environment::new());
    }
    let _ = Expander::new(&macros).expand(text);
});
