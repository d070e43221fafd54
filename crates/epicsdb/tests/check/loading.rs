//! What is said about databases, templates and substitution files.

use super::{check, database, files, findings, text};
use epicsdb::macros::Environment;
use epicsdb::{Generated, check_ioc};

#[test]
fn a_faultless_database_has_no_findings() {
    let db = r#"
record(ai, "$(P):TEMP") {
    field(DESC, "stage temperature")
    field(DTYP, "Soft Channel")
    field(INP, "$(P):RAW CP MS")
    field(SCAN, "1 second")
    field(PREC, 2)
    field(HIHI, 90.5)
    field(HHSV, MAJOR)
    field(HIGH, "80")
    field(HSV, "MINOR")
    info(autosave, "VAL")
    alias("$(P):T")
}
record(calc, "$(P):RAW") { field(INPA, {const: 5}) field(CALC, "A+1") field(SCAN, 6) }
"#;
    assert_eq!(database(db), "");
}

#[test]
fn names_and_values_that_the_ioc_refuses() {
    let db = r#"
record(aii, "$(P):A") {}
record(ai, "$(P):B") {
    field(HIHII, "5")
    field(SCAN, "2 seconds")
    field(HHSV, "MAJOUR")
    field(DTYP, "Soft Chanel")
    field(PREC, "two")
    field(HIHI, "10 C")
    field(DESC, "a description that is much too long for forty")
    field(NAME, "X")
    field(OUT, "X")
    field(PHAS, 08)
    field(MLST, "1")
    field(TIME, "1")
}
record(ai, "$(P):C.X") {}
record(ai, "$(P):a-name-that-has-far-more-than-sixty-characters-in-it-and-goes-on") {}
"#;
    insta::assert_snapshot!(database(db), @"
    /ioc/x.db:2:8: error: record type `aii` does not exist in this IOC
    hint: did you mean `ai`?
    /ioc/x.db:4:11: error: record type `ai` has no field `HIHII`
    hint: did you mean `HIHI`?
    /ioc/x.db:5:17: error: `2 seconds` is not a value for `SCAN`: it is none of the choices; expected one of `Passive`, `Event`, `I/O Intr`, `10 second`, `5 second`, `2 second`, `1 second`, `.5 second`, `.2 second`, `.1 second`
    hint: did you mean `2 second`?
    /ioc/x.db:6:17: error: `MAJOUR` is not a value for `HHSV`: it is none of the choices; expected one of `NO_ALARM`, `MINOR`, `MAJOR`, `INVALID`
    hint: did you mean `MAJOR`?
    /ioc/x.db:7:17: error: `Soft Chanel` is not a device type of this record type; expected one of `Soft Channel`, `Raw Soft Channel`, `Async Soft Channel`, `Soft Timestamp`, `General Time`
    hint: did you mean `Soft Channel`?
    /ioc/x.db:8:17: error: `two` is not a value for `PREC`: it does not begin with a digit; expected a whole number
    /ioc/x.db:9:17: error: `10 C` is not a value for `HIHI`: something follows the digits; expected a number
    /ioc/x.db:10:17: error: `a description that is much too long for forty` is not a value for `DESC`: it has 45 bytes; expected at most 40 bytes
    /ioc/x.db:11:11: error: the field `NAME` cannot be set
    hint: the name stands behind the record type
    /ioc/x.db:12:11: error: record type `ai` has no field `OUT`
    hint: did you mean `INP`?
    /ioc/x.db:13:17: error: `08` is not a value for `PHAS`: a leading zero makes it octal, which has no 8 or 9; expected a whole number
    hint: leave the leading zero away
    /ioc/x.db:15:17: error: `TIME` cannot be set: it cannot be set in a database
    /ioc/x.db:17:12: error: record name `T01:C.X` has `.` in it, which is not allowed
    /ioc/x.db:18:12: error: record name `T01:a-name-that-has-far-more-than-sixty-characters-in-it-and-goes-on` has 68 bytes, at most 60 are allowed
    ");
}

#[test]
fn macros_without_a_value() {
    let db = r#"# for $(NOTHING)
record(ai, "$(P):$(R)") {
    field(DESC, "$(D=no description)")
    field(EGU, "$(UNIT)")
    field(INP, '$(LINK)')
    info(comment, "$(INFO)")
}
"#;
    insta::assert_snapshot!(database(db), @"
    /ioc/x.db:1:7: note: macro `NOTHING` in a comment is not defined
    /ioc/x.db:2:18: error: macro `R` is not defined
    hint: add `R=…` to the macros at /ioc/st.cmd:3:1, or write `$(R=default)`
    /ioc/x.db:4:17: error: macro `UNIT` is not defined
    hint: add `UNIT=…` to the macros at /ioc/st.cmd:3:1, or write `$(UNIT=default)`
    /ioc/x.db:5:16: error: the value of `INP` still holds a macro after expansion
    hint: macros are not expanded inside single quotes or behind a backslash
    /ioc/x.db:6:20: warning: macro `INFO` is not defined
    hint: add `INFO=…` to the macros at /ioc/st.cmd:3:1, or write `$(INFO=default)`
    ");
}

#[test]
fn broken_syntax_is_reported_and_the_rest_still_checked() {
    let db = r#"
record(ai, "$(P):A" {
    field(HIHI, 5)
}
record(ai, "$(P):B") {
    field(DESC, "no end)
    field(HIHI, 5)
}
record(ai, "$(P):C")
    field(HIHI, a/b)
}
recrod(ai, "$(P):D") {}
record(ai, "$(P):E") { field(LOLOO, 1) }
record(ai, "$(P):F") { field(HIHI, 5)
"#;
    insta::assert_snapshot!(database(db), @"
    /ioc/x.db:2:21: error: `{` is not expected here; expected `)`
    hint: the IOC stops reading the file here and refuses it
    /ioc/x.db:6:17: error: the closing quote is missing on this line
    /ioc/x.db:7:10: error: `(` is not expected here; expected `)`
    hint: the IOC stops reading the file here and refuses it
    /ioc/x.db:10:5: error: `field` is not expected here; expected a statement such as `record(…)`
    hint: the IOC stops reading the file here and refuses it
    /ioc/x.db:10:18: error: the character `/` needs quotes around the word
    /ioc/x.db:13:30: error: record type `ai` has no field `LOLOO`
    hint: did you mean `LOLO`?
    /ioc/x.db:14:38: error: the file ends in the middle of a statement; expected `field(…)`, `info(…)`, `alias(…)` or `}`
    hint: the IOC stops reading the file here and refuses it
    ");
}

#[test]
fn links_must_fit_the_device_type() {
    let db = r##"
record(ai, "$(P):A") { field(INP, "@asyn(PORT)") }
record(ai, "$(P):B") { field(DTYP, "General Time") field(INP, "5") }
record(ai, "$(P):C") { field(INP, "#C0 X1 @q") }
record(ai, "$(P):D") { field(FLNK, "@x") field(INP, "$(P):A PPP CP") }
record(ao, "$(P):E") { field(OUT, "$(P):A CP") }
record(ai, "$(P):F") { field(INP, {cons: 1}) field(SIOL, {const: 1, calc: 2}) field(TSEL, "{const:}") }
record(ai, "$(P):G") { field(DTYP, "Nothing") field(INP, "@x") }
"##;
    insta::assert_snapshot!(database(db), @"
    /ioc/x.db:4:35: error: `#C0 X1 @q` is not a link for `INP`: `#C0 X1 ` is not an address of any kind of hardware
    /ioc/x.db:5:36: error: `FLNK` is not a device link and takes no hardware address; expected a number, a record name or a JSON link
    /ioc/x.db:5:53: warning: the link modifier `PPP` means nothing to the IOC; expected PP, NPP, CA, CP, CPP, MS, NMS, MSI, MSS
    /ioc/x.db:6:35: warning: the IOC drops `CP` in the output link `OUT`
    /ioc/x.db:7:35: error: JSON link type `cons` does not exist in this IOC; expected one of calc, const, debug, state, trace
    hint: did you mean `const`?
    /ioc/x.db:7:58: error: a JSON link has one key, `calc` is a second one
    /ioc/x.db:7:91: error: `TSEL` is not a JSON link: `}` stands where a value is expected
    /ioc/x.db:8:36: error: `Nothing` is not a device type of this record type; expected one of `Soft Channel`, `Raw Soft Channel`, `Async Soft Channel`, `Soft Timestamp`, `General Time`
    /ioc/x.db:2:35: error: `T01:A.INP` does not fit the device type `Soft Channel`; expected a number, a record name or a JSON link
    hint: is `field(DTYP, …)` missing?
    /ioc/x.db:3:63: error: `T01:B.INP` does not fit the device type `General Time`; expected `@parameter`
    hint: the record is loaded, but its link stays empty
    ");
}

#[test]
fn records_defined_twice() {
    let db = r##"
record(ai, "$(P):A") { field(DESC, "1") }
record(ai, "$(P):A") { field(DESC, "2") }
record(ao, "$(P):A") { field(DESC, "3") }
record("*", "$(P):A") { field(DESC, "4") }
record("*", "$(P):B") { field(DESC, "5") }
record("#", "$(P):C")
record(bi, "$(P):D") { alias("$(P):A") }
alias("$(P):D", "$(P):E")
alias("$(P):D", "$(P):E")
alias("$(P):X", "$(P):Y")
record("#", "$(P):D")
record(bo, "$(P):E") {}
"##;
    insta::assert_snapshot!(database(db), @r#"
    /ioc/x.db:3:12: note: record `T01:A` is already defined (/ioc/x.db:2:12); the fields are merged
    hint: write `record("*", …)` if this is intended
    /ioc/x.db:4:12: error: record `T01:A` is already defined as type `ai` (/ioc/x.db:2:12), not `ao`
    /ioc/x.db:6:13: error: record `T01:B` does not exist
    hint: `record("*", …)` adds to a record that was loaded before
    /ioc/x.db:7:13: warning: record `T01:C` does not exist and cannot be deleted
    /ioc/x.db:8:30: error: alias `T01:A` is already the name of another record or its alias (/ioc/x.db:2:12)
    /ioc/x.db:11:17: error: alias `T01:Y` names record `T01:X`, which does not exist
    hint: define the record before its alias
    "#);
}

#[test]
fn included_files_keep_their_own_positions() {
    let st = "dbLoadDatabase dbd/ioc.dbd\nioc_registerRecordDeviceDriver pdbbase\n\
              epicsEnvSet(EPICS_DB_INCLUDE_PATH, \"/ioc/db:/image/db\")\n\
              dbLoadRecords(\"a.db\", \"P=T01\")\niocInit\n";
    let a = "record(ai, \"$(P):A\") {\n    include \"fields.db\"\n    include \"gone.db\"\n}\n";
    let fields = "    field(HIHI, x)\n";
    let list = [
        ("/ioc/st.cmd", st),
        ("/ioc/db/a.db", a),
        ("/ioc/db/fields.db", fields),
    ];
    insta::assert_snapshot!(findings(&list), @"
    /ioc/db/a.db:3:13: note: `/image/db/gone.db` is not at hand (inside the image?) and was not checked
    /ioc/db/fields.db:1:17: error: `x` is not a value for `HIHI`: it does not begin with a digit; expected a number
    ");
}

#[test]
fn a_file_that_includes_itself_ends() {
    let st = "dbLoadDatabase dbd/ioc.dbd\nioc_registerRecordDeviceDriver pdbbase\n\
              dbLoadRecords(\"a.db\")\niocInit\n";
    insta::assert_snapshot!(findings(&[("/ioc/st.cmd", st), ("/ioc/a.db", "include \"a.db\"\n")]), @"/ioc/a.db:1:9: error: `a.db` is not read: it includes itself");
}

const TEMPLATE: &str = "record(ai, \"$(P):$(R)\") { field(EGU, \"$(EGU=V)\") field(HIHI, $(HIHI)) field(HHSV, MAJOR) }\n";

#[test]
fn templates_are_loaded_with_each_set() {
    let st = "dbLoadDatabase dbd/ioc.dbd\nioc_registerRecordDeviceDriver pdbbase\n\
              dbLoadTemplate(\"ioc.substitutions\", \"P=T01\")\niocInit\n";
    let substitutions = "global { HIHI=5 }\n\
                         file \"t.template\" {\n  pattern { R, EGU }\n  { A, \"mm\" }\n  { B, }\n}\n\
                         file t.template { { R=C, HIHI=x } { P=T02, R=D } }\n\
                         file gone.template { { R=E } }\n";
    let list = [
        ("/ioc/st.cmd", st),
        ("/ioc/ioc.substitutions", substitutions),
        ("/ioc/t.template", TEMPLATE),
    ];
    let report = check(&list, None);
    insta::assert_snapshot!(text(&report), @"
    /ioc/t.template:1:62: error: `x` is not a value for `HIHI`: it does not begin with a digit; expected a number
    /ioc/ioc.substitutions:8:6: error: file `gone.template` does not exist
    hint: it was looked for as `/ioc/gone.template`
    ");
    let names: Vec<&str> = report
        .records
        .iter()
        .map(|record| record.name.as_str())
        .collect();
    assert_eq!(names, ["T01:A", "T01:B", "T01:C", "T02:D"]);
    assert_eq!(report.records[0].fields["EGU"], "mm");
    insta::assert_debug_snapshot!(report.records[3].alarm_conditions(), @r#"
    [
        AlarmCondition {
            field: "HHSV",
            severity: "MAJOR",
            limit: Some(
                (
                    "HIHI",
                    Some(
                        "5",
                    ),
                ),
            ),
        },
    ]
    "#);
}

#[test]
fn a_database_made_by_msi_is_followed_to_its_templates() {
    let st = "dbLoadDatabase dbd/ioc.dbd\nioc_registerRecordDeviceDriver pdbbase\n\
              dbLoadRecords(\"/runtime/ioc.db\", \"HIHI=7\")\niocInit\n";
    let substitutions = "file \"t.template\" {\n{ P=T01, R = A }\n{ P=\"T01\", R=\"B\" }\n}\n\
                         file all.template { { P=T01 } }\n";
    let all = "substitute \"R=C\"\ninclude \"t.template\"\nsubstitute \"R=D,HIHI=q\"\n\
               include \"t.template\"\ninclude \"gone.template\"\n";
    let mut files = files(&[
        ("/ioc/st.cmd", st),
        ("/ioc/config/ioc.subst", substitutions),
        ("/ioc/db/t.template", TEMPLATE),
        ("/ioc/db/all.template", all),
    ]);
    let generated = Generated {
        substitutions: "/ioc/config/ioc.subst".into(),
        include_path: vec!["/ioc/config".into(), "/ioc/db".into()],
    };
    files.generated.insert("/runtime/ioc.db".into(), generated);
    let report = check_ioc(&files, "/ioc/st.cmd", &Environment::new(), None);
    insta::assert_snapshot!(text(&report), @"
    /ioc/db/all.template:5:1: error: included file `gone.template` does not exist
    /ioc/db/t.template:1:62: error: `q` is not a value for `HIHI`: it does not begin with a digit; expected a number
    ");
    let names: Vec<&str> = report
        .records
        .iter()
        .map(|record| record.name.as_str())
        .collect();
    assert_eq!(names, ["T01:A", "T01:B", "T01:C", "T01:D"]);
}

#[test]
fn macro_bombs_and_deep_nesting_end() {
    let mut bomb = String::from("X0=aaaaaaaaaa");
    for level in 1..40 {
        bomb.push_str(&format!(",X{level}=$(X{0})$(X{0})", level - 1));
    }
    let st = format!(
        "dbLoadDatabase dbd/ioc.dbd\nioc_registerRecordDeviceDriver pdbbase\n\
         dbLoadRecords(\"a.db\", '{bomb}')\niocInit\n"
    );
    let deep = "$(".repeat(50_000);
    let json = "[".repeat(50_000);
    let db = format!(
        "record(ai, \"$(X39)\") {{\nfield(DESC, \"{deep}\")\n}}\nrecord(ai, B) {{ field(INP, {json}) }}"
    );
    let report = check(&[("/ioc/st.cmd", &st), ("/ioc/a.db", &db)], None);
    let text = text(&report);
    assert!(
        text.contains("macros expand to far too much text"),
        "{text}"
    );
    assert!(text.contains("nested too deeply"), "{text}");
}

#[test]
fn a_string_may_go_on_in_the_next_line() {
    let db = "record(ai, \"$(P):A\") {\n    field(DESC, \"one\\\ntwo $(X)\") field(HIHI, x)\n    field(LOLO, y)\n}\n";
    insta::assert_snapshot!(database(db), @"
    /ioc/x.db:2:22: error: macro `X` is not defined
    hint: add `X=…` to the macros at /ioc/st.cmd:3:1, or write `$(X=default)`
    /ioc/x.db:4:17: error: `y` is not a value for `LOLO`: it does not begin with a digit; expected a number
    ");
}

#[test]
fn what_was_not_read_is_told_apart_from_what_is_wrong() {
    let script = "\
dbLoadRecords(\"/image/a.db\")
dbLoadRecords(\"/image/a.db\")
dbLoadTemplate(\"/image/b.substitutions\")
dbLoadRecords(\"includes.db\")
dbLoadRecords(\"missing.db\")
dbLoadRecords(\"$(NOWHERE)/c.db\")
dbLoadRecords(\"broken.db\")
dbLoadTemplate(\"broken.substitutions\")
iocInit
";
    let report = check(
        &[
            ("/ioc/st.cmd", script),
            ("/ioc/includes.db", "include \"/image/d.db\"\n"),
            ("/ioc/broken.db", "record(ai, \"A\" {\n"),
            ("/ioc/broken.substitutions", "file \"x.db\" { {\n"),
        ],
        None,
    );
    let unseen: Vec<&str> = report.unseen.iter().map(String::as_str).collect();
    assert_eq!(
        unseen,
        ["/image/a.db", "/image/b.substitutions", "/image/d.db"]
    );
    let lines: Vec<u32> = report.skipped.iter().map(|span| span.line).collect();
    assert_eq!(lines, [6]);
    let refused: Vec<String> = report
        .refused
        .iter()
        .map(|finding| format!("{}:{}", finding.span.file, finding.span.line))
        .collect();
    assert_eq!(refused, ["/ioc/broken.db:1", "/ioc/broken.substitutions:2"]);
}
