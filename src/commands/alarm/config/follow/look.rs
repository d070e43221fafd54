//! One look at a branch: what its newest commit has, and what becomes of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alarm::files::{Reading, TreeFile};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::alarm::bus::{self, Choice};
use crate::alarm::files::{self, Format};
use crate::alarm::follow::{Applied, CommitStatus, Refused, Shared, again};
use crate::cli::alarm::PlanArgs;
use crate::commands::alarm::config::difference::{self, Report};
use crate::commands::alarm::config::judge;
use crate::commands::alarm::config::publish::publish;
use crate::diagnostic::Diagnostic;
use crate::source::FetchContext;
use crate::source::definition::{Branch, Commit, GitUrl};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::versions::branch::{Files, Head, Movement, head};

/// A git server that says nothing for so long is given up until the next look.
const PATIENCE: Duration = Duration::from_mins(5);
/// How often a difference is made anew when somebody else writes at the same time.
const TRIES: usize = 3;

/// Follows a branch.
pub(super) struct Follower {
    pub(super) url: GitUrl,
    pub(super) branch: Branch,
    /// The file in the repository.
    pub(super) path: String,
    /// The name that the configuration must have.
    pub(super) name: Option<String>,
    /// The name of tables, which have none.
    pub(super) settings_name: Option<String>,
    pub(super) plan: PlanArgs,
    pub(super) choice: Choice,
    /// Who signs the records, as `name@host`.
    pub(super) user: String,
    pub(super) fetch: FetchContext,
    pub(super) cancel: CancellationToken,
    pub(super) shared: Arc<Shared>,
    /// The commit that was seen last.
    pub(super) seen: Option<Commit>,
    /// Name of the configuration that was applied first: another one would be another topic.
    pub(super) pinned: Option<String>,
}

impl Follower {
    /// Looks, and says in the log what fails.
    pub(super) async fn look(&mut self) {
        match self.try_look().await {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => tracing::error!("{}", in_a_line(&error)),
        }
    }

    /// Looks. A commit that is refused is no failure; what will be tried again is one.
    pub(super) async fn try_look(&mut self) -> CommandResult<()> {
        let (head, movement, files) = self.fetched().await?;
        let commit = CommitStatus::from(&head);
        self.tell_movement(&commit, movement);
        let status = self.shared.status();
        let is_done = status
            .applied
            .is_some_and(|applied| applied.commit == commit)
            || status
                .refused
                .is_some_and(|refused| refused.commit == commit);
        self.seen = Some(head.commit);
        let at = Timestamp::now();
        self.shared.update(|status| {
            status.head = Some(commit.clone());
            status.looked = Some(at);
        });
        if is_done {
            self.shared.update(|status| status.bus_trouble = None);
            return Ok(());
        }
        let reading = self.reading(files);
        let (tree, warnings) = match self.judged(reading) {
            Ok(judged) => judged,
            Err(error) => {
                self.refuse(commit, &error);
                return Ok(());
            }
        };
        for warning in &warnings {
            tracing::warn!("{}: {}", short(&commit), finding(warning));
        }
        match self.apply(&tree, &commit).await {
            Ok(records) => {
                self.pinned.get_or_insert(tree.name);
                self.applied(commit, records);
                Ok(())
            }
            Err(Failure::Commit(error)) => {
                self.refuse(commit, &error);
                Ok(())
            }
            Err(Failure::Bus(error)) => {
                self.no_bus(&error);
                Err(error)
            }
        }
    }

    async fn fetched(&mut self) -> CommandResult<(Head, Movement, Files)> {
        let fetching = head(&self.url, &self.branch, self.seen.as_ref(), &self.fetch);
        let fetched = match tokio::time::timeout(PATIENCE, fetching).await {
            Ok(Ok(fetched)) => Ok(fetched),
            Ok(Err(error)) => Err(CommandError::from(error)),
            Err(_elapsed) => Err(CommandError::new(
                ErrorKind::Fetch,
                format!("git did not get the branch within {} s", PATIENCE.as_secs()),
            )),
        };
        if self.cancel.is_cancelled() {
            return Err(CommandError::new(ErrorKind::Interrupted, "stopped"));
        }
        let before = self.shared.status().repository_trouble;
        self.shared.update(|status| {
            status.counts.looks += 1;
            status.repository_trouble = match &fetched {
                Ok(_) => None,
                Err(error) => {
                    status.counts.failures += 1;
                    let trouble = status.repository_trouble.as_ref();
                    Some(again(trouble, in_a_line(error), Timestamp::now()))
                }
            };
        });
        match (&fetched, before) {
            (Ok(_), Some(trouble)) => tracing::info!(
                "the repository is back after {} looks in vain, since {}",
                trouble.times,
                trouble.since
            ),
            (Err(_), None) if self.seen.is_some() => tracing::warn!(
                "the repository cannot be had; the bus stays as it is, and it is tried again"
            ),
            _ => {}
        }
        fetched
    }

    fn tell_movement(&self, commit: &CommitStatus, movement: Movement) {
        let words = format!(
            "{} `{}` by {}",
            short(commit),
            commit.subject,
            commit.author
        );
        match movement {
            Movement::Same if self.seen.is_some() => {}
            Movement::First | Movement::Same | Movement::Forward => {
                tracing::info!("branch `{}` is at {words}", self.branch);
            }
            Movement::Unknown => tracing::info!(
                "branch `{}` is at {words}; how it came there is not in the history that was read",
                self.branch
            ),
            Movement::Rewritten => {
                self.shared.update(|status| status.counts.rewritten += 1);
                tracing::warn!(
                    "branch `{}` was rewritten: it is at {words}, which does not come from the commit before",
                    self.branch
                );
            }
        }
    }

    /// The configuration in the files of a commit.
    fn reading(&self, mut files: Files) -> CommandResult<Reading> {
        let path = Path::new(&self.path);
        let format = Format::of(path).ok_or_else(|| files::unknown_format(path))?;
        let name = self.name.as_ref().or(self.settings_name.as_ref());
        let name = name.map(String::as_str);
        let mut load = |path: &Path| match path.to_str() {
            Some(path) => files.read(path, files::LARGEST),
            None => Err("its name is no text".to_owned()),
        };
        // a file that is not there is a finding without a line
        load(path).map_err(|why| {
            let finding = Diagnostic::error(format!("`{}`: {why}", self.path)).in_file(path);
            CommandError::from_diagnostic(ErrorKind::Input, finding)
        })?;
        Ok(files::parse(path, format, name, &mut load))
    }

    fn judged(
        &self,
        reading: CommandResult<Reading>,
    ) -> CommandResult<(TreeFile, Vec<Diagnostic>)> {
        let path = Path::new(&self.path);
        let (tree, warnings) = judge(path, reading?, self.name.as_deref())?;
        match &self.pinned {
            Some(name) if *name != tree.name => Err(CommandError::new(
                ErrorKind::Input,
                format!("the root is `{}`; until now it was `{name}`", tree.name),
            )
            .hint("start it anew to follow another configuration")),
            _ => Ok((tree, warnings)),
        }
    }

    /// Publishes what is different; how many records that took.
    async fn apply(&self, tree: &TreeFile, commit: &CommitStatus) -> Result<usize, Failure> {
        let opened = bus::open(self.choice.clone(), &self.cancel).await;
        let opened = opened.map_err(Failure::Bus)?;
        for _ in 0..TRIES {
            let difference = difference::compare(tree.clone(), self.plan, &opened).await;
            let difference = difference.map_err(|error| match error.kind() {
                // a PV in the way of a group: so it remains until there is another commit
                ErrorKind::Conflict | ErrorKind::Usage => Failure::Commit(error),
                _ => Failure::Bus(error),
            })?;
            for warning in difference.passed_over() {
                tracing::warn!("{warning}");
            }
            let report = Report::new(&tree.name, &self.choice, &difference.plan, false);
            tell_plan(&report, commit);
            if difference.plan.is_empty() {
                return Ok(0);
            }
            let records = difference.plan.records("", "").len();
            // from here on to the end, whatever signal comes
            match publish(&difference, &opened.to_the_end(), &self.user).await {
                Ok(others) => {
                    for other in others {
                        tracing::warn!("{other}");
                    }
                    return Ok(records);
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    tracing::info!("{error}; comparing again");
                }
                Err(error) => return Err(Failure::Bus(error)),
            }
        }
        Err(Failure::Bus(CommandError::new(
            ErrorKind::Bus,
            format!("somebody else is changing `{}` all the time", tree.name),
        )))
    }

    fn applied(&self, commit: CommitStatus, records: usize) {
        tracing::info!("{} is applied: {records} records", short(&commit));
        self.shared.update(|status| {
            status.applied = Some(Applied {
                commit,
                at: Timestamp::now(),
                records,
            });
            status.configuration.clone_from(&self.pinned);
            status.refused = None;
            status.bus_trouble = None;
            status.counts.applied += 1;
        });
    }

    fn refuse(&self, commit: CommitStatus, error: &CommandError) {
        let findings = || error.diagnostics().iter().map(finding);
        for line in findings().take(20) {
            tracing::error!("{}: {line}", short(&commit));
        }
        let last = self.shared.status().applied;
        let stays = last.map_or_else(
            || "the bus stays as it is".to_owned(),
            |last| format!("the bus stays as {} has made it", short(&last.commit)),
        );
        let why = in_a_line(error);
        tracing::error!("{} is refused: {why}; {stays}", short(&commit));
        self.shared.update(|status| {
            let refused = Refused {
                commit,
                at: Timestamp::now(),
                why,
                findings: Vec::new(),
            };
            status.refused = Some(refused.with_findings(findings()));
            status.bus_trouble = None;
            status.counts.refused += 1;
        });
    }

    fn no_bus(&self, error: &CommandError) {
        if error.kind() == ErrorKind::Interrupted {
            return;
        }
        self.shared.update(|status| {
            let trouble = status.bus_trouble.as_ref();
            status.bus_trouble = Some(again(trouble, in_a_line(error), Timestamp::now()));
        });
    }
}

/// Why a commit was not applied.
enum Failure {
    /// The commit cannot be applied as it is: that remains until there is another.
    Commit(CommandError),
    /// It is tried again.
    Bus(CommandError),
}

fn tell_plan(report: &Report, commit: &CommitStatus) {
    for line in report.steps_text(false).lines() {
        tracing::info!("{}: {line}", short(commit));
    }
    for line in report.summary().lines() {
        tracing::info!("{}: {}", short(commit), line.trim());
    }
}

/// The commit as people write it.
fn short(commit: &CommitStatus) -> &str {
    commit.commit.get(..10).unwrap_or(&commit.commit)
}

fn finding(finding: &Diagnostic) -> String {
    let place = finding.place.as_ref();
    let place = place.map_or_else(String::new, |place| format!("{place}: "));
    let expected = finding.expected.as_ref();
    let expected = expected.map_or_else(String::new, |expected| format!(" ({expected})"));
    let hint = finding.hint.as_ref();
    let hint = hint.map_or_else(String::new, |hint| format!("; hint: {hint}"));
    format!("{place}{}{expected}{hint}", finding.message)
}

/// An error with its causes and its first hint.
fn in_a_line(error: &CommandError) -> String {
    let mut line = error.to_string();
    for cause in error.causes() {
        line.push_str(&format!(": {}", cause.replace('\n', " ")));
    }
    if let Some(hint) = error.hints().first() {
        line.push_str(&format!("; hint: {}", hint.replace('\n', " ")));
    }
    line
}
