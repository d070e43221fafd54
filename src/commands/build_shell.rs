//! `ioc build --shell`: the developer image of an IOC, with the working copies mounted over their places.

use std::path::Path;

use crate::cli::build::{BuildArgs, TargetChoice};
use crate::commands::{Context, Outcome, build, exec};
use crate::engine::Engine;
use crate::fleet::console::connection::Connection;
use crate::image::chain::{Layer, Placed};
use crate::image::definition::Target;
use crate::image::engine::ImageEngine;
use crate::image::prepare::Naming;
use crate::image::{script, survey};
use crate::source::Source;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::terminal;

const RELEASE: &str = "configure/RELEASE";
const CONFIG_SITE: &str = "configure/CONFIG_SITE";

/// A folder of the project and its place in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
struct WorkingCopy {
    here: String,
    there: String,
    /// Where make is run after an edit.
    make: String,
    /// Files of it that stand for those of the working copy: in the image, modules are elsewhere.
    settings: Vec<(&'static str, String)>,
}

/// Opens the shell; the exit code is that of the shell.
pub(crate) async fn build_shell(
    image: &str,
    args: &BuildArgs,
    context: &Context,
) -> CommandResult<Outcome> {
    let catalog = survey::load_catalog(&context.settings)?;
    let layers = survey::resolve(&catalog, [image])?;
    let copies = match layers.last() {
        Some(layer) => working_copies(layer)?,
        None => Vec::new(),
    };
    let engine = Engine::connect(&context.settings).await?;
    if !engine.is_on_this_machine() {
        return Err(CommandError::new(
            ErrorKind::Unsupported,
            format!(
                "the engine at `{}` cannot mount folders of this machine",
                engine.host()
            ),
        )
        .hint("`--engine unix:///path` names one that runs here"));
    }
    let images = ImageEngine::new(engine.clone()).await?;
    build::build_images(
        &catalog,
        &[image],
        args,
        TargetChoice::Developer,
        &images,
        context,
    )
    .await?;
    let naming = Naming {
        registry: context.settings.images.registry.clone(),
        tag: context.settings.images.tag.clone(),
    };
    let reference = naming.reference(image, Target::Developer);
    fs_err::create_dir_all(&context.settings.cache)?;
    let settings = tempfile::Builder::new()
        .prefix("shell-")
        .tempdir_in(&context.settings.cache)?;
    let mut mounts: Vec<(String, String)> = Vec::new();
    for copy in &copies {
        mounts.push((copy.here.clone(), copy.there.clone()));
        for (name, text) in &copy.settings {
            let path = settings.path().join(format!("{}", mounts.len()));
            fs_err::write(&path, text)?;
            mounts.push((path.display().to_string(), format!("{}/{name}", copy.there)));
        }
    }
    let container = images.open(&reference, &mounts, &user(&engine)).await?;
    tell(context, &reference, &copies);
    let result = use_shell(&engine, &container.id, &copies, context).await;
    images.close(&container).await?;
    result
}

fn tell(context: &Context, reference: &str, copies: &[WorkingCopy]) {
    let printer = &context.printer;
    printer.info(format!("a shell in {reference}; `exit` leaves it"));
    for copy in copies {
        printer.info(format!("  {} is mounted at {}", copy.here, copy.there));
    }
    let mut places: Vec<&str> = copies.iter().map(|copy| copy.make.as_str()).collect();
    places.push("/epics/ioc");
    places.dedup();
    let commands: Vec<String> = places
        .iter()
        .map(|place| format!("make -s -C {place}"))
        .collect();
    printer.hint(format!("after an edit: `{}`", commands.join(" && ")));
}

async fn use_shell(
    engine: &Engine,
    id: &str,
    copies: &[WorkingCopy],
    context: &Context,
) -> CommandResult<Outcome> {
    let tty = terminal::is_interactive();
    let mut script = String::new();
    // A working copy hides what the image had built in its place; without it, the IOC does not start.
    for copy in copies.iter().filter(|copy| copy.make == copy.there) {
        let place = &copy.there;
        script.push_str(&format!(
            "[ -d {place}/lib ] || {{ echo 'building {place} once'; make -s -C {place}; }}\n"
        ));
    }
    script.push_str("exec /bin/bash\n");
    let command = vec!["/bin/bash".to_owned(), "-c".to_owned(), script];
    let connection = Connection::exec_in(engine, id, command, tty).await?;
    let connection = if tty {
        exec::interact(connection, context).await?
    } else {
        exec::pipe(connection, context).await?
    };
    Ok(match connection.exit_code().await?.map(u8::try_from) {
        None | Some(Ok(0)) => Outcome::Success,
        Some(Ok(code)) => Outcome::External(code),
        Some(Err(_)) => Outcome::External(ErrorKind::Internal.code()),
    })
}

/// Local modules of the image and of those below it, and the application's own sources.
fn working_copies(layer: &Layer<'_>) -> CommandResult<Vec<WorkingCopy>> {
    let mut copies = Vec::new();
    for placed in layer.modules() {
        let module = placed.module;
        if let Source::Path(path) = &module.recipe.source.value {
            let here = module.file.folder().join(path);
            copies.push(WorkingCopy {
                here: real(&here)?,
                there: module.folder(),
                make: module.folder(),
                settings: settings(layer, placed, &here)?,
            });
        }
    }
    let application = layer
        .image
        .definition()
        .and_then(|definition| definition.application.as_ref());
    if let Some(sources) = application.and_then(|application| application.sources.as_ref()) {
        copies.push(WorkingCopy {
            here: real(&layer.image.file.folder().join(&sources.value))?,
            there: "/epics/ioc/sources".to_owned(),
            make: "/epics/ioc".to_owned(),
            settings: Vec::new(),
        });
    }
    Ok(copies)
}

/// `RELEASE` and `CONFIG_SITE` as the image build writes them, where the working copy has such files.
fn settings(
    layer: &Layer<'_>,
    placed: &Placed<'_>,
    here: &Path,
) -> CommandResult<Vec<(&'static str, String)>> {
    let mut files = Vec::new();
    if let Some(release) = script::release(layer, placed)
        && here.join(RELEASE).is_file()
    {
        files.push((RELEASE, release));
    }
    if let Some(settings) = script::config_site(layer, placed)
        && here.join(CONFIG_SITE).is_file()
    {
        let own = fs_err::read_to_string(here.join(CONFIG_SITE))?;
        files.push((CONFIG_SITE, format!("{own}\n{settings}")));
    }
    Ok(files)
}

fn real(path: &Path) -> CommandResult<String> {
    Ok(fs_err::canonicalize(path)?.display().to_string())
}

/// Files that are made in the working copy belong to whoever runs this. Rootless Podman maps its root to them.
fn user(engine: &Engine) -> String {
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    if engine.is_podman() && !user.is_root() {
        return "0:0".to_owned();
    }
    format!("{}:{}", user.as_raw(), group.as_raw())
}
