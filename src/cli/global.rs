//! Options that every command has.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Options that every command has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// How results are printed
    #[arg(
        short,
        long,
        global = true,
        env = "IOC_OUTPUT",
        value_enum,
        default_value_t
    )]
    pub output: OutputFormat,

    /// Print nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Print more; twice for debugging
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// When to use colours
    #[arg(
        long,
        global = true,
        env = "IOC_COLOR",
        value_enum,
        default_value_t,
        hide_possible_values = false
    )]
    pub color: ColorChoice,

    /// Project folder that holds `ioc.toml`; without it the folders above the current one are searched
    #[arg(long, global = true, env = "IOC_PROJECT", value_name = "FOLDER")]
    pub project: Option<PathBuf>,

    /// Container engine, as unix:///path/to.sock or tcp://host:port
    #[arg(long, global = true, env = "IOC_ENGINE", value_name = "URL")]
    pub engine: Option<String>,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// For programs and files
    Yaml,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}
