//! `ioc alarm serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::cli::bus::BusArgs;

/// Arguments of `ioc alarm serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm serve --config Accelerator                         bus in files, no broker needed
  ioc alarm serve --config Accelerator --kafka broker:9092     beside Phoebus, on its topics
  ioc alarm serve --config Accelerator --kafka broker:9092 --kafka-properties client.properties
  ioc alarm serve --config Accelerator --listen 0.0.0.0:4730 --token-file tokens
  ioc alarm serve --config Accelerator --with-logger           server, logger and history in one, for a small site
  ioc alarm serve --config Accelerator --replica               twice or thrice: one leads, the others stand by

Mail, programs and webhooks of automated actions are set up in ioc.toml: docs/alarm.md.")]
pub struct ServeArgs {
    /// Which bus.
    #[command(flatten)]
    pub bus: BusArgs,

    /// Stand by while another server of the configuration leads, and take over when it ends; docs/alarm-replicas.md
    #[arg(long)]
    pub replica: bool,

    /// Name of this replica, which no other has [default: HOST-PROCESS]
    #[arg(long, value_name = "NAME", requires = "replica")]
    pub name: Option<String>,

    /// Address of the control API; port 0 lets the system choose [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDRESS:PORT", env = "IOC_ALARM_LISTEN")]
    pub listen: Option<SocketAddr>,

    /// Address at which others reach the control API, if it listens on all; replicas then pass requests on to the one that leads
    #[arg(long, value_name = "IP", env = "IOC_ALARM_ADVERTISE")]
    pub advertise: Option<std::net::IpAddr>,

    /// File with those who may use the control API: lines of `ROLE NAME TOKEN`
    #[arg(long, value_name = "FILE", env = "IOC_ALARM_SERVER_TOKENS")]
    pub token_file: Option<PathBuf>,

    /// Seconds after which a PV that was not found counts as disconnected [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub connection_timeout: Option<u64>,

    /// Seconds after which the state of the root is sent again, so that others see that the server lives [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub idle_timeout: Option<u64>,

    /// How often active alarms are reminded of; 0:00:00 for never [default: 0:15:00]
    #[arg(long, value_name = "H:MM:SS")]
    pub nag_period: Option<String>,

    /// Also run the alarm logger; its API is beside the control API, for those who may look
    #[arg(long)]
    pub with_logger: bool,

    /// Where the logger writes, as `--sink` of `ioc alarm logger` [default: sqlite in the state folder]
    #[arg(long = "sink", value_name = "SINK", requires = "with_logger")]
    pub sinks: Vec<String>,

    /// What is logged to standard error, such as `info,ca=debug` [default: info, with -v debug]
    #[arg(long, value_name = "FILTER", env = "IOC_LOG")]
    pub log: Option<String>,

    /// Log JSON, one object a line
    #[arg(long)]
    pub log_json: bool,
}

/// Arguments of `ioc alarm replicas`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm replicas --config Accelerator
  ioc alarm replicas --config Accelerator --kafka broker:9092 -o json

It is read from the bus; no server has to answer for it.")]
pub struct ReplicasArgs {
    /// Which bus.
    #[command(flatten)]
    pub bus: BusArgs,
}
