//! Helm charts without helm: loading, values, Go templates, rendering, release records.
//!
//! What Helm 4.3.1 does with a chart (API version 2), byte for byte, without its binary and without
//! a cluster:
//!
//! * [`Chart::load`] and [`Chart::load_archive`] read a folder or a `.tgz` with its dependencies;
//! * [`Values`] merges values files and `--set` options;
//! * [`render`] gives [`Rendered`]: the documents in installation order, hooks, notes; its
//!   [`to_template_output`](Rendered::to_template_output) is what `helm template` prints;
//! * [`RenderError`] tells file, line, column, the source line and the chain of templates;
//! * [`release`] reads and writes Helm's release records;
//! * [`lint()`] says what `helm lint` says;
//! * [`Chart::package`] writes the archive that `helm package` writes;
//! * [`yaml`] is YAML as Helm sees it, in both directions.
//!
//! A chart is loaded once and rendered many times, by several threads if need be; a [`ChartCache`]
//! in the [`LoadOptions`] shares parsed templates and vendored charts between charts. Charts are
//! hostile input: paths, links, sizes, recursion, output and steps are bounded ([`LoadLimits`],
//! [`Limits`]).
//!
//! What it deliberately does not do: talk to a cluster (`lookup` asks a callback), to a registry or
//! to a chart repository; API version 1; read the clock (the caller gives the time).
#![expect(
    clippy::single_match_else,
    reason = "a match shows that both outcomes count"
)]

// The integration test's own cases, run once more by the measure of what they execute.
#[cfg(test)]
extern crate self as helm;

mod capabilities;
#[cfg(test)]
#[expect(
    dead_code,
    reason = "shared with the integration test, which uses all of it"
)]
#[path = "../tests/conformance/case.rs"]
mod case;
mod chart;
#[cfg(test)]
mod coverage;
mod engine;
mod functions;
mod glob;
mod go;
mod limits;
mod lint;
mod lookup;
mod path_pattern;
pub mod release;
#[cfg(test)]
#[expect(
    dead_code,
    reason = "shared with the integration test, which uses all of it"
)]
#[path = "../tests/conformance/run.rs"]
mod run;
mod schema;
mod semantic_version;
mod template;
mod values;
pub mod yaml;

pub use self::capabilities::{Capabilities, HelmVersion, KubeVersion, KubeVersionError};
pub use self::chart::{
    Chart, ChartCache, ChartError, ChartIdentity, Dependency, DependencyStatus, File, ImportValue,
    Link, LinkPolicy, LoadLimits, LoadOptions, Lock, Maintainer, Metadata, Package, archive_files,
    chart_yaml, dependency_digest, dependency_status, lock_yaml,
};
pub use self::engine::{
    Hook, HookEvent, Manifest, Release, ReleaseOptions, RenderError, RenderOptions, Rendered,
    TemplateOptions, release_name, render, render_with, with_large_stack,
};
pub use self::functions::{supported_functions, unsupported_functions};
pub use self::limits::Limits;
pub use self::lint::{LintMessage, LintOptions, LintSeverity, lint};
pub use self::lookup::{Lookup, LookupQuery};
pub use self::schema::SchemaViolation;
pub use self::semantic_version::{allows, is_exact_version, newest_matching};
pub use self::template::error::Location;
pub use self::values::{SetError, Values, ValuesError};
