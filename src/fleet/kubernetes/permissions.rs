//! Asking the cluster what this login may do, and who could allow more.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde::Serialize;

use crate::fleet::access::Permission;
use crate::fleet::kubernetes::Cluster;
use crate::fleet::kubernetes::retry::retrying;
use crate::ui::error::CommandResult;

/// Questions at a time.
const AT_ONCE: usize = 8;

/// Who this login is to the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Name.
    pub user: String,
    /// Groups.
    pub groups: Vec<String>,
}

/// A binding that gives this login what it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Binding {
    /// Name of the RoleBinding.
    pub name: String,
    /// `Role` or `ClusterRole`.
    pub role_kind: String,
    /// Its name.
    pub role: String,
    /// Through whom: `User ann`, `Group engineers`.
    pub through: String,
}

/// Asks for each of the permissions.
///
/// # Errors
///
/// A cluster that does not answer.
pub async fn ask(
    cluster: &Cluster,
    permissions: &BTreeSet<Permission>,
) -> CommandResult<BTreeMap<Permission, bool>> {
    let api: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    let parameters = PostParams::default();
    let (api, parameters) = (&api, &parameters);
    stream::iter(permissions.iter().cloned())
        .map(|permission| async move {
            let (resource, subresource) = permission.parts();
            let review = SelfSubjectAccessReview {
                spec: SelfSubjectAccessReviewSpec {
                    resource_attributes: Some(ResourceAttributes {
                        group: Some(permission.group.clone()),
                        resource: Some(resource.to_owned()),
                        subresource: subresource.map(str::to_owned),
                        verb: Some(permission.verb.clone()),
                        namespace: (!permission.cluster_wide).then(|| cluster.namespace.clone()),
                        ..ResourceAttributes::default()
                    }),
                    ..SelfSubjectAccessReviewSpec::default()
                },
                ..SelfSubjectAccessReview::default()
            };
            let answer = retrying(|| api.create(parameters, &review))
                .await
                .map_err(cluster.failed("ask what this login may do"))?;
            Ok((
                permission,
                answer.status.is_some_and(|status| status.allowed),
            ))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Who this login is; the name in the kubeconfig where the cluster does not tell.
///
/// # Errors
///
/// A cluster that does not answer.
pub async fn identity(cluster: &Cluster) -> CommandResult<Identity> {
    let api: Api<SelfSubjectReview> = Api::all(cluster.client.clone());
    let (review, parameters) = (SelfSubjectReview::default(), PostParams::default());
    match retrying(|| api.create(&parameters, &review)).await {
        Ok(answer) => {
            let info = answer
                .status
                .and_then(|status| status.user_info)
                .unwrap_or_default();
            Ok(Identity {
                user: info.username.unwrap_or_default(),
                groups: info.groups.unwrap_or_default(),
            })
        }
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => Ok(Identity {
            user: cluster.login.clone(),
            groups: Vec::new(),
        }),
        Err(other) => Err(cluster.failed("ask who this login is")(other)),
    }
}

/// The RoleBindings of the namespace that are for this login; `None` when it may not read them.
///
/// # Errors
///
/// A cluster that does not answer.
pub async fn bindings(cluster: &Cluster, who: &Identity) -> CommandResult<Option<Vec<Binding>>> {
    let api: Api<RoleBinding> = cluster.api();
    let parameters = ListParams::default();
    let list = match retrying(|| api.list(&parameters)).await {
        Ok(list) => list,
        Err(kube::Error::Api(status)) if status.code == 403 => return Ok(None),
        Err(other) => return Err(cluster.failed("list the RoleBindings")(other)),
    };
    Ok(Some(
        list.into_iter()
            .filter_map(|binding| of(binding, who))
            .collect(),
    ))
}

fn of(binding: RoleBinding, who: &Identity) -> Option<Binding> {
    let subject =
        binding
            .subjects
            .iter()
            .flatten()
            .find(|subject| match subject.kind.as_str() {
                "User" => subject.name == who.user,
                "Group" => who.groups.contains(&subject.name),
                "ServiceAccount" => {
                    let namespace = subject.namespace.as_deref().unwrap_or_default();
                    who.user == format!("system:serviceaccount:{namespace}:{}", subject.name)
                }
                _ => false,
            })?;
    Some(Binding {
        through: format!("{} {}", subject.kind, subject.name),
        role_kind: binding.role_ref.kind,
        role: binding.role_ref.name,
        name: binding.metadata.name.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::kubernetes::placement::testing::from_yaml;

    #[test]
    fn a_binding_is_for_a_user_a_group_or_an_account() {
        let who = Identity {
            user: "system:serviceaccount:t01:robot".to_owned(),
            groups: vec!["engineers".to_owned()],
        };
        for (subject, expected) in [
            ("{kind: Group, name: engineers}", true),
            ("{kind: Group, name: others}", false),
            ("{kind: User, name: ann}", false),
            ("{kind: ServiceAccount, namespace: t01, name: robot}", true),
            ("{kind: ServiceAccount, namespace: t02, name: robot}", false),
        ] {
            let binding: RoleBinding = from_yaml(&format!(
                "metadata: {{name: b}}\nroleRef: {{apiGroup: g, kind: Role, name: r}}\nsubjects: [{subject}]"
            ));
            assert_eq!(of(binding, &who).is_some(), expected, "{subject}");
        }
    }
}
