//! The alarm server in a process of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use alarm_server::clock::Clock;
use alarm_server::pvs::channel_access::ChannelAccess;
use alarm_server::{Settings, Shell};
use bus::Bus;
use bus::kafka::properties::Properties;
use tokio_util::sync::CancellationToken;

use crate::Outcome;
use crate::ioc::Ioc;

/// Opens the bus `kafka:HOST:PORT`, or the one in a folder.
pub(crate) async fn open(bus: &str) -> Outcome<Arc<dyn Bus>> {
    if let Some(servers) = bus.strip_prefix("kafka:") {
        let options = bus::kafka::Options::default();
        let kafka = bus::kafka::Kafka::connect(servers, &Properties::default(), options).await?;
        return Ok(Arc::new(kafka));
    }
    let options = bus::embedded::Options::default();
    Ok(Arc::new(bus::embedded::Embedded::open(
        Path::new(bus),
        options,
    )?))
}

/// What the process that is measured does: serves until its standard input ends.
pub(crate) async fn serve(bus: &str, name: &str, port: u16, beacons: u16) -> Outcome<()> {
    let settings = Settings {
        nag_period: None,
        ..Settings::new(name)
    };
    let pvs = Box::new(ChannelAccess::start(Ioc::configuration(port, beacons)?));
    let shell = Shell::open(settings, open(bus).await?, pvs, Clock::machine(), None).await?;
    let stop = CancellationToken::new();
    let ended = stop.clone();
    std::thread::spawn(move || {
        // the one who measures ends, or says so
        drop(std::io::stdin().read_line(&mut String::new()));
        ended.cancel();
    });
    Box::pin(shell.run(stop)).await?;
    Ok(())
}

/// A server that runs.
pub(crate) struct Server(Child);

impl Server {
    pub(crate) fn start(bus: &str, name: &str, ioc: &Ioc) -> Outcome<Self> {
        let child = Command::new(std::env::current_exe()?)
            .args(["serve", bus, name])
            .args([ioc.port.to_string(), ioc.beacons.to_string()])
            .stdin(Stdio::piped())
            .spawn()?;
        Ok(Self(child))
    }

    /// Resident memory in KiB, and processor time in hundredths of a second.
    pub(crate) fn usage(&self) -> Outcome<(u64, u64)> {
        let process = self.0.id();
        let status = fs_err::read_to_string(format!("/proc/{process}/status"))?;
        let memory = status
            .lines()
            .find_map(|line| {
                let rest = line.strip_prefix("VmRSS:")?.trim();
                rest.strip_suffix(" kB")?.trim().parse().ok()
            })
            .ok_or("no VmRSS")?;
        let stat = fs_err::read_to_string(format!("/proc/{process}/stat"))?;
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks = |place: usize| {
            let field = fields.get(place).and_then(|text| text.parse::<u64>().ok());
            field.unwrap_or(0)
        };
        Ok((memory, ticks(11) + ticks(12)))
    }

    /// Ends in order.
    pub(crate) fn stop(mut self) -> Outcome<()> {
        drop(self.0.stdin.take());
        self.0.wait()?;
        Ok(())
    }

    /// Ends at once, as by SIGKILL.
    pub(crate) fn kill(mut self) -> Outcome<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}
