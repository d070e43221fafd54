//! What somebody is told: one alarm, and many as one.

use std::collections::BTreeMap;

use alarm::Severity;
use alarm::server::{Act, ChatService, What};
use serde::{Deserialize, Serialize};

/// How somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    /// A mail to one address.
    Mailto,
    /// JSON to a program.
    Webhook,
    /// A message in Slack.
    Slack,
    /// A card in Microsoft Teams.
    Teams,
    /// A message in Mattermost.
    Mattermost,
}

impl NoticeKind {
    /// All.
    pub const ALL: [Self; 5] = [
        Self::Mailto,
        Self::Webhook,
        Self::Slack,
        Self::Teams,
        Self::Mattermost,
    ];

    /// As configurations have it before the `:`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mailto => "mailto",
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::Mattermost => "mattermost",
        }
    }

    /// Whether people read it: many at once then become one.
    pub(super) fn is_for_people(self) -> bool {
        self != Self::Webhook
    }
}

/// One alarm for one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(super) kind: NoticeKind,
    /// Address of mail, URL, or name of a channel.
    pub(super) target: String,
    /// The item.
    pub(super) path: String,
    /// Name of its severity, and its rank.
    pub(super) severity: String,
    pub(super) rank: u8,
    /// Whether the alarm is over.
    pub(super) follow_up: bool,
    /// Title of the action.
    pub(super) title: String,
    pub(super) subject: String,
    pub(super) body: String,
}

impl Notice {
    /// Of an action; none if it tells nobody. A mail to several is one for each.
    pub(crate) fn of(act: &Act) -> Vec<Self> {
        let one = |kind: NoticeKind, target: &str, subject: &str, body: &str| Self {
            kind,
            target: target.to_owned(),
            path: act.path.to_string(),
            severity: act.severity.name().to_owned(),
            rank: act.severity.ordinal(),
            follow_up: act.is_follow_up,
            title: act.title.clone(),
            subject: subject.to_owned(),
            body: body.to_owned(),
        };
        match &act.what {
            What::Mail { to, subject, body } => to
                .iter()
                .map(|address| one(NoticeKind::Mailto, address, subject, body))
                .collect(),
            What::Webhook { url, body } => vec![one(NoticeKind::Webhook, url, "", body)],
            What::Chat {
                service,
                target,
                subject,
                body,
            } => {
                let kind = match service {
                    ChatService::Slack => NoticeKind::Slack,
                    ChatService::Teams => NoticeKind::Teams,
                    ChatService::Mattermost => NoticeKind::Mattermost,
                };
                vec![one(kind, target, subject, body)]
            }
            What::Run { .. } | What::WriteNumber { .. } | What::WriteText { .. } => Vec::new(),
        }
    }

    /// What has a rate of its own, and is sent in order.
    pub(super) fn channel(&self) -> String {
        format!("{}:{}", self.kind.name(), self.target)
    }
}

/// Many alarms as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Summary {
    /// The item, or the group that has all of them.
    pub(super) path: String,
    /// The worst severity.
    pub(super) severity: String,
    /// How many of each severity, the worst first.
    pub(super) counts: Vec<(String, usize)>,
    /// Whether all of them are over.
    pub(super) follow_up: bool,
}

impl Summary {
    /// Of one or more.
    pub(super) fn of(notices: &[Notice]) -> Self {
        let mut counts: BTreeMap<(u8, &str), usize> = BTreeMap::new();
        for notice in notices {
            *counts
                .entry((notice.rank, notice.severity.as_str()))
                .or_default() += 1;
        }
        let counts: Vec<(String, usize)> = counts
            .into_iter()
            .rev()
            .map(|((_, name), count)| (name.to_owned(), count))
            .collect();
        Self {
            path: common_path(notices.iter().map(|notice| notice.path.as_str())),
            severity: counts
                .first()
                .map_or_else(|| Severity::Ok.name().to_owned(), |(name, _)| name.clone()),
            counts,
            follow_up: notices.iter().all(|notice| notice.follow_up),
        }
    }
}

/// The item that all are, or the nearest group that has all of them.
fn common_path<'a>(paths: impl Iterator<Item = &'a str>) -> String {
    let mut common: Option<Vec<&str>> = None;
    for path in paths {
        let parts = parts(path);
        common = Some(match common {
            None => parts,
            Some(mut common) => {
                let same = common
                    .iter()
                    .zip(&parts)
                    .take_while(|(one, other)| one == other)
                    .count();
                common.truncate(same);
                common
            }
        });
    }
    format!("/{}", common.unwrap_or_default().join("/"))
}

/// The names in a path; `\/` is part of a name.
fn parts(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut begin = 0;
    let mut before = '/';
    for (at, character) in path.char_indices() {
        if character == '/' && before != '\\' {
            parts.push(&path[begin..at]);
            begin = at + 1;
        }
        before = character;
    }
    parts.push(&path[begin..]);
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn notice(target: &str, path: &str, severity: Severity) -> Notice {
        Notice {
            kind: NoticeKind::Mailto,
            target: target.to_owned(),
            path: path.to_owned(),
            severity: severity.name().to_owned(),
            rank: severity.ordinal(),
            follow_up: severity == Severity::Ok,
            title: "tell".to_owned(),
            subject: format!("{severity} alarm: {path}"),
            body: "PV: …".to_owned(),
        }
    }

    #[test]
    fn many_are_counted_by_severity_in_the_group_that_has_them_all() {
        let rows: [(&[&str], &str); 5] = [
            (&["/X/V/S1/a", "/X/V/S2/b"], "/X/V"),
            (&["/X/V/a", "/X/V/ab"], "/X/V"),
            (&["/X/V/a", "/X/V/a"], "/X/V/a"),
            (&["/X/V/a", "/X/W/b"], "/X"),
            (&[r"/X/ca:\/\/a", r"/X/ca:\/\/b"], "/X"),
        ];
        for (paths, expected) in rows {
            assert_eq!(common_path(paths.iter().copied()), expected);
        }
        let all = [
            notice("a@b", "/X/V/a", Severity::Minor),
            notice("a@b", "/X/V/b", Severity::Major),
            notice("a@b", "/X/V/c", Severity::Minor),
        ];
        let summary = Summary::of(&all);
        assert_eq!(summary.severity, "MAJOR");
        let counts: Vec<(&str, usize)> = summary
            .counts
            .iter()
            .map(|(name, count)| (name.as_str(), *count))
            .collect();
        assert_eq!(counts, [("MAJOR", 1), ("MINOR", 2)]);
        assert!(!summary.follow_up);
    }
}
