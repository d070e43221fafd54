//! Configurations that are wrong: place, reason, hint, exit code, and nothing changed.

use super::with_table;
use crate::context::TestContext;

/// What `apply` says to a file.
fn refused(name: &str, text: &str) -> String {
    let context = TestContext::new();
    context.write(name, text);
    context.refuse(&["alarm", "config", "apply", name, "--yes"])
}

#[test]
fn broken_xml() {
    insta::assert_snapshot!(refused("Lab.xml", "<config name=\"Lab\">\n  <component name=\"A\">\n</config>\n"), @"
    exit code: 3
    ----- stderr -----
    error: this is no well-formed XML: ill-formed document: expected `</component>`, but `</config>` was found
     --> Lab.xml:3:1
      |
    3 | </config>
      | ^
    hint: the innermost element that is open here is `<component>`
    ");
}

#[test]
fn another_root_element() {
    insta::assert_snapshot!(refused("Lab.xml", "<alarms name=\"Lab\"/>\n"), @r#"
    exit code: 3
    ----- stderr -----
    error: the root is `<alarms>`
     --> Lab.xml:1:1
      |
    1 | <alarms name="Lab"/>
      | ^^^^^^^^^^^^^^^^^^^^ expected `<config name="…">`
    "#);
}

#[test]
fn a_root_of_another_name() {
    let context = TestContext::new();
    context.write(
        "Lab.xml",
        "<config name=\"Lab\"><pv name=\"X\"/></config>\n",
    );
    insta::assert_snapshot!(context.refuse(&["alarm", "config", "apply", "Lab.xml", "--config", "Other", "--yes"]), @r#"
    exit code: 3
    ----- stderr -----
    error: the root is `Lab`, not `Other`, which `--config` asks for
     --> Lab.xml:1:1
      |
    1 | <config name="Lab"><pv name="X"/></config>
      | ^^^^^^^^^^^^^^^^^^^
    hint: is this the right file? without `--config` the name in the file counts
    "#);
}

#[test]
fn an_unknown_column() {
    insta::assert_snapshot!(refused("Lab.csv", "#Indent,Branch,PV,Descripton\n,,X,x\n"), @"
    exit code: 3
    ----- stderr -----
    error: the column `Descripton` has no meaning
     --> Lab.csv:1:19
      |
    1 | #Indent,Branch,PV,Descripton
      |                   ^^^^^^^^^^ expected one of #Indent, Branch, PV, Description, Latch, Delay, Count, Filter, Guidance, Enabled, Annunciate
    hint: did you mean `Description`?
    ");
}

#[test]
fn a_name_with_spaces() {
    insta::assert_snapshot!(refused("Lab.yaml", "configuration: Lab\npvs:\n  A B: {}\n"), @"
    exit code: 3
    ----- stderr -----
    error: `A B` has spaces, which names of PVs do not have
     --> Lab.yaml:3:3
      |
    3 |   A B: {}
      |   ^^^
    hint: the name is that of the record; what it is belongs into the description
    ");
}

#[test]
fn an_unknown_key() {
    insta::assert_snapshot!(refused("Lab.yaml", "configuration: Lab\npvs:\n  X: {latch: true}\n"), @"
    exit code: 3
    ----- stderr -----
    error: unknown field `latch`
     --> Lab.yaml:3:7
      |
    3 |   X: {latch: true}
      |       ^^^^^ expected one of description, enabled, latching, annunciating, delay, count, filter, guidance, displays, commands, actions
    hint: did you mean `latching`?
    ");
}

#[test]
fn a_filter_that_does_not_parse() {
    insta::assert_snapshot!(refused("Lab.xml", "<config name=\"Lab\">\n  <pv name=\"X\">\n    <filter>A &gt; (1</filter>\n  </pv>\n</config>\n"), @"
    exit code: 3
    ----- stderr -----
    error: the filter of `X` is no formula: expected `)`, but the formula ends here
     --> Lab.xml:3:19
      |
    3 |     <filter>A &gt; (1</filter>
      |                   ^
    ");
}

#[test]
fn a_date_that_is_none() {
    insta::assert_snapshot!(refused("Lab.csv", "#Indent,Branch,PV,Enabled\n,,X,2031-02-30T10:00:00\n"), @"
    exit code: 3
    ----- stderr -----
    error: `2031-02-30T10:00:00` cannot stand in the column `Enabled`
     --> Lab.csv:2:5
      |
    2 | ,,X,2031-02-30T10:00:00
      |     ^^^^^^^^^^^^^^^^^^^ expected `TRUE`, `FALSE`, or the local time from which on it is enabled, such as `2031-12-03T10:15:30`
    ");
}

#[test]
fn an_include_in_a_circle() {
    let context = TestContext::new();
    context.write("Lab.yaml", "configuration: Lab\ninclude: part.yaml\n");
    context.write("part.yaml", "groups:\n  A:\n    include: Lab.yaml\n");
    insta::assert_snapshot!(context.refuse(&["alarm", "config", "apply", "Lab.yaml", "--yes"]), @"
    exit code: 3
    ----- stderr -----
    error: `Lab.yaml` includes itself: Lab.yaml -> part.yaml -> Lab.yaml
     --> part.yaml:3:14
      |
    3 |     include: Lab.yaml
      |              ^^^^^^^^
    hint: leave out one of these includes
    ");
}

#[test]
fn a_path_of_300_characters() {
    let group = "g".repeat(290);
    insta::assert_snapshot!(refused("Lab.yaml", &format!("configuration: Lab\ngroups:\n  {group}:\n    pvs: {{X: {{}}}}\n")), @"
    exit code: 3
    ----- stderr -----
    error: the path has 295 characters, at most 255 are taken: `/Lab/ggggggggggggggggggggggggggggggggggg…`
     --> Lab.yaml:3:3
      |
    3 |   ggggggggggggggggggggggggggggggggggggggggggggg...ggggggggggggggggggggggggggggggggggggggggggggg:
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^...^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: shorten the names of the groups
    error: the path has 297 characters, at most 255 are taken: `/Lab/ggggggggggggggggggggggggggggggggggg…`
     --> Lab.yaml:4:11
      |
    4 |     pvs: {X: {}}
      |           ^
    hint: shorten the names of the groups
    error: `Lab.yaml` has 2 mistakes
    ");
}

#[test]
fn slashes_in_names_and_two_at_the_beginning() {
    insta::assert_snapshot!(refused("Lab.yaml", "configuration: Lab\ngroups:\n  A/B:\n    pvs: {//X: {}}\n"), @"
    exit code: 3
    ----- stderr -----
    error: the name `//X` begins with `//`
     --> Lab.yaml:4:11
      |
    4 |     pvs: {//X: {}}
      |           ^^^ expected a name; the whole path may have 4096 bytes
    ");
}

#[test]
fn a_mail_address_that_is_none() {
    insta::assert_snapshot!(refused("Lab.yaml", "configuration: Lab\ngroups:\n  A:\n    actions:\n      - {title: mail, details: 'mailto:operator'}\n    pvs: {X: {}}\n"), @"
    exit code: 3
    ----- stderr -----
    error: the action `mailto:operator` cannot work: `operator` is no mail address
     --> Lab.yaml:5:33
      |
    5 |       - {title: mail, details: 'mailto:operator'}
      |                                 ^^^^^^^^^^^^^^^ expected `mailto:a@b,c@d`, `cmd:program arguments`, `sevrpv:PV`, `infopv:PV`, `webhook:URL`, `slack:`, `teams:` or `mattermost:` with a URL or a channel
    hint: an address is `name@domain`, several have commas between them
    ");
}

#[test]
fn the_same_pv_twice_in_a_group_and_more() {
    let context = with_table();
    context.append("Lab.csv", ",,V:1,again,TRUE,x,,,\n3,Deep,,,,,,,\n");
    insta::assert_snapshot!(context.refuse(&["alarm", "config", "apply", "Lab.csv", "--yes"]), @"
    exit code: 3
    ----- stderr -----
    error: `x` cannot stand in the column `Delay`
     --> Lab.csv:7:18
      |
    7 | ,,V:1,again,TRUE,x,,,
      |                  ^ expected a whole number, 0 or more
    error: a group of depth 3 has no group above it
     --> Lab.csv:8:1
      |
    8 | 3,Deep,,,,,,,
      | ^ expected at most 1
    error: the PV `V:1` is in `/Lab/Water` twice
     --> Lab.csv:7:3
      |
    7 | ,,V:1,again,TRUE,x,,,
      |   ^^^
    hint: a PV may stand in several groups, but only once in each
    error: `Lab.csv` has 3 mistakes
    ");
}

#[test]
fn a_file_that_is_not_there_or_no_configuration() {
    let context = with_table();
    context.write("notes.txt", "x");
    insta::assert_snapshot!(context.refuse(&["alarm", "config", "apply", "Lap.csv"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no file `Lap.csv`
    ");
    insta::assert_snapshot!(context.refuse(&["alarm", "config", "check", "notes.txt"]), @"
    exit code: 3
    ----- stderr -----
    error: the name of `notes.txt` does not say what it is
     --> notes.txt
      = expected a file `….csv`, `….xml`, `….yaml` or `….json`
    ");
    insta::assert_snapshot!(context.refuse(&["alarm", "config", "diff", "."]), @"
    exit code: 3
    ----- stderr -----
    error: `.` is a folder, not an alarm configuration
    hint: `ioc alarm config check .` checks all in it
    ");
}

#[test]
fn a_name_that_is_no_topic() {
    insta::assert_snapshot!(refused("Lab.yaml", "configuration: my lab\npvs: {X: {}}\n"), @"
    exit code: 3
    ----- stderr -----
    error: `my lab` is no name of a configuration: a space cannot stand in it
     --> Lab.yaml:1:16
      |
    1 | configuration: my lab
      |                ^^^^^^ expected letters, digits, `.`, `_` and `-`: it is the name of a topic
    ");
}

#[test]
fn a_pv_in_the_place_of_a_group() {
    let context = with_table();
    context.succeed(&["alarm", "config", "apply", "Lab.csv", "--yes"]);
    context.write("Lab.yaml", "configuration: Lab\npvs: {Vacuum: {}}\n");
    insta::assert_snapshot!(context.run(&["alarm", "config", "apply", "Lab.yaml", "--yes"]), @"
    exit code: 5
    ----- stderr -----
    error: 1 item of the bus would have to be deleted to make place
      cause: `/Lab/Vacuum` is a group on the bus and a PV in the file
    hint: `--prune` deletes what is on the bus and not in the file
    ");
}

#[test]
fn a_bus_that_is_none() {
    let context = with_table();
    context.write(
        "bus/bus.sqlite",
        "this is no database at all, but a text of some length",
    );
    let report = context.run(&[
        "alarm", "config", "apply", "Lab.csv", "--yes", "--bus", "bus",
    ]);
    assert!(report.starts_with("exit code: 14"), "{report}");
}

#[test]
fn nothing_says_which_configuration() {
    insta::assert_snapshot!(TestContext::new().refuse(&["alarm", "config", "export"]), @r#"
    exit code: 2
    ----- stderr -----
    error: nothing says which configuration
    hint: `--config NAME`, or `config = "NAME"` below `[alarm]` in `ioc.toml`
    "#);
    insta::assert_snapshot!(TestContext::new().refuse(&["alarm", "config", "export", "--config", "Lab"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no configuration `Lab` on the bus in `[ROOT]/state/alarm-bus`
    hint: `ioc alarm config apply FILE` publishes one
    ");
}
