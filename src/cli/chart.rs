//! `ioc chart …`: what `helm lint|package|template|dependency|push|pull|show` do, with the same flags.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::render::SetArgs;

/// Arguments of `ioc chart`.
#[derive(Debug, Args)]
pub struct ChartArgs {
    /// What to do with charts.
    #[command(subcommand)]
    pub verb: ChartVerb,
}

/// What can be done with charts.
#[derive(Debug, Subcommand)]
pub enum ChartVerb {
    /// Find mistakes in charts
    Lint(LintArgs),
    /// Pack charts into archives
    Package(PackageArgs),
    /// Print the manifests of a chart
    Template(Box<TemplateArgs>),
    /// Vendor the charts that a chart needs
    #[command(visible_alias = "dep")]
    Dependency(DependencyArgs),
    /// Send a packaged chart to a registry
    Push(PushArgs),
    /// Receive a chart from a registry or chart repository
    Pull(PullArgs),
    /// Show what a chart says of itself
    Show(ShowArgs),
}

/// How registries are reached.
#[derive(Debug, Clone, Default, Args)]
pub struct RegistryArgs {
    /// Reach registries without TLS; `plain-http` in `[registry]` of `ioc.toml` says so for single ones
    #[arg(long)]
    pub plain_http: bool,
}

/// Values for the templates of a chart.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Values")]
pub struct ChartValueArgs {
    /// File of values, `-` for standard input; may be repeated, later ones win
    #[arg(short = 'f', long = "values", value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Single values.
    #[command(flatten)]
    pub sets: SetArgs,

    /// Set a value to the text of a file
    #[arg(long, value_name = "KEY=PATH")]
    pub set_file: Vec<String>,

    /// Set a value as a string, taking everything after `=` as it is
    #[arg(long, value_name = "KEY=VALUE")]
    pub set_literal: Vec<String>,
}

/// The cluster that templates see.
#[derive(Debug, Clone, Default, Args)]
pub struct CapabilityArgs {
    /// Kubernetes version that templates see
    #[arg(long, value_name = "VERSION")]
    pub kube_version: Option<String>,
}

/// Arguments of `ioc chart lint`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc chart lint ./mychart
  ioc chart lint services/* --strict --quiet")]
pub struct LintArgs {
    /// Folders or archives of charts
    #[arg(default_value = ".", value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Fail on warnings too
    #[arg(long)]
    pub strict: bool,

    /// Lint the charts in `charts/` too
    #[arg(long)]
    pub with_subcharts: bool,

    /// Do not check values against schemas
    #[arg(long)]
    pub skip_schema_validation: bool,

    /// Namespace that templates see
    #[arg(short, long, default_value = "default")]
    pub namespace: String,

    /// The cluster that templates see.
    #[command(flatten)]
    pub capabilities: CapabilityArgs,

    /// Values for the templates.
    #[command(flatten)]
    pub values: ChartValueArgs,
}

/// Arguments of `ioc chart package`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc chart package services/t01-ea-ioc-01 -u --version 2026.11.1 --app-version 2026.11.1
  ioc chart package ./mychart -d dist")]
pub struct PackageArgs {
    /// Folders of charts
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Version of the chart in the archive [default: that of `Chart.yaml`]
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,

    /// Version of what the chart installs [default: that of `Chart.yaml`]
    #[arg(long, value_name = "VERSION")]
    pub app_version: Option<String>,

    /// Vendor dependencies first, as `ioc chart dependency update` does
    #[arg(short = 'u', long)]
    pub dependency_update: bool,

    /// Folder that archives are written to
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    pub destination: PathBuf,

    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArgs,
}

/// Arguments of `ioc chart template`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc chart template t01-ea-ioc-01 services/t01-ea-ioc-01 -f services/values.yaml
  ioc chart template ./mychart --show-only templates/statefulset.yaml")]
pub struct TemplateArgs {
    /// Name of the release, and the chart; the name may be left out
    #[arg(required = true, num_args = 1..=2, value_name = "[NAME] CHART")]
    pub name_and_chart: Vec<String>,

    /// Take `release-name` as the name, as helm does when there is none
    #[arg(short, long)]
    pub generate_name: bool,

    /// Name of the release as a template of its own, such as `scan-{{ randAlpha 5 | lower }}`
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "generate_name")]
    pub name_template: Option<String>,

    /// Write a file for each template below this folder instead of printing all
    #[arg(long, value_name = "FOLDER")]
    pub output_dir: Option<PathBuf>,

    /// Put the name of the release between that folder and the files
    #[arg(long, requires = "output_dir")]
    pub release_name: bool,

    /// Flags of `helm template` that mean something else here.
    #[command(flatten)]
    pub helm: HelmTemplateArgs,

    /// Which version, and from where.
    #[command(flatten)]
    pub location: LocationArgs,

    /// Print what these templates wrote only; a path inside the chart, `*` stands for anything
    #[arg(short, long, value_name = "TEMPLATE")]
    pub show_only: Vec<String>,

    /// Print custom resource definitions too
    #[arg(long)]
    pub include_crds: bool,

    /// Leave hooks out
    #[arg(long)]
    pub no_hooks: bool,

    /// Leave tests out
    #[arg(long)]
    pub skip_tests: bool,

    /// Do not check values against schemas
    #[arg(long)]
    pub skip_schema_validation: bool,

    /// Render an upgrade instead of an installation
    #[arg(long)]
    pub is_upgrade: bool,

    /// Vendor missing dependencies first
    #[arg(long)]
    pub dependency_update: bool,

    /// Namespace that templates see
    #[arg(short, long, default_value = "default")]
    pub namespace: String,

    /// API versions that templates see besides the usual ones
    #[arg(short, long, value_name = "VERSION", value_delimiter = ',')]
    pub api_versions: Vec<String>,

    /// The cluster that templates see.
    #[command(flatten)]
    pub capabilities: CapabilityArgs,

    /// Values for the templates.
    #[command(flatten)]
    pub values: ChartValueArgs,
}

/// Flags of `helm template` that scripts have: those that change nothing are taken, the others are refused in words.
#[derive(Debug, Clone, Default, Args)]
pub struct HelmTemplateArgs {
    /// Changes nothing: a failure is always told with its place and what was rendered.
    #[arg(long, hide = true)]
    pub debug: bool,

    /// Changes nothing: definitions are printed with `--include-crds` only.
    #[arg(long, hide = true)]
    pub skip_crds: bool,

    /// Changes nothing: no namespace is made by printing.
    #[arg(long, hide = true)]
    pub create_namespace: bool,

    /// Changes nothing: nothing is validated against a cluster.
    #[arg(long, hide = true)]
    pub disable_openapi_validation: bool,

    /// `client` changes nothing; `server` would ask a cluster and is refused.
    #[arg(long, hide = true, value_name = "WHERE", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: Option<String>,

    /// Would ask a cluster; refused.
    #[arg(long, hide = true)]
    pub validate: bool,

    /// Would run another program; refused.
    #[arg(long, hide = true, value_name = "PROGRAM")]
    pub post_renderer: Option<String>,

    /// Belongs to the one before; refused with it.
    #[arg(long, hide = true, value_name = "ARGUMENT", allow_hyphen_values = true)]
    pub post_renderer_args: Vec<String>,

    /// Would ask name servers from templates; refused.
    #[arg(long, hide = true)]
    pub enable_dns: bool,

    /// Changes nothing: labels are those of a release in a cluster.
    #[arg(short, long, hide = true, value_name = "LABELS")]
    pub labels: Vec<String>,

    /// Changes nothing, likewise.
    #[arg(long, hide = true, value_name = "TEXT")]
    pub description: Option<String>,

    /// Changes nothing: there is nothing to wait for.
    #[arg(long, hide = true, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "watcher")]
    pub wait: Option<String>,

    /// Changes nothing, likewise.
    #[arg(long, hide = true)]
    pub wait_for_jobs: bool,

    /// Changes nothing, likewise.
    #[arg(long, hide = true, value_name = "DURATION")]
    pub timeout: Option<String>,

    /// Changes nothing: nothing is installed that could be taken back.
    #[arg(long, hide = true, visible_alias = "atomic")]
    pub rollback_on_failure: bool,

    /// Changes nothing, likewise.
    #[arg(long, hide = true)]
    pub replace: bool,

    /// Changes nothing, likewise.
    #[arg(long, hide = true)]
    pub take_ownership: bool,
}

/// Arguments of `ioc chart dependency`.
#[derive(Debug, Args)]
pub struct DependencyArgs {
    /// What to do with dependencies.
    #[command(subcommand)]
    pub verb: DependencyVerb,
}

/// What can be done with dependencies.
#[derive(Debug, Subcommand)]
pub enum DependencyVerb {
    /// Vendor what `Chart.lock` pins; without one, as `update`
    Build(VendorArgs),
    /// Choose the newest versions that `Chart.yaml` allows, vendor them and write `Chart.lock`
    #[command(visible_alias = "up")]
    Update(VendorArgs),
    /// List dependencies and whether they are vendored
    #[command(visible_alias = "ls")]
    List(DependencyListArgs),
}

/// Arguments of `ioc chart dependency build` and `update`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc chart dependency update services/.helm-shared
  ioc chart dependency build ./mychart")]
pub struct VendorArgs {
    /// Folder of the chart
    #[arg(default_value = ".", value_name = "CHART")]
    pub chart: PathBuf,

    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArgs,
}

/// Arguments of `ioc chart dependency list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc chart dependency list services/.helm-shared")]
pub struct DependencyListArgs {
    /// Folder or archive of the chart
    #[arg(default_value = ".", value_name = "CHART")]
    pub chart: PathBuf,
}

/// A chart that is named by path, reference or URL.
#[derive(Debug, Clone, Args)]
pub struct LocationArgs {
    /// Version or range of versions to take, such as `1.2.3` or `^1.2` [default: the newest release]
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,

    /// Take pre-releases too when `--version` is not given
    #[arg(long)]
    pub devel: bool,

    /// Chart repository (a folder of `index.yaml`) in which CHART is a name
    #[arg(long, value_name = "URL")]
    pub repo: Option<String>,

    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArgs,
}

/// Arguments of `ioc chart push`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc chart push t01-ea-ioc-01-2026.11.1.tgz oci://registry.example.org/t01

Logins come from `helm registry login`, `docker login` or `podman login`.")]
pub struct PushArgs {
    /// Packaged chart, as `ioc chart package` or `helm package` write it
    pub archive: PathBuf,

    /// Where it goes; name and version of the chart are added
    #[arg(value_name = "oci://HOST/PATH")]
    pub remote: String,

    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArgs,
}

/// Arguments of `ioc chart pull`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc chart pull oci://registry.example.org/charts/ioc-instance --version ^5.5
  ioc chart pull ioc-instance --repo https://charts.example.org --untar")]
pub struct PullArgs {
    /// Charts: `oci://HOST/PATH/NAME[:VERSION]`, a URL, `REPOSITORY/NAME`, or a name with `--repo`
    #[arg(required = true, value_name = "CHART")]
    pub charts: Vec<String>,

    /// Which version, and from where.
    #[command(flatten)]
    pub location: LocationArgs,

    /// Folder that the chart is written to
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    pub destination: PathBuf,

    /// Unpack the chart instead of writing its archive
    #[arg(long)]
    pub untar: bool,

    /// Folder below the destination that it is unpacked into
    #[arg(long, value_name = "FOLDER", default_value = ".", requires = "untar")]
    pub untardir: PathBuf,

    /// Write the signature too, without checking it
    #[arg(long)]
    pub prov: bool,
}

/// Arguments of `ioc chart show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ioc chart show values oci://registry.example.org/charts/ioc-instance
  ioc chart show all ./mychart")]
pub struct ShowArgs {
    /// What to show
    pub what: ShowWhat,

    /// Chart: a folder, an archive, `oci://HOST/PATH/NAME[:VERSION]`, a URL, or a name with `--repo`
    pub chart: String,

    /// Which version, and from where.
    #[command(flatten)]
    pub location: LocationArgs,
}

/// What of a chart to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ShowWhat {
    /// `Chart.yaml`
    Chart,
    /// `values.yaml`
    Values,
    /// The README
    Readme,
    /// Custom resource definitions
    Crds,
    /// All of them
    All,
}
