//! Carrying out a plan: targets in dependency order, independent ones at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::image::engine::{BuildFailure, ImageEngine, SharedObserver};
use crate::image::plan::Step;
use crate::image::prepare::Prepared;

/// Whom a build of several targets tells what it does.
pub trait Audience: Send + Sync {
    /// A target begins; what it says goes to the observer.
    fn begin(&self, prepared: &Prepared, step: &Step) -> SharedObserver;
    /// A target is done.
    fn done(&self, prepared: &Prepared, took: Duration);
}

/// What came of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Place of the target in the list of targets.
    pub index: usize,
    /// Identifier of the image.
    pub id: String,
    /// How long it took.
    pub took: Duration,
}

/// Why a build of several targets did not come to its end.
#[derive(Debug)]
pub struct Stopped {
    /// Place of the target that failed; `None` when the user stopped it.
    pub index: Option<usize>,
    /// Why.
    pub failure: BuildFailure,
    /// What was done before.
    pub done: Vec<Built>,
    /// Targets that were not built.
    pub left: Vec<usize>,
}

/// Builds all steps, at most `jobs` at the same time.
///
/// # Errors
///
/// The first failure stops everything that still runs. What was done stays done.
pub async fn run(
    engine: &ImageEngine,
    targets: &[Prepared],
    steps: &[Step],
    options: Options,
    audience: &dyn Audience,
    cancel: &CancellationToken,
) -> Result<Vec<Built>, Box<Stopped>> {
    let cancel = cancel.child_token();
    let targets: Vec<Arc<Prepared>> = targets.iter().cloned().map(Arc::new).collect();
    let mut waiting: BTreeMap<usize, &Step> = steps.iter().map(|step| (step.index, step)).collect();
    let mut running: JoinSet<(usize, Result<Built, BuildFailure>)> = JoinSet::new();
    let mut under_way: Vec<usize> = Vec::new();
    let mut done: Vec<Built> = Vec::new();
    let mut first: Option<(Option<usize>, BuildFailure)> = None;
    loop {
        while first.is_none() && running.len() < options.jobs.max(1) {
            let ready = waiting
                .values()
                .find(|step| {
                    step.after
                        .iter()
                        .all(|before| !waiting.contains_key(before) && !under_way.contains(before))
                })
                .map(|step| step.index);
            let Some((index, step)) = ready.and_then(|index| waiting.remove_entry(&index)) else {
                break;
            };
            let Some(prepared) = targets.get(index).cloned() else {
                continue;
            };
            let observer = audience.begin(&prepared, step);
            let engine = engine.clone();
            let cancel = cancel.clone();
            under_way.push(index);
            running.spawn(async move {
                let begun = Instant::now();
                let result = engine
                    .build(&prepared, options.no_cache, observer.as_ref(), &cancel)
                    .await;
                let built = result.map(|id| Built {
                    index,
                    id,
                    took: begun.elapsed(),
                });
                (index, built)
            });
        }
        let Some(joined) = running.join_next().await else {
            break;
        };
        let Ok((index, result)) = joined else {
            // A task ends only by itself; one that could not is a defect, told as a failure of the engine.
            let error = crate::ui::error::CommandError::new(
                crate::ui::error::ErrorKind::Internal,
                "a build task ended by itself",
            );
            first.get_or_insert((None, BuildFailure::Engine(error)));
            continue;
        };
        under_way.retain(|other| *other != index);
        match result {
            Ok(built) => {
                if let Some(prepared) = targets.get(index) {
                    audience.done(prepared, built.took);
                }
                done.push(built);
            }
            Err(failure) => {
                if first.is_none() {
                    let by_user = matches!(failure, BuildFailure::Cancelled);
                    first = Some(((!by_user).then_some(index), failure));
                    cancel.cancel();
                }
            }
        }
    }
    match first {
        None => Ok(done),
        Some((index, failure)) => {
            let finished: Vec<usize> = done.iter().map(|built| built.index).collect();
            let left = steps
                .iter()
                .map(|step| step.index)
                .filter(|index| !finished.contains(index))
                .collect();
            Err(Box::new(Stopped {
                index,
                failure,
                done,
                left,
            }))
        }
    }
}

/// How to build.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Targets at the same time.
    pub jobs: usize,
    /// Whether the engine's cache is left aside.
    pub no_cache: bool,
}
