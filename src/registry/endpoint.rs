//! Where a repository is reached: mirror rules, the port, TLS or plain HTTP. Pure.

use reqwest::Url;

use super::error::{Action, RegistryError};
use super::reference::{Reference, split_port};
use crate::project::Mirror;
use crate::source::mirror::{rewrite, without_credentials};

/// A registry that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Host and port as references and logins name it.
    pub(super) registry: String,
    /// Without TLS.
    pub(super) plain_http: bool,
    /// The prefix of the mirror rule that led here.
    pub(super) rule: Option<String>,
}

/// A repository of a registry that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    pub(super) endpoint: Endpoint,
    pub(super) path: String,
}

impl Repository {
    /// The repository of a reference after the first mirror rule for `oci://HOST/…` that fits.
    pub(super) fn of(reference: &Reference, mirrors: &[Mirror]) -> Result<Self, RegistryError> {
        let url = format!("oci://{}", reference.repository_name());
        let address = rewrite(&url, mirrors);
        let Some(rule) = address.rule.as_deref().map(without_credentials) else {
            return Ok(Self {
                endpoint: Endpoint {
                    registry: reference.registry().to_owned(),
                    plain_http: false,
                    rule: None,
                },
                path: reference.repository().to_owned(),
            });
        };
        let plain_http = address.url.starts_with("http://");
        let rest = address
            .url
            .strip_prefix("http://")
            .or_else(|| address.url.strip_prefix("https://"))
            .unwrap_or(&address.url);
        let there = Reference::parse(rest).map_err(|error| RegistryError::Content {
            what: format!("the mirror rule for `{rule}` in `ioc.toml`"),
            why: error.to_string(),
        })?;
        Ok(Self {
            endpoint: Endpoint {
                registry: there.registry().to_owned(),
                plain_http,
                rule: Some(rule),
            },
            path: there.repository().to_owned(),
        })
    }

    /// A URL below the repository's.
    pub(super) fn url(&self, below: &str) -> Result<Url, RegistryError> {
        self.endpoint.url(&format!("/v2/{}/{below}", self.path))
    }

    /// What a token has to allow.
    pub(super) fn scope(&self, action: Action) -> String {
        let actions = match action {
            Action::Pull => "pull",
            Action::Push => "pull,push",
        };
        format!("repository:{}:{actions}", self.path)
    }
}

impl Endpoint {
    /// A URL of the registry.
    pub(super) fn url(&self, path: &str) -> Result<Url, RegistryError> {
        let scheme = if self.plain_http { "http" } else { "https" };
        let host = match self.registry.as_str() {
            "docker.io" => "registry-1.docker.io",
            other => other,
        };
        Url::parse(&format!("{scheme}://{host}{path}")).map_err(|error| RegistryError::Content {
            what: format!("the registry `{}`", self.registry),
            why: error.to_string(),
        })
    }

    /// Whether a URL is the registry's own, so that it may see the login.
    pub(super) fn owns(&self, url: &Url) -> bool {
        self.url("/").is_ok_and(|own| own.origin() == url.origin())
    }

    /// The URL of a `Location` header.
    pub(super) fn location(&self, from: &Url, location: &str) -> Result<Url, RegistryError> {
        let refused = |why: String| RegistryError::Content {
            what: format!("the registry `{}` sends uploads elsewhere", self.registry),
            why,
        };
        let url = from
            .join(location)
            .map_err(|error| refused(error.to_string()))?;
        if url.scheme() == "https" || (url.scheme() == "http" && self.plain_http) {
            return Ok(url);
        }
        // Behind a proxy that ends TLS many registries give their own address without it.
        if url.scheme() == "http" && url.host_str() == from.host_str() {
            let mut url = url;
            if url.set_scheme("https").is_ok() && url.set_port(from.port()).is_ok() {
                return Ok(url);
            }
        }
        Err(refused(
            "to a place that is not reached with TLS".to_owned(),
        ))
    }

    /// Whether the registry runs on this machine.
    pub(super) fn is_on_this_machine(&self) -> bool {
        let (host, _port) = split_port(&self.registry);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, mirrors: &[(&str, &str)]) -> Repository {
        let mirrors: Vec<Mirror> = mirrors
            .iter()
            .map(|(prefix, replace)| Mirror {
                prefix: (*prefix).to_owned(),
                replace: (*replace).to_owned(),
            })
            .collect();
        Repository::of(&Reference::parse(text).unwrap(), &mirrors).unwrap()
    }

    #[test]
    fn mirror_rules_lead_elsewhere() {
        let rules = [
            ("oci://ghcr.io/epics/", "oci://mirror.site/ghcr/epics/"),
            ("oci://docker.io/", "http://mirror.site:5000/hub/"),
        ];
        for (text, url) in [
            (
                "ghcr.io/epics/a:1",
                "https://mirror.site/v2/ghcr/epics/a/tags/list",
            ),
            ("ghcr.io/other/a:1", "https://ghcr.io/v2/other/a/tags/list"),
            (
                "docker.io/library/debian",
                "http://mirror.site:5000/v2/hub/library/debian/tags/list",
            ),
        ] {
            assert_eq!(at(text, &rules).url("tags/list").unwrap().as_str(), url);
        }
        let direct = at("docker.io/library/debian", &[]);
        assert_eq!(
            direct.url("tags/list").unwrap().as_str(),
            "https://registry-1.docker.io/v2/library/debian/tags/list"
        );
    }

    #[test]
    fn a_login_stays_with_its_registry() {
        let endpoint = at("r.io/a", &[]).endpoint;
        let owns = |url: &str| endpoint.owns(&Url::parse(url).unwrap());
        assert!(owns("https://r.io/v2/a/blobs/x"));
        assert!(owns("https://r.io:443/v2/"));
        assert!(!owns("http://r.io/v2/"));
        assert!(!owns("https://r.io.evil/v2/"));
        assert!(!owns("https://r.io:8443/v2/"));
    }

    #[test]
    fn uploads_do_not_lose_tls() {
        let repository = at("r.io:5000/a", &[]);
        let from = repository.url("blobs/uploads/").unwrap();
        let location = |text: &str| {
            repository
                .endpoint
                .location(&from, text)
                .map(|url| url.to_string())
                .map_err(|error| error.to_string())
        };
        assert_eq!(location("/v2/x?s=1").unwrap(), "https://r.io:5000/v2/x?s=1");
        assert_eq!(
            location("http://r.io/v2/x").unwrap(),
            "https://r.io:5000/v2/x"
        );
        assert_eq!(location("https://store/x").unwrap(), "https://store/x");
        assert!(location("http://store/x").unwrap_err().contains("TLS"));
        assert!(location("file:///etc/passwd").is_err());
    }

    #[test]
    fn this_machine_is_recognised() {
        for (registry, expected) in [
            ("localhost:5000/a", true),
            ("127.0.0.2/a", true),
            ("[::1]:5000/a", true),
            ("localhost.evil/a", false),
            ("10.0.0.1:5000/a", false),
        ] {
            assert_eq!(
                at(registry, &[]).endpoint.is_on_this_machine(),
                expected,
                "{registry}"
            );
        }
    }
}
