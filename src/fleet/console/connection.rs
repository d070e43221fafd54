//! The connection to a process in a container: the IOC's own terminal, its console program, or a command.
//!
//! What a backend makes of it is in [`super::engine`] and in `fleet::kubernetes::console`.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::ui::error::CommandResult;

/// A two-way connection. Dropping it leaves the process running.
pub struct Connection {
    /// What the process writes.
    pub output: BoxStream<'static, CommandResult<Piece>>,
    input: Pin<Box<dyn AsyncWrite + Send>>,
    control: Box<dyn Control>,
}

/// A piece of output; only without a terminal in between are errors told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Standard output, or everything when there is a terminal.
    Output(Bytes),
    /// Standard error.
    Error(Bytes),
}

/// What a backend does for a connection besides carrying bytes.
pub trait Control: Send + Sync {
    /// Tells the process how large the window is, in columns and rows.
    fn resize(&self, columns: u16, rows: u16) -> BoxFuture<'_, CommandResult<()>>;

    /// The exit code of a command that has ended; `None` while it runs and for the container itself.
    fn exit_code(&self) -> BoxFuture<'_, CommandResult<Option<i64>>>;
}

impl Connection {
    /// A connection over these streams.
    pub fn new(
        output: BoxStream<'static, CommandResult<Piece>>,
        input: Pin<Box<dyn AsyncWrite + Send>>,
        control: Box<dyn Control>,
    ) -> Self {
        Self {
            output,
            input,
            control,
        }
    }

    /// Sends bytes to the process.
    ///
    /// # Errors
    ///
    /// The connection is gone, usually because the process ended.
    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.input.write_all(bytes).await?;
        self.input.flush().await
    }

    /// Tells the process that no more input comes.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub async fn end_input(&mut self) -> std::io::Result<()> {
        self.input.shutdown().await
    }

    /// Tells the process how large the window is.
    ///
    /// # Errors
    ///
    /// The backend's refusal.
    pub async fn resize(&self, columns: u16, rows: u16) -> CommandResult<()> {
        self.control.resize(columns, rows).await
    }

    /// The exit code of a command that has ended; `None` while it runs and for the container itself.
    ///
    /// # Errors
    ///
    /// The backend's refusal.
    pub async fn exit_code(&self) -> CommandResult<Option<i64>> {
        self.control.exit_code().await
    }
}
