//! Which alarm bus: the options that all commands have that read or write one.

use std::path::PathBuf;

use clap::Args;

/// Which configuration on which bus.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Alarm bus")]
pub struct BusArgs {
    /// Name of the alarm configuration, which is that of its topic [default: that in the file, `alarm.config` of ioc.toml]
    #[arg(long, value_name = "NAME", env = "IOC_ALARM_CONFIG")]
    pub config: Option<String>,

    /// Kafka brokers [default: `alarm.kafka` of ioc.toml, else the bus in files of this machine]
    #[arg(long, value_name = "HOST:PORT,…", env = "IOC_KAFKA")]
    pub kafka: Option<String>,

    /// Java properties file with further settings of the Kafka client, as Phoebus reads it
    #[arg(long, value_name = "FILE", env = "IOC_KAFKA_PROPERTIES")]
    pub kafka_properties: Option<PathBuf>,

    /// Folder of the bus in files [default: `alarm.bus` of ioc.toml, else in the state folder]
    #[arg(long, value_name = "FOLDER", env = "IOC_ALARM_BUS", conflicts_with_all = ["kafka", "kafka_properties"])]
    pub bus: Option<PathBuf>,
}
