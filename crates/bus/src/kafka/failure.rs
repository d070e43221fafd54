//! What the library and the brokers say, in words that tell what to do.

use std::sync::Arc;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::Error;

/// Whether a broker answered and said no, so that waiting does not help.
pub(super) fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState
            | Code::SSL
    )
}

/// Whether the same will be said however often it is asked.
pub(super) fn is_for_good(error: &KafkaError) -> bool {
    error
        .rdkafka_error_code()
        .is_some_and(|code| is_refusal(code) || is_forbidden(code) || is_missing(code))
}

pub(super) fn is_forbidden(code: Code) -> bool {
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::GroupAuthorizationFailed
    )
}

pub(super) fn is_missing(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition
    )
}

/// A broker's own words without the library's decoration, with names that a `client.properties` file has.
pub(super) fn reason(servers: &str, code: Code, reason: &str) -> String {
    let mut words = reason.to_owned();
    // `(after 5ms in state CONNECT, 2 identical error(s) suppressed)` counts time, and makes each message another one.
    while let Some(begin) = words.find("(after ") {
        let mut depth = 0;
        let end = words[begin..].find(|character| {
            depth += i32::from(character == '(') - i32::from(character == ')');
            depth == 0
        });
        words.replace_range(begin..end.map_or(words.len(), |end| begin + end + 1), "");
    }
    let words = words
        .replace("verify that ssl.ca.location is correctly configured or root CA certificates are installed", "its authority is unknown here")
        .replace("(add broker's CA certificate to the Windows Root certificate store)", "")
        .replace("(install ca-certificates package)", "")
        .replace("/bootstrap:", ":");
    let words = words.trim().trim_end_matches([':', ' ']);
    if words.is_empty() {
        format!("`{servers}`: {code}")
    } else {
        words.to_owned()
    }
}

/// None of the brokers could be reached.
pub(super) fn connection(servers: &str, code: Code, cause: String) -> Error {
    let lower = cause.to_lowercase();
    let first = servers.split(',').next().unwrap_or(servers);
    let hint = if lower.contains("connecting to a ssl listener")
        || lower.contains("as one with tls does")
    {
        "set `security.protocol=SSL` or `SASL_SSL` in the properties file: the broker wants TLS there".to_owned()
    } else if lower.contains("certificate required") || lower.contains("bad certificate") {
        "give a client certificate in the properties file: `ssl.keystore.type=PEM` and `ssl.keystore.location`".to_owned()
    } else if lower.contains("authority is unknown")
        || lower.contains("certificate verify failed")
        || lower.contains("self-signed")
    {
        "give the authority's certificate in the properties file: `ssl.truststore.type=PEM` and \
         `ssl.truststore.location`; the broker's certificate must name the host that you connect to"
            .to_owned()
    } else if lower.contains("wrong version number")
        || lower.contains("ssl connection closed by peer")
    {
        "set `security.protocol=PLAINTEXT` or `SASL_PLAINTEXT` in the properties file: the broker has no TLS there"
            .to_owned()
    } else if matches!(code, Code::UnsupportedSASLMechanism)
        || lower.contains("unsupported") && lower.contains("mechanism")
    {
        "ask the broker's administrator which `sasl.mechanism` it offers".to_owned()
    } else if is_refusal(code) && code != Code::SSL {
        "check user and password in `sasl.jaas.config`, and `sasl.mechanism`, in the properties file".to_owned()
    } else if code == Code::Resolve || lower.contains("resolve") {
        format!(
            "getent hosts {}",
            first.rsplit_once(':').map_or(first, |(host, _)| host)
        )
    } else {
        format!("nc -vz {}", first.replace(':', " "))
    };
    Error::Failed {
        doing: format!("connecting to Kafka `{servers}`"),
        cause,
        hint: Some(hint),
    }
}

/// The library refused its settings.
pub(super) fn creation(servers: &str, error: &KafkaError) -> Error {
    let (cause, hint) = match error {
        KafkaError::ClientConfig(_, description, name, _) => (
            format!(
                "the setting `{name}` is refused: {}",
                description.trim_end_matches(['.', '\n'])
            ),
            Some(format!("look at `{name}` in the properties file")),
        ),
        KafkaError::ClientCreation(description) => store(description),
        other => (other.to_string(), None),
    };
    // The library puts what it was given in quotation marks; it never does so for passwords.
    Error::Failed {
        doing: format!("connecting to Kafka `{servers}`"),
        cause,
        hint,
    }
}

/// What the library says about stores, with the names that a `client.properties` file has.
fn store(description: &str) -> (String, Option<String>) {
    let known = [
        (
            "ssl.key.",
            "the private key cannot be used",
            "check `ssl.key.password`, and the key in the PEM key store",
        ),
        (
            "ssl.keystore.",
            "the key store cannot be opened",
            "check `ssl.keystore.password` and `ssl.keystore.location`",
        ),
        (
            "ssl.certificate.",
            "the client certificate cannot be used",
            "check the certificates in the PEM key store",
        ),
        (
            "ssl.ca.",
            "the trust store cannot be used",
            "check the certificates in the trust store",
        ),
    ];
    let detail = description
        .split_once(" failed: ")
        .map_or(description, |(_, detail)| detail)
        .trim_end_matches([' ', ':']);
    match known.iter().find(|(name, ..)| description.contains(name)) {
        Some((_, cause, hint)) => (format!("{cause}: {detail}"), Some((*hint).to_owned())),
        None => (description.to_owned(), None),
    }
}

/// An error with a topic.
pub(super) fn with_topic(
    doing: &str,
    topic: &Arc<str>,
    servers: &str,
    error: &KafkaError,
) -> Error {
    match error.rdkafka_error_code() {
        Some(code) => from_code(doing, topic, servers, code),
        None => failed(doing, topic, servers, &error.to_string(), None),
    }
}

/// An error with a topic, from its code.
pub(super) fn from_code(doing: &str, topic: &Arc<str>, servers: &str, code: Code) -> Error {
    match code {
        code if is_missing(code) => missing(topic, servers),
        code if is_forbidden(code) => {
            let operation = match doing {
                "writing to" => "write",
                "reading from" => "read",
                "making" => "create",
                _ => "alter-configs",
            };
            let hint = format!(
                "kafka-acls.sh --bootstrap-server {servers} --add --allow-principal User:NAME --operation {operation} --topic {topic}"
            );
            failed(doing, topic, servers, "the broker forbids it", Some(hint))
        }
        Code::InvalidTopic => {
            let cause = "this is no name for a topic: letters, digits, `.`, `_` and `-` make one, at most 249 of them";
            failed(doing, topic, servers, cause, None)
        }
        Code::MessageSizeTooLarge => {
            let hint = format!(
                "kafka-configs.sh --bootstrap-server {servers} --alter --topic {topic} --add-config max.message.bytes=1048588"
            );
            failed(
                doing,
                topic,
                servers,
                "the record is larger than `max.message.bytes` of the topic",
                Some(hint),
            )
        }
        Code::OperationTimedOut | Code::BrokerTransportFailure | Code::AllBrokersDown => failed(
            doing,
            topic,
            servers,
            "no broker answers",
            Some(format!("nc -vz {}", servers.replace(':', " "))),
        ),
        code => failed(doing, topic, servers, &code.to_string(), None),
    }
}

pub(super) fn missing(topic: &Arc<str>, servers: &str) -> Error {
    Error::NoTopic {
        topic: Arc::clone(topic),
        bus: format!("Kafka `{servers}`"),
    }
}

pub(super) fn failed(
    doing: &str,
    topic: &Arc<str>,
    servers: &str,
    cause: &str,
    hint: Option<String>,
) -> Error {
    Error::Failed {
        doing: format!("{doing} the topic `{topic}` on Kafka `{servers}`"),
        cause: cause.to_owned(),
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_time_and_names_of_another_program_are_taken_out() {
        let said = "127.0.0.1:9/bootstrap: Connect to ipv4#127.0.0.1:9 failed: Connection refused (after 0ms in state CONNECT, 3 identical error(s) suppressed)";
        assert_eq!(
            reason("127.0.0.1:9", Code::BrokerTransportFailure, said),
            "127.0.0.1:9: Connect to ipv4#127.0.0.1:9 failed: Connection refused"
        );
        assert_eq!(
            reason("b:1", Code::AllBrokersDown, ""),
            "`b:1`: AllBrokersDown (Local: All broker connections are down)"
        );
    }
}
