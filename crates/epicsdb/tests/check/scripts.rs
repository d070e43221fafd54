//! What is said about start-up scripts.

use super::{BASE, check, findings, text};
use epicsdb::dbd::Dbd;
use epicsdb::macros::Environment;
use epicsdb::startup::{Command, scan};

const RECORD: (&str, &str) = ("/ioc/x.db", "record(ai, \"$(P):A\") { field(HIHI, 1) }\n");

#[test]
fn order_matters() {
    let st = "dbLoadRecords(x.db, P=1)\ndbLoadDatabase dbd/ioc.dbd\niocInit\ndbLoadRecords x.db P=2\niocInit()\n";
    insta::assert_snapshot!(findings(&[("/ioc/st.cmd", st), RECORD]), @"
    /ioc/st.cmd:1:1: note: no definitions (.dbd) are known: only the form of databases is checked
    /ioc/st.cmd:3:1: warning: no `…_registerRecordDeviceDriver` before `iocInit`
    hint: without it no record type has its code; put it behind dbLoadDatabase
    /ioc/st.cmd:4:1: error: `dbLoadRecords` after `iocInit` (/ioc/st.cmd:3:1) is refused
    hint: move the line before iocInit
    /ioc/st.cmd:5:1: error: the IOC is already initialised (/ioc/st.cmd:3:1)
    /ioc/st.cmd:5:1: warning: no `…_registerRecordDeviceDriver` before `iocInit`
    hint: without it no record type has its code; put it behind dbLoadDatabase
    ");
    insta::assert_snapshot!(findings(&[("/ioc/st.cmd", "# nothing\nepicsEnvSet A B\n")]), @"
    /ioc/st.cmd:2:1: error: the script never runs `iocInit`
    hint: without it the IOC serves no record; put `iocInit` at the end
    ");
    insta::assert_snapshot!(findings(&[]), @"/ioc/st.cmd:1:1: error: the start-up script does not exist");
}

#[test]
fn lines_that_the_shell_skips() {
    let st = r#"#!/epics/ioc/bin/linux-x86_64/ioc
dbLoadDatabase("dbd/ioc.dbd)
dbLoadDatabase("$(TOP)/dbd/ioc.dbd")
dbLoadDatabase dbd/ioc.dbd # don't
dbLoadDatabase dbd/ioc.dbd
ioc_registerRecordDeviceDriver(pdbbase)
epicsEnvSet("P", "$(IOC_NAME)")
epicsEnvSet P
dbLoadRecord("x.db", "P=$(P)")
dbLoadRecords("x.db", "P=$(P)")
dbLoadRecords
iocInit >
iocInit
"#;
    insta::assert_snapshot!(findings(&[("/ioc/st.cmd", st), RECORD]), @"
    /ioc/st.cmd:2:16: error: the closing quote is missing, the IOC skips the line
    hint: an apostrophe in a comment behind a command counts as a quote
    /ioc/st.cmd:3:17: error: macro `TOP` is not defined
    hint: the IOC skips the whole line; set `TOP` with epicsEnvSet or in the environment, or write `$(TOP=default)`
    /ioc/st.cmd:4:33: error: the closing quote is missing, the IOC skips the line
    hint: an apostrophe in a comment behind a command counts as a quote
    /ioc/st.cmd:8:1: error: `epicsEnvSet` needs a name and a value
    /ioc/st.cmd:9:1: warning: `dbLoadRecord` is not a command of EPICS base
    hint: did you mean `dbLoadRecords`?
    /ioc/st.cmd:11:1: error: `dbLoadRecords` needs an argument
    /ioc/st.cmd:12:9: error: the name of a file is missing, the IOC skips the line
    ");
}

#[test]
fn scripts_call_scripts() {
    let st = "cd /ioc/iocBoot\n< ../start.cmd\niocshLoad(\"../load.cmd\", \"N=1,FILE=x.db\")\n\
              iocshLoad load.cmd N=2\niocshCmd(\"dbLoadRecords /ioc/x.db P=$(N=3)\")\n\
              iocshLoad /image/more.cmd\n< gone.cmd\n";
    let start = "epicsEnvSet FILE /ioc/x.db\ndbLoadDatabase ../dbd/ioc.dbd\nioc_registerRecordDeviceDriver pdbbase\nexit\nnever run '\n";
    let load = "cd ..\n$(COMMENT=)dbLoadRecords($(FILE), \"P=$(N)\")\n$(OFF=#)dbLoadRecords($(UNKNOWN=y.db))\n";
    let list = [
        ("/ioc/st.cmd", st),
        ("/ioc/start.cmd", start),
        ("/ioc/load.cmd", load),
        RECORD,
    ];
    let report = check(&list, None);
    insta::assert_snapshot!(text(&report), @"
    /ioc/st.cmd:6:11: note: script `/image/more.cmd` is not at hand and was not checked
    /ioc/st.cmd:7:3: error: script `/gone.cmd` does not exist
    ");
    let names: Vec<&str> = report
        .records
        .iter()
        .map(|record| record.name.as_str())
        .collect();
    assert_eq!(names, ["1:A", "2:A", "3:A"]);
}

#[test]
fn what_is_inside_the_image_is_noted_once() {
    let st = "dbLoadDatabase /image/ioc.dbd\nioc_registerRecordDeviceDriver pdbbase\n\
              dbLoadRecords(/image/a.db, P=1)\ndbLoadRecords(/image/a.db, P=2)\ndbLoadRecords x.db P=1\niocInit\n";
    let bad = ("/ioc/x.db", "record(ai, \"$(P):A\") { field(HIHIX, 1) }\n");
    insta::assert_snapshot!(findings(&[("/ioc/st.cmd", st), bad]), @"
    /ioc/st.cmd:1:16: note: `/image/ioc.dbd` is not at hand (inside the image?) and was not checked
    /ioc/st.cmd:3:15: note: `/image/a.db` is not at hand (inside the image?) and was not checked
    ");
    let files = std::collections::BTreeMap::from([("base.dbd".to_owned(), BASE.to_owned())]);
    let base = Dbd::load(&files, "base.dbd", &[]);
    assert_eq!(base.diagnostics, []);
    insta::assert_snapshot!(text(&check(&[("/ioc/st.cmd", st), bad], Some(&base.dbd))), @"
    /ioc/st.cmd:3:15: note: `/image/a.db` is not at hand (inside the image?) and was not checked
    /ioc/x.db:1:30: error: record type `ai` has no field `HIHIX`
    hint: did you mean `HIHI`?
    ");
}

#[test]
fn commands_are_recognised() {
    let files = std::collections::BTreeMap::from([(
        "st.cmd".to_owned(),
        "drvAsynIPPortConfigure(\"L0\", \"host:$(PORT=1)\", 0, 0, 0)\ndbLoadTemplate a.substitutions\n".to_owned(),
    )]);
    let startup = scan(&files, "st.cmd", &Environment::new());
    let [first, second] = startup.statements.as_slice() else {
        panic!("{startup:?}")
    };
    let Command::Unknown { name, arguments } = &first.command else {
        panic!("{first:?}")
    };
    assert_eq!(name, "drvAsynIPPortConfigure");
    let words: Vec<(&str, u32, u32)> = arguments
        .iter()
        .map(|a| (a.text.as_str(), a.span.column, a.span.length))
        .collect();
    assert_eq!(
        words,
        [
            ("L0", 24, 4),
            ("host:1", 30, 16),
            ("0", 48, 1),
            ("0", 51, 1),
            ("0", 54, 1)
        ]
    );
    assert!(matches!(
        &second.command,
        Command::LoadTemplate { macros: None, .. }
    ));
}

#[test]
fn a_script_that_calls_itself_ends() {
    let text = findings(&[("/ioc/st.cmd", "< st.cmd\n< st.cmd\niocInit\n")]);
    assert!(text.contains("calls itself"), "{text}");
}

#[test]
fn lines_that_the_shell_joins_or_loses() {
    let st = "dbLoadDatabase \\\n dbd/ioc.dbd\nioc_registerRecordDeviceDriver pdbbase\n\
              dbLoadRecords(\"x.db\", \\\n   \"P=$(NO)\")\ndbLoadRecords x.db \"P 1\"\niocInit";
    insta::assert_snapshot!(findings(&[("/ioc/st.cmd", st), RECORD]), @"
    /ioc/st.cmd:5:7: error: macro `NO` is not defined
    hint: the IOC skips the whole line; set `NO` with epicsEnvSet or in the environment, or write `$(NO=default)`
    /ioc/st.cmd:6:20: warning: `P 1` has no `=` and defines no macro; expected `NAME=value`
    /ioc/x.db:1:13: error: macro `P` is not defined
    hint: add `P=…` to the macros at /ioc/st.cmd:6:1, or write `$(P=default)`
    /ioc/st.cmd:7:1: error: the last line has no line end, and the IOC does not run it
    hint: end the file with a new line
    /ioc/st.cmd:6:1: error: the script never runs `iocInit`
    hint: without it the IOC serves no record; put `iocInit` at the end
    ");
}
