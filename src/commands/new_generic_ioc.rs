//! `ioc new generic-ioc`: an image definition with an example and a development container.

use crate::cli::new::NewGenericIocArgs;
use crate::commands::{Context, Outcome};
use crate::diagnostic::nearest;
use crate::image::catalog::{Catalog, MODULES};
use crate::image::definition::{Base, Target};
use crate::image::name::problem_of_name;
use crate::image::prepare::Naming;
use crate::image::scaffold::{NewGenericIoc, generic_ioc};
use crate::services::scaffold::write;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Writes the folder, or shows what it would hold.
pub(crate) fn new_generic_ioc(
    args: &NewGenericIocArgs,
    context: &Context,
) -> CommandResult<Outcome> {
    let name = &args.name;
    if let Some(problem) = problem_of_name(name) {
        return Err(CommandError::new(
            ErrorKind::Usage,
            format!("an image cannot be called `{name}`"),
        )
        .caused_by(problem));
    }
    let images = &context.settings.images;
    let target = images.folder.join(name);
    if target.symlink_metadata().is_ok() {
        return Err(CommandError::new(
            ErrorKind::Conflict,
            format!("`{}` exists already", target.display()),
        )
        .hint("choose another name, or edit what is there"));
    }
    let catalog = if images.folder.is_dir() {
        Catalog::load(&images.folder, &images.folder)?
    } else {
        Catalog::default()
    };
    known(&catalog, &args.base, &args.modules)?;
    let naming = Naming {
        registry: images.registry.clone(),
        tag: images.tag.clone(),
    };
    let files = generic_ioc(&NewGenericIoc {
        name: name.clone(),
        base: args.base.clone(),
        modules: args.modules.clone(),
        developer: naming.reference(name, Target::Developer),
    });
    let shown = match &context.settings.project {
        Some(project) => target.strip_prefix(project).unwrap_or(&target),
        None => &target,
    };
    let printer = &context.printer;
    for file in &files {
        let verb = if args.dry_run {
            "would write"
        } else {
            "writing"
        };
        printer.info(format!("{verb} {}", shown.join(&file.path).display()));
    }
    if args.dry_run {
        return Ok(Outcome::Success);
    }
    write::folder(&target, &files)?;
    printer.hint(format!(
        "edit `{}`, then `ioc build {name}`",
        shown.join("image.yaml").display()
    ));
    Ok(Outcome::Success)
}

/// Base and modules have to exist: a new folder that does not build helps nobody.
fn known(catalog: &Catalog, base: &str, modules: &[String]) -> CommandResult<()> {
    let unknown = |what: &str, name: &str, near: Option<&str>, hint: String| {
        let error = CommandError::not_found(format!("there is no {what} `{name}`"));
        match near {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(hint),
        }
    };
    if let Base::Image(image) = Base::parse(base)
        && !catalog.has_image(&image)
    {
        return Err(unknown(
            "image",
            &image,
            nearest(&image, catalog.image_names()),
            "`--base os` begins with the operating system, a reference with its tag takes an image from a registry".to_owned(),
        ));
    }
    for module in modules {
        if !catalog.has_module(module) {
            return Err(unknown(
                "recipe for a module",
                module,
                nearest(module, catalog.module_names()),
                format!(
                    "write `{MODULES}/{module}.yaml` first, or read one with `ioc import recipe`"
                ),
            ));
        }
    }
    Ok(())
}
