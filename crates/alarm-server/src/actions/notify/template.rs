//! The words of notices: built in, or those of the site, in Jinja2.

use minijinja::{Environment, UndefinedBehavior, context};

use super::notice::{Notice, NoticeKind, Summary};
use crate::settings::NoticeTemplate;

/// So many alarms are listed in one notice.
const MOST_LISTED: usize = 50;

const SUBJECT: &str = "{% if count == 1 %}{{ subject }}\
{% elif over %}{{ count }} alarms in {{ path }} are over\
{% else %}{{ count }} alarms in {{ path }}{% endif %}";
const BODY: &str = "{% if count == 1 %}{{ body }}{% else %}\
{% for severity, many in counts %}{{ many }} {{ severity }}{% if not loop.last %}, {% endif %}{% endfor %}

{% for alarm in alarms %}{{ alarm.severity }} {{ alarm.path }}: {{ alarm.subject }}
{% endfor %}{% if more %}and {{ more }} more
{% endif %}{% endif %}";

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// One line.
    pub(super) subject: String,
    pub(super) body: String,
}

/// The templates of all channels.
#[derive(Debug)]
pub(super) struct Templates {
    environment: Environment<'static>,
    configuration: String,
    host: String,
}

impl Templates {
    /// Reads the templates of the settings and tries each with one and with two alarms.
    ///
    /// # Errors
    ///
    /// A template that cannot be read or used, or one of a channel that cannot be.
    pub(super) fn new(
        settings: &[NoticeTemplate],
        configuration: &str,
        host: &str,
    ) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // a template of a site ends somewhere
        environment.set_recursion_limit(50);
        let mut add = |name: String, text: &str| {
            environment
                .add_template_owned(name.clone(), text.to_owned())
                .map_err(|error| format!("template `{name}`: {error:#}"))
        };
        add("subject".to_owned(), SUBJECT)?;
        add("body".to_owned(), BODY)?;
        for template in settings {
            let kind = template.channel.split(':').next().unwrap_or_default();
            if !NoticeKind::ALL.iter().any(|known| known.name() == kind) {
                return Err(format!(
                    "template for `{}`: `{kind}` is none of mailto, webhook, slack, teams, mattermost",
                    template.channel
                ));
            }
            for (part, text) in [("subject", &template.subject), ("body", &template.body)] {
                if let Some(text) = text {
                    add(format!("{}/{part}", template.channel), text)?;
                }
            }
        }
        let templates = Self {
            environment,
            configuration: configuration.to_owned(),
            host: host.to_owned(),
        };
        for template in settings {
            templates.try_out(&template.channel)?;
        }
        Ok(templates)
    }

    fn try_out(&self, channel: &str) -> Result<(), String> {
        let (kind, target) = channel.split_once(':').unwrap_or((channel, "example"));
        let kind = NoticeKind::ALL
            .into_iter()
            .find(|known| known.name() == kind)
            .unwrap_or(NoticeKind::Mailto);
        let one = Notice {
            kind,
            target: target.to_owned(),
            path: "/X/area/pv".to_owned(),
            severity: "MAJOR".to_owned(),
            rank: 6,
            follow_up: false,
            title: "tell".to_owned(),
            subject: "MAJOR alarm: pressure".to_owned(),
            body: "{}".to_owned(),
        };
        let several = [one.clone(), one];
        for notices in [&several[..1], &several[..]] {
            self.message(notices)?;
        }
        Ok(())
    }

    /// Whether the site has words of its own for what a program gets.
    pub(super) fn has_own_body(&self, notice: &Notice) -> bool {
        self.own(notice, "body").is_some()
    }

    fn own(&self, notice: &Notice, part: &str) -> Option<String> {
        [notice.channel(), notice.kind.name().to_owned()]
            .into_iter()
            .map(|channel| format!("{channel}/{part}"))
            .find(|name| self.environment.get_template(name).is_ok())
    }

    /// The message for one or more notices of one channel.
    ///
    /// # Errors
    ///
    /// A template of the site that fails with these.
    pub(super) fn message(&self, notices: &[Notice]) -> Result<Message, String> {
        let Some(first) = notices.first() else {
            return Err("there is nothing to tell".to_owned());
        };
        let summary = Summary::of(notices);
        let alarms: Vec<minijinja::Value> = notices
            .iter()
            .take(MOST_LISTED)
            .map(|notice| {
                context! {
                    path => notice.path.as_str(), severity => notice.severity.as_str(), subject => notice.subject.as_str(),
                    body => notice.body.as_str(), title => notice.title.as_str(), over => notice.follow_up,
                }
            })
            .collect();
        let values = context! {
            count => notices.len(), path => summary.path, severity => summary.severity,
            counts => summary.counts, over => summary.follow_up, alarms,
            more => notices.len().saturating_sub(MOST_LISTED),
            subject => first.subject.as_str(), body => first.body.as_str(), title => first.title.as_str(),
            configuration => self.configuration.as_str(), host => self.host.as_str(),
        };
        let render = |part: &str| {
            let name = self.own(first, part).unwrap_or_else(|| part.to_owned());
            self.environment
                .get_template(&name)
                .and_then(|template| template.render(&values))
                .map_err(|error| format!("template `{name}`: {error:#}"))
        };
        Ok(Message {
            // a subject is one line
            subject: render("subject")?
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
            body: render("body")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use alarm::Severity;

    use super::super::notice::tests::notice;
    use super::*;

    fn own(channel: &str, subject: Option<&str>, body: Option<&str>) -> NoticeTemplate {
        NoticeTemplate {
            channel: channel.to_owned(),
            subject: subject.map(str::to_owned),
            body: body.map(str::to_owned),
        }
    }

    #[test]
    fn one_alarm_has_its_own_words_and_many_are_counted() {
        let templates = Templates::new(&[], "X", "h").unwrap();
        let one = notice("a@b", "/X/V/a", Severity::Major);
        let message = templates.message(std::slice::from_ref(&one)).unwrap();
        assert_eq!(
            (message.subject, message.body),
            (one.subject.clone(), one.body.clone())
        );
        let mut many: Vec<Notice> = (0..60)
            .map(|number| notice("a@b", &format!("/X/V/p{number}"), Severity::Minor))
            .collect();
        many.push(one);
        let message = templates.message(&many).unwrap();
        assert_eq!(message.subject, "61 alarms in /X/V");
        let mut lines = message.body.lines();
        assert_eq!(lines.next(), Some("1 MAJOR, 60 MINOR"));
        assert_eq!(
            message.body.lines().last(),
            Some("and 11 more"),
            "{}",
            message.body
        );
        assert!(
            message
                .body
                .contains("MINOR /X/V/p7: MINOR alarm: /X/V/p7\n")
        );
        let over: Vec<Notice> = (0..3)
            .map(|number| notice("a@b", &format!("/X/V/p{number}"), Severity::Ok))
            .collect();
        let message = templates.message(&over).unwrap();
        assert_eq!(message.subject, "3 alarms in /X/V are over");
    }

    #[test]
    fn the_nearest_template_counts() {
        let settings = [
            own(
                "mailto",
                Some("[{{ configuration }}] {{ count }}\n{{ severity }}"),
                None,
            ),
            own(
                "mailto:night@lab",
                Some("call {{ path }}"),
                Some("{{ host }}"),
            ),
        ];
        let templates = Templates::new(&settings, "X", "h").unwrap();
        let message = |target: &str| {
            let one = [notice(target, "/X/a", Severity::Major)];
            let message = templates.message(&one).unwrap();
            (message.subject, message.body)
        };
        assert_eq!(
            message("day@lab"),
            ("[X] 1 MAJOR".to_owned(), "PV: …".to_owned())
        );
        assert_eq!(
            message("night@lab"),
            ("call /X/a".to_owned(), "h".to_owned())
        );
    }

    #[test]
    fn mistakes_are_found_at_the_start() {
        let rows = [
            (own("mailto", Some("{{ sevrity }}"), None), "mailto/subject"),
            (own("slack", None, Some("{% if %}")), "slack/body"),
            (own("pager", None, Some("x")), "`pager` is none of"),
            (
                own("teams", None, Some("{% if count > 1 %}{{ x }}{% endif %}")),
                "teams/body",
            ),
        ];
        for (template, expected) in rows {
            let error = Templates::new(&[template], "X", "h").unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
