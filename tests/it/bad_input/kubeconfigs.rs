//! Kubeconfig files that are read as other clients read them: several files, tokens, certificates, proxies.
//!
//! The cluster behind them answers for its version and nothing else, so that a verb that got through says that nothing is
//! deployed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, Issuer, KeyPair};

use super::clusters::HISTORY;
use crate::context::TestContext;
use crate::web::{Server, certificate_file};

const VERSION: &str = r#"{"major":"1","minor":"34","gitVersion":"v1.34.2","gitCommit":"","gitTreeState":"","buildDate":"","goVersion":"","compiler":"","platform":""}"#;
const SECRETS: &str =
    r#"{"kind":"SecretList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}"#;

/// What a verb says that has got an answer.
const ANSWERED: &str = "`t02-ea-ioc-01` is not deployed in namespace `t02`";

/// What little of an API server these tests need.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("version", VERSION.into()),
        ("api/v1/namespaces/t02/secrets", SECRETS.into()),
    ]
}

/// A kubeconfig with the context `site`, the fields of its cluster and those of its user.
fn kubeconfig(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: site\n\
         clusters: [{{name: c, cluster: {{{cluster}}}}}]\n\
         contexts: [{{name: site, context: {{cluster: c, user: anna, namespace: t02}}}}]\n\
         users: [{{name: anna, user: {{{user}}}}}]\n"
    )
}

/// What `ioc history` says with a kubeconfig.
fn said(context: &TestContext, cluster: &str, user: &str) -> String {
    let path = context.root().join("kubeconfig");
    std::fs::write(&path, kubeconfig(cluster, user)).unwrap();
    let path = path.display().to_string();
    context.run(&[HISTORY, &["--kubeconfig", &path]].concat())
}

fn assert_answered(report: &str) {
    assert!(
        report.starts_with("exit code: 4") && report.contains(ANSWERED),
        "{report}"
    );
}

#[test]
fn certificates_of_servers() {
    let context = TestContext::new();
    let server = Server::start_tls(&files());
    let context = context.shown_as(server.url.clone(), "[SERVER]");
    let at = format!("server: \"{}\"", server.url);
    insta::assert_snapshot!(said(&context, &at, "token: geheim"), @"
    exit code: 12
    ----- stderr -----
    error: [SERVER] is not trusted: its certificate was not issued by the authority in the kubeconfig
      cause: invalid peer certificate: UnknownIssuer
    hint: context `site` of the kubeconfig leads to [SERVER]; `--context` names another
    ");
    let own = certificate_file(&server, context.root());
    let own = format!("{at}, certificate-authority: {}", own.display());
    assert_answered(&said(&context, &own, "token: geheim"));
    let anyone = format!("{at}, insecure-skip-tls-verify: true");
    assert_answered(&said(&context, &anyone, "token: geheim"));
    let absent = format!("{at}, certificate-authority: absent.pem");
    insta::assert_snapshot!(said(&context, &absent, "token: geheim"), @r#"
    exit code: 3
    ----- stderr -----
    error: the certificate authority of context `site` cannot be read
      cause: failed to load certificate authority: failed to read file '"[ROOT]/absent.pem"': No such file or directory (os error 2)
    "#);
    let elsewhere = at.replace("127.0.0.1", "localhost");
    let elsewhere = own.replace(&at, &elsewhere);
    let report = said(&context, &elsewhere, "token: geheim");
    assert!(
        report.contains("its certificate is for another name"),
        "{report}"
    );
    let named = format!("{elsewhere}, tls-server-name: 127.0.0.1");
    assert_answered(&said(&context, &named, "token: geheim"));
}

#[test]
fn a_server_without_a_scheme() {
    let context = TestContext::new();
    insta::assert_snapshot!(said(&context, "server: \"127.0.0.1:6443\"", "token: geheim"), @"
    exit code: 3
    ----- stderr -----
    error: the cluster of context `site` has no usable `server` URL
      cause: `127.0.0.1:6443` does not begin with `https://`
    hint: write it as `https://127.0.0.1:6443`
    ");
}

#[test]
fn logins_in_files() {
    let context = TestContext::new();
    let server = Server::start(&files());
    let at = format!("server: \"{}\"", server.url);
    insta::assert_snapshot!(said(&context, &at, "tokenFile: absent"), @"
    exit code: 13
    ----- stderr -----
    error: the token of user `anna` in `[ROOT]/absent` cannot be read
      cause: No such file or directory (os error 2)
    ");
    // relative to the kubeconfig; an editor ends it with a line
    for text in ["geheim", "geheim\n"] {
        std::fs::write(context.root().join("token"), text).unwrap();
        assert_answered(&said(&context, &at, "tokenFile: token"));
    }
    let tls = Server::start_tls(&files());
    let at = format!(
        "server: \"{}\", certificate-authority: {}",
        tls.url,
        certificate_file(&tls, context.root()).display()
    );
    // two files that are not there, a certificate without its key, and data that are none
    let none = said(
        &context,
        &at,
        "client-certificate: a.pem, client-key: a.key",
    );
    insta::assert_snapshot!(none, @r#"
    exit code: 3
    ----- stderr -----
    error: the certificates or keys of user `anna` in the kubeconfig cannot be used
      cause: Failed to infer provided configuration: failed to load client certificate: failed to read file '"[ROOT]/a.pem"': No such file or directory (os error 2)
    "#);
    let half = said(&context, &at, "client-certificate: site-ca.pem");
    insta::assert_snapshot!(half, @"
    exit code: 3
    ----- stderr -----
    error: the certificates or keys of user `anna` in the kubeconfig cannot be used
      cause: Failed to infer provided configuration: failed to load client key: no base64 data or file
    ");
    let hello = "client-certificate-data: aGVsbG8=, client-key-data: aGVsbG8=";
    insta::assert_snapshot!(said(&context, &at, hello), @"
    exit code: 3
    ----- stderr -----
    error: the certificates or keys of user `anna` in the kubeconfig cannot be used
      cause: rustls tls error: identity PEM is missing a private key: the key must be PKCS8 or RSA/PKCS1
    ");
    insta::assert_snapshot!(said(&context, &at, "auth-provider: {name: gcp}"), @"
    exit code: 3
    ----- stderr -----
    error: user `anna` of the kubeconfig logs in with the `auth-provider` `gcp`, which Kubernetes has given up
    hint: get a kubeconfig with an `exec` program in its place, as `kubectl` needs it since 1.26
    ");
}

#[test]
fn proxies() {
    let context = TestContext::new();
    let server = Server::start(&files());
    let context = context.shown_as(server.url.clone(), "[SERVER]");
    let at = format!("server: \"{}\"", server.url);
    let dead = format!("{at}, proxy-url: \"http://anna:geheim@127.0.0.1:1\"");
    let report = said(&context, &dead, "token: t");
    assert!(!report.contains("geheim"), "{report}");
    insta::assert_snapshot!(report, @"
    exit code: 12
    ----- stderr -----
    error: the Kubernetes API at [SERVER] cannot be reached to ask for its version
      cause: Connection refused (os error 111)
    hint: context `site` of the kubeconfig leads to [SERVER] through the proxy http://127.0.0.1:1; `--context` names another
    ");
    let ftp = format!("{at}, proxy-url: \"ftp://anna:geheim@127.0.0.1:1\"");
    insta::assert_snapshot!(said(&context, &ftp, "token: t"), @"
    exit code: 3
    ----- stderr -----
    error: the `proxy-url` in the kubeconfig is not one that can be used
    hint: write it as `http://HOST:PORT`
    ");
    // of the environment: `NO_PROXY` is about the server and not about the proxy, and not about what the kubeconfig says
    let context = context.env("HTTPS_PROXY", "http://127.0.0.1:1");
    assert!(said(&context, &at, "token: t").contains("through the proxy"));
    let context = context.env("NO_PROXY", "127.0.0.0/8,.site");
    assert_answered(&said(&context, &at, "token: t"));
    assert!(said(&context, &dead, "token: t").contains("through the proxy"));
    let context = context.env("HTTPS_PROXY", "http://proxy.site:1");
    let elsewhere = "server: \"https://192.0.2.1:6443\"";
    let report = said(&context, elsewhere, "token: t");
    assert!(
        report.contains("through the proxy http://proxy.site:1"),
        "{report}"
    );
}

/// A proxy before the cluster refuses a certificate in the handshake. What a real API server answers is in
/// `kubernetes::login`.
#[test]
fn a_client_certificate_that_the_handshake_refuses() {
    let context = TestContext::new();
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = authority.clone().self_signed(&key).unwrap();
    let issuer = Issuer::new(authority, key);
    let tls = Server::start_tls_for_clients_of(root.der().clone(), &files());
    let context = context.shown_as(tls.url.clone(), "[SERVER]");
    let at = format!(
        "server: \"{}\", certificate-authority: {}",
        tls.url,
        certificate_file(&tls, context.root()).display()
    );
    let said_in = |year: i32| {
        let mut parameters = CertificateParams::default();
        parameters.not_before = rcgen::date_time_ymd(2019, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(year, 2, 3);
        parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let own = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&own, &issuer).unwrap();
        let user = format!(
            "client-certificate-data: {}, client-key-data: {}",
            STANDARD.encode(certificate.pem()),
            STANDARD.encode(own.serialize_pem())
        );
        said(&context, &at, &user)
    };
    assert_answered(&said_in(2070));
    let expired = "the client certificate expired on 2020-02-03 00:00:00 UTC";
    let missing = "received fatal alert: CertificateRequired";
    for (report, why) in [
        (said_in(2020), expired),
        (said(&context, &at, "token: geheim"), missing),
    ] {
        assert!(
            report.starts_with("exit code: 13")
                && report.contains("[SERVER] does not accept the credentials of user `anna`")
                && report.contains(why),
            "{report}"
        );
    }
}

#[test]
fn several_files_are_read_as_one() {
    let context = TestContext::new();
    let server = Server::start(&files());
    let write = |name: &str, text: &str| {
        std::fs::write(context.root().join(name), text).unwrap();
    };
    // the first one says what is current, each thing is taken from the first that has it
    write(
        "one",
        "apiVersion: v1\nkind: Config\ncurrent-context: site\ncontexts: [{name: site, context: {cluster: c, user: anna}}]\n",
    );
    write(
        "two",
        &kubeconfig(&format!("server: \"{}\"", server.url), "token: t")
            .replace("current-context: site", "current-context: other"),
    );
    let list = |names: &[&str]| {
        let paths = names.iter().map(|name| context.root().join(name));
        std::env::join_paths(paths).unwrap().into_string().unwrap()
    };
    let said = |names: &[&str]| {
        let output = context
            .command(HISTORY)
            .env("KUBECONFIG", list(names))
            .output()
            .unwrap();
        context.report(&output)
    };
    assert_answered(&said(&["one", "absent", "two"]));
    insta::assert_snapshot!(said(&["one"]), @"
    exit code: 3
    ----- stderr -----
    error: context `site` names the cluster `c`, which the kubeconfig does not have
      cause: failed to load the cluster of context: c
    ");
    insta::assert_snapshot!(said(&["absent", "gone"]), @"
    exit code: 4
    ----- stderr -----
    error: there is no kubeconfig: none of `[ROOT]/absent`, `[ROOT]/gone` exists
    hint: `--kubeconfig FILE` or `KUBECONFIG` names the file that your cluster's administrators gave you
    ");
    write("empty", "\n");
    insta::assert_snapshot!(said(&["empty", "two"]), @"
    exit code: 3
    ----- stderr -----
    error: the kubeconfig `[ROOT]/empty` is empty
    ");
}
