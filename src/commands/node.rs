//! `ioc node`: what runs on a node, and what happens when it fails.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use serde::Serialize;

use crate::cli::node::NodeArgs;
use crate::commands::{Context, Outcome, target};
use crate::fleet::kubernetes::survey::Survey;
use crate::fleet::placement::node::{self, HOSTNAME, Readiness};
use crate::fleet::placement::outage::{self, Ends, Fate, Progress};
use crate::fleet::placement::port::HostPort;
use crate::fleet::placement::{check, resource, scheduling, workload};
use crate::ui::error::CommandResult;
use crate::ui::table::Table;

/// A node on one line.
#[derive(Debug, Serialize)]
struct Row {
    node: String,
    state: Readiness,
    since: Option<Timestamp>,
    cordoned: bool,
    address: Option<String>,
    beamline: Option<String>,
    taints: Vec<String>,
    iocs: usize,
    pods: usize,
    requested: resource::Requests,
    allocatable_cpu_milli: Option<u64>,
    allocatable_memory: Option<u64>,
    allocatable_pods: Option<u64>,
}

/// A node on one page.
#[derive(Debug, Serialize)]
struct Page {
    #[serde(flatten)]
    row: Row,
    labels: std::collections::BTreeMap<String, String>,
    conditions: Vec<Condition>,
    images: Vec<Image>,
    runs: Vec<Runs>,
    if_it_fails: Vec<Fate>,
    not_seen: Vec<String>,
}

/// What is not well, and what the node itself says to it.
#[derive(Debug, Serialize)]
struct Condition {
    kind: String,
    status: String,
    reason: String,
    message: String,
}

/// An image that the node has.
#[derive(Debug, Serialize)]
struct Image {
    names: Vec<String>,
    bytes: Option<i64>,
}

/// A pod of the node.
#[derive(Debug, Serialize)]
struct Runs {
    namespace: String,
    pod: String,
    instance: Option<String>,
    owner: workload::Owner,
    state: String,
    restarts: i32,
    host_network: bool,
    ports: Vec<HostPort>,
}

/// Shows nodes.
///
/// # Errors
///
/// No cluster, no such node, or nodes that may not be listed.
pub(crate) async fn node(args: &NodeArgs, context: &Context) -> CommandResult<Outcome> {
    let printer = &context.printer;
    let choice = target::of_cluster(&args.beamline, &args.cluster, context)?;
    let cluster = target::connect(&choice, context).await?;
    let progress = printer.progress().task("cluster");
    progress.message("looking at nodes and pods");
    let survey = Survey::of(&cluster).await;
    progress.finish();
    let survey = survey?;
    match &args.node {
        None => {
            let rows: Vec<Row> = survey
                .nodes
                .iter()
                .map(|node| row(node, &survey.pods))
                .collect();
            printer.emit(&rows, |rows| table(rows))?;
            for unseen in &survey.unseen {
                printer.warning(format!("this login may not see {unseen}"));
            }
        }
        Some(name) => {
            let node = survey.node(name)?;
            let page = page(node, &survey);
            printer.emit_text(&page, |page| text(page, printer.verbosity() > 0))?;
        }
    }
    Ok(Outcome::Success)
}

fn row(node: &Node, pods: &[Pod]) -> Row {
    let name = node::name(node);
    let here: Vec<&Pod> = on(name, pods).collect();
    let (cpu, memory, most) = resource::allocatable(node);
    Row {
        node: name.to_owned(),
        state: node::readiness(node),
        since: node::since(node),
        cordoned: node::is_cordoned(node),
        address: node::address(node).map(str::to_owned),
        beamline: node::label(node, "beamline").map(str::to_owned),
        taints: node
            .spec
            .iter()
            .flat_map(|spec| spec.taints.iter().flatten())
            .map(scheduling::taint_text)
            .collect(),
        iocs: here
            .iter()
            .filter(|pod| workload::instance(pod).is_some())
            .count(),
        pods: here.len(),
        requested: resource::taken(here.iter().copied()),
        allocatable_cpu_milli: cpu,
        allocatable_memory: memory,
        allocatable_pods: most,
    }
}

/// Pods that are on a node and have not ended.
fn on<'a>(node: &'a str, pods: &'a [Pod]) -> impl Iterator<Item = &'a Pod> {
    pods.iter()
        .filter(move |pod| check::node_of(pod) == Some(node) && resource::is_live(pod))
}

fn page(node: &Node, survey: &Survey) -> Page {
    let name = node::name(node);
    let cluster = outage::Cluster {
        nodes: &survey.nodes,
        pods: &survey.pods,
        templates: &survey.templates,
        storage: &survey.storage,
    };
    let status = node.status.as_ref();
    let mut runs: Vec<Runs> = on(name, &survey.pods).map(runs).collect();
    runs.sort_by(|one, other| {
        (one.instance.is_none(), &one.namespace, &one.pod).cmp(&(
            other.instance.is_none(),
            &other.namespace,
            &other.pod,
        ))
    });
    Page {
        row: row(node, &survey.pods),
        labels: node.metadata.labels.clone().unwrap_or_default(),
        conditions: status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten())
            .map(|one| Condition {
                kind: one.type_.clone(),
                status: one.status.clone(),
                reason: one.reason.clone().unwrap_or_default(),
                message: one.message.clone().unwrap_or_default(),
            })
            .collect(),
        images: status
            .iter()
            .flat_map(|status| status.images.iter().flatten())
            .map(|image| Image {
                names: image.names.clone().unwrap_or_default(),
                bytes: image.size_bytes,
            })
            .collect(),
        runs,
        if_it_fails: outage::fates(node, &cluster),
        not_seen: survey.unseen.clone(),
    }
}

fn runs(pod: &Pod) -> Runs {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let containers = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    Runs {
        namespace: text(&pod.metadata.namespace),
        pod: text(&pod.metadata.name),
        instance: workload::instance(pod),
        owner: workload::owner(pod),
        state: state(pod),
        restarts: containers.map(|one| one.restart_count).sum(),
        host_network: pod
            .spec
            .as_ref()
            .and_then(|spec| spec.host_network)
            .unwrap_or(false),
        ports: check::ports(pod),
    }
}

/// What its containers wait for, else its phase.
fn state(pod: &Pod) -> String {
    if pod.metadata.deletion_timestamp.is_some() {
        return "terminating".to_owned();
    }
    let status = pod.status.as_ref();
    let waits = status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten())
        .find_map(|one| one.state.as_ref()?.waiting.as_ref()?.reason.clone());
    waits.unwrap_or_else(|| {
        status
            .and_then(|status| status.phase.clone())
            .unwrap_or_default()
            .to_lowercase()
    })
}

fn when(since: Option<Timestamp>) -> String {
    since.map_or_else(String::new, |since| {
        format!(" since {}", since.strftime("%Y-%m-%d %H:%M UTC"))
    })
}

fn state_words(row: &Row) -> String {
    let state = match row.state {
        Readiness::Ready => "ready",
        Readiness::NotReady => "not ready",
        Readiness::Silent => "silent",
    };
    if row.cordoned {
        format!("{state}, cordoned")
    } else {
        state.to_owned()
    }
}

fn cpu(row: &Row) -> String {
    row.allocatable_cpu_milli.map_or_else(String::new, |all| {
        format!(
            "{} of {}",
            resource::cpus(row.requested.cpu_milli),
            resource::cpus(all)
        )
    })
}

fn memory(row: &Row) -> String {
    row.allocatable_memory.map_or_else(String::new, |all| {
        format!(
            "{} of {}",
            resource::mebibytes(row.requested.memory),
            resource::mebibytes(all)
        )
    })
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new([
        "NODE", "STATE", "ADDRESS", "BEAMLINE", "IOCS", "PODS", "CPU", "MEMORY", "TAINTS",
    ])
    .align_right(4)
    .align_right(5);
    for row in rows {
        table.row([
            row.node.clone(),
            state_words(row),
            row.address.clone().unwrap_or_default(),
            row.beamline.clone().unwrap_or_default(),
            row.iocs.to_string(),
            row.pods.to_string(),
            cpu(row),
            memory(row),
            row.taints.join(", "),
        ]);
    }
    table
}

fn text(page: &Page, all: bool) -> String {
    let row = &page.row;
    let mut text = format!("{}: {}{}\n", row.node, state_words(row), when(row.since));
    let mut line = |title: &str, value: String| {
        if !value.is_empty() {
            text.push_str(&format!("  {title:<10} {value}\n"));
        }
    };
    line("address", row.address.clone().unwrap_or_default());
    let labels: Vec<String> = page
        .labels
        .iter()
        .filter(|(key, _)| all || key.as_str() == HOSTNAME || !key.contains("kubernetes.io/"))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    line("labels", labels.join(", "));
    line("taints", row.taints.join(", "));
    line("CPU", format!("{} asked for", cpu(row)));
    line("memory", format!("{} asked for", memory(row)));
    let most = row
        .allocatable_pods
        .map_or_else(String::new, |most| format!(" of {most}"));
    line("pods", format!("{}{most}", row.pods));
    let bytes: i64 = page.images.iter().filter_map(|image| image.bytes).sum();
    line(
        "images",
        format!(
            "{}, {} MB{}",
            page.images.len(),
            bytes / 1_000_000,
            if all { "" } else { " (-v lists them)" }
        ),
    );
    for condition in page.conditions.iter().filter(|one| is_bad(one)) {
        line(
            "trouble",
            format!(
                "{} {}: {}",
                condition.kind, condition.status, condition.message
            ),
        );
    }
    if all {
        for image in &page.images {
            text.push_str(&format!("    {}\n", image.names.join(", ")));
        }
    }
    text.push_str(&runs_text(&page.runs));
    text.push_str(&fates_text(page));
    for unseen in &page.not_seen {
        text.push_str(&format!("\nnot seen by this login: {unseen}\n"));
    }
    text
}

fn is_bad(condition: &Condition) -> bool {
    let expected = if condition.kind == "Ready" {
        "True"
    } else {
        "False"
    };
    condition.status != expected
}

fn runs_text(runs: &[Runs]) -> String {
    if runs.is_empty() {
        return "\nnothing runs here\n".to_owned();
    }
    let mut table = Table::new([
        "RUNS",
        "NAMESPACE",
        "POD",
        "STATE",
        "RESTARTS",
        "PORTS OF THE NODE",
    ])
    .align_right(4);
    for one in runs {
        let ports: Vec<String> = one
            .ports
            .iter()
            .map(|port| format!("{}/{}", port.port, port.protocol.to_lowercase()))
            .collect();
        table.row([
            one.instance.clone().unwrap_or_else(|| one.owner.words()),
            one.namespace.clone(),
            one.pod.clone(),
            one.state.clone(),
            one.restarts.to_string(),
            ports.join(" "),
        ]);
    }
    format!("\n{}", table.render())
}

fn fates_text(page: &Page) -> String {
    let fates: Vec<&Fate> = page
        .if_it_fails
        .iter()
        .filter(|fate| fate.ends != Ends::BelongsToNode)
        .collect();
    if fates.is_empty() {
        return String::new();
    }
    let has_failed = page.row.state != Readiness::Ready;
    let mut text = if has_failed {
        format!("\n{} has failed:\n", page.row.node)
    } else {
        format!(
            "\nif {} failed (a silent node is given up after about {} s):\n",
            page.row.node,
            outage::DETECTED_AFTER
        )
    };
    let mut warns = false;
    for fate in fates {
        let who = fate.instance.clone().unwrap_or_else(|| fate.pod.clone());
        let how = match fate.ends {
            Ends::NeedsYou => "stays away until you act".to_owned(),
            Ends::Lost => "is lost".to_owned(),
            Ends::Moves => format!(
                "starts elsewhere by itself after about {} s",
                fate.after_seconds.unwrap_or_default()
            ),
            Ends::BelongsToNode => continue,
        };
        text.push_str(&format!(
            "  {who} ({}) {how}: {}\n",
            fate.namespace, fate.because
        ));
        match &fate.progress {
            None => {}
            Some(Progress::StuckTerminating { since }) => text.push_str(&format!(
                "    now: told to end at {}, and nobody is there to do it\n",
                since.strftime("%Y-%m-%d %H:%M:%S UTC")
            )),
            Some(Progress::Waiting { until: Some(until) }) => text.push_str(&format!(
                "    now: waits for its node until {}\n",
                until.strftime("%Y-%m-%d %H:%M:%S UTC")
            )),
            Some(Progress::Waiting { until: None }) => {
                text.push_str("    now: waits for its node for ever\n");
            }
        }
        for command in &fate.commands {
            text.push_str(&format!(
                "    {command}{}\n",
                if fate.only_when_off { "   (!)" } else { "" }
            ));
        }
        warns |= fate.only_when_off;
    }
    if warns {
        text.push_str(&format!("  (!) {}\n", outage::TWO_AT_ONCE));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::fleet::placement::testing::from_yaml;

    fn survey(ready: &str) -> Survey {
        let node = |name: &str, ready: &str| -> Node {
            from_yaml(&format!(
                "metadata: {{name: {name}, labels: {{beamline: t01, kubernetes.io/hostname: {name}}}}}\n\
                 spec: {{taints: [{{key: nodetype, value: t01, effect: NoSchedule}}]}}\n\
                 status: {{addresses: [{{type: InternalIP, address: 10.0.0.1}}], allocatable: {{cpu: '2', memory: 2Gi, pods: '110'}}, \
                 conditions: [{{type: Ready, status: '{ready}', message: no word from it, lastTransitionTime: '2026-11-26T03:00:00Z'}}], \
                 images: [{{names: ['localhost/a:1'], sizeBytes: 82000000}}]}}\n"
            ))
        };
        let pod: Pod = from_yaml(
            "metadata: {namespace: t01, name: t01-ea-ioc-01-0, labels: {ioc: 'true'}, ownerReferences: [{apiVersion: apps/v1, uid: u, kind: StatefulSet, name: t01-ea-ioc-01, controller: true}]}\n\
             spec: {nodeName: bl-1, hostNetwork: true, tolerations: [{operator: Exists, tolerationSeconds: 300}], containers: [{name: t01-ea-ioc-01, image: 'localhost/a:1', resources: {requests: {cpu: 100m, memory: 64Mi}}}]}\n\
             status: {phase: Running, containerStatuses: [{name: t01-ea-ioc-01, ready: true, restartCount: 2, image: a, imageID: a}]}\n",
        );
        Survey {
            nodes: vec![node("bl-1", ready), node("bl-2", "True")],
            pods: vec![pod],
            templates: BTreeMap::new(),
            storage: BTreeMap::new(),
            unseen: Vec::new(),
        }
    }

    #[test]
    fn all_nodes_on_one_line_each() {
        let survey = survey("True");
        let rows: Vec<Row> = survey
            .nodes
            .iter()
            .map(|node| row(node, &survey.pods))
            .collect();
        insta::assert_snapshot!(table(&rows).render());
    }

    #[test]
    fn one_node_on_one_page() {
        let survey = survey("True");
        insta::assert_snapshot!(text(&page(&survey.nodes[0], &survey), false));
    }

    #[test]
    fn a_node_that_has_failed() {
        let survey = survey("Unknown");
        insta::assert_snapshot!(text(&page(&survey.nodes[0], &survey), false));
    }
}
