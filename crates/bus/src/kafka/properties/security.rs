//! Logins, stores and TLS: names that mean something only together.

use std::path::Path;

use super::jaas;
use super::stores::{self, Format};
use super::syntax::{Entry, Place};
use super::{Error, File};

const LOGIN: &str = "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username=\"USER\" password=\"PASSWORD\";";

/// Maps all of it.
pub(super) fn map(file: &mut File<'_>) -> Result<(), Error> {
    let protocol = file.find("security.protocol");
    let name = protocol
        .as_ref()
        .map_or("PLAINTEXT".to_owned(), |entry| entry.text().to_uppercase());
    let (tls, login) = match name.as_str() {
        "PLAINTEXT" => (false, false),
        "SSL" => (true, false),
        "SASL_PLAINTEXT" => (false, true),
        "SASL_SSL" => (true, true),
        _ => {
            let at = protocol
                .as_ref()
                .map_or(Place { line: 1, column: 1 }, |entry| entry.value_at);
            let problem = "`security.protocol` must be PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL";
            return Err(file.error(at, problem).hint("security.protocol=SASL_SSL"));
        }
    };
    let without = |file: &mut File<'_>, begin: &str| {
        let names: Vec<_> = file
            .entries
            .values()
            .filter(|entry| entry.name.starts_with(begin))
            .cloned()
            .collect();
        for entry in names {
            file.warn(
                entry.name_at,
                &entry.name,
                format!("`security.protocol` is {name}"),
            );
        }
    };
    if protocol.is_some() {
        file.set("security.protocol", name.to_lowercase());
    }
    match (login, &protocol) {
        (true, Some(protocol)) => map_login(file, protocol)?,
        _ => without(file, "sasl."),
    }
    if tls {
        map_verification(file)?;
        map_truststore(file)?;
        map_keystore(file)?;
    } else {
        without(file, "ssl.");
    }
    Ok(())
}

fn map_login(file: &mut File<'_>, protocol: &Entry) -> Result<(), Error> {
    let Some(mechanism) = file.find("sasl.mechanism") else {
        let problem = "without `sasl.mechanism` the login is by GSSAPI (Kerberos), which is not built into this program";
        return Err(file
            .error(protocol.name_at, problem)
            .hint("sasl.mechanism=SCRAM-SHA-512"));
    };
    let module_wanted = match mechanism.text().as_str() {
        "PLAIN" => "PlainLoginModule",
        "SCRAM-SHA-256" | "SCRAM-SHA-512" => "ScramLoginModule",
        "GSSAPI" => {
            let problem = "GSSAPI (Kerberos) is not built into this program";
            return Err(file
                .error(mechanism.value_at, problem)
                .hint("use a listener of the brokers with SCRAM-SHA-512 or TLS certificates"));
        }
        "OAUTHBEARER" => {
            let problem = "OAUTHBEARER is not built into this program";
            return Err(file
                .error(mechanism.value_at, problem)
                .hint("use a listener of the brokers with SCRAM-SHA-512 or TLS certificates"));
        }
        _ => {
            let problem = "`sasl.mechanism` must be PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512";
            return Err(file
                .error(mechanism.value_at, problem)
                .hint("sasl.mechanism=SCRAM-SHA-512"));
        }
    };
    let Some(config) = file.find("sasl.jaas.config") else {
        let problem = "user and password are missing: there is no `sasl.jaas.config`";
        return Err(file.error(mechanism.name_at, problem).hint(LOGIN));
    };
    let module = jaas::parse(&config.value).map_err(|broken| {
        let error = file.error(
            broken.at.unwrap_or(config.value_at),
            format!("`sasl.jaas.config`: {}", broken.problem),
        );
        match broken.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })?;
    let at = module.class_at.unwrap_or(config.value_at);
    if module.class != module_wanted {
        let class = if module.class.ends_with("LoginModule") {
            module.class.as_str()
        } else {
            "this module"
        };
        let problem = format!(
            "`sasl.mechanism={}` needs the module {module_wanted}, not {class}",
            mechanism.text()
        );
        return Err(file
            .error(at, problem)
            .hint(LOGIN.replace("scram.ScramLoginModule", &module_path(module_wanted))));
    }
    if module
        .option("tokenauth")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    {
        return Err(file
            .error(
                at,
                "logins by delegation token are not built into this program",
            )
            .hint(LOGIN));
    }
    for (option, name) in [("username", "sasl.username"), ("password", "sasl.password")] {
        let Some(value) = module.option(option) else {
            let problem = format!("`sasl.jaas.config` has no `{option}`");
            return Err(file
                .error(at, problem)
                .hint(LOGIN.replace("scram.ScramLoginModule", &module_path(module_wanted))));
        };
        if option == "password" {
            file.set_secret(name, value);
        } else {
            file.set(name, value);
        }
    }
    file.set("sasl.mechanism", mechanism.text());
    Ok(())
}

fn module_path(module: &str) -> String {
    format!(
        "{}.{module}",
        if module == "PlainLoginModule" {
            "plain"
        } else {
            "scram"
        }
    )
}

fn map_verification(file: &mut File<'_>) -> Result<(), Error> {
    let Some(entry) = file.find("ssl.endpoint.identification.algorithm") else {
        return Ok(());
    };
    let value = match entry.text().to_lowercase().as_str() {
        "https" => "https",
        // Java: an empty value turns it off.
        "" => "none",
        _ => {
            let problem = "`ssl.endpoint.identification.algorithm` must be `https`, or empty to accept any host name";
            return Err(file.error(entry.value_at, problem));
        }
    };
    file.set("ssl.endpoint.identification.algorithm", value);
    Ok(())
}

/// The type of a store as it is written; Java's default is JKS.
fn store_type(file: &File<'_>, name: &str) -> Result<Option<String>, Error> {
    let Some(entry) = file.find(name) else {
        return Ok(None);
    };
    let kind = entry.text().to_uppercase();
    if ["PEM", "JKS", "PKCS12"].contains(&kind.as_str()) {
        return Ok(Some(kind));
    }
    Err(file
        .error(
            entry.value_at,
            format!("`{name}` must be PEM, PKCS12 or JKS"),
        )
        .hint(format!("{name}=PEM")))
}

/// Looks at a store's file.
fn look(file: &File<'_>, location: &Entry) -> Result<(Format, Vec<u8>), Error> {
    let path = location.text();
    let (format, bytes) = stores::read(Path::new(&path)).map_err(|error| {
        let cause = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            kind => kind.to_string(),
        };
        file.error(
            location.value_at,
            format!("`{path}` cannot be read: {cause}"),
        )
        .hint(format!("ls -l {path}"))
    })?;
    if format == Format::Unknown {
        let problem = format!("`{path}` is neither PEM nor PKCS12 nor JKS");
        return Err(file
            .error(location.value_at, problem)
            .hint(format!("openssl x509 -in {path} -noout -subject")));
    }
    Ok((format, bytes))
}

/// The type that is written must be that of the file; Java reads JKS and PKCS12 under either name.
fn agree(
    file: &File<'_>,
    location: &Entry,
    written: Option<&str>,
    format: Format,
) -> Result<(), Error> {
    match (written, format) {
        (Some("PEM"), Format::Pem)
        | (Some("JKS" | "PKCS12"), Format::Jks | Format::Pkcs12)
        | (None, _) => Ok(()),
        (Some(written), _) => {
            let kind = match format {
                Format::Pem => "PEM",
                Format::Jks => "JKS",
                Format::Pkcs12 => "PKCS12",
                Format::Unknown => "of no known kind",
            };
            let name = location.name.replace(".location", ".type");
            let problem = format!("`{}` is {kind}, and `{name}` is {written}", location.text());
            Err(file
                .error(location.value_at, problem)
                .hint(format!("{name}={kind}")))
        }
    }
}

/// Java refuses a password for a store in PEM too.
fn no_password(file: &File<'_>, name: &str) -> Result<(), Error> {
    match file.find(name) {
        Some(password) => Err(file
            .error(password.name_at, format!("a store in PEM has no `{name}`"))
            .hint("remove it; an encrypted key has `ssl.key.password`")),
        None => Ok(()),
    }
}

/// The file name with another ending.
fn with_ending(path: &str, ending: &str) -> String {
    Path::new(path).with_extension(ending).display().to_string()
}

fn pem_only(
    file: &File<'_>,
    entry: &Entry,
    written: Option<&str>,
    type_name: &str,
) -> Result<Vec<stores::Block>, Error> {
    if written != Some("PEM") {
        let problem = format!("`{}` wants `{type_name}=PEM`", entry.name);
        return Err(file
            .error(entry.name_at, problem)
            .hint(format!("{type_name}=PEM")));
    }
    stores::blocks(&entry.text())
        .map_err(|problem| file.error(entry.value_at, format!("`{}`: {problem}", entry.name)))
}

fn map_truststore(file: &mut File<'_>) -> Result<(), Error> {
    let written = store_type(file, "ssl.truststore.type")?;
    let location = file.find("ssl.truststore.location");
    if let Some(entry) = file.find("ssl.truststore.certificates") {
        if let Some(location) = location {
            return Err(file.error(
                location.name_at,
                "both `ssl.truststore.location` and `ssl.truststore.certificates` are given",
            ));
        }
        let blocks = pem_only(file, &entry, written.as_deref(), "ssl.truststore.type")?;
        no_password(file, "ssl.truststore.password")?;
        if !blocks.iter().all(stores::Block::is_certificate) {
            return Err(file.error(
                entry.value_at,
                "`ssl.truststore.certificates` has something else than certificates",
            ));
        }
        file.set("ssl.ca.pem", stores::text(&blocks));
        return Ok(());
    }
    let Some(location) = location else {
        return Ok(());
    };
    let path = location.text();
    let (format, bytes) = look(file, &location)?;
    agree(file, &location, written.as_deref(), format)?;
    let pem = with_ending(&path, "pem");
    let convert = match format {
        Format::Jks => format!("keytool -list -rfc -keystore {path} >{pem}"),
        Format::Pkcs12 => format!("openssl pkcs12 -in {path} -nokeys -out {pem}"),
        Format::Pem | Format::Unknown => {
            no_password(file, "ssl.truststore.password")?;
            let blocks = stores::blocks(&String::from_utf8_lossy(&bytes)).unwrap_or_default();
            if !blocks.iter().any(stores::Block::is_certificate) {
                return Err(file.error(location.value_at, format!("`{path}` has no certificate")));
            }
            file.set("ssl.ca.location", path);
            return Ok(());
        }
    };
    let kind = if format == Format::Jks {
        "a store of Java's own kind (JKS)"
    } else {
        "a PKCS12 store"
    };
    let problem =
        format!("`{path}` is {kind}, which cannot be used for authorities here: convert it to PEM");
    Err(file.error(location.value_at, problem).hint(format!("{convert}, then ssl.truststore.type=PEM and ssl.truststore.location={pem}, without ssl.truststore.password")))
}

fn map_keystore(file: &mut File<'_>) -> Result<(), Error> {
    let written = store_type(file, "ssl.keystore.type")?;
    let location = file.find("ssl.keystore.location");
    let key_password = file.find("ssl.key.password");
    let (key, chain) = (
        file.find("ssl.keystore.key"),
        file.find("ssl.keystore.certificate.chain"),
    );
    if let Some(given) = key.as_ref().or(chain.as_ref()) {
        if let Some(location) = location {
            return Err(file.error(
                location.name_at,
                format!(
                    "both `ssl.keystore.location` and `{}` are given",
                    given.name
                ),
            ));
        }
        let (Some(key), Some(chain)) = (&key, &chain) else {
            let problem = "`ssl.keystore.key` and `ssl.keystore.certificate.chain` belong together";
            return Err(file.error(given.name_at, problem));
        };
        let (keys, certificates) = (
            pem_only(file, key, written.as_deref(), "ssl.keystore.type")?,
            pem_only(file, chain, written.as_deref(), "ssl.keystore.type")?,
        );
        no_password(file, "ssl.keystore.password")?;
        if keys.len() != 1 || !keys[0].is_private_key() {
            return Err(file.error(key.value_at, "`ssl.keystore.key` must be one private key"));
        }
        if !certificates.iter().all(stores::Block::is_certificate) {
            return Err(file.error(
                chain.value_at,
                "`ssl.keystore.certificate.chain` has something else than certificates",
            ));
        }
        file.set_secret("ssl.key.pem", stores::text(&keys));
        file.set("ssl.certificate.pem", stores::text(&certificates));
        if let Some(password) = key_password {
            file.set_secret("ssl.key.password", password.text());
        }
        return Ok(());
    }
    let Some(location) = location else {
        return Ok(());
    };
    let path = location.text();
    let (format, bytes) = look(file, &location)?;
    agree(file, &location, written.as_deref(), format)?;
    match format {
        Format::Jks => {
            let store = with_ending(&path, "p12");
            let problem = format!(
                "`{path}` is a store of Java's own kind (JKS), which cannot be used here: convert it to PKCS12"
            );
            Err(file.error(location.value_at, problem).hint(format!(
                "keytool -importkeystore -srckeystore {path} -destkeystore {store} -deststoretype PKCS12, then ssl.keystore.type=PKCS12 and ssl.keystore.location={store}"
            )))
        }
        Format::Pkcs12 => {
            file.set("ssl.keystore.location", path);
            // Both are the same in PKCS12; Java wants the store's.
            if let Some(password) = file.find("ssl.keystore.password").or(key_password) {
                file.set_secret("ssl.keystore.password", password.text());
            }
            Ok(())
        }
        Format::Pem | Format::Unknown => {
            no_password(file, "ssl.keystore.password")?;
            let blocks = stores::blocks(&String::from_utf8_lossy(&bytes)).unwrap_or_default();
            for (wanted, what) in [
                (
                    blocks.iter().any(stores::Block::is_private_key),
                    "private key",
                ),
                (
                    blocks.iter().any(stores::Block::is_certificate),
                    "certificate",
                ),
            ] {
                if !wanted {
                    let problem = format!(
                        "`{path}` has no {what}; a PEM key store has the key and its certificates in one file"
                    );
                    return Err(file
                        .error(location.value_at, problem)
                        .hint(format!("cat client.key client.crt >{path}")));
                }
            }
            file.set("ssl.key.location", path.clone());
            file.set("ssl.certificate.location", path);
            if let Some(password) = key_password {
                file.set_secret("ssl.key.password", password.text());
            }
            Ok(())
        }
    }
}
