//! Whether the IOC of a pod answers Channel Access, and from which node, as seen from this machine.
//!
//! A cluster may be where no search of this machine reaches: no answer proves nothing, an answer does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1::PodSpec;

use crate::fleet::answer::PV_ANNOTATION;
use crate::fleet::kubernetes::placement::workload;

/// What is searched, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The PV.
    pub pv: String,
    variables: BTreeMap<String, String>,
}

/// The PV that says that the IOC is there, as [`crate::fleet::answer::question`] finds it; `None` for what is no IOC.
/// `nodes` are addresses that are searched besides those of `settings`.
pub fn question(
    spec: &PodSpec,
    annotations: Option<&BTreeMap<String, String>>,
    instance: &str,
    nodes: &[&str],
    settings: &BTreeMap<String, String>,
) -> Option<Question> {
    let container = workload::ioc_container(spec, instance)?;
    let variable = |name: &str| {
        let env = container.env.iter().flatten();
        env.rev()
            .find(|one| one.name == name)
            .and_then(|one| one.value.as_deref())
            .filter(|value| !value.is_empty())
    };
    let pv = annotations
        .and_then(|annotations| annotations.get(PV_ANNOTATION))
        .map(String::as_str)
        .or_else(|| variable("K8S_IOC_PV"))
        .map(str::to_owned)
        .or_else(|| {
            variable("IOC_PREFIX").map(|prefix| format!("{}:UPTIME", prefix.to_uppercase()))
        })?;
    let port = variable("EPICS_CAS_SERVER_PORT")
        .or_else(|| variable("EPICS_CA_SERVER_PORT"))
        .or_else(|| settings.get("EPICS_CA_SERVER_PORT").map(String::as_str))
        .unwrap_or("5064")
        .to_owned();
    let configured = settings
        .get("EPICS_CA_ADDR_LIST")
        .map(String::as_str)
        .unwrap_or_default();
    let addresses: Vec<&str> = nodes
        .iter()
        .copied()
        .chain(configured.split_whitespace())
        .collect();
    let mut variables = settings.clone();
    variables.insert("EPICS_CA_SERVER_PORT".to_owned(), port);
    variables.insert("EPICS_CA_ADDR_LIST".to_owned(), addresses.join(" "));
    Some(Question { pv, variables })
}

/// The servers that answer within `time`.
pub async fn servers(question: &Question, time: Duration) -> Vec<SocketAddr> {
    let configuration = ca::Configuration::from_environment(&question.variables);
    match ca::Client::new(configuration)
        .find(&question.pv, time)
        .await
    {
        Ok(found) => std::iter::once(found.server)
            .chain(found.duplicates)
            .collect(),
        Err(_nobody) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::kubernetes::placement::testing::from_yaml;

    #[test]
    fn the_pv_and_where_it_is_searched() {
        let settings = BTreeMap::from([("EPICS_CA_ADDR_LIST".to_owned(), "10.0.0.255".to_owned())]);
        for (env, annotation, expected) in [
            (
                "{name: IOC_PREFIX, value: t01-ea}",
                None,
                Some("T01-EA:UPTIME"),
            ),
            (
                "{name: IOC_PREFIX, value: t01}, {name: K8S_IOC_PV, value: X:Y}",
                None,
                Some("X:Y"),
            ),
            ("{name: IOC_PREFIX, value: t01}", Some("A:B"), Some("A:B")),
            ("{name: OTHER, value: t01}", None, None),
        ] {
            let spec: PodSpec = from_yaml(&format!(
                "containers: [{{name: i, env: [{env}, {{name: EPICS_CAS_SERVER_PORT, value: '7064'}}]}}]"
            ));
            let annotations = annotation
                .map(|pv: &str| BTreeMap::from([(PV_ANNOTATION.to_owned(), pv.to_owned())]));
            let found = question(&spec, annotations.as_ref(), "i", &["10.0.0.1"], &settings);
            assert_eq!(found.as_ref().map(|it| it.pv.as_str()), expected, "{env}");
            if let Some(found) = found {
                assert_eq!(found.variables["EPICS_CA_ADDR_LIST"], "10.0.0.1 10.0.0.255");
                assert_eq!(found.variables["EPICS_CA_SERVER_PORT"], "7064");
            }
        }
    }
}
