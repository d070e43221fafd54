//! Connections into pods, over WebSocket.

use std::sync::Mutex;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use kube::api::{Api, AttachParams, AttachedProcess, TerminalSize};
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use crate::fleet::console::connection::{Connection, Control, Piece};
use crate::fleet::console::telnet;
use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::look::find::Found;
use crate::fleet::kubernetes::look::object::{Container, Pod};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Bytes under way in each direction.
const BUFFER: usize = 64 * 1024;
/// How long the question for the console program may take.
const ANSWER: std::time::Duration = std::time::Duration::from_secs(10);

/// Asks inside the container what leads to the IOC's own terminal. Prints one word, and what belongs to it.
const QUESTION: &str = r#"
if command -v ioc-console >/dev/null 2>&1 && command -v console >/dev/null 2>&1; then echo ours; exit; fi
if [ -S /tmp/stdio.sock ]; then
    if command -v socat >/dev/null 2>&1; then echo socat; exit; fi
    if command -v console >/dev/null 2>&1; then echo stdio-socket; exit; fi
fi
for folder in /proc/[0-9]*; do
    read -r name 2>/dev/null <"$folder/comm" || continue
    [ "$name" = procServ ] || continue
    printf 'procserv '; tr '\0' ' ' <"$folder/cmdline"; echo; exit
done
echo process
"#;

/// A process in a pod.
#[derive(Debug, Clone)]
pub struct PodProcess {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Name of the container.
    pub container: String,
    /// Whether its standard input is open.
    pub stdin: bool,
    /// Whether it has a terminal.
    pub tty: bool,
}

impl PodProcess {
    /// The container of an instance; it must run.
    ///
    /// # Errors
    ///
    /// It does not run, with why, or there is no such container.
    pub fn of(found: &Found, container: Option<&str>) -> CommandResult<Self> {
        let wanted = found.container(container)?;
        let name = &found.instance.name;
        let pod = found.pod().filter(|pod| runs(pod, wanted)).ok_or_else(|| {
            CommandError::new(ErrorKind::Unhealthy, format!("`{name}` does not run")).hint(format!(
                "`ioc status {name}` tells why, `ioc logs {name} --previous` shows its last words"
            ))
        })?;
        Ok(Self {
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            pod: pod.metadata.name.clone().unwrap_or_default(),
            container: wanted.name.clone(),
            stdin: wanted.stdin,
            tty: wanted.tty,
        })
    }

    fn api(&self, cluster: &Cluster) -> Api<k8s_openapi::api::core::v1::Pod> {
        Api::namespaced(cluster.client.clone(), &self.namespace)
    }
}

fn runs(pod: &Pod, container: &Container) -> bool {
    let statuses = pod.status.container_statuses.as_deref().unwrap_or_default();
    statuses
        .iter()
        .filter(|status| status.name == container.name)
        .any(|status| {
            status
                .state
                .as_ref()
                .is_some_and(|state| state.running.is_some())
        })
}

/// What leads to the IOC's own terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Console {
    /// A program inside the image, with its arguments.
    Program {
        /// The program.
        command: Vec<String>,
        /// It needs a terminal even for a script.
        needs_terminal: bool,
        /// What makes it leave.
        leave: Vec<u8>,
        /// What it writes is a telnet stream.
        is_telnet: bool,
        /// Keys that it would take as its own commands.
        own_keys: &'static [u8],
    },
    /// The terminal of the container's process.
    Process,
}

/// Finds out what leads to the IOC's own terminal; beside it the refusal, where this login may not ask.
///
/// # Errors
///
/// The cluster's refusal. A container without a shell has the terminal of its process.
pub async fn console(
    cluster: &Cluster,
    process: &PodProcess,
) -> CommandResult<(Console, Option<CommandError>)> {
    let command = ["sh", "-c", QUESTION].map(str::to_owned).to_vec();
    let mut connection = match exec(cluster, process, command, false).await {
        Ok(connection) => connection,
        // who may attach and run nothing has the terminal of the process
        Err(error) if error.kind() == ErrorKind::Forbidden => {
            return Ok((Console::Process, Some(error)));
        }
        Err(error) => return Err(error),
    };
    let mut said = Vec::new();
    let heard = tokio::time::timeout(ANSWER, async {
        while let Some(piece) = connection.output.next().await {
            if let Piece::Output(bytes) = piece? {
                said.extend_from_slice(&bytes);
            }
        }
        Ok::<(), CommandError>(())
    });
    if !matches!(heard.await, Ok(Ok(()))) {
        tracing::debug!("the container did not say which console it has");
    }
    Ok((understood(&String::from_utf8_lossy(&said)), None))
}

/// What the answer to [`QUESTION`] means. Pure.
fn understood(said: &str) -> Console {
    let said = said.trim();
    let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
    let words = |text: &[&str]| text.iter().map(|word| (*word).to_owned()).collect();
    match word {
        "ours" => Console::Program {
            command: words(&["console", "--plain"]),
            needs_terminal: false,
            leave: vec![0x1d],
            is_telnet: false,
            own_keys: &[],
        },
        "socat" => Console::Program {
            command: words(&["socat", "-", "UNIX-CONNECT:/tmp/stdio.sock"]),
            needs_terminal: false,
            leave: Vec::new(),
            is_telnet: false,
            own_keys: &[],
        },
        // its client ends itself on Ctrl-C, and wants a terminal to set up
        "stdio-socket" => Console::Program {
            command: words(&["console"]),
            needs_terminal: true,
            leave: vec![0x03],
            is_telnet: false,
            own_keys: &[0x03],
        },
        "procserv" => match procserv_port(rest) {
            Some(place) => Console::Program {
                command: words(&["sh", "-c", &join_procserv(&place)]),
                needs_terminal: false,
                leave: Vec::new(),
                is_telnet: true,
                // Ctrl-X restarts the IOC, Ctrl-T and Ctrl-] are commands too
                own_keys: &[0x18, 0x14],
            },
            None => Console::Process,
        },
        _ => Console::Process,
    }
}

/// The port or socket of a procServ, from its command line: the first word that is no option.
fn procserv_port(command_line: &str) -> Option<String> {
    const WITH_VALUE: [&str; 17] = [
        "-c", "-e", "-H", "-i", "-I", "-k", "-l", "-L", "-n", "-p", "-P", "-t", "-w", "-x", "-a",
        "-C", "-T",
    ];
    let mut words = command_line.split_whitespace().skip(1);
    while let Some(word) = words.next() {
        if let Some(socket) = word.strip_prefix("unix:") {
            // unix:PATH, or unix:user:group:mode:PATH
            return socket.rsplit(':').next().map(|path| format!("unix:{path}"));
        }
        if word == "--port" || word == "-P" {
            return words.next().map(str::to_owned);
        }
        if let Some(port) = word.strip_prefix("--port=") {
            return Some(port.to_owned());
        }
        if WITH_VALUE.contains(&word) {
            words.next();
        } else if !word.starts_with('-') {
            let port = word.rsplit(':').next().unwrap_or(word);
            return port.parse::<u16>().ok().map(|port| port.to_string());
        }
    }
    None
}

/// A shell command that joins a procServ with what the image has.
fn join_procserv(place: &str) -> String {
    match place.strip_prefix("unix:") {
        Some(path) => format!("exec socat - UNIX-CONNECT:'{}'", path.replace('\'', "")),
        None => format!(
            "if command -v socat >/dev/null; then exec socat - TCP:127.0.0.1:{place}; fi
if command -v nc >/dev/null; then exec nc 127.0.0.1 {place}; fi
exec bash -c 'exec 3<>/dev/tcp/127.0.0.1/{place}; cat <&3 & cat >&3; kill %1'"
        ),
    }
}

/// Attaches to the process of the container itself.
///
/// # Errors
///
/// Unsupported when input is wanted and the container has no open standard input; otherwise the cluster's refusal.
pub async fn attach(
    cluster: &Cluster,
    process: &PodProcess,
    with_input: bool,
) -> CommandResult<Connection> {
    if with_input && !process.stdin {
        return Err(CommandError::new(
            ErrorKind::Unsupported,
            format!("the IOC shell in `{}` takes no input", process.pod),
        )
        .hint("its manifest needs `stdin: true` and `tty: true`, or its image a console program; `ioc logs -f` shows its output"));
    }
    let parameters = parameters(process, with_input, process.tty);
    let attached = process
        .api(cluster)
        .attach(&process.pod, &parameters)
        .await
        .map_err(cluster.failed(format!("attach to `{}`", process.pod)))?;
    Ok(connection(attached, false))
}

/// Starts a command in the container and connects to it.
///
/// # Errors
///
/// The cluster's refusal.
pub async fn exec(
    cluster: &Cluster,
    process: &PodProcess,
    command: Vec<String>,
    tty: bool,
) -> CommandResult<Connection> {
    let parameters = parameters(process, true, tty);
    let attached = process
        .api(cluster)
        .exec(&process.pod, command, &parameters)
        .await
        .map_err(cluster.failed(format!("start a command in `{}`", process.pod)))?;
    Ok(connection(attached, true))
}

/// The same for a console program, whose stream may need to be made plain.
///
/// # Errors
///
/// The cluster's refusal.
pub async fn join(
    cluster: &Cluster,
    process: &PodProcess,
    console: &Console,
    is_interactive: bool,
    with_input: bool,
) -> CommandResult<Connection> {
    match console {
        Console::Process => attach(cluster, process, with_input).await,
        Console::Program {
            command,
            needs_terminal,
            is_telnet,
            ..
        } => {
            let tty = *needs_terminal || (is_interactive && !is_telnet && command[0] != "socat");
            let mut connection = exec(cluster, process, command.clone(), tty).await?;
            if *is_telnet {
                let mut filter = telnet::Filter::default();
                let output = std::mem::replace(&mut connection.output, stream::empty().boxed());
                connection.output = output
                    .map(move |piece| match piece? {
                        Piece::Output(bytes) => Ok(Piece::Output(filter.pass(&bytes).into())),
                        error @ Piece::Error(_) => Ok(error),
                    })
                    .boxed();
            }
            Ok(connection)
        }
    }
}

fn parameters(process: &PodProcess, stdin: bool, tty: bool) -> AttachParams {
    AttachParams {
        container: Some(process.container.clone()),
        stdin,
        stdout: true,
        // a terminal is one stream
        stderr: !tty,
        tty,
        max_stdin_buf_size: Some(BUFFER),
        max_stdout_buf_size: Some(BUFFER),
        max_stderr_buf_size: Some(BUFFER),
    }
}

type Ended = BoxFuture<'static, Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Status>>;

/// Passes the window size on; says why it could not.
type SizeSender = Box<dyn FnMut(TerminalSize) -> Result<(), String> + Send>;

/// The process on the other side of a WebSocket.
struct Remote {
    size: Option<Mutex<SizeSender>>,
    ended: tokio::sync::Mutex<Option<Ended>>,
    is_command: bool,
    /// Carries the bytes; ends when this is dropped.
    _process: Mutex<AttachedProcess>,
}

fn connection(mut process: AttachedProcess, is_command: bool) -> Connection {
    let output: BoxStream<'static, CommandResult<Piece>> =
        match (process.stdout(), process.stderr()) {
            (Some(output), Some(error)) => {
                stream::select(pieces(output, Piece::Output), pieces(error, Piece::Error)).boxed()
            }
            (Some(output), None) => pieces(output, Piece::Output).boxed(),
            (None, _) => stream::empty().boxed(),
        };
    let input: std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>> = match process.stdin() {
        Some(input) => Box::pin(input),
        None => Box::pin(tokio::io::sink()),
    };
    let size = process
        .terminal_size()
        .map(|mut sender| -> Mutex<SizeSender> {
            Mutex::new(Box::new(move |size| {
                sender.try_send(size).map_err(|error| error.to_string())
            }))
        });
    let ended = process
        .take_status()
        .map(|status| -> Ended { Box::pin(status) });
    let remote = Remote {
        size,
        ended: tokio::sync::Mutex::new(ended),
        is_command,
        _process: Mutex::new(process),
    };
    Connection::new(output, input, Box::new(remote))
}

fn pieces(
    reader: impl AsyncRead + Send + 'static,
    piece: impl Fn(bytes::Bytes) -> Piece + Send + 'static,
) -> impl futures_util::Stream<Item = CommandResult<Piece>> + Send + 'static {
    ReaderStream::new(reader).map(move |bytes| {
        bytes.map(&piece).map_err(|error| {
            CommandError::new(ErrorKind::Cluster, "the connection to the pod broke")
                .caused_by(error)
        })
    })
}

impl Control for Remote {
    fn resize(&self, columns: u16, rows: u16) -> BoxFuture<'_, CommandResult<()>> {
        if let Some(size) = &self.size
            && let Ok(mut size) = size.lock()
        {
            let told = size(TerminalSize {
                width: columns,
                height: rows,
            });
            if let Err(error) = told {
                tracing::debug!(%error, "the window size is not passed on");
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn exit_code(&self) -> BoxFuture<'_, CommandResult<Option<i64>>> {
        Box::pin(async move {
            if !self.is_command {
                return Ok(None);
            }
            let Some(ended) = self.ended.lock().await.take() else {
                return Ok(None);
            };
            let Some(status) = ended.await else {
                return Err(CommandError::new(
                    ErrorKind::Cluster,
                    "the connection to the pod broke before the command ended",
                )
                .hint("it may still run in the container"));
            };
            exit_code(&status).map(Some)
        })
    }
}

/// The exit code in what the cluster says at the end. Pure.
fn exit_code(
    status: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Status,
) -> CommandResult<i64> {
    if status.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let causes = status
        .details
        .as_ref()
        .and_then(|details| details.causes.as_deref())
        .unwrap_or_default();
    let code = causes
        .iter()
        .find(|cause| cause.reason.as_deref() == Some("ExitCode"))
        .and_then(|cause| cause.message.as_deref()?.parse().ok());
    if let Some(code) = code {
        return Ok(code);
    }
    let message = status.message.clone().unwrap_or_default();
    let (kind, what) = if message.contains("executable file not found")
        || message.contains("no such file or directory")
    {
        (ErrorKind::NotFound, "the container has no such command")
    } else {
        (ErrorKind::Cluster, "the command could not be run")
    };
    Err(CommandError::new(kind, what).caused_by(message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_console_is_what_the_container_has() {
        let command = |said: &str| match understood(said) {
            Console::Program { command, .. } => command.join(" "),
            Console::Process => "process".to_owned(),
        };
        assert_eq!(command("ours\n"), "console --plain");
        assert_eq!(command("socat\n"), "socat - UNIX-CONNECT:/tmp/stdio.sock");
        assert_eq!(command("stdio-socket\n"), "console");
        assert_eq!(command("process\n"), "process");
        assert_eq!(command(""), "process");
        assert!(
            command("procserv procServ -f -L - -n ioc 4051 ./st.cmd\n")
                .contains("/dev/tcp/127.0.0.1/4051")
        );
        assert_eq!(command("procserv procServ --help\n"), "process");
    }

    #[test]
    fn procserv_tells_its_port() {
        let cases = [
            ("procServ 20000 ./st.cmd", Some("20000")),
            (
                "procServ --allow -n t01 -i ^D^C 0.0.0.0:4051 ./st.cmd",
                Some("4051"),
            ),
            ("procServ -P 4052 -- ./st.cmd", Some("4052")),
            ("procServ --port=4053 ./st.cmd", Some("4053")),
            (
                "procServ unix:/run/a.sock ./st.cmd",
                Some("unix:/run/a.sock"),
            ),
            (
                "procServ unix:root:wheel:0660:/run/a.sock x",
                Some("unix:/run/a.sock"),
            ),
            ("procServ -f", None),
            ("procServ; rm x", None),
        ];
        for (line, expected) in cases {
            assert_eq!(procserv_port(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn the_exit_code_is_read_from_the_last_message() {
        let status = |value| serde_json::from_value(value).unwrap();
        assert_eq!(exit_code(&status(json!({"status": "Success"}))).unwrap(), 0);
        let failed = json!({"status": "Failure", "reason": "NonZeroExitCode", "message": "command terminated",
            "details": {"causes": [{"reason": "ExitCode", "message": "42"}]}});
        assert_eq!(exit_code(&status(failed)).unwrap(), 42);
        let missing = json!({"status": "Failure", "reason": "InternalError", "code": 500,
            "message": "exec failed: \"nope\": executable file not found in $PATH: unknown"});
        assert_eq!(
            exit_code(&status(missing)).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
}
