//! `ioc.toml` and other settings that are wrong.

use crate::context::TestContext;

#[test]
fn a_project_folder_without_a_project_file() {
    insta::assert_snapshot!(TestContext::new().refuse(&["--project", ".", "ps"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no `ioc.toml` in `.`
    hint: `--project` and `IOC_PROJECT` name the folder that holds it
    ");
}

#[test]
fn a_misspelt_key_in_the_project_file() {
    let context = TestContext::new();
    context.write("ioc.toml", "[images]\nfoldr = \"generic-iocs\"\n");
    insta::assert_snapshot!(context.refuse(&["ps"]), @r#"
    exit code: 3
    ----- stderr -----
    error: unknown key `foldr`
     --> ioc.toml:2:1
      |
    2 | foldr = "generic-iocs"
      | ^^^^^ expected one of folder, base, registry, tag
    hint: did you mean `folder`?
    "#);
}

#[test]
fn a_misspelt_table_in_the_project_file() {
    let context = TestContext::new();
    context.write(
        "ioc.toml",
        "[beamlines.t02]\nrepository = \"beamlines/t02\"\n",
    );
    insta::assert_snapshot!(context.refuse(&["ps"]), @"
    exit code: 3
    ----- stderr -----
    error: unknown key `beamlines`
     --> ioc.toml:1:2
      |
    1 | [beamlines.t02]
      |  ^^^^^^^^^ expected one of images, fetch, mirror, engine, registry, channel-access, logs, release, alarm, beamline
    hint: did you mean `beamline`?
    ");
}

#[test]
fn a_project_file_that_is_not_toml() {
    let context = TestContext::new();
    context.write("ioc.toml", "[images\nfolder = 1\n");
    insta::assert_snapshot!(context.refuse(&["ps"]), @"
    exit code: 3
    ----- stderr -----
    error: unclosed table, expected `]`
     --> ioc.toml:1:8
      |
    1 | [images
      |        ^
    ");
}

#[test]
fn a_project_file_that_is_not_text() {
    let context = TestContext::new();
    context.write("ioc.toml", [0xff, 0xfe, 0x00]);
    insta::assert_snapshot!(context.refuse(&["ps"]), @"
    exit code: 3
    ----- stderr -----
    error: the file is not text in UTF-8
     --> [ROOT]/project/ioc.toml:1
    hint: is it a binary file, or text in another encoding? `iconv -f latin1 -t utf-8` converts it
    ");
}

#[test]
fn a_beamline_without_a_repository() {
    let context = TestContext::new();
    context.write("ioc.toml", "[beamline.t02]\nbackend = \"local\"\n");
    insta::assert_snapshot!(context.refuse(&["ps"]), @"
    exit code: 3
    ----- stderr -----
    error: missing key `repository`
     --> ioc.toml:1:1
      |
    1 | [beamline.t02]
      | ^^^^^^^^^^^^^^
    ");
}

#[test]
fn a_number_where_a_text_is_wanted() {
    let context = TestContext::new();
    context.write("ioc.toml", "[channel-access]\naddress-list = 127\n");
    insta::assert_snapshot!(context.refuse(&["ps"]), @"
    exit code: 3
    ----- stderr -----
    error: wrong type: integer `127`, expected a text in quotes
     --> ioc.toml:2:16
      |
    2 | address-list = 127
      |                ^^^
    ");
}

#[test]
fn a_port_that_does_not_exist() {
    let context = TestContext::new();
    context.write("ioc.toml", "[channel-access]\nserver-port = 70000\n");
    insta::assert_snapshot!(context.refuse(&["ps"]), @"
    exit code: 3
    ----- stderr -----
    error: invalid value: integer `70000`, expected a whole number from 0 to 65535
     --> ioc.toml:2:15
      |
    2 | server-port = 70000
      |               ^^^^^
    ");
}

#[test]
fn a_key_that_is_there_twice() {
    let context = TestContext::new();
    context.write("ioc.toml", "[images]\ntag = \"a\"\ntag = \"b\"\n");
    insta::assert_snapshot!(context.refuse(&["ps"]), @r#"
    exit code: 3
    ----- stderr -----
    error: duplicate key
     --> ioc.toml:3:1
      |
    3 | tag = "b"
      | ^^^
    "#);
}

#[test]
fn a_user_file_that_is_not_there() {
    let context = TestContext::new().env("IOC_CONFIG", "/nowhere/config.toml");
    insta::assert_snapshot!(context.refuse(&["ps"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no file `/nowhere/config.toml`
    hint: `IOC_CONFIG` says that it is read
    ");
}

#[test]
fn a_project_file_without_end() {
    let context = TestContext::new();
    context.write("ioc.toml", "# ".repeat(1024 * 1024));
    insta::assert_snapshot!(context.refuse(&["ps"]), @"
    exit code: 3
    ----- stderr -----
    error: the file has more than 1048576 bytes
     --> [ROOT]/project/ioc.toml
    ");
}
