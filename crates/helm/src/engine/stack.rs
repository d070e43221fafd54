//! The thread that renders: templates may include one another a thousand levels deep.

use std::cell::Cell;

use super::RenderError;

const STACK_BYTES: usize = 256 * 1024 * 1024;

thread_local! {
    static IS_LARGE: Cell<bool> = const { Cell::new(false) };
}

/// Runs work on a thread whose stack is large enough to render on. Renderings in it start no thread of their own, which
/// is worth it for more than a few.
///
/// # Errors
/// When there can be no such thread, or the work panics.
pub fn with_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, RenderError> {
    if IS_LARGE.get() {
        return Ok(work());
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("render".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || {
                IS_LARGE.set(true);
                let result = work();
                #[cfg(test)]
                let result = (result, crate::coverage::take());
                result
            })
            .map_err(|error| RenderError::thread(&error))?;
        let result = thread.join().map_err(|_| RenderError::crashed())?;
        #[cfg(test)]
        let result = {
            crate::coverage::add(result.1);
            result.0
        };
        Ok(result)
    })
}
