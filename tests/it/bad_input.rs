//! What wrong input gets: place, reason, hint and exit code, and nothing changed.

use crate::context::TestContext;

#[test]
fn a_misspelt_verb() {
    insta::assert_snapshot!(TestContext::new().run(&["deplyo", "x"]), @"
    exit code: 2
    ----- stderr -----
    error: unrecognized subcommand 'deplyo'

      tip: a similar subcommand exists: 'deploy'

    Usage: ioc [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn a_project_folder_without_a_project_file() {
    insta::assert_snapshot!(TestContext::new().run(&["--project", ".", "ps"]), @"
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
    insta::assert_snapshot!(context.run(&["ps"]), @r#"
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
fn a_project_file_that_is_not_toml() {
    let context = TestContext::new();
    context.write("ioc.toml", "[images\nfolder = 1\n");
    insta::assert_snapshot!(context.run(&["ps"]), @"
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
    insta::assert_snapshot!(context.run(&["ps"]), @"
    exit code: 3
    ----- stderr -----
    error: the file is not text in UTF-8
     --> [ROOT]/project/ioc.toml:1
    hint: is it a binary file, or text in another encoding? `iconv -f latin1 -t utf-8` converts it
    ");
}

#[test]
fn a_time_that_is_not_a_time() {
    insta::assert_snapshot!(TestContext::new().run(&["deploy", "x", "--timeout", "soon"]), @"
    exit code: 2
    ----- stderr -----
    error: invalid value 'soon' for '--timeout <TIME>': `soon` is not a time; write it as 90s, 2m or 1h30m

    For more information, try '--help'.
    ");
}
