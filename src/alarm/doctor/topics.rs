//! What brokers say of themselves and of the topics of a configuration.

use std::net::IpAddr;

use bus::kafka::survey::{Broker, Details, State, Topic};

use super::{Check, Verdict};

/// Whether a broker advertises itself as something that is only itself on every machine.
pub fn is_loopback(broker: &Broker) -> bool {
    broker.host == "localhost"
        || broker
            .host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// A broker, and what connecting to where it wants to be called came to.
pub fn broker(broker: &Broker, reached: Result<(), String>) -> Check {
    let name = format!("broker {}", broker.id);
    let address = format!("{}:{}", broker.host, broker.port);
    match reached {
        Ok(()) => Check::new("bus", name, Verdict::Good, format!("answers at {address}")),
        Err(cause) => {
            let check = Check::new(
                "bus",
                name,
                Verdict::Bad,
                format!("advertises itself as {address}, which cannot be reached from here: {cause}"),
            )
            .hint("clients are sent to what `advertised.listeners` of the broker says: it has to be a name and port that they reach");
            if is_loopback(broker) {
                check.hint("this is a loopback address: every client looks for the broker on its own machine")
            } else {
                check
            }
        }
    }
}

/// A topic of a configuration on so many brokers.
pub fn topic(topic: &Topic, brokers: usize, servers: &str) -> Check {
    let check = |verdict, seen: String| Check::new("topic", &*topic.name, verdict, seen);
    match &topic.state {
        State::Missing => check(Verdict::Bad, "there is none".to_owned()).hint(
            "`ioc alarm serve` makes the topics, and so does `ioc alarm config apply FILE`, where the broker allows it",
        ),
        State::Refused(error) => {
            let refused = check(Verdict::Bad, error.to_string());
            match error.hint() {
                Some(hint) => refused.hint(hint),
                None => refused,
            }
        }
        State::There(details) => there(topic, details, brokers, servers),
    }
}

fn there(topic: &Topic, details: &Details, brokers: usize, servers: &str) -> Check {
    let name = &topic.name;
    let mut verdict = Verdict::Good;
    let mut seen = vec![format!(
        "{} of {} in sync",
        details.in_sync,
        counted(details.replicas, "replica", "replicas")
    )];
    let mut hints = Vec::new();
    let mut trouble = |worse: Verdict, what: String, hint: Option<String>| {
        verdict = verdict.max(worse);
        seen.push(what);
        hints.extend(hint);
    };
    if details.partitions != 1 {
        trouble(
            Verdict::Bad,
            format!(
                "{} partitions: the order of an alarm's records holds only in one",
                details.partitions
            ),
            Some(format!(
                "with every client stopped: kafka-topics.sh --bootstrap-server {servers} --delete --topic {name}, then start the \
                 server, and apply the configuration"
            )),
        );
    }
    if let Some(least) = details.least_in_sync {
        if details.in_sync < least {
            trouble(
                Verdict::Bad,
                format!("`min.insync.replicas` is {least}: nothing can be written"),
                Some("start the brokers that are away".to_owned()),
            );
        } else if details.replicas > 1 && least < 2 {
            trouble(
                Verdict::Warning,
                "`min.insync.replicas` is 1: what one broker has confirmed is lost with it"
                    .to_owned(),
                Some(change(servers, name, "min.insync.replicas=2")),
            );
        } else if least == details.replicas && least > 1 {
            trouble(
                Verdict::Warning,
                format!(
                    "`min.insync.replicas` is {least}, all there are: one broker away stops everything"
                ),
                Some(change(
                    servers,
                    name,
                    &format!("min.insync.replicas={}", least - 1),
                )),
            );
        }
    }
    if details.replicas == 1 && brokers > 1 {
        trouble(
            Verdict::Warning,
            format!("only one copy on {brokers} brokers: it is away with its broker"),
            Some(format!(
                "kafka-reassign-partitions.sh gives `{name}` replicas on other brokers"
            )),
        );
    } else if details.in_sync < details.replicas {
        trouble(
            Verdict::Warning,
            "copies are behind or away".to_owned(),
            None,
        );
    }
    match &details.wrong {
        None => trouble(
            Verdict::Warning,
            "its settings may not be seen".to_owned(),
            Some(format!(
                "kafka-acls.sh --bootstrap-server {servers} --add --allow-principal User:NAME --operation describe-configs --topic {name}"
            )),
        ),
        Some(wrong) if wrong.is_empty() => {
            trouble(Verdict::Good, "settings of Phoebus".to_owned(), None);
        }
        Some(wrong) => {
            // a topic that forgets the wrong way loses the configuration, or grows for ever
            let is_bad = wrong.iter().any(|setting| setting.name == "cleanup.policy");
            let list: Vec<String> = wrong
                .iter()
                .map(|setting| format!("{}={}", setting.name, setting.wanted))
                .collect();
            let found: Vec<String> = wrong
                .iter()
                .map(|setting| {
                    let found = setting.found.as_deref().unwrap_or("not set");
                    format!("{} is {found}, not {}", setting.name, setting.wanted)
                })
                .collect();
            trouble(
                if is_bad {
                    Verdict::Bad
                } else {
                    Verdict::Warning
                },
                found.join(", "),
                Some(change(servers, name, &list.join(","))),
            );
        }
    }
    Check {
        hints,
        ..Check::new("topic", &**name, verdict, seen.join("; "))
    }
}

fn change(servers: &str, topic: &str, settings: &str) -> String {
    format!(
        "kafka-configs.sh --bootstrap-server {servers} --alter --topic {topic} --add-config {settings}"
    )
}

fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}
