//! Charts in a registry as a services repository: one chart per instance, `oci://HOST/PATH/INSTANCE:VERSION`, as `ioc release`
//! and `helm push` leave them.
//!
//! A registry has no list of its charts that every registry would give, so instances are always named.

use std::path::{Path, PathBuf};

use super::name::{Kind, TagName};
use crate::charts::locate::{Places, Wanted};
use crate::charts::unpack::unpack;
use crate::registry::{Reference, RegistryError};
use crate::services::Version;
use crate::settings::Settings;
use crate::source::{Cache, FetchContext, Identity, IdentityKind};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use serde::Serialize;

/// Beginning of the keys in the cache.
const KEY: &str = "chart-";

/// A version of the chart of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChartVersion {
    /// The version.
    pub version: String,
    /// Release or pre-release.
    pub kind: Kind,
    /// Where it is, with its tag.
    pub chart: String,
}

/// A chart that was received for a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedChart {
    /// The instance.
    pub instance: String,
    /// Its folder in the cache. It is shared with other commands: read it, never write to it.
    pub folder: PathBuf,
    /// Version, digest and where it is from.
    pub version: Version,
}

/// The versions of the chart of an instance, releases first, newest first.
///
/// # Errors
///
/// There is no such chart, or the registry cannot be asked or refuses.
pub(super) async fn versions(
    charts: &str,
    instance: &str,
    settings: &Settings,
    context: &FetchContext,
) -> CommandResult<Vec<ChartVersion>> {
    let places = Places::new(settings, context.clone(), false);
    let chart = format!("{charts}/{instance}");
    let reference = Reference::parse(&chart).map_err(RegistryError::from)?;
    let tags = places.registry.tags(&reference).await?;
    let mut names: Vec<TagName> = tags
        .iter()
        .filter_map(|tag| crate::registry::chart::version_of(tag))
        .map(|version| TagName::new(&version.to_string()))
        .collect();
    names.sort_by(|one, other| other.order(one));
    Ok(names
        .iter()
        .map(|name| ChartVersion {
            version: name.as_str().to_owned(),
            kind: name.kind(),
            chart: format!("{chart}:{}", crate::registry::chart::tag_of(name.as_str())),
        })
        .collect())
}

/// Receives the chart of an instance into the cache: the named version, else the newest release.
///
/// # Errors
///
/// There is no such chart or version; the tag cannot be the version of a chart; the registry cannot be asked or refuses.
pub(super) async fn receive(
    charts: &str,
    instance: &str,
    tag: Option<&str>,
    settings: &Settings,
    context: &FetchContext,
) -> CommandResult<ReceivedChart> {
    let version = tag.map(chart_version).transpose()?;
    let places = Places::new(settings, context.clone(), false);
    let chart = format!("{charts}/{instance}");
    let wanted = Wanted {
        version,
        ..Wanted::default()
    };
    let found = places.receive(&chart, &wanted).await?;
    let version = found
        .file_name
        .strip_prefix(instance)
        .and_then(|rest| rest.strip_prefix('-')?.strip_suffix(".tgz"));
    let (Some(version), Some(digest)) = (version, &found.digest) else {
        return Err(CommandError::new(
            ErrorKind::Input,
            format!("`{}` is not the chart of `{instance}`", found.from),
        )
        .caused_by(format!("its archive is `{}`", found.file_name)));
    };
    let key = format!("{KEY}{}", digest.as_str().replace(':', "-"));
    let cache = Cache::new(context);
    cache.sweep_copies(KEY);
    let _lock = cache.lock(&key, context).await?;
    let fetched = if let Some(fetched) = cache.get(&key) {
        cache.touch(&key)?;
        fetched
    } else {
        let work = cache.work()?;
        unpack(&found.from, &found.archive, &work.path().join("tree"))?;
        let identity = Identity {
            kind: IdentityKind::Sha256,
            value: digest.as_str().trim_start_matches("sha256:").to_owned(),
            description: found.from.clone(),
        };
        cache.put(&key, work, identity)?
    };
    Ok(ReceivedChart {
        instance: instance.to_owned(),
        folder: fetched.tree.join(instance),
        version: Version::Chart {
            version: version.to_owned(),
            digest: digest.as_str().to_owned(),
            repository: chart,
        },
    })
}

/// A tag as the version of a chart.
fn chart_version(tag: &str) -> CommandResult<String> {
    TagName::new(tag).chart_version().map_err(|why| {
        let error = CommandError::new(
            ErrorKind::Input,
            format!("`{tag}` cannot be the version of a chart: {}", why.why),
        );
        match why.suggestion {
            Some(suggestion) => error.hint(format!("did you mean `{suggestion}`?")),
            None => error.hint("`ioc versions INSTANCE` lists what there is"),
        }
    })
}

/// Why nothing without a name can be meant.
pub(super) fn names_are_needed(charts: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Usage,
        format!("a registry does not list its charts: which instances of `{charts}` are meant?"),
    )
    .hint("name them, as in `ioc deploy INSTANCE`; the git repository that they were made from has the list")
}

/// Which of `names` no working copy of a beamline has.
pub(super) fn without_a_working_copy(names: &[String], folders: &[&Path]) -> Vec<String> {
    let repositories: Vec<crate::services::Repository> = folders
        .iter()
        .filter_map(|folder| crate::services::Repository::open(folder).ok())
        .collect();
    names
        .iter()
        .filter(|name| {
            !repositories
                .iter()
                .any(|repository| repository.instance(name).is_ok())
        })
        .map(|name| name.to_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_no_chart_can_have_is_refused_with_one_that_could_be() {
        assert_eq!(chart_version("v2026.11.1").unwrap(), "2026.11.1");
        let error = chart_version("2026.01.1").unwrap_err();
        assert!(error.to_string().contains("begins with a zero"), "{error}");
        assert_eq!(error.hints(), ["did you mean `2026.1.1`?"]);
    }
}
