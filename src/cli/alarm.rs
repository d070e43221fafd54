//! `ioc alarm`.

pub mod follow;
pub mod history;
pub mod operate;
pub mod serve;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::alarm::follow::FollowArgs;
use crate::cli::alarm::history::{LogArgs, LoggerArgs, StatsArgs};
use crate::cli::alarm::operate::{
    AlarmStatusArgs, DisableArgs, ItemsArgs, LsArgs, ReloadArgs, ServerArgs, ShelveArgs,
    SwitchArgs, WatchArgs,
};
use crate::cli::alarm::serve::{ReplicasArgs, ServeArgs};
use crate::cli::bus::BusArgs;

/// Arguments of `ioc alarm`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm config apply alarm/accelerator.csv
  ioc alarm serve --config Accelerator
  ioc alarm ls --active
  ioc alarm ack SR:VAC:P1
  ioc alarm log --since 8h
  ioc alarm simulate alarm/scenarios/overheated.yaml")]
pub struct AlarmArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: AlarmVerb,
}

/// What `ioc alarm` can do.
#[derive(Debug, Subcommand)]
pub enum AlarmVerb {
    /// Check, compare, apply, export, generate and convert alarm configurations
    Config(ConfigArgs),
    /// Play values of PVs over time against a configuration, offline, and compare the alarms with what is expected
    Simulate(SimulateArgs),
    /// Run the alarm server of a configuration
    Serve(Box<ServeArgs>),
    /// Keep what happens: write the alarm topics into a history
    Logger(Box<LoggerArgs>),
    /// Show what happened: changes of alarms, commands, changes of the configuration
    Log(Box<LogArgs>),
    /// Figures about the alarm system: rates, floods, PVs with most alarms, times to acknowledgement
    Stats(StatsArgs),
    /// Show which of several alarm servers leads, and which stand by
    Replicas(ReplicasArgs),
    /// List alarms
    Ls(LsArgs),
    /// Print alarms as they come and go
    Watch(WatchArgs),
    /// Tell all about a PV: alarm, value, connection, configuration, what happened
    Status(AlarmStatusArgs),
    /// Acknowledge alarms: somebody takes care of them
    Ack(ItemsArgs),
    /// Take acknowledgements back
    Unack(ItemsArgs),
    /// Watch PVs again that were disabled
    Enable(ItemsArgs),
    /// Stop watching PVs until somebody enables them
    Disable(DisableArgs),
    /// Stop watching PVs for some time
    Shelve(ShelveArgs),
    /// Watch shelved PVs again before their time is over
    Unshelve(ItemsArgs),
    /// Switch maintenance mode on or off
    Maintenance(SwitchArgs),
    /// Switch notifications on or off
    Notify(SwitchArgs),
    /// Have the server read the configuration and its tokens again
    Reload(ReloadArgs),
    /// Find out what is wrong: brokers, topics, history, server, clocks, Channel Access from here
    Doctor(DoctorArgs),
}

/// Arguments of `ioc alarm doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm doctor --config Accelerator --kafka broker:9092
  ioc alarm doctor --sink sqlite:/srv/alarms.db
  kubectl exec alarm-server-0 -- ioc alarm doctor       from where the alarm server runs
  ioc alarm doctor -o json | jq '.[] | select(.verdict == \"bad\")'

Nothing is changed and nothing is written to a topic, so whether writing is allowed stays open. Exits with 1 if
something does not work.")]
pub struct DoctorArgs {
    /// Histories of alarm loggers to look at [default: the one in the state folder, if there is one]
    #[arg(long = "sink", value_name = "SINK")]
    pub sinks: Vec<String>,

    /// How long PVs are searched, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub timeout: u64,

    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Arguments of `ioc alarm config`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm config check alarm/accelerator.csv --live
  ioc alarm config diff alarm/accelerator.csv
  ioc alarm config apply alarm/accelerator.csv
  ioc alarm config follow git@host:alarms.git --branch production --path accelerator.csv
  ioc alarm config export --config Accelerator --format xml > accelerator.xml
  ioc alarm config generate --from t01 > alarm/t01.yaml
  ioc alarm config convert accelerator.xml --to yaml

Files are tables (`.csv`), XML of Phoebus (`.xml`), or YAML (`.yaml`, `.json`): docs/alarm-configuration.md.")]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: ConfigVerb,
}

/// What `ioc alarm config` can do.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Find mistakes in alarm configurations: structure, names, filters, dates, actions
    Check(CheckArgs),
    /// Show what applying a file would change on the bus
    Diff(DiffArgs),
    /// Publish what is different, and nothing else
    Apply(ApplyArgs),
    /// Keep the bus as a file of a git branch is, commit by commit
    Follow(Box<FollowArgs>),
    /// Write the configuration that is on the bus as a file
    Export(ExportArgs),
    /// Write the records of IOCs that can go into alarm as a tree to edit
    Generate(GenerateArgs),
    /// Turn one format into another, and say what that loses
    Convert(ConvertArgs),
}

/// How an alarm configuration is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FileFormat {
    /// XML of Phoebus
    Xml,
    /// Table with the columns of NALMS
    Csv,
    /// Our own
    Yaml,
    /// As YAML, for programs
    Json,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people, or as `--output` says
    #[default]
    Text,
    /// Annotations of GitHub workflows
    Github,
    /// Code quality report of GitLab
    Gitlab,
    /// JUnit XML, which most CI systems show
    Junit,
}

/// For which alarm server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ServerKind {
    /// `ioc alarm serve`
    #[default]
    Ioc,
    /// The one of Phoebus: warns of what it would drop
    Phoebus,
}

/// Arguments of `ioc alarm config check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm config check alarm/accelerator.csv
  ioc alarm config check alarm/                       every configuration below the folder
  ioc alarm config check alarm/t01.yaml --live        asks every PV: is it there, can it go into alarm
  ioc alarm config check nalms/lcls.xml --server-compat phoebus --strict
  ioc alarm config check alarm/ --format gitlab > gl-code-quality-report.json")]
pub struct CheckArgs {
    /// Files, or folders whose files are checked
    #[arg(required = true)]
    pub files: Vec<PathBuf>,

    /// Name that the root must have; names the root of tables, which have none [default: that in the file]
    #[arg(long, value_name = "NAME")]
    pub config: Option<String>,

    /// Ask every PV over Channel Access: is it there, who serves it, are limits set, can it go into alarm
    #[arg(long)]
    pub live: bool,

    /// How long PVs are searched with --live, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, requires = "live")]
    pub timeout: u64,

    /// Which alarm server the configuration is for
    #[arg(long, value_name = "SERVER", value_enum, default_value_t)]
    pub server_compat: ServerKind,

    /// Count warnings as errors
    #[arg(long)]
    pub strict: bool,

    /// How findings are printed
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,
}

/// Which items of the bus may go.
#[derive(Debug, Clone, Copy, Args)]
pub struct PlanArgs {
    /// Delete what is on the bus and not in the file
    #[arg(long)]
    pub prune: bool,

    /// Enable PVs again that somebody has shelved: disabled until a date that the file does not have
    #[arg(long)]
    pub unshelve: bool,
}

/// Arguments of `ioc alarm config diff`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm config diff alarm/accelerator.csv
  ioc alarm config diff alarm/accelerator.csv --prune --exit-code    exit with 1 if anything differs
  ioc alarm config diff alarm/accelerator.csv --kafka broker:9092")]
pub struct DiffArgs {
    /// Alarm configuration: `.csv`, `.xml`, `.yaml` or `.json`
    pub file: PathBuf,

    /// Exit with 1 if there is a difference
    #[arg(long)]
    pub exit_code: bool,

    /// What may go.
    #[command(flatten)]
    pub plan: PlanArgs,

    /// Which bus.
    #[command(flatten)]
    pub bus: BusArgs,
}

/// Arguments of `ioc alarm config apply`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm config apply alarm/accelerator.csv
  ioc alarm config apply alarm/accelerator.csv --dry-run
  ioc alarm config apply alarm/accelerator.csv --prune --yes --kafka broker:9092

Only what is different is published: PVs that are the same are not touched, and keep their latch, their
acknowledgement and their delay.")]
pub struct ApplyArgs {
    /// Alarm configuration: `.csv`, `.xml`, `.yaml` or `.json`
    pub file: PathBuf,

    /// What may go.
    #[command(flatten)]
    pub plan: PlanArgs,

    /// Show what would be published, and publish nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Go on without asking
    #[arg(short, long)]
    pub yes: bool,

    /// Which bus.
    #[command(flatten)]
    pub bus: BusArgs,
}

/// Arguments of `ioc alarm config export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm config export --config Accelerator > accelerator.yaml
  ioc alarm config export --config Accelerator --format xml --kafka broker:9092 > accelerator.xml
  ioc alarm config export --config Accelerator --to accelerator.csv")]
pub struct ExportArgs {
    /// Format [default: that of the name of the file, else YAML]
    #[arg(long, value_enum)]
    pub format: Option<FileFormat>,

    /// Write into this file, which must not be there yet, instead of standard output
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,

    /// Replace the file that is there already
    #[arg(long, requires = "to")]
    pub force: bool,

    /// Which bus.
    #[command(flatten)]
    pub bus: BusArgs,
}

/// Arguments of `ioc alarm config generate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm config generate --from beamlines/t01 > alarm/t01.yaml
  ioc alarm config generate --from t01 --by instance --to alarm/t01.csv
  ioc alarm config generate --from t01 --config Accelerator --severity major --format xml

A record can go into alarm if its database sets a severity: HHSV, HSV, LSV, LLSV, ZSV, OSV, the states of mbbi
and mbbo, COSV, UNSV and so on. The tree is one to edit: an alarm needs somebody who does something about it.")]
pub struct GenerateArgs {
    /// Folder of a services repository, or the name of a beamline
    #[arg(long, value_name = "BEAMLINE")]
    pub from: PathBuf,

    /// Only these instances
    pub instances: Vec<String>,

    /// Name of the root [default: the beamline]
    #[arg(long, value_name = "NAME")]
    pub config: Option<String>,

    /// What the groups are
    #[arg(long, value_enum, default_value_t)]
    pub by: GroupBy,

    /// Leave out records that go into no alarm as severe as this
    #[arg(long, value_enum, default_value_t)]
    pub severity: LeastSeverity,

    /// Format [default: that of the name of the file, else YAML]
    #[arg(long, value_enum)]
    pub format: Option<FileFormat>,

    /// Write into this file, which must not be there yet, instead of standard output
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,

    /// Replace the file that is there already
    #[arg(long, requires = "to")]
    pub force: bool,

    /// Do not ask the container engine for databases that are in images, and say what is left out
    #[arg(long)]
    pub no_engine: bool,
}

/// What the groups of a generated tree are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum GroupBy {
    /// The area in the name of the instance (`t01-ea-ioc-01`: `ea`), then the instance
    #[default]
    Area,
    /// The instance
    Instance,
}

/// How severe an alarm has to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LeastSeverity {
    /// All
    #[default]
    Minor,
    /// Major and invalid
    Major,
}

/// Arguments of `ioc alarm config convert`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm config convert accelerator.xml --to yaml > accelerator.yaml
  ioc alarm config convert accelerator.xml --to accelerator.csv
  ioc alarm config convert lcls.csv --config LCLS --to xml > lcls.xml")]
pub struct ConvertArgs {
    /// Alarm configuration: `.csv`, `.xml`, `.yaml` or `.json`
    pub file: PathBuf,

    /// Format, for standard output, or a file that is not there yet
    #[arg(long, value_name = "FORMAT|FILE")]
    pub to: String,

    /// Name of the root of a table, which has none [default: the name of the file]
    #[arg(long, value_name = "NAME")]
    pub config: Option<String>,

    /// Replace the file that is there already
    #[arg(long)]
    pub force: bool,

    /// Fail, and write nothing, if the format cannot hold everything
    #[arg(long)]
    pub lossless: bool,
}

/// Arguments of `ioc alarm simulate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm simulate alarm/scenarios/overheated.yaml
  ioc alarm simulate alarm/scenarios/*.yaml -o json

Exits with 1 if an alarm is not as the scenario expects. docs/alarm-configuration.md has the format.")]
pub struct SimulateArgs {
    /// Scenarios
    #[arg(required = true)]
    pub scenarios: Vec<PathBuf>,
}
