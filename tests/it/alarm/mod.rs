//! `ioc alarm config` and `ioc alarm simulate`, as a user runs them, on the bus in files.

mod applying;
mod bad_input;
mod checking;
mod follow;
mod live;
mod scenarios;

use crate::context::TestContext;

/// A project with a configuration of three PVs as a table.
pub(super) fn with_table() -> TestContext {
    let context = TestContext::new().without_engine();
    context.write("Lab.csv", TABLE);
    context
}

pub(super) const TABLE: &str = "\
#Indent,Branch,PV,Description,Latch,Delay,Count,Filter,Guidance
0,Vacuum,,,,,,,Call the vacuum group
,,V:1,Pressure 1,TRUE,,,,
,,V:2,Pressure 2,TRUE,5,3,'V:MODE' > 0,Close the valve
0,Water,,,,,,,
,,V:1,Pressure 1,FALSE,,,,
";
