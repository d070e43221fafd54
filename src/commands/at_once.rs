//! Doing something with many instances at once, within a limit, and saying at the end what became of each.

use futures_util::StreamExt;

use crate::commands::acting::{self, Done};
use crate::commands::{Context, Outcome};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// How much is done at once, and what a failure means for the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Instances that are worked on at the same time, at least 1.
    pub(crate) parallel: usize,
    /// Begin with the next one although one has failed.
    pub(crate) keep_going: bool,
}

/// Does something with each of `items`, as many at once as `limits` allow. When one fails, those that were begun are
/// finished, the others are not begun; what was done and what was not is part of the error.
///
/// # Errors
///
/// The first failure, with the outcome of the others.
pub(crate) async fn at_once<T, F, Fut>(
    items: Vec<T>,
    name: impl Fn(&T) -> String,
    limits: Limits,
    context: &Context,
    work: F,
) -> CommandResult<Outcome>
where
    F: Fn(T) -> Fut,
    Fut: Future<Output = CommandResult<Done>>,
{
    let names: Vec<String> = items.iter().map(&name).collect();
    let stop = tokio_util::sync::CancellationToken::new();
    let results: Vec<(usize, Option<CommandResult<Done>>)> =
        futures_util::stream::iter(items.into_iter().enumerate().map(|(index, item)| {
            let (stop, work) = (&stop, &work);
            async move {
                if context.cancel.is_cancelled() || stop.is_cancelled() {
                    return (index, None);
                }
                let result = work(item).await;
                if result.is_err() && !limits.keep_going {
                    stop.cancel();
                }
                (index, Some(result))
            }
        }))
        .buffer_unordered(limits.parallel.max(1))
        .collect()
        .await;
    let mut outcomes: Vec<Option<CommandResult<Done>>> = Vec::new();
    outcomes.resize_with(names.len(), || None);
    for (index, result) in results {
        if let Some(slot) = outcomes.get_mut(index) {
            *slot = result;
        }
    }
    summed_up(outcomes, &names, context)
}

fn summed_up(
    outcomes: Vec<Option<CommandResult<Done>>>,
    names: &[String],
    context: &Context,
) -> CommandResult<Outcome> {
    let mut done = Vec::new();
    let mut errors: Vec<(&str, CommandError)> = Vec::new();
    let mut not_begun: Vec<&str> = Vec::new();
    for (outcome, name) in outcomes.into_iter().zip(names) {
        match outcome {
            Some(Ok(one)) => done.push(one),
            Some(Err(error)) => {
                done.push(Done {
                    error: Some(error.to_string()),
                    ..Done::new(name, "failed")
                });
                errors.push((name, error));
            }
            None => {
                done.push(Done::new(name, "not done"));
                not_begun.push(name);
            }
        }
    }
    acting::emit(&done, &context.printer)?;
    if errors.is_empty() && not_begun.is_empty() {
        return Ok(Outcome::Success);
    }
    let failed: Vec<&str> = errors.iter().map(|(name, _)| *name).collect();
    let succeeded: Vec<&str> = done
        .iter()
        .filter(|one| one.error.is_none() && one.outcome != "not done")
        .map(|one| one.instance.as_str())
        .collect();
    let list = |names: &[&str]| {
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    };
    let summary = format!(
        "done: {}; failed: {}; not done: {}",
        list(&succeeded),
        list(&failed),
        list(&not_begun)
    );
    let is_one = names.len() == 1;
    let mut errors = errors.into_iter().map(|(_, error)| error);
    let first = errors
        .next()
        .unwrap_or_else(|| CommandError::new(ErrorKind::Interrupted, "interrupted"));
    for other in errors {
        context.printer.error(&other);
    }
    Err(if is_one { first } else { first.hint(summary) })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::cli::global::{ColorChoice, GlobalArgs, OutputFormat};
    use crate::settings::Settings;
    use crate::ui::printer::Printer;

    fn context(folder: &std::path::Path) -> Context {
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

    async fn run(
        count: usize,
        limits: Limits,
        failing: usize,
    ) -> (CommandResult<Outcome>, usize, usize) {
        let folder = tempfile::tempdir().unwrap();
        let (now, most, begun) = (
            AtomicUsize::new(0),
            AtomicUsize::new(0),
            AtomicUsize::new(0),
        );
        let result = at_once(
            (0..count).collect(),
            |item| format!("x-{item}"),
            limits,
            &context(folder.path()),
            |item| {
                let (now, most, begun) = (&now, &most, &begun);
                async move {
                    begun.fetch_add(1, Ordering::SeqCst);
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    for _ in 0..3 {
                        tokio::task::yield_now().await;
                    }
                    now.fetch_sub(1, Ordering::SeqCst);
                    if item == failing {
                        return Err(CommandError::new(
                            ErrorKind::Unhealthy,
                            "it does not answer",
                        ));
                    }
                    Ok(Done::new(&format!("x-{item}"), "deployed"))
                }
            },
        )
        .await;
        (result, most.into_inner(), begun.into_inner())
    }

    #[tokio::test]
    async fn no_more_than_the_limit_at_once_and_all_of_them() {
        let limits = Limits {
            parallel: 3,
            keep_going: false,
        };
        let (result, most, begun) = run(10, limits, 99).await;
        assert_eq!(result.unwrap(), Outcome::Success);
        assert_eq!((most, begun), (3, 10));
    }

    #[tokio::test]
    async fn a_failure_stops_what_was_not_begun_unless_told_otherwise() {
        let limits = Limits {
            parallel: 1,
            keep_going: false,
        };
        let (result, _, begun) = run(4, limits, 1).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unhealthy);
        assert_eq!(
            error.hints(),
            ["done: x-0; failed: x-1; not done: x-2, x-3"]
        );
        assert_eq!(begun, 2);
        let limits = Limits {
            parallel: 2,
            keep_going: true,
        };
        let (result, _, begun) = run(4, limits, 1).await;
        assert_eq!(
            result.unwrap_err().hints(),
            ["done: x-0, x-2, x-3; failed: x-1; not done: none"]
        );
        assert_eq!(begun, 4);
    }
}
