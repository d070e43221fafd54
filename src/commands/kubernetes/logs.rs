//! `ioc logs` on a cluster: logs of pods, and of the log store for what the nodes no longer have.

use futures_util::stream::{self, BoxStream, StreamExt as _};
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::cli::logs::LogsArgs;
use crate::commands::logs::{Asked, Writer};
use crate::commands::target;
use crate::commands::{Context, Outcome};
use crate::fleet::kubernetes::logs::{self, Run, Said};
use crate::fleet::kubernetes::look::find::{self, Found};
use crate::fleet::kubernetes::{Cluster, ClusterChoice};
use crate::fleet::logs::line::LogLine;
use crate::fleet::logs::merge::Merge;
use crate::fleet::logs::store::{self, LATE, LogStore, Subject};
use crate::fleet::logs::stream::Window;
use crate::source::FetchContext;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Lines under way from the cluster to the terminal while following.
const LINES_UNDER_WAY: usize = 1024;

/// One instance whose log is wanted.
struct Source {
    name: String,
    subject: Subject,
    /// What the cluster has of it; nothing for one that was deleted.
    found: Option<Found>,
}

/// Prints or follows the logs.
///
/// # Errors
///
/// An instance that is not there, a wrong `--since`, or the cluster's or the log store's refusal.
pub(crate) async fn logs(
    args: &LogsArgs,
    choice: &ClusterChoice,
    context: &Context,
) -> CommandResult<Outcome> {
    let asked = Asked::new(args)?;
    let settings = &context.settings;
    let fetch = FetchContext::new(settings, context.cancel.clone());
    let store = LogStore::new(&settings.logs, &fetch)?;
    let cluster = target::connect(choice, context).await?;
    let mut sources = Vec::new();
    for name in &args.instances {
        let found = match find::find(&cluster, name).await {
            Ok(found) => Some(found),
            // a store may have the log of what was deleted
            Err(error)
                if error.kind() == ErrorKind::NotFound
                    && store.is_some()
                    && asked.since.is_some()
                    && !args.follow =>
            {
                context
                    .printer
                    .warning(format!("{error}: only the log store is asked"));
                None
            }
            Err(error) => return Err(error),
        };
        let container = match &found {
            Some(found) => found.container(args.container.as_deref())?.name.clone(),
            None => args
                .container
                .clone()
                .unwrap_or_else(|| name.to_lowercase()),
        };
        let name = found
            .as_ref()
            .map_or_else(|| name.to_lowercase(), |found| found.instance.name.clone());
        sources.push(Source {
            subject: Subject {
                beamline: choice.beamline.clone().unwrap_or_default(),
                namespace: cluster.namespace.clone(),
                instance: name.clone(),
                container,
            },
            name,
            found,
        });
    }
    let names: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
    let writer = Writer::new(
        &context.printer,
        &names,
        args.timestamps,
        asked.pattern.clone(),
    );
    let window = asked.window(args.tail);
    if args.follow {
        // what was said before the node's first line comes first, then it goes on
        if asked.since.is_some() {
            print_history(&cluster, &sources, window, store.as_ref(), &writer, context).await?;
        }
        follow(&cluster, sources, window, &writer, context).await?;
        return Ok(Outcome::Success);
    }
    let mut logs = Vec::new();
    for source in &sources {
        logs.push(
            log(
                &cluster,
                source,
                window,
                args.previous,
                store.as_ref(),
                context,
            )
            .await?,
        );
    }
    merge(logs, &writer, context).await?;
    Ok(Outcome::Success)
}

async fn merge(
    logs: Vec<BoxStream<'static, CommandResult<LogLine>>>,
    writer: &Writer<'_>,
    context: &Context,
) -> CommandResult<()> {
    let mut merge = Merge::new(logs);
    loop {
        let next = tokio::select! {
            next = merge.next() => next?,
            () = context.cancel.cancelled() => return Ok(()),
        };
        match next {
            Some((number, line)) => writer.line(number, &line)?,
            None => return Ok(()),
        }
    }
}

/// The log of one instance as far as it is known: store, the run before, the run that goes on.
async fn log(
    cluster: &Cluster,
    source: &Source,
    window: Window,
    previous: bool,
    store: Option<&LogStore>,
    context: &Context,
) -> CommandResult<BoxStream<'static, CommandResult<LogLine>>> {
    let container = &source.subject.container;
    let pod = source.found.as_ref().and_then(Found::pod);
    if previous {
        let Some(pod) = pod.filter(|pod| logs::has_run_before(pod, container)) else {
            let error = CommandError::not_found(format!(
                "`{}` has not restarted since its pod was made, there is nothing from before",
                source.name
            ));
            return Err(error.hint(format!(
                "`ioc logs {} --since 1d` asks the log store for what earlier pods said",
                source.name
            )));
        };
        return Ok(logs::lines(
            cluster,
            pod,
            container,
            Run::Before,
            window,
            false,
        ));
    }
    let node = match pod.filter(|pod| logs::has_log(pod, container)) {
        None => {
            if store.is_none() || window.since.is_none() {
                let name = &source.name;
                return Err(CommandError::new(
                    ErrorKind::NotFound,
                    format!("`{name}` has no log on any node: nothing of it has run there"),
                )
                .hint(format!(
                    "`ioc status {name}` tells why; {}",
                    history_hint(source, context)
                )));
            }
            stream::empty().boxed()
        }
        Some(pod) => {
            let newest = logs::lines(cluster, pod, container, Run::Newest, window, false);
            // without a time only the run that goes on, as `kubectl` shows it
            if window.since.is_some()
                && logs::has_run_before(pod, container)
                && logs::is_running(pod, container)
            {
                logs::lines(cluster, pod, container, Run::Before, window, false)
                    .chain(newest)
                    .boxed()
            } else {
                newest
            }
        }
    };
    let Some(since) = window.since else {
        return Ok(node);
    };
    with_store(source, since, window, node, store, context).await
}

/// Puts the store's lines before those of the node.
async fn with_store(
    source: &Source,
    since: Timestamp,
    window: Window,
    mut node: BoxStream<'static, CommandResult<LogLine>>,
    store: Option<&LogStore>,
    context: &Context,
) -> CommandResult<BoxStream<'static, CommandResult<LogLine>>> {
    let first = node.next().await.transpose()?;
    let end = window.until.unwrap_or_else(Timestamp::now);
    let begin_of_node = first.as_ref().and_then(|line| line.time).unwrap_or(end);
    let node = stream::iter(first.clone().map(Ok)).chain(node).boxed();
    let Some(store) = store else {
        let is_whole = source.found.as_ref().is_some_and(|found| {
            let created = found.instance.workload.created;
            created.is_some_and(|created| created >= since)
        });
        if begin_of_node > since && !is_whole {
            context.printer.warning(format!(
                "`{}`: its node has lines since {} only; {}",
                source.name,
                begin_of_node.strftime("%Y-%m-%d %H:%M:%S UTC"),
                history_hint(source, context)
            ));
        }
        return Ok(node);
    };
    if window.tail.is_some() {
        return Ok(node);
    }
    let older = older(store, &source.subject, since, begin_of_node, first.as_ref()).await?;
    Ok(older.chain(node).boxed())
}

/// The store's lines before the node's first one.
async fn older(
    store: &LogStore,
    subject: &Subject,
    since: Timestamp,
    begin_of_node: Timestamp,
    first: Option<&LogLine>,
) -> CommandResult<BoxStream<'static, CommandResult<LogLine>>> {
    if begin_of_node <= since {
        return Ok(stream::empty().boxed());
    }
    let older = store.lines(subject, since, begin_of_node);
    let Some(first) = first else {
        return Ok(older);
    };
    // the seam: the store's lines about the node's first one
    let late = begin_of_node.checked_add(LATE).unwrap_or(begin_of_node);
    let mut tail = Vec::new();
    let mut about = store.lines(subject, begin_of_node, late);
    while let Some(line) = about.next().await {
        tail.push(line?);
    }
    let seam = store::join(tail, first).into_iter().map(Ok);
    Ok(older.chain(stream::iter(seam)).boxed())
}

/// Before following: what the store has from before the nodes' first lines.
async fn print_history(
    cluster: &Cluster,
    sources: &[Source],
    window: Window,
    store: Option<&LogStore>,
    writer: &Writer<'_>,
    context: &Context,
) -> CommandResult<()> {
    let (Some(store), Some(since), None) = (store, window.since, window.tail) else {
        return Ok(());
    };
    let mut logs = Vec::new();
    for source in sources {
        let container = &source.subject.container;
        let pod = source.found.as_ref().and_then(Found::pod);
        let first = match pod.filter(|pod| logs::has_log(pod, container)) {
            Some(pod) => {
                let mut node = logs::lines(cluster, pod, container, Run::Newest, window, false);
                node.next().await.transpose()?
            }
            None => None,
        };
        let begin = first
            .as_ref()
            .and_then(|line| line.time)
            .unwrap_or_else(Timestamp::now);
        logs.push(older(store, &source.subject, since, begin, first.as_ref()).await?);
    }
    merge(logs, writer, context).await
}

async fn follow(
    cluster: &Cluster,
    sources: Vec<Source>,
    window: Window,
    writer: &Writer<'_>,
    context: &Context,
) -> CommandResult<()> {
    let (sender, mut said) = mpsc::channel::<(usize, Said)>(LINES_UNDER_WAY);
    let stop = context.cancel.child_token();
    let names: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
    let mut followers = tokio::task::JoinSet::new();
    for (number, source) in sources.into_iter().enumerate() {
        let (cluster, stop, sender) = (cluster.clone(), stop.clone(), sender.clone());
        let Some(found) = source.found else { continue };
        followers.spawn(async move {
            let (own, mut own_said) = mpsc::channel(1);
            let forward = async {
                while let Some(one) = own_said.recv().await {
                    if sender.send((number, one)).await.is_err() {
                        return;
                    }
                }
            };
            let read = async {
                let container = &source.subject.container;
                let result = logs::follow(&cluster, &found, container, window, &own, &stop).await;
                drop(own);
                result
            };
            tokio::join!(read, forward).0
        });
    }
    drop(sender);
    while let Some((number, one)) = said.recv().await {
        let written = match one {
            Said::Line(line) => writer.line(number, &line),
            Said::Note(note) => {
                context
                    .printer
                    .info(format!("[ioc] `{}` {note}", names[number]));
                Ok(())
            }
        };
        if let Err(error) = written {
            stop.cancel();
            return Err(error);
        }
    }
    while let Some(ended) = followers.join_next().await {
        ended.map_err(|error| {
            CommandError::new(ErrorKind::Internal, "a log reader ended early").caused_by(error)
        })??;
    }
    Ok(())
}

/// Where older lines are.
fn history_hint(source: &Source, context: &Context) -> String {
    match &context.settings.logs.page {
        Some(page) => format!("older ones are at {}", source.subject.fill(page)),
        None => "`[logs] url` in `ioc.toml` names the store that has older ones".to_owned(),
    }
}
