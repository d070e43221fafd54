//! Progress on standard error: one line per thing under way, gone when it is done.
//!
//! Without a terminal (or with `--quiet`) nothing moves: what starts and what ends is one plain line each.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// All progress lines of a command.
#[derive(Debug, Clone)]
pub struct Progress {
    lines: MultiProgress,
    shown: bool,
}

/// One thing under way; dropping it removes its line.
#[derive(Debug, Clone)]
pub struct Task {
    bar: ProgressBar,
}

impl Progress {
    pub(crate) fn new(shown: bool) -> Self {
        let target = if shown {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            lines: MultiProgress::with_draw_target(target),
            shown,
        }
    }

    /// Whether lines are really drawn, that is whether standard error is a terminal.
    pub fn is_shown(&self) -> bool {
        self.shown
    }

    /// Starts a line `name: message` with a spinner and the elapsed time.
    pub fn task(&self, name: &str) -> Task {
        let bar = self.lines.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {wide_msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        if self.shown {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Task { bar }
    }

    /// Runs `print` while no progress line is on the screen, so that output and progress do not mix.
    pub(crate) fn suspend(&self, print: impl FnOnce()) {
        self.lines.suspend(print);
    }
}

impl Task {
    /// Says what happens now.
    pub fn message(&self, message: impl Into<String>) {
        self.bar.set_message(message.into());
    }

    /// Removes the line.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
