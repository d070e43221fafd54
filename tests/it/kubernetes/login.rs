//! Logins that a real API server does not take any more.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, Issuer, KeyPair};

use super::cluster::Cluster;
use super::site::Site;

/// A kubeconfig with a certificate for a member of the administrators, issued by the cluster's own authority and good for
/// the year 2020.
fn expired(site: &Site) -> PathBuf {
    let folder = site.cluster().kubeconfig().parent().unwrap().join("pki");
    let key = std::fs::read_to_string(folder.join("ca.key")).unwrap();
    let mut authority = CertificateParams::default();
    authority.distinguished_name = rcgen::DistinguishedName::new();
    authority
        .distinguished_name
        .push(DnType::CommonName, "testbed");
    let issuer = Issuer::new(authority, KeyPair::from_pem(&key).unwrap());
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters
        .distinguished_name
        .push(DnType::CommonName, "anna");
    parameters
        .distinguished_name
        .push(DnType::OrganizationName, "system:masters");
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2020, 12, 31);
    parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let own = KeyPair::generate().unwrap();
    let certificate = parameters.signed_by(&own, &issuer).unwrap();
    let path = site.root().join("expired.kubeconfig");
    site.cluster().other_kubeconfig(&path, |text| {
        let (before, rest) = text.split_once("    client-certificate-data:").unwrap();
        let (_, after) = rest.split_once("contexts:").unwrap();
        format!(
            "{before}    client-certificate-data: {}\n    client-key-data: {}\ncontexts:{after}",
            STANDARD.encode(certificate.pem()),
            STANDARD.encode(own.serialize_pem())
        )
    })
}

#[test]
fn a_client_certificate_that_has_expired_is_named_by_every_verb() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let site = Site::without_image(cluster);
    let instance = &site.add("ea-ioc-01");
    site.succeed(&["deploy", instance, "--yes", "--no-wait"]);
    let kubeconfig = expired(&site).display().to_string();
    let verbs: [&[&str]; 13] = [
        &["ps"],
        &["status", instance],
        &["history", instance],
        &["diff", instance],
        &["deploy", instance, "--yes"],
        &["rollback", instance, "1", "--yes"],
        &["stop", instance, "--yes"],
        &["restart", instance, "--yes"],
        &["delete", instance, "--yes"],
        &["logs", instance],
        &["exec", instance, "--", "true"],
        &["move", instance, "node-2", "--yes"],
        &["node"],
    ];
    for verb in verbs {
        // before a `--` of the arguments
        let (name, rest) = verb.split_at(1);
        let report = site.refuse(&[name, &["--kubeconfig", &kubeconfig], rest].concat());
        assert!(
            report.contains("exit code: 13")
                && report.contains("does not accept the credentials of user `admin`")
                && report.contains("the client certificate expired on 2020-12-31 00:00:00 UTC")
                && report.contains("hint: get a new kubeconfig"),
            "{verb:?}: {report}"
        );
    }
    assert_eq!(super::site::states(&site, instance), ["deployed"]);
}
