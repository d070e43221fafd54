//! Files good and bad, with the whole message.

use pretty_assertions::assert_eq;

use super::*;

const SCRAM: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";
const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";
const BODY: &str = "MIIBCg==";

fn parse(text: &str) -> Result<Properties, Error> {
    Properties::parse(Path::new("client.properties"), text.as_bytes())
}

#[track_caller]
fn mapped(text: &str, expected: &[(&str, &str)]) -> Properties {
    let properties = parse(text).unwrap_or_else(|error| panic!("{error} {:?}", error.hint));
    assert_eq!(properties.entries().collect::<Vec<_>>(), expected);
    properties
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = parse(text).expect_err("it is accepted");
    let hint = error
        .hint
        .as_ref()
        .map_or(String::new(), |hint| format!("\nhint: {hint}"));
    assert_eq!(
        format!("{error}\n{}{hint}", error.text),
        format!("`client.properties` {expected}")
    );
}

/// A folder with stores, whose path stands for FOLDER in a text.
fn with_stores(text: &str) -> (String, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let certificate = format!("-----BEGIN CERTIFICATE-----\n{BODY}\n-----END CERTIFICATE-----\n");
    let key = format!("-----BEGIN PRIVATE KEY-----\n{BODY}\n-----END PRIVATE KEY-----\n");
    for (name, content) in [
        ("ca.pem", certificate.as_bytes()),
        ("both.pem", format!("{key}{certificate}").as_bytes()),
        ("key.pem", key.as_bytes()),
        ("store.jks", &[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2]),
        ("store.p12", &[0x30, 0x82, 1, 2]),
        ("store.txt", b"hello"),
    ] {
        fs_err::write(folder.path().join(name), content).unwrap();
    }
    (
        text.replace("FOLDER", &folder.path().display().to_string()),
        folder,
    )
}

#[track_caller]
fn mapped_with_stores(text: &str, expected: &[(&str, &str)]) -> Vec<String> {
    let (text, folder) = with_stores(text);
    let path = folder.path().display().to_string();
    let properties = parse(&text).unwrap_or_else(|error| panic!("{error} {:?}", error.hint));
    let found: Vec<_> = properties
        .entries()
        .map(|(name, value)| (name.to_owned(), value.replace(&path, "FOLDER")))
        .collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    assert_eq!(found, expected);
    properties
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[track_caller]
fn refused_with_stores(text: &str, expected: &str) {
    let (text, folder) = with_stores(text);
    let path = folder.path().display().to_string();
    let error = parse(&text).expect_err("it is accepted");
    let hint = error
        .hint
        .as_ref()
        .map_or(String::new(), |hint| format!("\nhint: {hint}"));
    let found = format!("{error}{hint}").replace(&path, "FOLDER");
    assert_eq!(found, format!("`client.properties` {expected}"));
}

#[test]
fn an_empty_file_is_no_settings() {
    mapped("# nothing\n", &[]);
}

#[test]
fn names_that_mean_the_same() {
    mapped(
        "client.id = alarm\nrequest.timeout.ms=20000\nreceive.buffer.bytes=-1\nsend.buffer.bytes 65536\n\
         compression.type: zstd\nconnections.max.idle.ms=540000\nreconnect.backoff.max.ms=2000\nclient.rack=r1\n",
        &[
            ("client.id", "alarm"),
            ("client.rack", "r1"),
            ("compression.type", "zstd"),
            ("connections.max.idle.ms", "540000"),
            ("reconnect.backoff.max.ms", "2000"),
            ("socket.receive.buffer.bytes", "0"),
            ("socket.send.buffer.bytes", "65536"),
            ("socket.timeout.ms", "20000"),
        ],
    );
}

#[test]
fn names_without_effect_are_told() {
    let text = "bootstrap.servers=a:9092\nacks=1\nlinger.ms=20\nssl.truststore.location=/x\nsasl.mechanism=PLAIN\nclient.id=a\nclient.id=b\n";
    let properties = mapped(text, &[("client.id", "b")]);
    let warnings: Vec<_> = properties
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        warnings,
        [
            "`client.properties` line 1: `bootstrap.servers` has no effect: the brokers are named on the command line, or in ioc.toml",
            "`client.properties` line 2: `acks` has no effect: writing always waits for all replicas",
            "`client.properties` line 3: `linger.ms` has no effect: records go out at once",
            "`client.properties` line 4: `ssl.truststore.location` has no effect: `security.protocol` is PLAINTEXT",
            "`client.properties` line 5: `sasl.mechanism` has no effect: `security.protocol` is PLAINTEXT",
            "`client.properties` line 6: `client.id` has no effect: it is set again further down",
        ]
    );
}

#[test]
fn logins() {
    mapped(
        &format!(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\nsasl.jaas.config={SCRAM} required \\\n  username=\"op\" \\\n  password=\"a\\\\\"b;c\";\n"
        ),
        &[
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.password", "a\"b;c"),
            ("sasl.username", "op"),
            ("security.protocol", "sasl_plaintext"),
        ],
    );
    mapped(
        &format!(
            "security.protocol=sasl_ssl\nsasl.mechanism=PLAIN\nsasl.jaas.config={PLAIN} required username=op password=pw;\nssl.endpoint.identification.algorithm=\n"
        ),
        &[
            ("sasl.mechanism", "PLAIN"),
            ("sasl.password", "pw"),
            ("sasl.username", "op"),
            ("security.protocol", "sasl_ssl"),
            ("ssl.endpoint.identification.algorithm", "none"),
        ],
    );
}

#[test]
fn stores() {
    let warnings = mapped_with_stores(
        "security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.location=FOLDER/ca.pem\n\
         ssl.keystore.type=PEM\nssl.keystore.location=FOLDER/both.pem\nssl.key.password=pw\nssl.enabled.protocols=TLSv1.3\n",
        &[
            ("security.protocol", "ssl"),
            ("ssl.ca.location", "FOLDER/ca.pem"),
            ("ssl.certificate.location", "FOLDER/both.pem"),
            ("ssl.key.location", "FOLDER/both.pem"),
            ("ssl.key.password", "pw"),
        ],
    );
    assert_eq!(
        warnings,
        [
            "`client.properties` line 7: `ssl.enabled.protocols` has no effect: OpenSSL decides this itself"
        ]
    );
    mapped_with_stores(
        "security.protocol=SSL\nssl.keystore.type=PKCS12\nssl.keystore.location=FOLDER/store.p12\nssl.keystore.password=pw\n",
        &[
            ("security.protocol", "ssl"),
            ("ssl.keystore.location", "FOLDER/store.p12"),
            ("ssl.keystore.password", "pw"),
        ],
    );
    let inline = format!(
        "security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.certificates=-----BEGIN CERTIFICATE----- {BODY} -----END CERTIFICATE-----\n\
         ssl.keystore.type=PEM\nssl.keystore.key=-----BEGIN PRIVATE KEY-----\\n{BODY}\\n-----END PRIVATE KEY-----\n\
         ssl.keystore.certificate.chain=-----BEGIN CERTIFICATE----- {BODY} -----END CERTIFICATE-----\n"
    );
    let certificate = format!("-----BEGIN CERTIFICATE-----\n{BODY}\n-----END CERTIFICATE-----\n");
    let key = format!("-----BEGIN PRIVATE KEY-----\n{BODY}\n-----END PRIVATE KEY-----\n");
    let properties = mapped(
        &inline,
        &[
            ("security.protocol", "ssl"),
            ("ssl.ca.pem", &certificate),
            ("ssl.certificate.pem", &certificate),
            ("ssl.key.pem", &key),
        ],
    );
    assert!(!format!("{properties:?}").contains("PRIVATE KEY"));
}

#[test]
fn stores_that_have_to_be_converted() {
    refused_with_stores(
        "security.protocol=SSL\nssl.truststore.location=FOLDER/store.jks\nssl.truststore.password=pw\n",
        "line 2, column 25: `FOLDER/store.jks` is a store of Java's own kind (JKS), which cannot be used for authorities here: convert it to PEM\n\
         hint: keytool -list -rfc -keystore FOLDER/store.jks >FOLDER/store.pem, then ssl.truststore.type=PEM and ssl.truststore.location=FOLDER/store.pem, without ssl.truststore.password",
    );
    refused_with_stores(
        "security.protocol=SSL\nssl.truststore.type=PKCS12\nssl.truststore.location=FOLDER/store.p12\n",
        "line 3, column 25: `FOLDER/store.p12` is a PKCS12 store, which cannot be used for authorities here: convert it to PEM\n\
         hint: openssl pkcs12 -in FOLDER/store.p12 -nokeys -out FOLDER/store.pem, then ssl.truststore.type=PEM and ssl.truststore.location=FOLDER/store.pem, without ssl.truststore.password",
    );
    refused_with_stores(
        "security.protocol=SSL\nssl.keystore.location=FOLDER/store.jks\nssl.keystore.password=pw\n",
        "line 2, column 23: `FOLDER/store.jks` is a store of Java's own kind (JKS), which cannot be used here: convert it to PKCS12\n\
         hint: keytool -importkeystore -srckeystore FOLDER/store.jks -destkeystore FOLDER/store.p12 -deststoretype PKCS12, then ssl.keystore.type=PKCS12 and ssl.keystore.location=FOLDER/store.p12",
    );
}

#[test]
fn stores_that_are_wrong() {
    refused_with_stores(
        "security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.location=FOLDER/none.pem\n",
        "line 3, column 25: `FOLDER/none.pem` cannot be read: there is no such file\nhint: ls -l FOLDER/none.pem",
    );
    refused_with_stores(
        "security.protocol=SSL\nssl.truststore.type=JKS\nssl.truststore.location=FOLDER/ca.pem\n",
        "line 3, column 25: `FOLDER/ca.pem` is PEM, and `ssl.truststore.type` is JKS\nhint: ssl.truststore.type=PEM",
    );
    refused_with_stores(
        "security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.location=FOLDER/store.txt\n",
        "line 3, column 25: `FOLDER/store.txt` is neither PEM nor PKCS12 nor JKS\nhint: openssl x509 -in FOLDER/store.txt -noout -subject",
    );
    refused_with_stores(
        "security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.location=FOLDER/key.pem\n",
        "line 3, column 25: `FOLDER/key.pem` has no certificate",
    );
    refused_with_stores(
        "security.protocol=SSL\nssl.keystore.type=PEM\nssl.keystore.location=FOLDER/ca.pem\n",
        "line 3, column 23: `FOLDER/ca.pem` has no private key; a PEM key store has the key and its certificates in one file\n\
         hint: cat client.key client.crt >FOLDER/ca.pem",
    );
    refused_with_stores(
        "security.protocol=SSL\nssl.keystore.type=PEM\nssl.keystore.location=FOLDER/both.pem\nssl.keystore.password=pw\n",
        "line 4, column 1: a store in PEM has no `ssl.keystore.password`\nhint: remove it; an encrypted key has `ssl.key.password`",
    );
    refused(
        "security.protocol=SSL\nssl.truststore.type=DER\n",
        "line 2, column 21: `ssl.truststore.type` must be PEM, PKCS12 or JKS\nssl.truststore.type=DER\nhint: ssl.truststore.type=PEM",
    );
    refused(
        "security.protocol=SSL\nssl.keystore.type=PEM\nssl.keystore.key=-----BEGIN PRIVATE KEY-----\n",
        "line 3, column 1: `ssl.keystore.key` and `ssl.keystore.certificate.chain` belong together\nssl.keystore.key=…",
    );
}

#[test]
fn names_that_are_not_known() {
    refused(
        "client.id=a\n  ssl.trustore.location=/etc/x\n",
        "line 2, column 3: Kafka's client has no setting `ssl.trustore.location`\n  ssl.trustore.location=/etc/x\nhint: did you mean `ssl.truststore.location`?",
    );
    refused(
        "sasl.password=hunter2\n",
        "line 1, column 1: Kafka's client has no setting `sasl.password`\nsasl.password=…\nhint: did you mean `sasl.jaas.config`?",
    );
    refused(
        "colour=red\n",
        "line 1, column 1: Kafka's client has no setting `colour`\ncolour=red",
    );
    refused(
        "config.providers=file\n",
        "line 1, column 1: `config.providers`: values cannot be taken from elsewhere here\nconfig.providers=file\n\
         hint: write the values into the file, and make it readable for its owner only",
    );
}

#[test]
fn values_that_are_wrong() {
    refused(
        "request.timeout.ms = soon\n",
        "line 1, column 22: `request.timeout.ms` must be a whole number from 10 to 300000, not `soon`\nrequest.timeout.ms = soon",
    );
    refused(
        "compression.type=lzma\n",
        "line 1, column 18: `compression.type` must be one of none, gzip, snappy, lz4, zstd, not `lzma`\ncompression.type=lzma",
    );
    refused(
        "security.protocol=TLS\n",
        "line 1, column 19: `security.protocol` must be PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL\nsecurity.protocol=TLS\nhint: security.protocol=SASL_SSL",
    );
    refused(
        "security.protocol=SSL\nssl.endpoint.identification.algorithm=none\n",
        "line 2, column 39: `ssl.endpoint.identification.algorithm` must be `https`, or empty to accept any host name\nssl.endpoint.identification.algorithm=none",
    );
    refused(
        "client.id=a\\u00g0\n",
        "line 1, column 12: `\\u` wants four hexadecimal digits after it\nclient.id=a\\u00g0\nhint: a backslash that is meant as such is written `\\\\`",
    );
}

#[test]
fn logins_that_are_wrong() {
    let scram = "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-256\n";
    let login = "hint: sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username=\"USER\" password=\"PASSWORD\";";
    refused(
        "security.protocol=SASL_SSL\n",
        "line 1, column 1: without `sasl.mechanism` the login is by GSSAPI (Kerberos), which is not built into this program\n\
         security.protocol=SASL_SSL\nhint: sasl.mechanism=SCRAM-SHA-512",
    );
    refused(
        "security.protocol=SASL_SSL\nsasl.mechanism=GSSAPI\n",
        "line 2, column 16: GSSAPI (Kerberos) is not built into this program\nsasl.mechanism=GSSAPI\n\
         hint: use a listener of the brokers with SCRAM-SHA-512 or TLS certificates",
    );
    refused(
        scram,
        &format!(
            "line 2, column 1: user and password are missing: there is no `sasl.jaas.config`\nsasl.mechanism=SCRAM-SHA-256\n{login}"
        ),
    );
    refused(
        &format!("{scram}sasl.jaas.config={PLAIN} required username=\"u\" password=\"hunter2\";\n"),
        &format!(
            "line 3, column 18: `sasl.mechanism=SCRAM-SHA-256` needs the module ScramLoginModule, not PlainLoginModule\nsasl.jaas.config=…\n{login}"
        ),
    );
    refused(
        &format!(
            "{scram}sasl.jaas.config={SCRAM} required \\\n   username=\"u\" password=\"hunter2\n"
        ),
        "line 4, column 26: `sasl.jaas.config`: the \" that opens here is not closed\n…\nhint: a `\"` in a password is written `\\\\\"`",
    );
    refused(
        &format!("{scram}sasl.jaas.config={SCRAM} required username=\"u\";\n"),
        &format!(
            "line 3, column 18: `sasl.jaas.config` has no `password`\nsasl.jaas.config=…\n{login}"
        ),
    );
}

#[test]
fn nothing_that_is_printed_has_a_secret() {
    let text = format!(
        "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.jaas.config={PLAIN} required username=\"op\" password=\"hunter2\";\n"
    );
    let properties = parse(&text).unwrap();
    let said = format!("{properties:?} {properties:#?}");
    assert!(said.contains("op") && !said.contains("hunter2"), "{said}");
    // one letter broken after the other: whatever is said about it, the password is not
    for (index, _) in text.char_indices() {
        let broken = format!("{}{}", &text[..index], &text[index + 1..]);
        if let Err(error) = parse(&broken) {
            let said = format!("{error} {error:?}");
            assert!(
                !said.contains("hunter2") && !said.contains("unter2\""),
                "{broken}\n{said}"
            );
        }
    }
}

#[test]
fn a_file_that_cannot_be_read() {
    let error = Properties::read(Path::new("/nowhere/client.properties")).unwrap_err();
    assert_eq!(error.line, 0);
    assert!(
        error.to_string().contains("cannot be read: No such file"),
        "{error}"
    );
}

proptest::proptest! {
    #[test]
    fn nothing_breaks_it(text in "(security.protocol|sasl.jaas.config|ssl.keystore.key|client.id|[a-z.]{0,9})[ =:\\\\\n]{0,3}[a-zA-Z\"=;\\\\ \n-]{0,40}") {
        let _ = parse(&text).is_ok();
    }
}
