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
