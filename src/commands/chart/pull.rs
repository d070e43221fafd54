//! `ioc chart pull`: charts from registries and chart repositories onto this machine.

use serde::Serialize;

use crate::charts::dependency::write;
use crate::charts::locate::{Found, Wanted};
use crate::charts::unpack::unpack;
use crate::cli::chart::PullArgs;
use crate::commands::{Context, Outcome};
use crate::ui::error::{CommandError, CommandResult};

#[derive(Serialize)]
struct Pulled {
    from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    path: String,
}

pub(super) async fn pull(args: &PullArgs, context: &Context) -> CommandResult<Outcome> {
    let wanted = Wanted::from(&args.location);
    let mut pulled = Vec::new();
    for chart in &args.charts {
        let plain_http = args.location.registry.plain_http;
        let (places, task) = super::places(context, plain_http, chart);
        let found = places.receive(chart, &wanted).await;
        task.finish();
        let kept = found.and_then(|found| keep(&found, args).map(|path| (found, path)));
        let (found, path) = kept.map_err(|error| match pulled.len() {
            0 => error,
            done => error.hint(format!(
                "{done} of {} charts were pulled before",
                args.charts.len()
            )),
        })?;
        pulled.push(Pulled {
            from: found.from.trim_start_matches("oci://").to_owned(),
            digest: found.digest.map(|digest| digest.to_string()),
            path,
        });
    }
    context.printer.emit_text(&pulled, |pulled| {
        let lines = pulled.iter().map(|chart| {
            let digest = chart
                .digest
                .iter()
                .map(|digest| format!("Digest: {digest}\n"));
            format!("Pulled: {}\n{}", chart.from, digest.collect::<String>())
        });
        lines.collect()
    })?;
    for chart in &pulled {
        context.printer.info(format!("wrote {}", chart.path));
    }
    Ok(Outcome::Success)
}

/// Writes what was received; gives the path.
fn keep(found: &Found, args: &PullArgs) -> CommandResult<String> {
    if args.untar {
        let folder = match args.untardir.to_str() {
            Some(".") => args.destination.clone(),
            _ => args.destination.join(&args.untardir),
        };
        let path = unpack(&found.from, &found.archive, &folder)?;
        return Ok(path.display().to_string());
    }
    if !args.destination.is_dir() {
        return Err(CommandError::not_found(format!(
            "there is no folder `{}`",
            args.destination.display()
        ))
        .hint(format!(
            "make it first: `mkdir -p {}`",
            args.destination.display()
        )));
    }
    let path = args.destination.join(&found.file_name);
    write(&path, &found.archive)?;
    if let (true, Some(signature)) = (args.prov, &found.provenance) {
        write(&path.with_extension("tgz.prov"), signature)?;
    }
    Ok(path.display().to_string())
}
