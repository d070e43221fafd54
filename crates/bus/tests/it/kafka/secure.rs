//! TLS and logins through `client.properties`, good and bad, against a real broker.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bus::kafka::properties::Properties;
use bus::kafka::{Kafka, Options};
use bus::{Bus, Cleanup, Error, From, TopicPlan};

use super::broker::{Broker, or_not_checked};
use crate::contract::{all, numbered, prepare, record};

fn properties(broker: &Broker, text: &str) -> Properties {
    let text = text
        .replace("CERTIFICATES", broker.value("KAFKA_CERTIFICATES"))
        .replace("PASSWORD", broker.value("KAFKA_PASSWORD"));
    Properties::parse(Path::new("client.properties"), text.as_bytes())
        .unwrap_or_else(|error| panic!("{error}\n{}\n{:?}", error.text, error.hint))
}

async fn connect(broker: &Broker, servers: &str, text: &str) -> Result<Kafka, Error> {
    let options = Options {
        connection_timeout: Duration::from_secs(10),
        ..Options::default()
    };
    Kafka::connect(servers, &properties(broker, text), options).await
}

/// Connects, writes and reads.
async fn works(broker: &Broker, listener: &str, text: &str) {
    let bus = connect(broker, broker.value(listener), text)
        .await
        .unwrap_or_else(|error| panic!("{error} {:?}", error.hint()));
    let [topic] = prepare(&bus, ["Secure"]).await;
    let writer = bus.writer().await.unwrap();
    writer.send(numbered(&topic, 1, 0..3)).unwrap();
    writer.flush().await.unwrap();
    assert_eq!(all(&bus, &topic).await.len(), 3);
}

/// Fails to connect, soon, with these words.
async fn fails(broker: &Broker, servers: &str, text: &str, words: &[&str]) {
    let begin = std::time::Instant::now();
    let error = connect(broker, servers, text)
        .await
        .expect_err("it connected");
    let said = format!("{error}\nhint: {}", error.hint().unwrap_or_default());
    for word in words {
        assert!(said.contains(word), "`{word}` is missing in:\n{said}");
    }
    assert!(
        !said.contains("librdkafka")
            && !said.contains("ssl.ca.location")
            && !said.contains("hunter2"),
        "{said}"
    );
    assert!(
        begin.elapsed() < Duration::from_secs(9),
        "only after {:?}:\n{said}",
        begin.elapsed()
    );
}

const TRUST: &str = "ssl.truststore.type=PEM\nssl.truststore.location=CERTIFICATES/ca.pem\n";

fn login(mechanism: &str, user: &str, password: &str) -> String {
    let module = if mechanism == "PLAIN" {
        "plain.PlainLoginModule"
    } else {
        "scram.ScramLoginModule"
    };
    format!(
        "security.protocol=SASL_SSL\nsasl.mechanism={mechanism}\n\
         sasl.jaas.config=org.apache.kafka.common.security.{module} required username=\"{user}\" password=\"{password}\";\n{TRUST}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_logins_that_are_right() {
    let broker = or_not_checked!(Broker::shared());
    works(
        broker,
        "KAFKA_TLS_SERVERS",
        &format!("security.protocol=SSL\n{TRUST}"),
    )
    .await;
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        works(
            broker,
            "KAFKA_SASL_SERVERS",
            &login(mechanism, "operator", "PASSWORD"),
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_of_the_client() {
    let broker = or_not_checked!(Broker::shared());
    let stores = [
        "ssl.keystore.type=PEM\nssl.keystore.location=CERTIFICATES/client.pem\n",
        "ssl.keystore.type=PEM\nssl.keystore.location=CERTIFICATES/client-encrypted.pem\nssl.key.password=PASSWORD\n",
        "ssl.keystore.type=PKCS12\nssl.keystore.location=CERTIFICATES/client.p12\nssl.keystore.password=PASSWORD\n",
    ];
    for store in stores {
        works(
            broker,
            "KAFKA_MUTUAL_SERVERS",
            &format!("security.protocol=SSL\n{TRUST}{store}"),
        )
        .await;
    }
    // all of it in the file itself, each in one line as Java takes it
    let read = |name: &str| {
        fs_err::read_to_string(Path::new(broker.value("KAFKA_CERTIFICATES")).join(name))
            .unwrap()
            .replace('\n', " ")
    };
    let both = read("client.pem");
    let (key, chain) = both.split_at(both.find("-----BEGIN CERTIFICATE").unwrap());
    let inline = format!(
        "security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.certificates={}\n\
         ssl.keystore.type=PEM\nssl.keystore.key={key}\nssl.keystore.certificate.chain={chain}\n",
        read("ca.pem")
    );
    works(broker, "KAFKA_MUTUAL_SERVERS", &inline).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_that_are_wrong() {
    let broker = or_not_checked!(Broker::shared());
    let servers = broker.value("KAFKA_SASL_SERVERS");
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let words = [
            "connecting to Kafka `127.0.0.1:",
            "uthentication failed",
            "hint: check user and password in `sasl.jaas.config`",
        ];
        fails(
            broker,
            servers,
            &login(mechanism, "operator", "hunter2"),
            &words,
        )
        .await;
        fails(
            broker,
            servers,
            &login(mechanism, "nobody", "hunter2"),
            &words,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_that_is_wrong() {
    let broker = or_not_checked!(Broker::shared());
    let (tls, plain) = (broker.value("KAFKA_TLS_SERVERS"), broker.servers());
    let trust = [
        "certificate verify failed",
        "hint: give the authority's certificate",
        "ssl.truststore.location",
    ];
    fails(broker, tls, "security.protocol=SSL\n", &trust).await;
    let other = TRUST.replace("ca.pem", "other-ca.pem");
    fails(
        broker,
        tls,
        &format!("security.protocol=SSL\n{other}"),
        &trust,
    )
    .await;
    // its certificate has the address only
    let by_name = tls.replace("127.0.0.1", "localhost");
    fails(
        broker,
        &by_name,
        &format!("security.protocol=SSL\n{TRUST}"),
        &["must name the host that you connect to"],
    )
    .await;
    fails(broker, tls, "", &["hint: set `security.protocol=SSL`"]).await;
    fails(
        broker,
        plain,
        &format!("security.protocol=SSL\n{TRUST}"),
        &["hint: set `security.protocol=PLAINTEXT`"],
    )
    .await;
    let mutual = broker.value("KAFKA_MUTUAL_SERVERS");
    fails(
        broker,
        mutual,
        &format!("security.protocol=SSL\n{TRUST}"),
        &["hint: give a client certificate"],
    )
    .await;
    let wrong = format!(
        "security.protocol=SSL\n{TRUST}ssl.keystore.type=PEM\nssl.keystore.location=CERTIFICATES/client-encrypted.pem\nssl.key.password=hunter2\n"
    );
    fails(
        broker,
        mutual,
        &wrong,
        &["the private key cannot be used", "`ssl.key.password`"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_name_need_not_match_if_the_file_says_so() {
    let broker = or_not_checked!(Broker::shared());
    let by_name = broker
        .value("KAFKA_TLS_SERVERS")
        .replace("127.0.0.1", "localhost");
    let text = format!("security.protocol=SSL\n{TRUST}ssl.endpoint.identification.algorithm=\n");
    connect(broker, &by_name, &text).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forbidden_is_said() {
    let broker = or_not_checked!(Broker::shared());
    let operator = broker.connect().await;
    let [topic] = prepare(&operator, ["Forbidden"]).await;
    let guest = connect(
        broker,
        broker.value("KAFKA_SASL_SERVERS"),
        &login("SCRAM-SHA-256", "guest", "PASSWORD"),
    )
    .await
    .unwrap();
    let servers = broker.value("KAFKA_SASL_SERVERS");
    let said = |error: &Error| format!("{error}\nhint: {}", error.hint().unwrap_or_default());
    let place = format!(
        "the topic `{topic}` on Kafka `{servers}`: the broker forbids it\nhint: kafka-acls.sh --bootstrap-server {servers}"
    );

    let error = guest
        .prepare(&[TopicPlan {
            name: Arc::clone(&topic),
            cleanup: Cleanup::Compact,
        }])
        .await
        .unwrap_err();
    assert!(said(&error).contains(&place), "{}", said(&error));
    let error = guest
        .read(&[(Arc::clone(&topic), From::Beginning)])
        .await
        .err()
        .unwrap();
    assert!(said(&error).contains(&place), "{}", said(&error));
    let writer = guest.writer().await.unwrap();
    writer.send(vec![record(&topic, "k", None)]).unwrap();
    let error = writer.flush().await.unwrap_err();
    assert!(said(&error).contains(&place), "{}", said(&error));
    assert_eq!(all(&operator, &topic).await, []);

    // With leave to see and to write, but not to change: what is there is used as it is.
    let principal = ["--allow-principal", "User:guest", "--topic", &topic];
    let operations = [
        "--add",
        "--operation",
        "Describe",
        "--operation",
        "DescribeConfigs",
        "--operation",
        "Write",
        "--operation",
        "Read",
    ];
    broker.tool(
        "org.apache.kafka.tools.AclCommand",
        &[&operations[..], &principal].concat(),
    );
    guest
        .prepare(&[TopicPlan {
            name: Arc::clone(&topic),
            cleanup: Cleanup::Compact,
        }])
        .await
        .unwrap();
    let writer = guest.writer().await.unwrap();
    writer.send(vec![record(&topic, "k", Some("v"))]).unwrap();
    writer.flush().await.unwrap();
    assert_eq!(all(&guest, &topic).await.len(), 1);
    // A wrong policy that cannot be corrected is an error with what to do.
    let error = guest
        .prepare(&[TopicPlan {
            name: Arc::clone(&topic),
            cleanup: Cleanup::Delete,
        }])
        .await
        .unwrap_err();
    let said = said(&error);
    assert!(
        said.contains("cleanup.policy=delete") && said.contains("the broker forbids it"),
        "{said}"
    );
    assert!(said.contains(&format!("hint: kafka-configs.sh --bootstrap-server {servers} --alter --topic {topic} --add-config cleanup.policy=delete")), "{said}");
}
