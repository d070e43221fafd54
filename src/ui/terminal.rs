//! The person's own terminal while they are connected to another one: raw keys in, raw output out, window size.

use std::io::{IsTerminal, Read, Write};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::ui::error::{CommandError, CommandResult};

/// Bytes read from the keyboard at once; a pasted text comes in pieces of this size.
const PIECE: usize = 4096;

/// Whether both ends of a conversation are a terminal.
pub fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// What is typed, or what is read from a file or pipe, in pieces. The channel closes at the end of input.
pub fn standard_input() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(16);
    // A read of the keyboard cannot be cancelled: a thread of its own that the process does not wait for.
    std::thread::spawn(move || {
        let mut buffer = vec![0; PIECE];
        let mut stdin = std::io::stdin().lock();
        while let Ok(count) = stdin.read(&mut buffer) {
            if count == 0 || sender.blocking_send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Raw mode until dropped: every key comes at once and nothing is echoed.
pub struct RawTerminal {
    resized: Signal,
}

impl RawTerminal {
    /// Switches the terminal to raw mode.
    ///
    /// # Errors
    ///
    /// The terminal refuses.
    pub fn enter() -> CommandResult<Self> {
        let resized = signal(SignalKind::window_change())
            .map_err(|error| CommandError::system(error, "failed to watch the window size"))?;
        crossterm::terminal::enable_raw_mode().map_err(|error| {
            CommandError::system(error, "failed to switch the terminal to raw mode")
        })?;
        Ok(Self { resized })
    }

    /// Columns and rows now.
    ///
    /// # Errors
    ///
    /// The terminal does not say.
    pub fn size(&self) -> CommandResult<(u16, u16)> {
        crossterm::terminal::size()
            .map_err(|error| CommandError::system(error, "failed to read the window size"))
    }

    /// Waits until the window has another size.
    pub async fn resized(&mut self) {
        self.resized.recv().await;
    }

    /// Says something between the lines of the other side; raw mode needs the carriage return.
    pub fn notice(&self, text: &str) -> CommandResult<()> {
        write_raw(format!("\r\n[ioc] {text}\r\n").as_bytes())
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Err(error) = crossterm::terminal::disable_raw_mode() {
            tracing::warn!(%error, "failed to leave raw mode; `reset` mends the terminal");
        }
    }
}

/// Bytes to standard output as they are.
///
/// # Errors
///
/// The reader of standard output has gone.
pub fn write_raw(bytes: &[u8]) -> CommandResult<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()?;
    Ok(())
}

/// Bytes to standard error as they are.
///
/// # Errors
///
/// The reader of standard error has gone.
pub fn write_raw_error(bytes: &[u8]) -> CommandResult<()> {
    let mut stderr = std::io::stderr().lock();
    stderr.write_all(bytes)?;
    stderr.flush()?;
    Ok(())
}
