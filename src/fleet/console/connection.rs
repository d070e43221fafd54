//! The connection to a process in a container: the IOC's own terminal, its console program, or a command.

use std::pin::Pin;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::query_parameters::{
    AttachContainerOptions, ResizeContainerTTYOptions, ResizeExecOptions,
};
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::engine::Engine;
use crate::fleet::containers::{InstanceContainer, refused};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// A two-way connection. Dropping it leaves the process running.
pub struct Connection {
    engine: Engine,
    target: Target,
    /// What the process writes.
    pub output: BoxStream<'static, CommandResult<Piece>>,
    input: Pin<Box<dyn AsyncWrite + Send>>,
}

/// A piece of output; only without a terminal in between are errors told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Standard output, or everything when there is a terminal.
    Output(Bytes),
    /// Standard error.
    Error(Bytes),
}

enum Target {
    Container(String),
    Exec(String),
}

impl Connection {
    /// Attaches to the process of the container itself; several people may be attached at once.
    ///
    /// # Errors
    ///
    /// Unsupported when input is wanted and the container has no open standard input; otherwise the engine's refusal.
    pub async fn attach(
        engine: &Engine,
        container: &InstanceContainer,
        with_input: bool,
    ) -> CommandResult<Self> {
        let facts = engine
            .docker()
            .inspect_container(&container.id, None)
            .await
            .map_err(|error| refused(error, "failed to look at the container"))?;
        let open = facts
            .config
            .and_then(|config| config.open_stdin)
            .unwrap_or(false);
        if with_input && !open {
            return Err(CommandError::new(
                ErrorKind::Unsupported,
                format!("the IOC shell of `{}` takes no input", container.instance),
            )
            .hint("its manifest needs `stdin: true` and `tty: true`, or its image the label `ioc.console`; `ioc logs -f` shows its output"));
        }
        let options = AttachContainerOptions {
            // No key of the engine's own: ours is handled before anything is sent.
            detach_keys: Some("ctrl-@".to_owned()),
            logs: false,
            stream: true,
            stdin: with_input,
            stdout: true,
            stderr: true,
        };
        let attached = engine
            .docker()
            .attach_container(&container.id, Some(options))
            .await
            .map_err(|error| refused(error, "failed to attach"))?;
        Ok(Self {
            engine: engine.clone(),
            target: Target::Container(container.id.clone()),
            output: pieces(attached.output),
            input: attached.input,
        })
    }

    /// Starts a command in the container and connects to it.
    ///
    /// # Errors
    ///
    /// The engine's refusal, for instance of a container that does not run.
    pub async fn exec(
        engine: &Engine,
        container: &InstanceContainer,
        command: Vec<String>,
        tty: bool,
    ) -> CommandResult<Self> {
        Self::exec_in(engine, &container.id, command, tty).await
    }

    /// The same in any container, by its identifier.
    ///
    /// # Errors
    ///
    /// As [`Self::exec`].
    pub async fn exec_in(
        engine: &Engine,
        id: &str,
        command: Vec<String>,
        tty: bool,
    ) -> CommandResult<Self> {
        let options = CreateExecOptions::<String> {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(tty),
            env: tty.then(|| vec!["TERM=xterm-256color".to_owned()]),
            cmd: Some(command),
            ..CreateExecOptions::default()
        };
        let failed = |error| refused(error, "failed to start the command");
        let exec = engine
            .docker()
            .create_exec(id, options)
            .await
            .map_err(failed)?;
        let start = StartExecOptions {
            detach: false,
            tty,
            output_capacity: None,
        };
        match engine
            .docker()
            .start_exec(&exec.id, Some(start))
            .await
            .map_err(failed)?
        {
            StartExecResults::Attached { output, input } => Ok(Self {
                engine: engine.clone(),
                target: Target::Exec(exec.id),
                output: pieces(output),
                input,
            }),
            StartExecResults::Detached => Err(CommandError::new(
                ErrorKind::Engine,
                "the engine started the command without connecting to it",
            )),
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
    /// The engine's refusal.
    pub async fn resize(&self, columns: u16, rows: u16) -> CommandResult<()> {
        let (w, h) = (i32::from(columns), i32::from(rows));
        let docker = self.engine.docker();
        match &self.target {
            Target::Container(id) => {
                docker
                    .resize_container_tty(id, ResizeContainerTTYOptions { h, w })
                    .await
            }
            Target::Exec(id) => docker.resize_exec(id, ResizeExecOptions { h, w }).await,
        }
        .map_err(|error| refused(error, "failed to pass on the window size"))
    }

    /// The exit code of a command that has ended; `None` while it runs and for the container itself.
    ///
    /// # Errors
    ///
    /// The engine's refusal.
    pub async fn exit_code(&self) -> CommandResult<Option<i64>> {
        let Target::Exec(id) = &self.target else {
            return Ok(None);
        };
        let facts = self
            .engine
            .docker()
            .inspect_exec(id)
            .await
            .map_err(|error| {
                // Podman forgets the commands of a container that has ended, Docker answers with its own words
                refused(error, "failed to ask how the command ended")
                    .hint("did the IOC end meanwhile? `ioc ps` and `ioc logs --previous` tell")
            })?;
        Ok(facts.exit_code)
    }
}

fn pieces(
    output: impl futures_util::Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send + 'static,
) -> BoxStream<'static, CommandResult<Piece>> {
    output
        .map(|piece| match piece {
            Ok(LogOutput::StdErr { message }) => Ok(Piece::Error(message)),
            Ok(other) => Ok(Piece::Output(other.into_bytes())),
            Err(error) => Err(refused(error, "the connection to the container broke")),
        })
        .boxed()
}
