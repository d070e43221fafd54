//! `ioc image sbom`: everything that an image holds, as a bill of materials.

use crate::cli::image::ImageSbomArgs;
use crate::commands::{Context, Outcome, image};
use crate::engine::Engine;
use crate::image::engine::ImageEngine;
use crate::image::sbom::{self, Bom, Kind};
use crate::image::versions::ModuleVersion;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::table::Table;

/// Where Debian and its descendants keep what is installed.
const PACKAGES: &str = "/var/lib/dpkg/status";
/// Says which distribution it is.
const DISTRIBUTION: &str = "/etc/os-release";
/// The file itself, where the usual name is a link.
const DISTRIBUTION_ITSELF: &str = "/usr/lib/os-release";

/// Shows the bill of materials of an image of the project, or of any image that the engine has.
///
/// # Errors
///
/// There is no such image; it has no package database that is understood; the engine does not answer.
pub(crate) async fn sbom(args: &ImageSbomArgs, context: &Context) -> CommandResult<Outcome> {
    let engine = ImageEngine::new(Engine::connect(&context.settings).await?).await?;
    let found = image::find(&args.image, &engine, context).await?;
    let reference = &found.reference;
    let Some(packages) = engine.file_of(reference, PACKAGES).await? else {
        return Err(CommandError::new(
            ErrorKind::Unsupported,
            format!("`{reference}` has no {PACKAGES}, so nothing tells what is installed in it"),
        )
        .hint("only images of Debian and its descendants are understood; `ioc image show` lists the support modules of others"));
    };
    let distribution = match engine.file_of(reference, DISTRIBUTION_ITSELF).await? {
        Some(text) => text,
        None => engine
            .file_of(reference, DISTRIBUTION)
            .await?
            .unwrap_or_default(),
    };
    let versions = image::versions(&engine, reference, &found.image).await?;
    let subject = sbom::Subject {
        reference,
        id: &found.image.id,
        created: &found.image.created,
    };
    let bom = Bom::new(
        &subject,
        &ModuleVersion::read(&versions),
        &packages,
        &distribution,
    );
    context.printer.emit(&bom, table)?;
    Ok(Outcome::Success)
}

fn table(bom: &Bom) -> Table {
    let mut table = Table::new(["KIND", "NAME", "VERSION", "IDENTIFIER"]);
    for component in &bom.components {
        let kind = match component.kind() {
            Kind::Module => "module",
            Kind::Package => "package",
            Kind::System => "system",
        };
        table.row([
            kind.to_owned(),
            component.name.clone(),
            component.version.clone(),
            component.purl.clone().unwrap_or_default(),
        ]);
    }
    table
}
