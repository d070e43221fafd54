//! The documentation says what the program does.

use ioc::ui::error::ErrorKind;

use crate::context::repository;

#[test]
fn every_exit_code_is_documented() {
    let page = std::fs::read_to_string(repository().join("docs/exit-codes.md")).unwrap();
    for kind in ErrorKind::ALL {
        let name = serde_json::to_value(kind).unwrap();
        let row = format!("| {} | `{}` |", kind.code(), name.as_str().unwrap());
        assert!(
            page.contains(&row),
            "docs/exit-codes.md has no row beginning with {row}"
        );
    }
}

#[test]
fn every_key_of_the_project_file_is_documented() {
    let page = std::fs::read_to_string(repository().join("docs/configuration.md")).unwrap();
    let tables = [
        "images",
        "fetch",
        "engine",
        "registry",
        "channel-access",
        "release",
        "alarm",
        "alarm.server",
        "alarm.mail",
        "alarm.commands",
        "alarm.webhooks",
        "alarm.elasticsearch",
        "alarm.loki",
        "beamline.x",
        "mirror",
    ];
    for table in tables {
        let header = if table == "mirror" {
            "[[mirror]]".to_owned()
        } else {
            format!("[{table}]")
        };
        // The parser itself knows its keys: an unknown one is answered with all of them.
        let finding =
            ioc::project::parse("ioc.toml".as_ref(), &format!("{header}\nno-such-key = 1\n"))
                .unwrap_err();
        let expected = finding.expected.unwrap();
        let keys = expected
            .trim_start_matches("expected one of ")
            .trim_start_matches("expected ");
        for key in keys.split(", ") {
            let key = key.trim_matches('`');
            let mentioned =
                page.contains(&format!("`{table}.{key}`")) || page.contains(&format!("`{key}`"));
            assert!(
                mentioned,
                "docs/configuration.md does not tell of `{key}` in {header}"
            );
        }
    }
}
