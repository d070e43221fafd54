//! Which backend a verb means: this machine, or a cluster and a namespace.
//!
//! The options `--namespace`, `--context` and `--kubeconfig` always mean Kubernetes, so that nothing else is needed to
//! look at a site. Without them the beamline says it in `ioc.toml`; a verb on an instance looks for the beamline that has
//! it. Each value is taken from the option, else from `ioc.toml`, else from the kubeconfig.

use crate::cli::cluster::ClusterArgs;
use crate::cli::render::BeamlineArgs;
use crate::commands::Context;
use crate::fleet::kubernetes::{Cluster, ClusterChoice};
use crate::project::Backend;
use crate::services::{Repository, Selection};
use crate::settings::{Beamline, Settings};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Where a verb acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The container engine of this machine.
    Local,
    /// A namespace of a cluster.
    Cluster(ClusterChoice),
}

impl Target {
    /// The choice of a cluster, when it is one.
    pub(crate) fn cluster(&self) -> Option<&ClusterChoice> {
        match self {
            Self::Local => None,
            Self::Cluster(choice) => Some(choice),
        }
    }
}

/// What the options and one beamline say.
pub(crate) fn of_beamline(args: &ClusterArgs, beamline: &Beamline) -> Target {
    if beamline.backend == Backend::Local && !args.is_given() {
        return Target::Local;
    }
    Target::Cluster(choice(args, beamline))
}

/// What the options say alone.
fn of_options(args: &ClusterArgs) -> Target {
    Target::Cluster(options_alone(args))
}

fn options_alone(args: &ClusterArgs) -> ClusterChoice {
    ClusterChoice {
        kubeconfig: args.kubeconfig.clone(),
        context: args.context.clone(),
        namespace: args.namespace.clone(),
        beamline: None,
    }
}

/// Where instances of the services repositories are deployed to: the same place for all of them.
///
/// # Errors
///
/// Instances of beamlines with different backends or clusters in one command.
pub(crate) fn of_selections(args: &ClusterArgs, selections: &[Selection]) -> CommandResult<Target> {
    let mut targets = selections
        .iter()
        .map(|selection| of_beamline(args, &selection.beamline));
    let first = targets.next().unwrap_or(Target::Local);
    if targets.any(|target| target != first) {
        return Err(several("these instances"));
    }
    Ok(first)
}

/// Where the named instances run: the options, the named beamline, or the beamline whose services repository has them.
///
/// # Errors
///
/// An unknown beamline; instances that run in different places.
pub(crate) fn of_instances(
    names: &[String],
    beamline: &BeamlineArgs,
    args: &ClusterArgs,
    context: &Context,
) -> CommandResult<Target> {
    let settings = &context.settings;
    if let Some(name) = &beamline.beamline {
        return Ok(of_beamline(args, settings.beamline(name)?));
    }
    if settings.beamlines.is_empty() {
        return Ok(if args.is_given() {
            of_options(args)
        } else {
            Target::Local
        });
    }
    let mut found: Vec<Target> = Vec::new();
    for name in names {
        for target in having(name, args, settings) {
            if !found.contains(&target) {
                found.push(target);
            }
        }
    }
    match (found.len(), args.is_given()) {
        (1, _) => Ok(found.remove(0)),
        // `--namespace` is enough for what no repository has
        (_, true) => Ok(of_options(args)),
        (0, false) => match all_of(args, settings).as_slice() {
            [only] => Ok(only.clone()),
            _ if names.is_empty() => Err(several("the instances of all beamlines")),
            _ => Ok(Target::Local),
        },
        (_, false) => Err(several("these instances")),
    }
}

/// Every place that a list of instances covers: with options or a beamline one, else those of all beamlines.
///
/// # Errors
///
/// An unknown beamline.
pub(crate) fn of_list(
    names: &[String],
    beamline: &BeamlineArgs,
    args: &ClusterArgs,
    context: &Context,
) -> CommandResult<Vec<Target>> {
    if args.is_given() || beamline.beamline.is_some() || !names.is_empty() {
        return of_instances(names, beamline, args, context).map(|target| vec![target]);
    }
    let targets = all_of(args, &context.settings);
    Ok(if targets.is_empty() {
        vec![Target::Local]
    } else {
        targets
    })
}

/// The cluster of a verb that exists on clusters only: the options, the named beamline, the one cluster of the project,
/// else what the kubeconfig says.
///
/// # Errors
///
/// An unknown beamline; beamlines on different clusters, and no word which is meant.
pub(crate) fn of_cluster(
    beamline: &BeamlineArgs,
    args: &ClusterArgs,
    context: &Context,
) -> CommandResult<ClusterChoice> {
    let settings = &context.settings;
    if let Some(name) = &beamline.beamline {
        let beamline = settings.beamline(name)?;
        return Ok(choice(args, beamline));
    }
    let targets: Vec<ClusterChoice> = all_of(args, settings)
        .into_iter()
        .filter_map(|target| target.cluster().cloned())
        .collect();
    if args.is_given() || targets.is_empty() {
        return Ok(options_alone(args));
    }
    let first = targets[0].clone();
    if targets.iter().any(|other| other.context != first.context) {
        return Err(CommandError::new(
            ErrorKind::Usage,
            "the beamlines of the project are on different clusters",
        )
        .hint("name one beamline with `--beamline`, or a cluster with `--context`"));
    }
    if targets.len() > 1 {
        // one cluster, but no namespace is meant more than another
        return Ok(ClusterChoice {
            namespace: None,
            beamline: None,
            ..first
        });
    }
    Ok(first)
}

/// The cluster that the options and one beamline say, whatever its backend.
pub(crate) fn choice(args: &ClusterArgs, beamline: &Beamline) -> ClusterChoice {
    ClusterChoice {
        kubeconfig: args.kubeconfig.clone(),
        context: args.context.clone().or_else(|| beamline.context.clone()),
        namespace: args
            .namespace
            .clone()
            .or_else(|| Some(beamline.namespace.clone())),
        beamline: Some(beamline.name.clone()),
    }
}

/// The places of all beamlines, each once.
fn all_of(args: &ClusterArgs, settings: &Settings) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for beamline in settings.beamlines.values() {
        let target = of_beamline(args, beamline);
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    targets
}

/// The places of the beamlines whose services repository has the instance.
fn having(name: &str, args: &ClusterArgs, settings: &Settings) -> Vec<Target> {
    settings
        .beamlines
        .values()
        .filter(|beamline| {
            Repository::open(&beamline.repository)
                .is_ok_and(|repository| repository.instance(name).is_ok())
        })
        .map(|beamline| of_beamline(args, beamline))
        .collect()
}

fn several(what: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Usage,
        format!("{what} run in different places: this machine, other clusters or namespaces"),
    )
    .hint("name one beamline with `--beamline`, or use one command for each")
}

/// Connects, and tells with `-v` where to.
///
/// # Errors
///
/// As [`Cluster::connect`].
pub(crate) async fn connect(choice: &ClusterChoice, context: &Context) -> CommandResult<Cluster> {
    let cluster = Cluster::connect(&context.settings, choice).await?;
    context.printer.detail(format!(
        "namespace `{}` of {} (context `{}`, Kubernetes {})",
        cluster.namespace, cluster.server, cluster.context, cluster.version
    ));
    Ok(cluster)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cli::global::{ColorChoice, GlobalArgs, OutputFormat};
    use crate::ui::printer::Printer;

    fn context(folder: &Path, toml: &str) -> Context {
        if !toml.is_empty() {
            fs_err::write(folder.join("ioc.toml"), toml).unwrap();
        }
        for (beamline, instance) in [("a", "a-1"), ("b", "b-1")] {
            let services = folder.join(beamline).join("services").join(instance);
            fs_err::create_dir_all(&services).unwrap();
            fs_err::write(
                services.join("Chart.yaml"),
                format!("apiVersion: v2\nname: {instance}\nversion: 0.1.0\n"),
            )
            .unwrap();
        }
        Context {
            settings: Settings::for_test(folder),
            printer: Printer::new(&GlobalArgs {
                output: OutputFormat::Table,
                quiet: true,
                verbose: 0,
                color: ColorChoice::Never,
                project: None,
                engine: None,
            }),
            cancel: tokio_util::sync::CancellationToken::new(),
        }
    }

    const TWO: &str = "[beamline.a]\nrepository = \"a\"\n[beamline.b]\nrepository = \"b\"\nbackend = \"kubernetes\"\ncontext = \"site\"\nnamespace = \"bl-b\"\n";

    fn cluster(context: Option<&str>, namespace: Option<&str>, beamline: Option<&str>) -> Target {
        Target::Cluster(ClusterChoice {
            kubeconfig: None,
            context: context.map(str::to_owned),
            namespace: namespace.map(str::to_owned),
            beamline: beamline.map(str::to_owned),
        })
    }

    fn options(namespace: Option<&str>, context: Option<&str>) -> ClusterArgs {
        ClusterArgs {
            namespace: namespace.map(str::to_owned),
            context: context.map(str::to_owned),
            kubeconfig: None,
        }
    }

    #[test]
    fn options_win_over_the_project_over_the_kubeconfig() {
        let folder = tempfile::tempdir().unwrap();
        let two = context(folder.path(), TWO);
        let empty_folder = tempfile::tempdir().unwrap();
        let empty = context(empty_folder.path(), "");
        let none = options(None, None);
        let namespace = options(Some("n"), None);
        let other_context = options(None, Some("c"));
        let of = |name: &str, beamline: Option<&str>, args: &ClusterArgs, context: &Context| {
            let names: Vec<String> = name.split_whitespace().map(str::to_owned).collect();
            let beamline = BeamlineArgs {
                beamline: beamline.map(str::to_owned),
            };
            of_instances(&names, &beamline, args, context).map_err(|error| error.kind())
        };
        let site = cluster(Some("site"), Some("bl-b"), Some("b"));
        assert_eq!(of("x", None, &none, &empty), Ok(Target::Local));
        assert_eq!(
            of("x", None, &namespace, &empty),
            Ok(cluster(None, Some("n"), None))
        );
        assert_eq!(of("a-1", None, &none, &two), Ok(Target::Local));
        assert_eq!(of("b-1", None, &none, &two), Ok(site.clone()));
        assert_eq!(of("x", Some("b"), &none, &two), Ok(site.clone()));
        assert_eq!(of("a-1 b-1", None, &none, &two), Err(ErrorKind::Usage));
        assert_eq!(of("", None, &none, &two), Err(ErrorKind::Usage));
        assert_eq!(
            of("b-1", None, &namespace, &two),
            Ok(cluster(Some("site"), Some("n"), Some("b")))
        );
        assert_eq!(
            of("b-1", None, &other_context, &two),
            Ok(cluster(Some("c"), Some("bl-b"), Some("b")))
        );
        assert_eq!(
            of("a-1", None, &other_context, &two),
            Ok(cluster(Some("c"), Some("a"), Some("a")))
        );
        assert_eq!(
            of("x", None, &namespace, &two),
            Ok(cluster(None, Some("n"), None))
        );
        assert_eq!(of("x", None, &none, &two), Ok(Target::Local));
        let all = of_list(&[], &BeamlineArgs::default(), &none, &two).unwrap();
        assert_eq!(all, [Target::Local, site]);
        let all = of_list(&[], &BeamlineArgs::default(), &namespace, &two).unwrap();
        assert_eq!(all, [cluster(None, Some("n"), None)]);
    }
}
