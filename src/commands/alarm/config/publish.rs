//! Publishing what is different: what `apply` and `follow` share.

use std::collections::HashSet;

use crate::alarm::bus::Opened;
use crate::commands::alarm::config::difference::Difference;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// Publishes a difference, signed by `user` (`name@host`). What somebody else wrote at the same moment comes back in
/// words.
///
/// # Errors
///
/// Somebody else changes the configuration; the bus refuses.
pub(super) async fn publish(
    difference: &Difference,
    opened: &Opened,
    user: &str,
) -> CommandResult<Vec<String>> {
    let name = &difference.tree.name;
    let (user, host) = user.split_once('@').unwrap_or((user, ""));
    let records = difference.plan.records(user, host);
    let begin = if let Some(end) = difference.snapshot.end {
        end
    } else {
        opened.prepare(name).await?;
        0
    };
    let meanwhile = opened.configured_since(name, begin).await?;
    if let Some(first) = meanwhile.first() {
        return Err(CommandError::new(
            ErrorKind::Conflict,
            format!(
                "somebody else is changing `{name}`: `{}` was written after it was read; nothing was published",
                first.key
            ),
        )
        .hint("run it again: the difference is another one now"));
    }
    opened.write(name, &records).await?;
    // between that look and the writing there was a moment
    let own: HashSet<(&str, Option<&str>)> = records
        .iter()
        .map(|record| (record.key.as_str(), record.value.as_deref()))
        .collect();
    let end = begin + u64::try_from(records.len()).unwrap_or(u64::MAX);
    if opened.ends_at(name, end).await? {
        return Ok(Vec::new());
    }
    let after = opened.configured_since(name, begin).await?;
    let others = after
        .iter()
        .filter(|record| !own.contains(&(record.key.as_str(), record.value.as_deref())));
    Ok(others
        .map(|record| {
            format!(
                "somebody else wrote `{}` at the same moment: `ioc alarm config diff` shows what came of it",
                record.key
            )
        })
        .collect())
}
