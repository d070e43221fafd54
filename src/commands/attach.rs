//! `ioc attach`: the IOC shell of an instance, made safe to leave.

use std::time::Duration;

use futures_util::StreamExt;

use crate::cli::shell::AttachArgs;
use crate::commands::target::{self, Target};
use crate::commands::{Context, Outcome, kubernetes};
use crate::engine::Engine;
use crate::fleet::console::connection::{Connection, Piece};
use crate::fleet::console::filter::{Action, DETACH_KEY, Filter, Notice, Rules};
use crate::fleet::console::output::printable_line;
use crate::fleet::console::terminal_output::OutputFilter;
use crate::fleet::console::transcript::Transcript;
use crate::fleet::containers::{self, InstanceContainer, Selector};
use crate::fleet::logs::stream::{self, Window};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::terminal::{self, RawTerminal};

/// How long the IOC must be silent before the next line of a script is typed, or the script counts as answered.
const SILENCE: Duration = Duration::from_millis(300);
/// The longest wait for that silence: an IOC that prints all the time is never silent.
const LONGEST_ANSWER: Duration = Duration::from_secs(5);

/// Attaches to the IOC shell.
///
/// # Errors
///
/// The instance is not deployed or does not run, its shell takes no input, or the engine refuses.
pub(crate) async fn attach(args: &AttachArgs, context: &Context) -> CommandResult<Outcome> {
    let names = [args.instance.clone()];
    if let Target::Cluster(choice) =
        target::of_instances(&names, &args.beamline, &args.cluster, context)?
    {
        return kubernetes::attach::attach(args, &choice, context).await;
    }
    let engine = Engine::connect(&context.settings).await?;
    let selector = Selector {
        beamline: args.beamline.beamline.as_deref(),
        instance: &args.instance,
        container: None,
        state: &context.settings.state,
    };
    let container = containers::find(&engine, selector).await?;
    if !container.is_running {
        return Err(CommandError::new(
            ErrorKind::Unhealthy,
            format!("`{}` does not run", args.instance),
        )
        .hint(format!(
            "`ioc logs {0}` shows its last words, `ioc start {0}` starts it",
            args.instance
        )));
    }
    let rules = Rules {
        read_only: args.read_only,
        allow_control: args.allow_control,
        own_keys: &[],
    };
    let transcript = transcript(args, &container.instance, context)?;
    earlier_lines(&engine, &container, args.tail, context).await?;
    let connection = connect(&engine, &container, rules).await?;
    let manner = Manner {
        name: container.instance.clone(),
        rules,
        leave: if container.console.is_some() {
            vec![DETACH_KEY]
        } else {
            Vec::new()
        },
    };
    talk(connection, &manner, transcript, context).await
}

/// The transcript that is wanted; opened before anything is started in the container.
pub(crate) fn transcript(
    args: &AttachArgs,
    instance: &str,
    context: &Context,
) -> CommandResult<Option<Transcript>> {
    args.transcript
        .as_deref()
        .map(|path| Transcript::open(path, instance, &context.settings.user))
        .transpose()
}

/// Lets a person or a script talk to the IOC.
pub(crate) async fn talk(
    connection: Connection,
    manner: &Manner,
    mut transcript: Option<Transcript>,
    context: &Context,
) -> CommandResult<Outcome> {
    let talked = if terminal::is_interactive() {
        converse(connection, manner, transcript.as_mut(), context).await
    } else {
        script(connection, manner, transcript.as_mut(), context).await
    };
    if let Some(transcript) = transcript {
        let kept = transcript.finish(if talked.is_ok() {
            "left the console"
        } else {
            "the connection ended"
        });
        // why talking failed matters more than that the end of it is not in the file
        return talked.and_then(|outcome| kept.map(|()| outcome));
    }
    talked
}

/// How somebody is connected.
pub(crate) struct Manner {
    /// Name of the instance.
    pub(crate) name: String,
    /// What may pass.
    pub(crate) rules: Rules,
    /// What makes the console program leave; nothing where there is none.
    pub(crate) leave: Vec<u8>,
}

/// Through the image's own console program where it has one, otherwise to the process itself.
async fn connect(
    engine: &Engine,
    container: &InstanceContainer,
    rules: Rules,
) -> CommandResult<Connection> {
    match &container.console {
        Some(program) => {
            let command = program.split_whitespace().map(str::to_owned).collect();
            Connection::exec(engine, container, command, terminal::is_interactive()).await
        }
        None => Connection::attach(engine, container, !rules.read_only).await,
    }
}

async fn earlier_lines(
    engine: &Engine,
    container: &InstanceContainer,
    count: usize,
    context: &Context,
) -> CommandResult<()> {
    if count == 0 {
        return Ok(());
    }
    let window = Window {
        tail: Some(count),
        ..Window::default()
    };
    let mut lines = stream::lines(engine, container, window, false);
    while let Some(line) = lines.next().await {
        context
            .printer
            .data(&format!("{}\n", printable_line(&line?.text)))?;
    }
    Ok(())
}

/// A person at a terminal.
async fn converse(
    mut connection: Connection,
    manner: &Manner,
    mut transcript: Option<&mut Transcript>,
    context: &Context,
) -> CommandResult<Outcome> {
    let rules = manner.rules;
    let doing = if rules.read_only {
        "looking only"
    } else {
        "attached"
    };
    context.printer.info(format!(
        "[ioc] {doing}: `{}`; leave with Ctrl-] (the IOC goes on)",
        manner.name
    ));
    let mut keys = terminal::standard_input();
    let mut raw = RawTerminal::enter()?;
    pass_window_size(&raw, &connection, rules).await?;
    let mut filter = Filter::new(rules);
    let mut shown = OutputFilter::default();
    loop {
        tokio::select! {
            typed = keys.recv() => {
                let Some(typed) = typed else { break };
                if !act(filter.typed(&typed), &mut connection, &raw).await? {
                    break;
                }
            }
            piece = connection.output.next() => match piece.transpose()? {
                Some(Piece::Output(bytes) | Piece::Error(bytes)) => {
                    terminal::write_raw(&shown.pass(&bytes))?;
                    if let Some(problem) = keep(transcript.as_deref_mut(), &bytes) {
                        raw.notice(&problem)?;
                    }
                }
                None => {
                    raw.notice("the IOC ended; `ioc ps` says whether it was started again")?;
                    return Ok(Outcome::Success);
                }
            },
            () = raw.resized() => pass_window_size(&raw, &connection, rules).await?,
            () = context.cancel.cancelled() => break,
        }
    }
    leave_program(&mut connection, manner).await;
    raw.notice("left the console, the IOC goes on")?;
    Ok(Outcome::Success)
}

fn keep(transcript: Option<&mut Transcript>, bytes: &[u8]) -> Option<String> {
    transcript.and_then(|transcript| transcript.add(bytes))
}

/// A console program is told to leave: neither engine nor cluster ends a program that has a terminal when whoever
/// started it goes away.
async fn leave_program(connection: &mut Connection, manner: &Manner) {
    if !manner.leave.is_empty()
        && let Err(error) = connection.send(&manner.leave).await
    {
        tracing::debug!(%error, "the console program was gone already");
    }
}

/// A person who only looks must not change the window of those who type.
async fn pass_window_size(
    raw: &RawTerminal,
    connection: &Connection,
    rules: Rules,
) -> CommandResult<()> {
    if rules.read_only {
        return Ok(());
    }
    let (columns, rows) = raw.size()?;
    connection.resize(columns, rows).await
}

/// Does what the filter said; false when the person leaves.
async fn act(
    actions: Vec<Action>,
    connection: &mut Connection,
    raw: &RawTerminal,
) -> CommandResult<bool> {
    for action in actions {
        match action {
            Action::Send(bytes) => connection.send(&bytes).await.map_err(gone)?,
            Action::Tell(notice) => raw.notice(notice.text())?,
            Action::Detach => return Ok(false),
        }
    }
    Ok(true)
}

/// Lines from a file or pipe: each is typed when the answer to the one before has ended.
async fn script(
    mut connection: Connection,
    manner: &Manner,
    transcript: Option<&mut Transcript>,
    context: &Context,
) -> CommandResult<Outcome> {
    let rules = manner.rules;
    let mut input = terminal::standard_input();
    let mut typed = Vec::new();
    while let Some(piece) = input.recv().await {
        typed.extend_from_slice(&piece);
    }
    let mut filter = Filter::new(rules);
    let mut answers = Answers {
        transcript,
        ..Answers::default()
    };
    for line in String::from_utf8_lossy(&typed).lines() {
        for action in filter.typed(format!("{line}\r").as_bytes()) {
            match action {
                Action::Send(bytes) => connection.send(&bytes).await.map_err(gone)?,
                Action::Tell(Notice::ExitAsks) => {
                    // Nobody is there to say yes: take the word back.
                    connection.send(&[0x15]).await.map_err(gone)?;
                    return Err(CommandError::new(
                        ErrorKind::Usage,
                        "`exit` would end the IOC and was not sent",
                    )
                    .hint("`ioc restart` restarts an instance, `ioc stop` stops it"));
                }
                Action::Tell(notice) => context.printer.warning(notice.text()),
                Action::Detach => return Ok(Outcome::Success),
            }
        }
        if !answer(&mut connection, &mut answers, context).await? {
            break;
        }
    }
    answers.finish(context)?;
    Ok(Outcome::Success)
}

/// The answers as text: a file wants whole lines without the movements of a line editor.
#[derive(Default)]
struct Answers<'a> {
    transcript: Option<&'a mut Transcript>,
    pending: Vec<u8>,
    /// How many lines were typed.
    lines: usize,
    /// Whether any of them has had an answer.
    any: bool,
}

impl Answers<'_> {
    fn add(&mut self, bytes: &[u8], context: &Context) -> CommandResult<()> {
        if let Some(problem) = keep(self.transcript.as_deref_mut(), bytes) {
            context.printer.warning(problem);
        }
        self.pending.extend_from_slice(bytes);
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            Self::print(&line, context)?;
        }
        Ok(())
    }

    fn finish(mut self, context: &Context) -> CommandResult<()> {
        let rest = std::mem::take(&mut self.pending);
        if rest.is_empty() {
            return Ok(());
        }
        Self::print(&rest, context)
    }

    fn print(line: &[u8], context: &Context) -> CommandResult<()> {
        let line = String::from_utf8_lossy(line);
        let line = printable_line(line.trim_end_matches('\n'));
        context.printer.data(&format!("{line}\n"))
    }
}

/// Prints what the IOC answers until it is silent; false when it ended or the command was cancelled.
///
/// A shell on a terminal at least echoes the line, however busy the machine is: silence counts only after that. One
/// without an echo is waited for once.
async fn answer(
    connection: &mut Connection,
    answers: &mut Answers<'_>,
    context: &Context,
) -> CommandResult<bool> {
    let latest = tokio::time::Instant::now() + LONGEST_ANSWER;
    let must_be_heard = answers.lines == 0 || answers.any;
    let mut heard = false;
    answers.lines += 1;
    while tokio::time::Instant::now() < latest {
        let silence = if must_be_heard && !heard {
            latest
        } else {
            tokio::time::Instant::now() + SILENCE
        };
        tokio::select! {
            piece = connection.output.next() => match piece.transpose()? {
                Some(Piece::Output(bytes) | Piece::Error(bytes)) => {
                    heard = true;
                    answers.any = true;
                    answers.add(&bytes, context)?;
                }
                None => return Ok(false),
            },
            () = tokio::time::sleep_until(silence.min(latest)) => break,
            () = context.cancel.cancelled() => return Ok(false),
        }
    }
    Ok(true)
}

fn gone(error: std::io::Error) -> CommandError {
    CommandError::new(ErrorKind::Unhealthy, "the IOC has gone while typing").caused_by(error)
}
