//! `ioc pv`.

use clap::{Args, Subcommand};

/// Arguments of `ioc pv`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc pv get T01:UPTIME T01:STAGE:TEMP
  ioc pv put T01:STAGE:SP 40
  ioc pv monitor T01:STAGE:TEMP")]
pub struct PvArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: PvVerb,
}

/// What `ioc pv` can do.
#[derive(Debug, Subcommand)]
pub enum PvVerb {
    /// Read PVs
    Get(GetArgs),
    /// Write a PV and wait until its record has processed
    Put(PutArgs),
    /// Print values as they change
    Monitor(MonitorArgs),
}

/// Arguments of `ioc pv get`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc pv get T01:STAGE:TEMP
  ioc pv get T01:STAGE:TEMP T01:STAGE:STATE -o json
  ioc pv get T01:WAVEFORM --count 10
  ioc pv get T01:STAGE:TEMP --info            also units, limits, type, server

Where is searched is decided by EPICS_CA_ADDR_LIST and its kin, and by [channel-access] of ioc.toml.")]
pub struct GetArgs {
    /// Names of PVs
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,

    /// At most so many elements of an array
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub count: Option<u32>,

    /// Also type, size, units, limits, labels, rights and server
    #[arg(long)]
    pub info: bool,

    /// Seconds that all of it may take
    #[arg(short = 't', long, value_name = "SECONDS", default_value = "3", value_parser = crate::cli::pv::seconds)]
    pub timeout: f64,
}

/// Arguments of `ioc pv put`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc pv put T01:STAGE:SP 40
  ioc pv put T01:STAGE:ENABLE Off              a state by its label or number
  ioc pv put T01:WAVEFORM 1 2 3                several values for an array
  ioc pv put T01:OFFSET -- -5")]
pub struct PutArgs {
    /// Name of the PV
    pub name: String,

    /// The value; several for an array
    #[arg(required = true, value_name = "VALUE", allow_negative_numbers = true)]
    pub values: Vec<String>,

    /// Seconds that all of it may take
    #[arg(short = 't', long, value_name = "SECONDS", default_value = "5", value_parser = crate::cli::pv::seconds)]
    pub timeout: f64,
}

/// Arguments of `ioc pv monitor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc pv monitor T01:STAGE:TEMP T01:STAGE:STATE
  ioc pv monitor T01:STAGE:TEMP --for 10s -o json
  ioc pv monitor T01:STAGE:TEMP --updates 3

It goes on when an IOC is started again, and says so. Ctrl-C ends it.")]
pub struct MonitorArgs {
    /// Names of PVs
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,

    /// Show at most so many elements of an array
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub count: Option<u32>,

    /// End after this time, such as 30s, 10m, 8h
    #[arg(long = "for", value_name = "DURATION")]
    pub duration: Option<String>,

    /// End after so many values
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub updates: Option<u64>,

    /// Seconds after which PVs that were not found are named
    #[arg(short = 't', long, value_name = "SECONDS", default_value = "3", value_parser = crate::cli::pv::seconds)]
    pub timeout: f64,
}

/// Seconds, with a fraction if need be.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 86_400.0 => Ok(seconds),
        _ => Err("a number of seconds, more than 0 and at most 86400".to_owned()),
    }
}
