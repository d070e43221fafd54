//! The definitions of a real EPICS base, where one is at hand.
#![expect(
    clippy::print_stderr,
    reason = "what could not be checked is said aloud"
)]

use epicsdb::dbd::Dbd;
use epicsdb::{Files, Lookup};

struct Folder(String);

impl Files for Folder {
    fn read(&self, path: &str) -> Lookup {
        match fs_err::read_to_string(format!("{}/{path}", self.0)) {
            Ok(text) => Lookup::Text(text.into()),
            Err(_) => Lookup::Missing,
        }
    }
}

/// The dbd folder of an EPICS base 7; `tests/testbed/softioc.sh` installs one.
fn dbd_folder() -> Option<String> {
    let folder = std::env::var("EPICS_DBD")
        .ok()
        .filter(|folder| !folder.is_empty());
    if folder.is_none() {
        assert!(
            std::env::var("CI").is_err(),
            "EPICS_DBD is not set; run `tests/testbed/softioc.sh up` and export what it prints"
        );
        eprintln!("NOT CHECKED: EPICS_DBD is missing; run `tests/testbed/softioc.sh up`");
    }
    folder
}

#[test]
fn all_definitions_of_base_are_read() {
    let Some(folder) = dbd_folder() else {
        return;
    };
    let mut files = 0;
    for entry in fs_err::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // dbCommon.dbd is the inside of a record type, and only read by inclusion.
        if name.strip_suffix(".dbd").is_none() || name == "dbCommon.dbd" {
            continue;
        }
        files += 1;
        let loaded = Dbd::load(&Folder(folder.clone()), &name, &["."]);
        // Parts of base.dbd use menus and record types that base.dbd includes before them.
        // dbCommonRecord.dbd includes a source file of the build, which is not installed.
        let alone = |message: &str| {
            message == "included file `dbCommon.dbd.pod` does not exist"
                || message.starts_with("menu `")
                || message.starts_with("record type `") && message.ends_with("not defined")
        };
        let bad: Vec<_> = loaded
            .diagnostics
            .iter()
            .filter(|d| !alone(&d.message))
            .collect();
        assert!(bad.is_empty(), "{name}: {bad:#?}");
    }
    assert!(files > 30, "{files} files in {folder}");
    let table = Dbd::load(&Folder(folder.clone()), "bptTypeKdegC.dbd", &["."]);
    assert!(table.dbd.break_tables.contains_key("typeKdegC"));
    let base = Dbd::load(&Folder(folder), "base.dbd", &["."]);
    assert_eq!(base.diagnostics, []);
    let ai = &base.dbd.record_types["ai"];
    assert_eq!(
        ai.field("HHSV").and_then(|field| field.menu.as_deref()),
        Some("menuAlarmSevr")
    );
    assert!(ai.device("Soft Channel").is_some());
    println!(
        "{} record types, {} menus, {} links",
        base.dbd.record_types.len(),
        base.dbd.menus.len(),
        base.dbd.links.len()
    );
}
