//! Probes and lifecycle commands: which of them becomes the engine's health check.

use crate::fleet::workload::model::{HealthCheck, PreStop};
use crate::fleet::workload::node::{FieldError, Node};

/// Probes that have no effect, as `(path, why)`.
pub type LeftOut = Vec<(String, &'static str)>;

/// The health check of a container, and the probes that it leaves out.
///
/// # Errors
///
/// A field that is not what the Kubernetes API says.
pub fn health_check(container: &Node<'_>) -> Result<(Option<HealthCheck>, LeftOut), FieldError> {
    let mut left_out = LeftOut::new();
    let mut check = None;
    for probe in ["livenessProbe", "readinessProbe"] {
        let node = container.field(probe);
        if !node.is_present() {
            continue;
        }
        match command(&node)? {
            None => left_out.push((
                node.path().to_owned(),
                "only `exec` probes become health checks here",
            )),
            Some(_) if check.is_some() => {
                left_out.push((
                    node.path().to_owned(),
                    "the liveness probe is shown instead",
                ));
            }
            Some(command) => check = Some(read(&node, probe, command)?),
        }
    }
    let startup = container.field("startupProbe");
    if let (Some(check), true) = (&mut check, startup.is_present()) {
        let period = startup.field("periodSeconds").number()?.unwrap_or(10);
        let failures = startup.field("failureThreshold").number()?.unwrap_or(3);
        let delay = startup.field("initialDelaySeconds").number()?.unwrap_or(0);
        check.start_period = check
            .start_period
            .saturating_add(delay)
            .saturating_add(period.saturating_mul(failures));
    }
    Ok((check, left_out))
}

/// What the Kubernetes API documents as defaults: period 10, timeout 1, three failures.
fn read(
    node: &Node<'_>,
    probe: &'static str,
    command: Vec<String>,
) -> Result<HealthCheck, FieldError> {
    let at_least_one = |field: &str, default: u32| -> Result<u32, FieldError> {
        Ok(node.field(field).number()?.unwrap_or(default).max(1))
    };
    Ok(HealthCheck {
        probe,
        command,
        start_period: node.field("initialDelaySeconds").number()?.unwrap_or(0),
        period: at_least_one("periodSeconds", 10)?,
        timeout: at_least_one("timeoutSeconds", 1)?,
        failures: at_least_one("failureThreshold", 3)?,
    })
}

/// The command of an `exec` action.
fn command(node: &Node<'_>) -> Result<Option<Vec<String>>, FieldError> {
    let command = node.descend(&["exec", "command"]);
    if !command.is_present() {
        return Ok(None);
    }
    let words = command.list_of_texts()?;
    if words.is_empty() {
        return Err(command.wrong("must name a command"));
    }
    Ok(Some(words))
}

/// What happens before a container is asked to stop, with the path of an action that cannot be done.
///
/// # Errors
///
/// A field that is not what the Kubernetes API says.
pub fn pre_stop(container: &Node<'_>) -> Result<(Option<PreStop>, Option<String>), FieldError> {
    let node = container.descend(&["lifecycle", "preStop"]);
    if let Some(command) = command(&node)? {
        return Ok((Some(PreStop::Exec(command)), None));
    }
    if let Some(seconds) = node.descend(&["sleep", "seconds"]).number()? {
        return Ok((Some(PreStop::Sleep(seconds)), None));
    }
    Ok((None, node.is_present().then(|| node.path().to_owned())))
}
