//! An instance becomes manifests: its chart, its values, the facts of the release.
//!
//! What comes out is what `helm template NAME services/NAME --values services/values.yaml --values
//! services/NAME/values.yaml` prints. What goes wrong becomes findings with the place in the file that the
//! user can edit.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use helm::yaml::Value;
use helm::{
    Capabilities, Chart, ChartCache, LinkPolicy, LoadOptions, Lookup, ReleaseOptions,
    RenderOptions, Rendered, Values, ValuesError,
};

use crate::cli::render::ValueArgs;
use crate::diagnostic::{Diagnostic, Place};
use crate::services::error::ServicesError;
use crate::services::repository::Instance;
use crate::services::version::Version;
use crate::services::{explain, links};
use crate::text;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Largest values file that is read, in bytes.
const LARGEST_VALUES: usize = 4 * 1024 * 1024;

/// Values that override those of the services repository, weakest first: files in order, then each kind
/// of `--set` in the order of Helm (`--set-json`, `--set`, `--set-string`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValueOverrides {
    /// More value files.
    pub files: Vec<PathBuf>,
    /// `a.b=1,c[0]=x`, with types guessed as Helm does.
    pub set: Vec<String>,
    /// The same, all values strings.
    pub set_string: Vec<String>,
    /// `key=JSON`, or a JSON object.
    pub set_json: Vec<String>,
}

impl ValueOverrides {
    /// The overrides of a command line. What is wrong with them is wrong for every instance, so it is said once,
    /// before any.
    ///
    /// # Errors
    ///
    /// Not found for a file that is not there, a usage error for a `--set` that cannot be read.
    pub fn new(args: &ValueArgs) -> CommandResult<Self> {
        let overrides = Self {
            files: args.files.clone(),
            set: args.sets.set.clone(),
            set_string: args.sets.set_string.clone(),
            set_json: args.sets.set_json.clone(),
        };
        if let Some(missing) = overrides.files.iter().find(|path| !path.exists()) {
            return Err(CommandError::not_found(format!(
                "there is no file `{}`",
                missing.display()
            ))
            .hint("`--values` names a file of values, relative to the current folder"));
        }
        overrides.with_sets(Values::new()).map_err(|error| {
            let finding = error.into_diagnostics().remove(0);
            CommandError::from_diagnostic(ErrorKind::Usage, finding)
        })?;
        Ok(overrides)
    }

    /// Sets single values, in the order in which Helm applies its options, whatever that on the command line.
    fn with_sets(&self, mut values: Values) -> Result<Values, ServicesError> {
        let sets: [(&[String], SetOption); 3] = [
            (&self.set_json, Values::set_json),
            (&self.set, Values::set),
            (&self.set_string, Values::set_string),
        ];
        for (expressions, set) in sets {
            for expression in expressions {
                values =
                    set(values, expression).map_err(|error| explain::set(&error, expression))?;
            }
        }
        Ok(values)
    }
}

/// What templates see as `.Release`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseFacts {
    /// Name of the release, which is the name of the instance.
    pub name: String,
    /// Namespace of the beamline.
    pub namespace: String,
    /// Revision that this becomes, from 1.
    pub revision: u32,
    /// Whether an earlier revision exists.
    pub is_upgrade: bool,
    /// What the cluster can do; `None` for what `helm template` assumes.
    pub capabilities: Option<Capabilities>,
    /// What `lookup` in templates finds in the cluster; nothing without one.
    pub lookup: Option<Lookup>,
}

impl ReleaseFacts {
    /// The first revision of an instance.
    pub fn install(instance: &Instance, namespace: &str) -> Self {
        Self {
            name: instance.name().to_owned(),
            namespace: namespace.to_owned(),
            revision: 1,
            is_upgrade: false,
            capabilities: None,
            lookup: None,
        }
    }
}

/// An instance as it is to be deployed.
#[derive(Debug, Clone)]
pub struct RenderedInstance {
    /// The manifests, and the merged values that they were rendered from.
    pub rendered: Rendered,
    /// The chart, for the release record.
    pub chart: Arc<Chart>,
    /// The values that were given: those of the repository and the overrides, without defaults of charts.
    pub values: Value,
    instance: Instance,
}

impl RenderedInstance {
    /// What `Chart.yaml` says.
    pub fn metadata(&self) -> &helm::Metadata {
        self.chart.metadata()
    }

    /// The instance that it was rendered from.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Commit and state of the working copy, which becomes the app version of the release record; asks `git`
    /// the first time.
    pub fn version(&self) -> &Version {
        self.instance.version()
    }
}

/// Renders an instance.
///
/// # Errors
///
/// [`ServicesError::Findings`] with the places of what is wrong in values, chart and templates.
pub fn render_instance(
    instance: &Instance,
    overrides: &ValueOverrides,
    release: &ReleaseFacts,
) -> Result<RenderedInstance, ServicesError> {
    load_chart(instance)
        .and_then(|chart| render_chart(instance, chart, overrides, release))
        .map_err(|error| error.seen_from(instance))
}

/// Renders an instance whose chart is loaded already.
///
/// # Errors
///
/// As [`render_instance`].
pub fn render_chart(
    instance: &Instance,
    chart: Chart,
    overrides: &ValueOverrides,
    release: &ReleaseFacts,
) -> Result<RenderedInstance, ServicesError> {
    let values = values(instance, overrides)?;
    let options = ReleaseOptions {
        name: release.name.clone(),
        namespace: release.namespace.clone(),
        revision: i64::from(release.revision),
        is_upgrade: release.is_upgrade,
        now: jiff::Zoned::now(),
    };
    let how = RenderOptions {
        lookup: release.lookup.clone(),
        ..RenderOptions::default()
    };
    let rendered = helm::render_with(
        &chart,
        &values,
        &options,
        &release.capabilities.clone().unwrap_or_default(),
        &how,
    )
    .map_err(|error| explain::render(&error, instance, &chart, &values, overrides))?;
    Ok(RenderedInstance {
        rendered,
        chart: Arc::new(chart),
        values,
        instance: instance.clone(),
    })
}

/// Loads the chart of an instance; parts that instances share are parsed once for the repository.
///
/// # Errors
///
/// As [`render_instance`].
pub fn load_chart(instance: &Instance) -> Result<Chart, ServicesError> {
    let options = LoadOptions {
        links: LinkPolicy::Within(links::root(instance)?),
        cache: instance.chart_cache(),
        follow_file_dependencies: true,
        ..LoadOptions::default()
    };
    let chart = Chart::load(instance.folder(), &options).map_err(|error| {
        match links::findings(instance) {
            // a link that leads nowhere makes all kinds of other errors
            broken if broken.is_empty() => explain::chart(&error, instance),
            broken => ServicesError::Findings(broken),
        }
    })?;
    let missing = chart.missing_dependencies();
    if missing.is_empty() {
        return Ok(chart);
    }
    Err(explain::missing(&missing, instance).into())
}

/// One of the `--set` options.
type SetOption = fn(Values, &str) -> Result<Values, ValuesError>;

/// The values that are given for an instance, merged.
fn values(instance: &Instance, overrides: &ValueOverrides) -> Result<Value, ServicesError> {
    let cache = instance.chart_cache();
    let mut values = Values::new();
    for path in instance.value_files() {
        links::stays_inside(instance, &path)?;
        values = with_file(values, &path, &cache)?;
    }
    for path in &overrides.files {
        values = with_file(values, path, &cache)?;
    }
    Ok(overrides.with_sets(values)?.into_value())
}

fn with_file(values: Values, path: &Path, cache: &ChartCache) -> Result<Values, ServicesError> {
    let source = text::read(path, LARGEST_VALUES).map_err(|error| {
        let finding = error.diagnostics().first().cloned();
        finding.unwrap_or_else(|| Diagnostic::error(error.to_string()).in_file(path))
    })?;
    values
        .cached_file(&path.display().to_string(), &source, cache)
        .map_err(|error| match error {
            ValuesError::File { source: wrong, .. } => {
                let place = if wrong.line == 0 {
                    Place::file(path)
                } else {
                    Place::in_text(path, &source, wrong.line, wrong.column, 1)
                };
                Diagnostic::error(wrong.message).at(place).into()
            }
            other => Diagnostic::error(other.to_string()).in_file(path).into(),
        })
}

/// Renders several instances, as many at a time as the machine has processors; results in the same order.
pub fn render_all(
    jobs: &[(&Instance, ReleaseFacts)],
    overrides: &ValueOverrides,
) -> Vec<Result<RenderedInstance, ServicesError>> {
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = jobs.len().div_ceil(workers).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = jobs
            .chunks(share)
            .map(|part| {
                scope.spawn(move || {
                    let all = || -> Vec<Result<RenderedInstance, ServicesError>> {
                        part.iter()
                            .map(|(instance, release)| {
                                render_instance(instance, overrides, release)
                            })
                            .collect()
                    };
                    // Where there can be no such thread, each rendering says so for itself.
                    helm::with_large_stack(all).unwrap_or_else(|_none| all())
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| match worker.join() {
                Ok(rendered) => rendered,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}
