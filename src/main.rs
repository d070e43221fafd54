//! The `ioc` binary.
fn main() {}
