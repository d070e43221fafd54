//! A connection to a cluster: which one, as whom, in which namespace.
//!
//! [`Cluster::connect`] asks the API server for its version first, so that a wrong address, an expired login or a
//! certificate that is not trusted is told as such before a verb begins.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::config::{Config, KubeConfigOptions};
use kube::{Api, Client};

use crate::fleet::kubernetes::kinds::Kinds;
use crate::fleet::kubernetes::{error, kubeconfig};
use crate::settings::Settings;
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the first answer may take.
const FIRST_ANSWER: Duration = Duration::from_secs(15);

/// Which cluster and namespace are wanted; what is not said comes from the kubeconfig.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterChoice {
    /// Kubeconfig file of `--kubeconfig`.
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig.
    pub context: Option<String>,
    /// Namespace.
    pub namespace: Option<String>,
    /// Beamline of `ioc.toml` that asked for it.
    pub beamline: Option<String>,
}

/// A cluster that answers.
#[derive(Clone)]
pub struct Cluster {
    /// The client.
    pub client: Client,
    /// Context of the kubeconfig, or `in-cluster`.
    pub context: String,
    /// URL of the API server.
    pub server: String,
    /// The proxy in between, without a password.
    pub proxy: Option<String>,
    /// Namespace of the beamline.
    pub namespace: String,
    /// Name of the user in the kubeconfig; the cluster may know it by another.
    pub login: String,
    /// Who acts, for records: `user@host`.
    pub user: String,
    /// Version of the API server, as `v1.33.2`.
    pub version: String,
    /// Beamline of `ioc.toml`.
    pub beamline: Option<String>,
    /// Which kinds it knows.
    pub kinds: Kinds,
    /// `EPICS_CA_*` variables for searches.
    pub channel_access: Arc<BTreeMap<String, String>>,
    /// The cache folder.
    pub cache: PathBuf,
    /// What the credentials are, to tell why they are refused.
    credentials: kubeconfig::Credentials,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Cluster")
            .field("context", &self.context)
            .field("server", &self.server)
            .field("namespace", &self.namespace)
            .field("login", &self.login)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Connects.
    ///
    /// # Errors
    ///
    /// A kubeconfig that is missing, damaged or has no such context; credentials that have expired or cannot be
    /// had; an API server that does not answer.
    pub async fn connect(settings: &Settings, choice: &ClusterChoice) -> CommandResult<Self> {
        let mut chosen = kubeconfig::choose(&settings.kubernetes, choice)?;
        let mut config = match chosen.file.take() {
            Some(file) => {
                let options = KubeConfigOptions {
                    context: Some(chosen.context.clone()),
                    ..KubeConfigOptions::default()
                };
                Config::from_custom_kubeconfig(*file, &options)
                    .await
                    .map_err(|source| kubeconfig::unusable(source, &chosen.context))?
            }
            None => Config::incluster().map_err(|source| {
                CommandError::new(
                    ErrorKind::Cluster,
                    "the service account of this pod cannot be used",
                )
                .caused_by(source)
            })?,
        };
        kubeconfig::check_server(&config, &chosen.context)?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        chosen.settle_proxy(&mut config, &settings.kubernetes);
        let proxy = kubeconfig::proxy(&config);
        let server = config.cluster_url.to_string();
        let server = server.trim_end_matches('/').to_owned();
        let namespace = choice
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        // running a credential plugin blocks
        let client = tokio::task::spawn_blocking({
            let runtime = tokio::runtime::Handle::current();
            move || {
                let _inside = runtime.enter();
                Client::try_from(config)
            }
        })
        .await
        .map_err(|source| {
            CommandError::new(ErrorKind::Internal, "failed to make a client").caused_by(source)
        })?
        .map_err(|source| error::no_client(source, &chosen.login, &chosen.credentials))?;
        let mut cluster = Self {
            kinds: Kinds::new(client.clone()),
            client,
            context: chosen.context,
            server,
            proxy,
            namespace,
            login: chosen.login,
            user: settings.user.clone(),
            version: String::new(),
            beamline: choice.beamline.clone(),
            channel_access: Arc::new(settings.channel_access.clone()),
            cache: settings.cache.clone(),
            credentials: chosen.credentials,
        };
        let answer = tokio::time::timeout(FIRST_ANSWER, cluster.client.apiserver_version()).await;
        match answer {
            Ok(Ok(version)) => cluster.version = version.git_version,
            // it answers, and that is what was asked
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => {}
            Ok(Err(source)) => return Err(cluster.failed("ask for its version")(source)),
            Err(_elapsed) => {
                return Err(CommandError::new(
                    ErrorKind::Cluster,
                    format!("the Kubernetes API at {} does not answer", cluster.server),
                )
                .caused_by(format!(
                    "no answer within {} seconds",
                    FIRST_ANSWER.as_secs()
                ))
                .hint(cluster.where_from()));
            }
        }
        Ok(cluster)
    }

    /// Objects of a kind in the cluster's namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Objects of a kind that belong to no namespace.
    pub fn cluster_api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::ClusterResourceScope>,
        K::DynamicType: Default,
    {
        Api::all(self.client.clone())
    }

    /// Turns a refusal into an error of a command. `doing` completes the sentence "failed to …".
    pub fn failed(&self, doing: impl Into<String>) -> impl FnOnce(kube::Error) -> CommandError {
        let doing = doing.into();
        let facts = error::Facts {
            server: self.server.clone(),
            login: self.login.clone(),
            namespace: self.namespace.clone(),
            where_from: self.where_from(),
            credentials: self.credentials.clone(),
        };
        move |source| error::command_error(source, &doing, &facts)
    }

    /// What charts may ask about the cluster.
    ///
    /// # Errors
    ///
    /// The cluster's refusal.
    pub async fn capabilities(&self) -> CommandResult<helm::Capabilities> {
        let mut capabilities = helm::Capabilities::default();
        if let Ok(version) = helm::KubeVersion::parse(&self.version) {
            capabilities.kube_version = version;
        }
        capabilities.api_versions = self
            .kinds
            .all()
            .await
            .map_err(self.failed("ask which kinds it knows"))?;
        Ok(capabilities)
    }

    /// Which settings led here, for hints.
    pub fn where_from(&self) -> String {
        let through = self
            .proxy
            .as_ref()
            .map(|proxy| format!(" through the proxy {proxy}"))
            .unwrap_or_default();
        format!(
            "context `{}` of the kubeconfig leads to {}{through}; `--context` names another",
            self.context, self.server
        )
    }

    /// What to say when nothing is found in the namespace: whether it exists at all, and which one was meant.
    /// `None` when it exists or this login may not know.
    pub async fn missing_namespace(&self) -> Option<CommandError> {
        use k8s_openapi::api::core::v1::Namespace;
        let namespaces: Api<Namespace> = self.cluster_api();
        match namespaces.get_opt(&self.namespace).await {
            Ok(None) => {}
            Ok(Some(_)) | Err(_) => return None,
        }
        let error = CommandError::not_found(format!(
            "there is no namespace `{}` in the cluster of context `{}`",
            self.namespace, self.context
        ));
        let known: Vec<String> = match namespaces
            .list_metadata(&kube::api::ListParams::default())
            .await
        {
            Ok(list) => list
                .items
                .into_iter()
                .filter_map(|namespace| namespace.metadata.name)
                .collect(),
            Err(_not_allowed) => Vec::new(),
        };
        let near = crate::diagnostic::nearest(&self.namespace, known.iter().map(String::as_str));
        Some(match near {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(
                "`--namespace` names another; `ioc beamline init` makes what a beamline needs, its namespace too",
            ),
        })
    }
}
