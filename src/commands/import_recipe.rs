//! `ioc import recipe`: a recipe of ibek-support as one of the project.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::import::ImportRecipeArgs;
use crate::commands::{Context, Outcome};
use crate::image::catalog::{Catalog, MODULES};
use crate::image::import;
use crate::services::scaffold::write::replace;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Reads the file, says what was not taken over, writes the recipe and its patches.
pub(crate) fn import_recipe(args: &ImportRecipeArgs, context: &Context) -> CommandResult<Outcome> {
    if !args.file.exists() {
        let file = args.file.display();
        return Err(
            CommandError::not_found(format!("there is no file `{file}`"))
                .hint("recipes of ibek-support are named `MODULE/MODULE.install.yml`"),
        );
    }
    let source = fs_err::read_to_string(&args.file)?;
    let folder = &context.settings.images.folder;
    let imported = import::recipe(&args.file, &source, &macros(folder)?)
        .map_err(|finding| CommandError::from_diagnostic(ErrorKind::Input, *finding))?;
    let printer = &context.printer;
    for finding in &imported.findings {
        printer.diagnostic(finding);
    }
    if args.dry_run {
        printer.data(&imported.text)?;
        return Ok(Outcome::Success);
    }
    let target = args
        .to
        .clone()
        .unwrap_or_else(|| folder.join(MODULES).join(format!("{}.yaml", imported.name)));
    if target.exists() && !args.force {
        return Err(CommandError::new(
            ErrorKind::Conflict,
            format!("`{}` exists", target.display()),
        )
        .hint("`--force` replaces it, `--dry-run` prints the recipe, `--to` names another file"));
    }
    let beside: PathBuf = target.parent().map(Path::to_path_buf).unwrap_or_default();
    if !beside.as_os_str().is_empty() {
        fs_err::create_dir_all(&beside)?;
    }
    for patch in &imported.patches {
        copy_patch(&args.file, patch, &beside.join(&imported.name), context)?;
    }
    replace(&target, &imported.text)?;
    printer.info(format!("wrote {}", target.display()));
    printer.hint(format!(
        "look through it: `depends` and the order of `libraries` are not in the file; then add `{}` to the `modules` of an image",
        imported.name
    ));
    Ok(Outcome::Success)
}

/// Which of the project's modules a macro means.
fn macros(folder: &Path) -> CommandResult<BTreeMap<String, String>> {
    if !folder.is_dir() {
        return Ok(BTreeMap::new());
    }
    let catalog = Catalog::load(folder, folder)?;
    Ok(catalog
        .module_names()
        .filter_map(|name| catalog.module(name))
        .flat_map(|module| {
            module
                .macros()
                .into_iter()
                .map(|name| (name, module.name.clone()))
        })
        .collect())
}

fn copy_patch(file: &Path, patch: &str, to: &Path, context: &Context) -> CommandResult<()> {
    let from = file.parent().unwrap_or(Path::new(".")).join(patch);
    if !from.is_file() {
        context.printer.warning(format!(
            "the patch `{}` is not there: copy it to `{}`",
            from.display(),
            to.display()
        ));
        return Ok(());
    }
    fs_err::create_dir_all(to)?;
    let name = from.file_name().unwrap_or_default();
    fs_err::copy(&from, to.join(name))?;
    Ok(())
}
