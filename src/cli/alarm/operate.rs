//! Looking at alarms and acting on them: `ioc alarm ls`, `watch`, `status`, `ack` and so on.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::bus::BusArgs;

/// Which alarm server.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Alarm server")]
pub struct ServerArgs {
    /// Address of the alarm server [default: `alarm.api` of ioc.toml, else that of a server on this machine]
    #[arg(long, value_name = "URL", env = "IOC_ALARM_API")]
    pub server: Option<String>,

    /// File with the token that shows who you are [default: `alarm.token-file` of ioc.toml]
    #[arg(long, value_name = "FILE", env = "IOC_ALARM_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,

    /// Which configuration, where several servers run.
    #[command(flatten)]
    pub bus: BusArgs,
}

/// Arguments of `ioc alarm ls`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm ls --active                        what needs somebody now, the worst first
  ioc alarm ls                                 every PV
  ioc alarm ls /Accelerator/Vacuum --groups    groups, with how many alarms are in each
  ioc alarm ls --shelved
  ioc alarm ls --active -o json | jq -r '.[].pv'")]
pub struct LsArgs {
    /// Path of a group, or name of a PV [default: everything]
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::alarms))]
    pub path: Option<String>,

    /// Alarms that nobody has acknowledged
    #[arg(long, group = "which")]
    pub active: bool,

    /// Alarms that were acknowledged
    #[arg(long, group = "which")]
    pub acknowledged: bool,

    /// PVs that are not connected
    #[arg(long, group = "which")]
    pub disconnected: bool,

    /// PVs that are disabled
    #[arg(long, group = "which")]
    pub disabled: bool,

    /// PVs that somebody has shelved
    #[arg(long, group = "which")]
    pub shelved: bool,

    /// PVs whose alarm waits for its delay
    #[arg(long, group = "which")]
    pub pending: bool,

    /// Only of this severity, such as MAJOR or MINOR_ACK
    #[arg(long)]
    pub severity: Option<String>,

    /// Only those with this in their path or description
    #[arg(long)]
    pub text: Option<String>,

    /// Groups instead of PVs, with how many alarms are in each
    #[arg(long)]
    pub groups: bool,

    /// In which order [default: severity with --active and --acknowledged, else tree]
    #[arg(long, value_enum)]
    pub sort: Option<Sort>,

    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Orders of a list of alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// As in the configuration
    Tree,
    /// The worst first, of these the newest first
    Severity,
    /// The newest first
    Time,
}

/// Arguments of `ioc alarm watch`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm watch
  ioc alarm watch /Accelerator/Vacuum
  ioc alarm watch -o json | jq -c 'select(.severity == \"MAJOR\")'
  ioc alarm watch --for 10m

It goes on when the server is started again, and says so. Ctrl-C ends it.")]
pub struct WatchArgs {
    /// Path of a group or of a PV [default: everything]
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::alarms))]
    pub path: Option<String>,

    /// End after this time, such as 30s, 10m, 8h
    #[arg(long = "for", value_name = "DURATION")]
    pub duration: Option<String>,

    /// Also what people do and what is announced
    #[arg(long)]
    pub all: bool,

    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Arguments of `ioc alarm status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm status SR:VAC:P1
  ioc alarm status /Accelerator/Vacuum/SR:VAC:P1
  ioc alarm status                       the server itself")]
pub struct AlarmStatusArgs {
    /// Name of a PV, or path [default: the server itself]
    #[arg(add = clap_complete::ArgValueCompleter::new(crate::cli::complete::alarms))]
    pub pv: Option<String>,

    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Arguments of the verbs that act on items.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm ack SR:VAC:P1
  ioc alarm ack /Accelerator/Vacuum           all alarms of the group
  ioc alarm unack SR:VAC:P1
  ioc alarm enable SR:VAC:P1
  ioc alarm unshelve SR:VAC:P1")]
pub struct ItemsArgs {
    /// Paths of groups or PVs, or names of PVs
    #[arg(required = true, value_name = "PATH", add = clap_complete::ArgValueCompleter::new(crate::cli::complete::alarms))]
    pub paths: Vec<String>,

    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Arguments of `ioc alarm disable`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm disable SR:VAC:P1 --reason 'gauge is broken, ticket 4711'
  ioc alarm shelve SR:VAC:P1 --for 8h             comes back by itself")]
pub struct DisableArgs {
    /// Paths of groups or PVs, or names of PVs
    #[arg(required = true, value_name = "PATH", add = clap_complete::ArgValueCompleter::new(crate::cli::complete::alarms))]
    pub paths: Vec<String>,

    /// Why, for those who come after you
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Arguments of `ioc alarm shelve`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("span").args(["duration", "until"]).required(true))]
#[command(after_help = "\
Examples:
  ioc alarm shelve SR:VAC:P1 --for 8h --reason 'pump is being changed'
  ioc alarm shelve /Accelerator/Vacuum --until 06:30
  ioc alarm shelve SR:VAC:P1 --until 2031-12-03T10:15:30")]
pub struct ShelveArgs {
    /// Paths of groups or PVs, or names of PVs
    #[arg(required = true, value_name = "PATH", add = clap_complete::ArgValueCompleter::new(crate::cli::complete::alarms))]
    pub paths: Vec<String>,

    /// How long, such as 30m, 8h, 2d
    #[arg(long = "for", value_name = "DURATION")]
    pub duration: Option<String>,

    /// Until when: a time of day, or a date and time, of this machine
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,

    /// Why, for those who come after you
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Arguments of `ioc alarm maintenance` and `ioc alarm notify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm maintenance on      acknowledges by itself what is only INVALID or not connected
  ioc alarm notify off          no mail and no other automated actions")]
pub struct SwitchArgs {
    /// On or off
    pub state: Switch,

    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On
    On,
    /// Off
    Off,
}

/// Arguments of `ioc alarm reload`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm reload")]
pub struct ReloadArgs {
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}
