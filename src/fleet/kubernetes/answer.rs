//! Whether the IOC of a pod answers Channel Access, and from which node, as seen from this machine.
//!
//! A cluster may be where no search of this machine reaches: no answer proves nothing, an answer does.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use k8s_openapi::api::core::v1::PodSpec;

use crate::fleet::answer::{Answer, PV_ANNOTATION, searching};
use crate::fleet::kubernetes::placement::workload;

/// How long a connection to a node or pod may take; one that takes longer is of no use to Channel Access either.
const REACH: Duration = Duration::from_millis(500);

/// What is searched, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The PV.
    pub pv: String,
    /// The port of its server for searches, and for circuits while nobody else has it.
    pub port: u16,
    variables: BTreeMap<String, String>,
}

/// The PV that says that the IOC is there, as [`crate::fleet::answer::question`] finds it; `None` for what is no IOC, and
/// for one that listens on the loopback interface of its pod or node only. `nodes` are addresses that are searched besides those of `settings`.
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
    let interfaces = variable("EPICS_CAS_INTF_ADDR_LIST").unwrap_or_default();
    let mut interfaces = interfaces.split_whitespace().peekable();
    if interfaces.peek().is_some() && interfaces.all(|one| one.starts_with("127.")) {
        return None;
    }
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
    variables.insert("EPICS_CA_ADDR_LIST".to_owned(), addresses.join(" "));
    let number = port.parse().unwrap_or(5064);
    variables.insert("EPICS_CA_SERVER_PORT".to_owned(), port);
    Some(Question {
        pv,
        port: number,
        variables,
    })
}

/// The servers that answer within `time`.
pub async fn servers(question: &Question, time: Duration) -> Vec<SocketAddr> {
    match ca::Client::new(searching(&question.variables))
        .find(&question.pv, time)
        .await
    {
        Ok(found) => std::iter::once(found.server)
            .chain(found.duplicates)
            .collect(),
        Err(_nobody) => Vec::new(),
    }
}

/// What the servers that were heard mean for an IOC whose pod has these addresses; `None` when none was heard.
pub fn heard(pv: &str, servers: &[SocketAddr], addresses: &[IpAddr]) -> Option<Answer> {
    let own = servers
        .iter()
        .find(|server| addresses.contains(&server.ip()))
        .copied();
    if let Some(server) = own {
        return Some(Answer::Answered {
            pv: pv.to_owned(),
            server,
            duplicates: servers
                .iter()
                .filter(|other| !addresses.contains(&other.ip()))
                .copied()
                .collect(),
        });
    }
    (!servers.is_empty()).then(|| Answer::Elsewhere {
        pv: pv.to_owned(),
        servers: servers.to_vec(),
    })
}

/// Whether packets of this machine reach an address and come back: something there takes or refuses a connection.
pub async fn is_reached(address: IpAddr, port: u16) -> bool {
    let connect = tokio::net::TcpStream::connect((address, port));
    match tokio::time::timeout(REACH, connect).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => matches!(
            error.kind(),
            std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::ConnectionReset
        ),
        Err(_elapsed) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::kubernetes::placement::testing::from_yaml;

    #[test]
    fn only_the_server_of_the_pod_counts() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (own, other) = (at("10.0.0.1:5064"), at("10.0.0.2:5064"));
        let addresses = [own.ip()];
        assert_eq!(heard("a", &[], &addresses), None);
        assert_eq!(
            heard("a", &[other, own], &addresses),
            Some(Answer::Answered {
                pv: "a".to_owned(),
                server: own,
                duplicates: vec![other],
            })
        );
        assert!(matches!(
            heard("a", &[other], &addresses),
            Some(Answer::Elsewhere { .. })
        ));
    }

    #[tokio::test]
    async fn a_refusal_is_an_answer_too() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        assert!(is_reached(at.ip(), at.port()).await);
        drop(listener);
        assert!(is_reached(at.ip(), at.port()).await);
        // the kernel connects to nothing that is all machines
        assert!(!is_reached("255.255.255.255".parse().unwrap(), 5064).await);
    }

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
            (
                "{name: IOC_PREFIX, value: t01}, {name: EPICS_CAS_INTF_ADDR_LIST, value: 127.0.0.1}",
                None,
                None,
            ),
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
