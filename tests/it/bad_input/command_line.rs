//! Command lines that are wrong.

use crate::context::TestContext;

#[test]
fn a_misspelt_verb() {
    insta::assert_snapshot!(TestContext::new().refuse(&["deplyo", "x"]), @"
    exit code: 2
    ----- stderr -----
    error: unrecognized subcommand 'deplyo'

      tip: a similar subcommand exists: 'deploy'

    Usage: ioc [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn a_time_that_is_not_a_time() {
    insta::assert_snapshot!(TestContext::new().refuse(&["deploy", "x", "--timeout", "soon"]), @"
    exit code: 2
    ----- stderr -----
    error: invalid value 'soon' for '--timeout <TIME>': `soon` is not a time; write it as 90s, 2m or 1h30m

    For more information, try '--help'.
    ");
}

#[test]
fn a_verb_without_an_instance() {
    insta::assert_snapshot!(TestContext::new().refuse(&["deploy"]), @"
    exit code: 2
    ----- stderr -----
    error: the following required arguments were not provided:
      <INSTANCES>...

    Usage: ioc deploy <INSTANCES>...

    For more information, try '--help'.
    ");
}

#[test]
fn all_and_a_name() {
    insta::assert_snapshot!(TestContext::new().refuse(&["stop", "--all", "t02-ea-ioc-01"]), @"
    exit code: 2
    ----- stderr -----
    error: the argument '--all' cannot be used with '[INSTANCES]...'

    Usage: ioc stop --all [INSTANCES]...

    For more information, try '--help'.
    ");
}

#[test]
fn atomic_without_waiting() {
    insta::assert_snapshot!(
        TestContext::new().refuse(&["deploy", "t02-ea-ioc-01", "--atomic", "--no-wait"]), @"
    exit code: 2
    ----- stderr -----
    error: the argument '--atomic' cannot be used with '--no-wait'

    Usage: ioc deploy --atomic <INSTANCES>...

    For more information, try '--help'.
    ");
}

#[test]
fn following_what_is_over() {
    insta::assert_snapshot!(
        TestContext::new().refuse(&["logs", "-f", "--previous", "t02-ea-ioc-01"]), @"
    exit code: 2
    ----- stderr -----
    error: the argument '--follow' cannot be used with '--previous'

    Usage: ioc logs --follow <INSTANCES>...

    For more information, try '--help'.
    ");
}

#[test]
fn a_pattern_that_is_not_one() {
    let context = TestContext::with_beamline();
    insta::assert_snapshot!(context.refuse(&["logs", "t02-ea-ioc-01", "--grep", "[a-"]), @r"
    exit code: 2
    ----- stderr -----
    error: `--grep` is not a regular expression
      cause: regex parse error:
                 [a-
                 ^
             error: unclosed character class
    hint: a plain text is one too, with a `\` before each of `[](){}.*+?|^$\`
    ");
}

#[test]
fn a_beginning_that_is_not_a_time() {
    let context = TestContext::with_beamline();
    insta::assert_snapshot!(context.refuse(&["logs", "t02-ea-ioc-01", "--since", "yesterday"]), @"
    exit code: 2
    ----- stderr -----
    error: `yesterday` is not a time; write it as 10m, 2h, 1d, 14:30 or 2026-11-22T10:00:00Z
    ");
}

#[test]
fn a_revision_that_is_not_a_number() {
    let context = TestContext::with_beamline();
    insta::assert_snapshot!(context.refuse(&["rollback", "t02-ea-ioc-01", "v1"]), @"
    exit code: 2
    ----- stderr -----
    error: invalid value 'v1' for '[REVISION]': `v1` is not a revision; `ioc history INSTANCE` lists them: 1, 2, …

    For more information, try '--help'.
    ");
}

#[test]
fn an_output_format_that_does_not_exist() {
    insta::assert_snapshot!(TestContext::new().refuse(&["ps", "-o", "xml"]), @"
    exit code: 2
    ----- stderr -----
    error: invalid value 'xml' for '--output <OUTPUT>'
      [possible values: table, json, yaml]

      tip: a similar value exists: 'yaml'

    For more information, try '--help'.
    ");
}

#[test]
fn a_version_without_a_project() {
    insta::assert_snapshot!(TestContext::new().run(&["deploy", "x", "--version", "2026.11.1"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no `ioc.toml` in this folder or above it
    hint: change into the project, or name it with `--project FOLDER`
    ");
}
