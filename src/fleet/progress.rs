//! How a flow tells what it does while it does it, without knowing a terminal.

/// Takes what happens now.
pub trait Progress: Send + Sync {
    /// Something begins, in a few words: `replacing t01-ea-ioc-01-0`.
    fn step(&self, what: &str);
    /// Something is not as expected and does not stop the flow.
    fn warning(&self, message: &str);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn step(&self, _what: &str) {}
    fn warning(&self, _message: &str) {}
}
