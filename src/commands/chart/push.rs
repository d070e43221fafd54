//! `ioc chart push`: a packaged chart into a registry.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::chart::PushArgs;
use crate::commands::{Context, Outcome};
use crate::registry::{Reference, Registry, RegistryError, chart};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

#[derive(Serialize)]
struct Pushed {
    reference: String,
    digest: String,
    /// Whether the archive had to be sent.
    sent: bool,
}

pub(super) async fn push(args: &PushArgs, context: &Context) -> CommandResult<Outcome> {
    if !args.remote.starts_with("oci://") {
        return Err(CommandError::new(
            ErrorKind::Usage,
            format!("`{}` is not a place in a registry", args.remote),
        )
        .hint("write it as `oci://HOST/PATH`"));
    }
    let folder = Reference::parse(&args.remote).map_err(RegistryError::from)?;
    if folder.tag().is_some() || folder.digest().is_some() {
        return Err(CommandError::new(
            ErrorKind::Usage,
            format!("`{}` names a version", args.remote),
        )
        .hint("name and version are those of the chart: leave them out"));
    }
    let (archive, created) = read(&args.archive)?;
    let signature = args.archive.with_extension("tgz.prov");
    let provenance = match fs_err::read(&signature) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    // what is wrong with the chart is said before a registry is asked
    crate::charts::locate::load(&args.archive)?;
    let (fetch, task) = super::fetching(context, &args.archive.display().to_string());
    let registry =
        Registry::for_charts(fetch, &context.settings.registry, args.registry.plain_http);
    let pushed = chart::push(&registry, &folder, archive, provenance, created).await;
    task.finish();
    let pushed = pushed?;
    let report = Pushed {
        reference: pushed.reference.to_string(),
        digest: pushed.digest.to_string(),
        sent: pushed.sent,
    };
    context.printer.emit_text(&report, |report| {
        format!("Pushed: {}\nDigest: {}\n", report.reference, report.digest)
    })?;
    if !pushed.sent {
        context
            .printer
            .info("the registry had the archive already: only its manifest was written");
    }
    Ok(Outcome::Success)
}

/// The archive, and when it was written, which becomes an annotation as with helm.
fn read(path: &Path) -> CommandResult<(Vec<u8>, Timestamp)> {
    let metadata = match fs_err::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(
                CommandError::not_found(format!("there is no file `{}`", path.display()))
                    .hint("`ioc chart package` writes it"),
            );
        }
        Err(error) => return Err(error.into()),
    };
    if metadata.is_dir() {
        return Err(CommandError::new(
            ErrorKind::Usage,
            format!("`{}` is a folder, and archives are pushed", path.display()),
        )
        .hint(format!(
            "pack it first: `ioc chart package {}`",
            path.display()
        )));
    }
    let written = metadata
        .modified()
        .ok()
        .and_then(|time| Timestamp::try_from(time).ok())
        .unwrap_or_else(Timestamp::now);
    Ok((fs_err::read(path)?, written))
}
