//! Automated actions, ready to be carried out.

use crate::path::AlarmPath;
use crate::severity::Severity;

/// Something that has to be done because of an alarm. All texts are ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    /// The PV or the group.
    pub path: AlarmPath,
    /// Title of the action in the configuration.
    pub title: String,
    /// Severity of the item at this moment.
    pub severity: Severity,
    /// Whether the alarm is over and this follows up on an action that was carried out.
    pub is_follow_up: bool,
    /// What has to be done.
    pub what: What,
}

/// What has to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// `mailto:`: a mail to each of the addresses.
    Mail {
        /// Addresses, at least one; not checked.
        to: Vec<String>,
        /// Subject, one line.
        subject: String,
        /// Text.
        body: String,
    },
    /// `cmd:`: a program, without a shell.
    Run {
        /// The program as it is named in the configuration.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// `sevrpv:` and the heartbeat: a number to a PV. Of several that wait for the same PV only the latest counts.
    WriteNumber {
        /// Its name.
        pv: String,
        /// The number.
        number: f64,
    },
    /// `infopv:`: a text to a PV. Of several that wait for the same PV only the latest counts.
    WriteText {
        /// Its name.
        pv: String,
        /// The text.
        text: String,
    },
    /// `webhook:`: a POST.
    Webhook {
        /// Where to.
        url: String,
        /// The body, a JSON object.
        body: String,
    },
    /// `slack:`, `teams:`, `mattermost:`: a message.
    Chat {
        /// Which kind of chat.
        service: ChatService,
        /// A URL, or the name of a channel that the server's settings give a URL.
        target: String,
        /// What it is about, one line.
        subject: String,
        /// Text.
        body: String,
    },
}

/// Kinds of chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatService {
    /// Slack.
    Slack,
    /// Microsoft Teams.
    Teams,
    /// Mattermost.
    Mattermost,
}

impl ChatService {
    /// As configurations have it before the `:`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::Mattermost => "mattermost",
        }
    }
}
