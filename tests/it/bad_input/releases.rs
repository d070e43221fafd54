//! Releases that do not exist or cannot be honoured.

use crate::context::TestContext;

#[test]
fn an_instance_that_is_misspelt() {
    let context = TestContext::with_beamline();
    insta::assert_snapshot!(context.refuse(&["deploy", "t02-ea-ioc-10", "--yes"]), @"
    exit code: 4
    ----- stderr -----
    error: beamline `t02` has no IOC instance `t02-ea-ioc-10`
    hint: did you mean `t02-ea-ioc-01`?
    ");
}

#[test]
fn a_beamline_that_is_misspelt() {
    let context = TestContext::with_beamline();
    insta::assert_snapshot!(context.refuse(&["deploy", "--all", "-b", "t20", "--yes"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no beamline `t20`
    hint: did you mean `t02`?
    ");
}

#[test]
fn the_history_of_what_was_never_deployed() {
    let context = TestContext::with_beamline();
    insta::assert_snapshot!(context.refuse(&["history", "t02-ea-ioc-01"]), @"
    exit code: 4
    ----- stderr -----
    error: `t02-ea-ioc-01` is not deployed on this machine
    hint: `ioc ps` lists what is
    ");
}
