//! `ioc alarm config follow`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::alarm::PlanArgs;
use crate::cli::bus::BusArgs;
use crate::cli::deploy::duration;

/// Arguments of `ioc alarm config follow`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc alarm config follow git@host:alarms.git --branch production --path accelerator.csv --config Accelerator
  ioc alarm config follow https://host/alarms.git --branch main --path alarm/lab.yaml --every 5m --prune
  ioc alarm config follow https://host/alarms.git --branch main --path lab.csv --webhook 0.0.0.0:4732 --webhook-secret secrets/hook
  ioc alarm config follow file:///srv/alarms.git --branch main --path lab.csv --once

A commit with mistakes is refused, and the bus stays as the last good one has made it: docs/alarm-site.md.")]
pub struct FollowArgs {
    /// Git repository: `https://…`, `ssh://…`, `git@host:path` or `file://…`
    pub url: String,

    /// Branch whose newest commit is applied
    #[arg(long, value_name = "BRANCH")]
    pub branch: String,

    /// The configuration in the repository: `.csv`, `.xml`, `.yaml` or `.json`
    #[arg(long, value_name = "FILE")]
    pub path: PathBuf,

    /// How often the repository is looked at
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = period)]
    pub every: Duration,

    /// Look once, apply, and end
    #[arg(long, conflicts_with_all = ["webhook", "listen"])]
    pub once: bool,

    /// Address that a code host calls after a push; a port alone is on loopback
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = address)]
    pub webhook: Option<SocketAddr>,

    /// File with the secret that the code host signs its calls with (mode 600); needed on other addresses than loopback
    #[arg(long, value_name = "FILE", requires = "webhook")]
    pub webhook_secret: Option<PathBuf>,

    /// Address of `/v1/follow`, `/metrics`, `/livez` and `/readyz`; a port alone is on loopback [default: 127.0.0.1:0]
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = address)]
    pub listen: Option<SocketAddr>,

    /// What may go.
    #[command(flatten)]
    pub plan: PlanArgs,

    /// Which bus.
    #[command(flatten)]
    pub bus: BusArgs,

    /// What is logged to standard error, such as `info,ca=debug` [default: info, with -v debug]
    #[arg(long, value_name = "FILTER", env = "IOC_LOG")]
    pub log: Option<String>,

    /// Log JSON, one object a line
    #[arg(long)]
    pub log_json: bool,
}

/// A time of a second or more.
fn period(text: &str) -> Result<Duration, String> {
    let period = duration(text)?;
    if period < Duration::from_secs(1) {
        return Err("a git server is looked at once a second at most".to_owned());
    }
    Ok(period)
}

/// `ADDRESS:PORT`, or a port on loopback.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    text.parse().map_err(|_not_one| {
        format!("`{text}` is no address: write it as `9000`, `0.0.0.0:9000` or `[::]:9000`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_on_loopback() {
        let rows = [
            ("9000", Some("127.0.0.1:9000")),
            ("0.0.0.0:9000", Some("0.0.0.0:9000")),
            ("[::1]:0", Some("[::1]:0")),
            ("70000", None),
            ("host:9000", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let read = address(text).ok().map(|address| address.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_period_is_not_shorter_than_a_second() {
        assert_eq!(period("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(period("5m"), Ok(Duration::from_mins(5)));
        assert!(period("0").is_err());
        assert!(period("200ms").is_err());
    }
}
