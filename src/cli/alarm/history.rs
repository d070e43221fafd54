//! The alarm logger and the history: `ioc alarm logger`, `ioc alarm log`, `ioc alarm stats`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::bus::BusArgs;

/// Arguments of `ioc alarm logger`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm logger --config Accelerator                        bus in files; history in the state folder
  ioc alarm logger --config Accelerator,Demo --sink sqlite:/srv/alarms.db --keep 730d
  ioc alarm logger --config Accelerator --kafka broker:9092 --sink sqlite:alarms.db --sink jsonl:/srv/alarms
  ioc alarm logger --config Accelerator --sink elasticsearch:https://search:9200
  ioc alarm logger --config Accelerator --api 127.0.0.1:8080   what clients of Phoebus' logger ask

Sinks: `sqlite:FILE`; `jsonl:FOLDER`, lines of JSON; `elasticsearch:URL`, also OpenSearch, with the indices of Phoebus' logger;
`loki:URL`. All can be searched by `ioc alarm log`. Logins of services stand in files or the environment. What sinks do
not take, because they are away or the disk is full, waits in the spool: docs/alarm-history.md.")]
pub struct LoggerArgs {
    /// Where entries go: `sqlite:FILE`, `jsonl:FOLDER`, `elasticsearch:URL` or `loki:URL`; may be given several times
    /// [default: sqlite in the state folder]
    #[arg(long = "sink", value_name = "SINK")]
    pub sinks: Vec<String>,

    /// Remove entries from files and folders that are older, such as 90d [default: keep all]
    #[arg(long, value_name = "SPAN")]
    pub keep: Option<String>,

    /// Remove the oldest entries from files and folders while they are larger, such as 20GiB [default: keep all]
    #[arg(long, value_name = "SIZE")]
    pub keep_size: Option<String>,

    /// Folder of the spool, which holds records until all sinks have them [default: beside the bus, or in the state folder]
    #[arg(long, value_name = "FOLDER", env = "IOC_ALARM_SPOOL")]
    pub spool: Option<PathBuf>,

    /// Most that the spool holds; when it is full the bus is not read
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub spool_size: String,

    /// Seconds that sinks have at the end for what is in the spool
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub drain: u64,

    /// Serve the first history over HTTP at this address, as the logger of Phoebus does, and in our own way
    #[arg(long, value_name = "ADDRESS:PORT", env = "IOC_ALARM_LOGGER_API")]
    pub api: Option<std::net::SocketAddr>,

    /// What is logged to standard error, such as `info,alarm_log=debug` [default: info, with -v debug]
    #[arg(long, value_name = "FILTER", env = "IOC_LOG")]
    pub log: Option<String>,

    /// Log JSON, one object a line
    #[arg(long)]
    pub log_json: bool,

    /// Which configurations (`A,B`) on which bus.
    #[command(flatten)]
    pub bus: BusArgs,
}

/// Which history.
#[derive(Debug, Clone, Default, Args)]
pub struct HistoryArgs {
    /// The history, written as a sink of the logger [default: that of `ioc alarm logger`, in the state folder]
    #[arg(
        long,
        visible_alias = "sink",
        value_name = "SINK",
        env = "IOC_ALARM_HISTORY"
    )]
    pub from: Option<String>,

    /// Only of these configurations, as `A,B`
    #[arg(long, value_name = "NAME", conflicts_with = "at")]
    pub config: Option<String>,
}

/// Which entries.
#[derive(Debug, Clone, Default, Args)]
pub struct WhichArgs {
    /// PVs, with `*` and `?`
    #[arg(long, value_name = "PATTERN")]
    pub pv: Vec<String>,

    /// Path of a group or PV, and all below it
    #[arg(long, value_name = "PATH")]
    pub at: Option<String>,

    /// Alarm severities, such as MAJOR or `MAJOR*`
    #[arg(long, value_name = "SEVERITY", value_delimiter = ',')]
    pub severity: Vec<String>,

    /// Alarm messages, with `*` and `?`
    #[arg(long, value_name = "PATTERN")]
    pub message: Vec<String>,

    /// Who acknowledged, wrote or deleted, with `*` and `?`
    #[arg(long, value_name = "PATTERN")]
    pub user: Vec<String>,

    /// From which computer, with `*` and `?`
    #[arg(long, value_name = "PATTERN")]
    pub host: Vec<String>,

    /// Not before: 8h, 7d, 14:30, 2026-11-22T10:00
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,

    /// Before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// Arguments of `ioc alarm log`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm log --since 8h
  ioc alarm log --pv 'T01:*' --severity MAJOR --since 7d
  ioc alarm log --commands --user tester
  ioc alarm log -f
  ioc alarm log --from elasticsearch:https://search:9200 --since 1d
  ioc alarm log import accelerator_alarms_state.json alarms.jsonl.gz
  ioc alarm log --since 1d --limit 100000 -o json | jq -r '.[].pv' | sort | uniq -c

The newest entries are found, and printed the oldest first.")]
#[command(args_conflicts_with_subcommands = true)]
pub struct LogArgs {
    /// Something else than showing what happened.
    #[command(subcommand)]
    pub verb: Option<LogVerb>,

    /// Which entries.
    #[command(flatten)]
    pub which: WhichArgs,

    /// Only changes of alarms
    #[arg(long, group = "kinds")]
    pub changes: bool,

    /// Only what people wished: acknowledgements, maintenance mode
    #[arg(long, group = "kinds")]
    pub commands: bool,

    /// Only changes of the configuration, deletions included
    #[arg(long, group = "kinds")]
    pub configuration: bool,

    /// Also the words for the annunciator
    #[arg(long, conflicts_with = "kinds")]
    pub all: bool,

    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub limit: usize,

    /// Go on with what happens, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,

    /// Print a table of CSV
    #[arg(long, conflicts_with = "follow")]
    pub csv: bool,

    /// Which history.
    #[command(flatten)]
    pub history: HistoryArgs,
}

/// Arguments of `ioc alarm stats`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm stats --since 7d
  ioc alarm stats --since 24h --at /Accelerator/Vacuum --top 20
  ioc alarm stats --since 30d -o json | jq .floods

Terms of EEMUA 191 and ISA-18.2: docs/alarm-history.md.")]
pub struct StatsArgs {
    /// From when: 24h, 7d, 2026-11-22T10:00
    #[arg(long, value_name = "TIME", default_value = "7d")]
    pub since: String,

    /// Until when [default: now]
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,

    /// PVs, with `*` and `?`
    #[arg(long, value_name = "PATTERN")]
    pub pv: Vec<String>,

    /// Path of a group or PV, and all below it
    #[arg(long, value_name = "PATH")]
    pub at: Option<String>,

    /// So many PVs of each list
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub top: usize,

    /// Which history.
    #[command(flatten)]
    pub history: HistoryArgs,
}

/// What else can be done with a history.
#[derive(Debug, clap::Subcommand)]
pub enum LogVerb {
    /// Take over old histories: lines of JSON of `ioc`, or documents of Phoebus' logger exported from Elasticsearch
    Import(ImportArgs),
    /// Copy an SQLite history while it is written to
    Backup(BackupArgs),
}

/// Arguments of `ioc alarm log import`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm log import accelerator_alarms_state.json
  ioc alarm log import /srv/old/*.jsonl.gz --into sqlite:/srv/alarms.db

Files are lines of JSON, also compressed (`.gz`). Importing a file once more changes nothing.")]
pub struct ImportArgs {
    /// Files
    #[arg(required = true)]
    pub files: Vec<PathBuf>,

    /// The history, written as a sink of the logger [default: sqlite in the state folder]
    #[arg(long, value_name = "SINK")]
    pub into: Option<String>,
}

/// Arguments of `ioc alarm log backup`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm log backup /backup/alarms-2026-11.db
  ioc alarm log backup copy.db --from sqlite:/srv/alarms.db")]
pub struct BackupArgs {
    /// File that is not there yet
    pub to: PathBuf,

    /// The history [default: sqlite in the state folder]
    #[arg(long, value_name = "SINK", env = "IOC_ALARM_HISTORY")]
    pub from: Option<String>,
}
