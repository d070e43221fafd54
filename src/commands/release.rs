//! `ioc release`: what a pipeline runs on a tag. Everything is verified before anything is pushed, and what is in the registry
//! already is left alone, so that the same command goes on where it was.

mod noting;
mod pushing;
mod verifying;

use serde::Serialize;

use crate::cli::build::{BuildArgs, TargetChoice};
use crate::cli::global::OutputFormat;
use crate::cli::release::ReleaseArgs;
use crate::commands::build::{self, BuiltImage};
use crate::commands::{Context, Outcome};
use crate::diagnostic::Diagnostic;
use crate::engine::Engine;
use crate::image::engine::ImageEngine;
use crate::image::{lock, survey};
use crate::registry::{self, Reference, RegistryError};
use crate::release::{ReleasedChart, chart, verify};
use crate::services::{Repository, ServicesError};
use crate::settings::{Beamline, Settings};
use crate::source::{FetchContext, FetchProgress};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::table::Table;
use crate::versions::name::TagName;
use crate::versions::{self, Location, TaggedCommit};

/// What is released of one image or chart.
#[derive(Debug, Serialize)]
struct Item {
    /// `image` or `chart`.
    kind: &'static str,
    reference: String,
    /// `pushed`, `there` (the registry has exactly this) or, in a dry run, `to push`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

/// What was released.
#[derive(Debug, Serialize)]
struct Released {
    tag: String,
    commit: String,
    chart_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    dry_run: bool,
    items: Vec<Item>,
    /// Markdown.
    notes: String,
}

/// A beamline at the tag, and at the release before.
struct Subject {
    beamline: Beamline,
    location: Location,
    now: Repository,
    before: Option<Repository>,
}

/// Runs the command.
///
/// # Errors
///
/// What does not fit together, before anything is pushed; afterwards what was pushed and what was not.
pub(crate) async fn release(args: &ReleaseArgs, context: &Context) -> CommandResult<Outcome> {
    let work = Work::begin(args, context).await?;
    let charts = work.packaged()?;
    work.versions_match()?;
    let charts_folder = work.charts_folder()?;
    let images = work.images().await?;
    work.image_references_match(&charts, &images).await?;
    work.checked(&images).await?;
    let mut planned = Vec::new();
    for image in &images {
        planned.push(work.compare_image(image).await?);
    }
    for chart in &charts {
        planned.push(work.compare_chart(chart, charts_folder.as_ref()).await?);
    }
    let items = if args.dry_run {
        planned
    } else {
        work.push(planned, &images, &charts, charts_folder.as_ref())
            .await?
    };
    let notes = work.notes(&charts, &items)?;
    if let Some(file) = args.notes.as_ref().filter(|_| !args.dry_run) {
        crate::services::scaffold::write::replace(file, &notes).map_err(|error| {
            CommandError::system(
                error,
                format!(
                    "everything is released, but `{}` is not written",
                    file.display()
                ),
            )
        })?;
    }
    let released = Released {
        tag: work.tag.tag.clone(),
        commit: work.tag.commit.clone(),
        chart_version: work.chart_version.clone(),
        before: work.before.as_ref().map(|before| before.tag.clone()),
        dry_run: args.dry_run,
        items,
        notes,
    };
    context.printer.emit_text(&released, |released| {
        let mut table = Table::new(["WHAT", "REFERENCE", "STATE", "DIGEST"]);
        for item in &released.items {
            let digest = item.digest.as_deref().unwrap_or("-");
            table.row(
                [
                    item.kind,
                    &item.reference,
                    item.state,
                    digest.get(..19).unwrap_or(digest),
                ]
                .map(str::to_owned),
            );
        }
        let notes = if args.notes.is_some() {
            ""
        } else {
            &released.notes
        };
        format!("{}\n{notes}", table.render())
    })?;
    if args.dry_run && context.printer.format() == OutputFormat::Table {
        context
            .printer
            .info("nothing was built or pushed (--dry-run)");
    }
    Ok(Outcome::Success)
}

/// What is known about a release before it begins.
struct Work<'a> {
    args: &'a ReleaseArgs,
    context: &'a Context,
    settings: Settings,
    tag: TaggedCommit,
    chart_version: String,
    before: Option<TaggedCommit>,
    subjects: Vec<Subject>,
}

impl<'a> Work<'a> {
    async fn begin(args: &'a ReleaseArgs, context: &'a Context) -> CommandResult<Self> {
        let mut settings = context.settings.clone();
        let root = match &settings.project {
            Some(project) => project.clone(),
            None => std::env::current_dir()?,
        };
        let location = Location::of_folder(&root)?;
        let (head, tags) = location.head()?;
        let tag = args
            .tag
            .clone()
            .or_else(|| tags.first().cloned())
            .ok_or_else(|| {
                CommandError::not_found("the commit that is checked out has no tag")
                    .hint("`git tag 2026.11.1` makes one; or name a tag: `ioc release TAG`")
            })?;
        let tag = location.tagged(&tag)?;
        if tag.commit != head {
            return Err(CommandError::new(
                ErrorKind::Conflict,
                format!(
                    "the tag `{}` is commit {}, and {} is checked out",
                    tag.tag,
                    tag.commit.get(..10).unwrap_or_default(),
                    head.get(..10).unwrap_or_default()
                ),
            )
            .hint(format!(
                "images are built from what is checked out: `git checkout {}` first",
                tag.tag
            )));
        }
        let chart_version = TagName::new(&tag.tag).chart_version().map_err(|problem| {
            CommandError::from_diagnostic(ErrorKind::Input, verify::not_a_chart_version(&problem))
        })?;
        if location.is_shallow() {
            context.printer.warning(
                "this clone leaves history out: the notes may miss the release before; fetch all of it, in pipelines with depth 0",
            );
        }
        let before = location.release_before(&tag)?;
        settings.images.tag.clone_from(&tag.tag);
        let mut work = Self {
            args,
            context,
            settings,
            tag,
            chart_version,
            before,
            subjects: Vec::new(),
        };
        for beamline in work.beamlines(&root)? {
            work.add(beamline, &location).await?;
        }
        if work.subjects.is_empty() {
            return Err(CommandError::not_found(format!(
                "`{}` has no services repository to release",
                root.display()
            ))
            .hint("a services repository has a folder `services` with one folder per instance"));
        }
        Ok(work)
    }

    /// The beamlines of `ioc.toml`; without one, the folder itself is a services repository.
    fn beamlines(&self, root: &std::path::Path) -> CommandResult<Vec<Beamline>> {
        if let Some(name) = &self.args.beamline.beamline {
            return Ok(vec![self.settings.beamline(name)?.clone()]);
        }
        let of_project: Vec<Beamline> = self.settings.beamlines.values().cloned().collect();
        if !of_project.is_empty() {
            return Ok(of_project);
        }
        let name = root
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        Ok(vec![Beamline {
            repository: root.to_path_buf(),
            remote: None,
            version: None,
            charts: Vec::new(),
            // nobody said that it runs on one machine only, and a cluster may do what that cannot
            backend: crate::project::Backend::Kubernetes,
            context: None,
            namespace: name.clone(),
            name,
        }])
    }

    async fn add(&mut self, beamline: Beamline, project: &Location) -> CommandResult<()> {
        let folder = crate::services::lookup::shown(&beamline.repository);
        if beamline.remote.is_some() {
            self.left_out(&beamline, "its services repository is on a server");
            return Ok(());
        }
        let location = Location::of_folder(&folder)?;
        if !location.is_same_repository(project) {
            self.left_out(&beamline, "it is in another git repository");
            return Ok(());
        }
        let fetch = self.fetching("reading the tag");
        let repository = versions::Repository::Folder(folder);
        let at = |checkout: versions::Checkout| -> CommandResult<Repository> {
            Ok(Repository::open(&checkout.folder)?.at(checkout.version))
        };
        let now = at(repository.checkout(&self.tag.tag, &fetch).await?)?;
        let before = match &self.before {
            // the beamline may be younger than the release before
            Some(before) => match repository.checkout(&before.tag, &fetch).await {
                Ok(checkout) => at(checkout).ok(),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            },
            None => None,
        };
        self.subjects.push(Subject {
            beamline,
            location,
            now,
            before,
        });
        Ok(())
    }

    fn left_out(&self, beamline: &Beamline, why: &str) {
        self.context.printer.info(format!(
            "beamline `{}` is not part of this release: {why}",
            beamline.name
        ));
    }

    fn fetching(&self, what: &str) -> FetchContext {
        let task = self.context.printer.progress().task(what);
        FetchContext::new(&self.settings, self.context.cancel.clone()).with_progress(
            move |progress| {
                if let FetchProgress::Step(step) = progress {
                    task.message(step);
                }
            },
        )
    }

    /// All charts, or the mistakes of all of them.
    fn packaged(&self) -> CommandResult<Vec<ReleasedChart>> {
        let _task = self.context.printer.progress().task("packaging charts");
        let (mut charts, mut findings) = (Vec::new(), Vec::new());
        for subject in &self.subjects {
            for instance in subject.now.instances() {
                match chart(
                    instance,
                    &subject.beamline.namespace,
                    &self.chart_version,
                    &self.tag.tag,
                ) {
                    Ok(chart) => charts.push(chart),
                    Err(error) => {
                        let mut found = error.into_diagnostics();
                        instance.as_the_user_knows(&mut found);
                        findings.extend(
                            found
                                .into_iter()
                                .filter(|finding| !findings.contains(finding))
                                .collect::<Vec<_>>(),
                        );
                    }
                }
            }
        }
        if findings.is_empty() {
            return Ok(charts);
        }
        Err(ServicesError::Findings(findings).into())
    }

    fn charts_folder(&self) -> CommandResult<Option<Reference>> {
        let named = self
            .args
            .charts
            .clone()
            .or_else(|| self.settings.release_charts.clone());
        let Some(named) = named else {
            if self.args.dry_run {
                self.context
                    .printer
                    .info("charts are not compared with a registry: neither `--charts` nor `[release]` in `ioc.toml` names one");
                return Ok(None);
            }
            return Err(CommandError::new(ErrorKind::Usage, "nothing says where charts are pushed to")
                .hint("`--charts oci://HOST/PATH`, or `[release]` with `charts = \"oci://HOST/PATH\"` in `ioc.toml`"));
        };
        let Some(path) = named.strip_prefix("oci://") else {
            return Err(CommandError::new(
                ErrorKind::Usage,
                format!("`{named}` is not a place in a registry"),
            )
            .hint("write it as `oci://HOST/PATH`"));
        };
        let folder = Reference::parse(path.trim_end_matches('/')).map_err(RegistryError::from)?;
        Ok(Some(folder))
    }

    /// Builds the images of the project, the one below first; none without definitions.
    async fn images(&self) -> CommandResult<Vec<BuiltImage>> {
        let folder = &self.settings.images.folder;
        if self.args.no_images || !folder.is_dir() {
            return Ok(Vec::new());
        }
        let catalog = survey::load_catalog(&self.settings)?;
        let wanted: Vec<&str> = catalog.image_names().collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let place = Location::of_folder(folder)?;
        let changed = place.uncommitted(folder)?;
        if let (Some(first), false) = (changed.first(), self.args.dry_run) {
            return Err(CommandError::new(
                ErrorKind::Conflict,
                format!("`{first}` is not what the tag `{}` has", self.tag.tag),
            )
            .hint(
                "commit and tag again, or put the changes away: `git stash --include-untracked`",
            ));
        }
        let context = Context {
            settings: self.settings.clone(),
            ..self.context.clone()
        };
        let arguments = BuildArgs {
            images: Vec::new(),
            all: true,
            target: TargetChoice::All,
            shell: None,
            dry_run: self.args.dry_run,
            no_cache: false,
            locked: folder.join(lock::FILE_NAME).is_file(),
            update: false,
            push: false,
            jobs: None,
        };
        let engine = ImageEngine::new(Engine::connect(&self.settings).await?).await?;
        let report = build::build_images(
            &catalog,
            &wanted,
            &arguments,
            arguments.target,
            &engine,
            &context,
        )
        .await?;
        let images = report.into_images();
        if !self.args.dry_run {
            // `localhost/…` cannot be pushed: that is said before anything else is done
            for image in &images {
                registry::image::pushable(&image.reference)?;
            }
        }
        Ok(images)
    }
}

fn refuse(findings: Vec<Diagnostic>, message: &str) -> CommandResult<()> {
    match findings.len() {
        0 => Ok(()),
        _ => Err(CommandError::from_diagnostics(
            ErrorKind::Input,
            format!("{message}: nothing was pushed"),
            findings,
        )),
    }
}
