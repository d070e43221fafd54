//! `ioc node`: what runs on a node, and what happens when it fails.

use jiff::Timestamp;

use crate::cli::node::NodeArgs;
use crate::commands::{Context, Outcome, target};
use crate::fleet::kubernetes::node_page::{Condition, Page, Row, Runs, page, row};
use crate::fleet::kubernetes::placement::node::{HOSTNAME, Readiness};
use crate::fleet::kubernetes::placement::outage::{self, Ends, Fate, Progress};
use crate::fleet::kubernetes::placement::resource;
use crate::fleet::kubernetes::survey::Survey;
use crate::ui::error::CommandResult;
use crate::ui::table::Table;

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
    use crate::fleet::kubernetes::placement::testing::from_yaml;

    fn survey(ready: &str) -> Survey {
        let node = |name: &str, ready: &str| {
            from_yaml(&format!(
                "metadata: {{name: {name}, labels: {{beamline: t01, kubernetes.io/hostname: {name}}}}}\n\
                 spec: {{taints: [{{key: nodetype, value: t01, effect: NoSchedule}}]}}\n\
                 status: {{addresses: [{{type: InternalIP, address: 10.0.0.1}}], allocatable: {{cpu: '2', memory: 2Gi, pods: '110'}}, \
                 conditions: [{{type: Ready, status: '{ready}', message: no word from it, lastTransitionTime: '2026-11-26T03:00:00Z'}}], \
                 images: [{{names: ['localhost/a:1'], sizeBytes: 82000000}}]}}\n"
            ))
        };
        let pod = from_yaml(
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
