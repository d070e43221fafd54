//! `ioc auth can-i`: which verbs the cluster lets this login use, what is missing for the others, and who can give it.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::cli::auth::CanIArgs;
use crate::cli::global::OutputFormat;
use crate::commands::{Context, Outcome, target};
use crate::diagnostic::nearest;
use crate::fleet::access::role::{self, Subject};
use crate::fleet::access::{self, Answer, VERBS};
use crate::fleet::kubernetes::permissions::{self, Binding, Identity};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};
use crate::ui::table::Table;

/// Name of the role that is proposed.
const ROLE: &str = "ioc-user";

/// The whole answer.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    who: Identity,
    namespace: String,
    context: String,
    verbs: Vec<Answer>,
    /// `null` when they may not be read.
    role_bindings: Option<Vec<Binding>>,
}

/// Asks the cluster.
///
/// # Errors
///
/// A word that is no verb, or a cluster that does not answer. A refusal is an answer.
pub(crate) async fn can_i(args: &CanIArgs, context: &Context) -> CommandResult<Outcome> {
    let printer = &context.printer;
    let verbs = verbs(&args.verbs)?;
    let choice = target::of_cluster(&args.beamline, &args.cluster, context)?;
    let cluster = target::connect(&choice, context).await?;
    let wanted = access::permissions(verbs.iter().copied());
    let progress = printer.progress().task("permissions");
    progress.message("asking the cluster");
    let asked = async {
        let who = permissions::identity(&cluster).await?;
        let allowed = permissions::ask(&cluster, &wanted).await?;
        let bindings = permissions::bindings(&cluster, &who).await?;
        Ok((who, allowed, bindings))
    }
    .await;
    progress.finish();
    let (who, allowed, bindings) = asked.map_err(|error: CommandError| error)?;
    let answers: Vec<Answer> = verbs
        .iter()
        .map(|verb| access::answer(verb, &allowed))
        .collect();
    let all = answers.iter().all(|answer| answer.allowed);
    let report = Report {
        who,
        namespace: cluster.namespace.clone(),
        context: cluster.context.clone(),
        verbs: answers,
        role_bindings: bindings,
    };
    if printer.format() == OutputFormat::Yaml {
        printer.data(&manifest(&report, &wanted))?;
    } else {
        printer.emit(&report, table)?;
        printer.info(format!(
            "as `{}` in namespace `{}` of context `{}`",
            report.who.user, report.namespace, report.context
        ));
        if !all {
            for hint in who_can_give(&report) {
                printer.hint(hint);
            }
        }
    }
    Ok(if all {
        Outcome::Success
    } else {
        Outcome::Negative
    })
}

/// The verbs of the table that were named; all without any.
fn verbs(named: &[String]) -> CommandResult<Vec<&'static str>> {
    if named.is_empty() {
        return Ok(VERBS.to_vec());
    }
    named
        .iter()
        .map(|name| {
            VERBS
                .into_iter()
                .find(|verb| *verb == name.as_str())
                .ok_or_else(|| {
                    let error = CommandError::new(
                        ErrorKind::Usage,
                        format!("`{name}` is no verb that needs a cluster"),
                    );
                    match nearest(name, VERBS) {
                        Some(near) => error.hint(format!("did you mean `{near}`?")),
                        None => error.hint(format!("verbs: {}", VERBS.join(", "))),
                    }
                })
        })
        .collect()
}

fn table(report: &Report) -> Table {
    let mut table = Table::new(["VERB", "ALLOWED", "MISSING"]);
    for answer in &report.verbs {
        let words = |permission: &access::Permission| {
            let place = if permission.cluster_wide {
                " (cluster)"
            } else {
                ""
            };
            format!("{permission}{place}")
        };
        let missing: Vec<String> = answer.missing.iter().map(words).collect();
        let limited: BTreeSet<&str> = answer.limited.iter().map(|limit| limit.without).collect();
        let (allowed, why) = if !answer.allowed {
            ("no", missing.join(", "))
        } else if limited.is_empty() {
            ("yes", String::new())
        } else {
            (
                "yes, but",
                limited.into_iter().collect::<Vec<_>>().join("; "),
            )
        };
        table.row([answer.verb, allowed, why.as_str()]);
    }
    table
}

/// What would allow it: which binding to look at, whom to ask.
fn who_can_give(report: &Report) -> Vec<String> {
    let namespace = &report.namespace;
    let mut hints = Vec::new();
    match report.role_bindings.as_deref() {
        Some([]) => hints.push(format!(
            "no RoleBinding of `{namespace}` is for `{}` or its groups; is it the right namespace?",
            report.who.user
        )),
        Some(bindings) => {
            for binding in bindings {
                hints.push(format!(
                    "RoleBinding `{}` gives {} what {} `{}` allows: whoever administers `{namespace}` can add the missing rules there",
                    binding.name, binding.through, binding.role_kind, binding.role
                ));
            }
        }
        None => hints.push(format!(
            "whoever administers the namespace `{namespace}` can allow it; its RoleBindings may not be read by this login"
        )),
    }
    let refused: Vec<&str> = report
        .verbs
        .iter()
        .filter(|answer| !answer.allowed)
        .map(|answer| answer.verb)
        .collect();
    let named = if refused.len() == VERBS.len() {
        String::new()
    } else {
        let quoted: Vec<String> = refused
            .iter()
            .map(|verb| {
                if verb.contains(' ') {
                    format!("\"{verb}\"")
                } else {
                    (*verb).to_owned()
                }
            })
            .collect();
        format!(" {}", quoted.join(" "))
    };
    hints.push(format!(
        "`ioc auth can-i{named} -n {namespace} -o yaml` prints a role that allows it, for them to apply"
    ));
    hints
}

/// A role for these verbs, and its binding for this login.
fn manifest(report: &Report, wanted: &BTreeSet<access::Permission>) -> String {
    let verbs: Vec<&str> = report.verbs.iter().map(|answer| answer.verb).collect();
    let subject = Subject::of_user(&report.who.user);
    let mut text = format!(
        "# allows `{}` to use with ioc in `{}`: {}\n",
        report.who.user,
        report.namespace,
        verbs.join(", ")
    );
    for object in role::objects(ROLE, &report.namespace, wanted, &subject) {
        let yaml = helm::yaml::to_yaml(&helm::yaml::Value::from_json(&object));
        text.push_str(&format!("---\n{yaml}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(allowed: impl Fn(&access::Permission) -> bool, verbs: &[&'static str]) -> Report {
        let answers = access::permissions(verbs.iter().copied())
            .into_iter()
            .map(|permission| {
                let yes = allowed(&permission);
                (permission, yes)
            })
            .collect();
        Report {
            who: Identity {
                user: "ann".to_owned(),
                groups: Vec::new(),
            },
            namespace: "t01".to_owned(),
            context: "site".to_owned(),
            verbs: verbs
                .iter()
                .map(|verb| access::answer(verb, &answers))
                .collect(),
            role_bindings: Some(vec![Binding {
                name: "engineers".to_owned(),
                role_kind: "Role".to_owned(),
                role: "ioc".to_owned(),
                through: "Group engineers".to_owned(),
            }]),
        }
    }

    #[test]
    fn a_refusal_says_what_is_missing_and_where_it_could_be_given() {
        let report = report(
            |it| it.verb != "delete" && it.resource != "events",
            &["status", "restart"],
        );
        insta::assert_snapshot!(table(&report).render());
        insta::assert_snapshot!(who_can_give(&report).join("\n"));
    }

    #[test]
    fn the_role_is_one_that_kubernetes_takes() {
        let report = report(|_| false, &["history", "node"]);
        insta::assert_snapshot!(manifest(&report, &access::permissions(["history", "node"])));
    }

    #[test]
    fn a_word_that_is_no_verb() {
        let error = verbs(&["deploys".to_owned()]).unwrap_err();
        assert_eq!(error.hints(), ["did you mean `deploy`?"]);
    }
}
