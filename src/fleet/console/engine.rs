//! Connections through the container engine.

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::query_parameters::{
    AttachContainerOptions, ResizeContainerTTYOptions, ResizeExecOptions,
};
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt};

use crate::engine::Engine;
use crate::fleet::console::connection::{Connection, Control, Piece};
use crate::fleet::containers::{InstanceContainer, refused};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// The process on the other side, as the engine knows it.
struct Process {
    engine: Engine,
    target: Target,
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
        let process = Process {
            engine: engine.clone(),
            target: Target::Container(container.id.clone()),
        };
        Ok(Self::new(
            pieces(attached.output),
            attached.input,
            Box::new(process),
        ))
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
            StartExecResults::Attached { output, input } => {
                let process = Process {
                    engine: engine.clone(),
                    target: Target::Exec(exec.id),
                };
                Ok(Self::new(pieces(output), input, Box::new(process)))
            }
            StartExecResults::Detached => Err(CommandError::new(
                ErrorKind::Engine,
                "the engine started the command without connecting to it",
            )),
        }
    }
}

impl Control for Process {
    fn resize(&self, columns: u16, rows: u16) -> BoxFuture<'_, CommandResult<()>> {
        let (w, h) = (i32::from(columns), i32::from(rows));
        let docker = self.engine.docker();
        Box::pin(async move {
            match &self.target {
                Target::Container(id) => {
                    docker
                        .resize_container_tty(id, ResizeContainerTTYOptions { h, w })
                        .await
                }
                Target::Exec(id) => docker.resize_exec(id, ResizeExecOptions { h, w }).await,
            }
            .map_err(|error| refused(error, "failed to pass on the window size"))
        })
    }

    fn exit_code(&self) -> BoxFuture<'_, CommandResult<Option<i64>>> {
        Box::pin(async move {
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
        })
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
