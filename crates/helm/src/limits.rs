//! How much a hostile chart may make the engine do.

/// Bounds of one rendering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that templates may produce, those of `include` and `tpl` counted as well.
    pub output_bytes: u64,
    /// Template nodes that may be executed: turns of loops, actions, texts.
    pub steps: u64,
    /// Bytes of the texts, lists and maps that functions may make, all together.
    pub memory_bytes: u64,
    /// How often one template may be included while it is already being executed; Helm's 1000.
    pub include_depth: usize,
    /// Templates, control structures and pipelines that may be open at once.
    pub nesting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            output_bytes: 256 * 1024 * 1024,
            steps: 50_000_000,
            memory_bytes: 2 * 1024 * 1024 * 1024,
            include_depth: 1000,
            nesting: 16_000,
        }
    }
}
