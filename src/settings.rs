//! Settings, resolved once: flag > `IOC_*` environment > `ioc.toml` > the user's file > default.
//!
//! Commands get a [`Settings`] and never read the environment or a configuration file themselves.

mod alarm;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::global::GlobalArgs;
use crate::project::{self, Backend, FILE_NAME, Mirror, ProjectFile};
use crate::ui::error::{CommandError, CommandResult, ErrorKind};

pub use alarm::{AlarmSettings, ElasticsearchSettings, LokiSettings, Secret, ServiceSettings};

/// Everything that does not depend on the verb.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The project folder, when `ioc.toml` was found.
    pub project: Option<PathBuf>,
    /// Where images are defined.
    pub images: ImageSettings,
    /// How sources are fetched.
    pub fetch: FetchSettings,
    /// How registries are reached.
    pub registry: RegistrySettings,
    /// Which container engine was asked for; `None` looks at the usual sockets.
    pub engine: Option<String>,
    /// Where released charts are pushed to, as `oci://HOST/PATH`.
    pub release_charts: Option<String>,
    /// Beamlines by name.
    pub beamlines: BTreeMap<String, Beamline>,
    /// The `EPICS_CA_*` variables for our own searches, from the environment and `ioc.toml`.
    pub channel_access: BTreeMap<String, String>,
    /// Sources and other things that can be made again.
    pub cache: PathBuf,
    /// Release records, configuration and data folders of the local backend.
    pub state: PathBuf,
    /// Who acts, for the history: `user@host`.
    pub user: String,
    /// Where clusters are found.
    pub kubernetes: KubernetesSettings,
    /// Where logs are that the nodes no longer have.
    pub logs: LogStoreSettings,
    /// The alarm system.
    pub alarm: AlarmSettings,
}

/// Where logs are that the nodes no longer have.
#[derive(Debug, Clone)]
pub struct LogStoreSettings {
    /// Address of Loki, before `/loki/api/v1`.
    pub url: Option<String>,
    /// Query for the lines of one container, with names in braces.
    pub query: String,
    /// Tenant.
    pub tenant: Option<String>,
    /// File with a bearer token.
    pub token_file: Option<PathBuf>,
    /// User.
    pub user: Option<String>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// Address of a page with the logs of an instance, with names in braces.
    pub page: Option<String>,
}

/// Where clusters are found.
#[derive(Debug, Clone)]
pub struct KubernetesSettings {
    /// Kubeconfig files: those of `KUBECONFIG`, else the one in the home folder.
    pub kubeconfig: Vec<PathBuf>,
    /// Whether this process runs in a pod of a cluster.
    pub in_cluster: bool,
    /// The proxy for clusters whose kubeconfig names none: `HTTPS_PROXY`.
    pub proxy: Option<String>,
    /// Hosts that are reached without it: `NO_PROXY`.
    pub no_proxy: Option<String>,
}

/// Where images are defined and how they are named.
#[derive(Debug, Clone)]
pub struct ImageSettings {
    /// Folder with one folder per image, and `modules/` with the recipes.
    pub folder: PathBuf,
    /// Operating-system image.
    pub base: String,
    /// Registry and path that names are put under.
    pub registry: String,
    /// Tag of what is built.
    pub tag: String,
}

/// How sources are fetched.
#[derive(Debug, Clone)]
pub struct FetchSettings {
    /// Rewrite rules, first match wins.
    pub mirrors: Vec<Mirror>,
    /// Extra certificates in PEM form.
    pub ca_bundle: Option<PathBuf>,
    /// HTTP proxy.
    pub proxy: Option<String>,
    /// Hosts that are reached without the proxy, separated by commas.
    pub no_proxy: Option<String>,
    /// Mirror of Debian packages; `None` asks apt's configuration.
    pub debian_mirror: Option<String>,
    /// Never use the network.
    pub offline: bool,
}

/// How registries are reached.
#[derive(Debug, Clone, Default)]
pub struct RegistrySettings {
    /// Registries, as `host` or `host:port`, that are reached without TLS.
    pub plain_http: Vec<String>,
    /// Files in which Helm keeps logins.
    pub helm_logins: Vec<PathBuf>,
    /// Files in which Docker and Podman keep logins, first match wins.
    pub engine_logins: Vec<PathBuf>,
    /// File in which Helm keeps the names of chart repositories.
    pub helm_repositories: Option<PathBuf>,
}

/// A beamline of the project.
#[derive(Debug, Clone)]
pub struct Beamline {
    /// Its name in `ioc.toml`.
    pub name: String,
    /// Folder of its services repository: the working copy, or the files of [`Self::version`].
    pub repository: PathBuf,
    /// URL of its services repository (`git@…`, `https://…`, `file://…`) or of its charts (`oci://…`), where `ioc.toml`
    /// names one in place of a folder.
    pub remote: Option<String>,
    /// The version that stands in for the working copy, when a command asks for one.
    pub version: Option<crate::services::Version>,
    /// Charts from a registry that stand in for the working copy.
    pub charts: Vec<crate::versions::ReceivedChart>,
    /// Where its instances run.
    pub backend: Backend,
    /// Kubernetes context.
    pub context: Option<String>,
    /// Namespace that charts see.
    pub namespace: String,
}

/// What the agents of Loki label lines of pods with.
const DEFAULT_LOG_QUERY: &str =
    "{namespace=\"{namespace}\", pod=~\"{instance}-.+\", container=\"{container}\"}";

/// The variables of the process, taken once so that nothing below reads the environment.
type Environment = BTreeMap<String, String>;

impl Settings {
    /// Resolves the settings of a command.
    ///
    /// # Errors
    ///
    /// A configuration file that cannot be read or is wrong, or `--project` without a project.
    pub fn resolve(global: &GlobalArgs) -> CommandResult<Self> {
        let environment: Environment = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let current = std::env::current_dir()
            .map_err(|error| CommandError::system(error, "failed to find the current folder"))?;
        Self::from_parts(global, &environment, &current)
    }

    /// Settings for shell completion, where no flag has been parsed.
    ///
    /// # Errors
    ///
    /// As [`Self::resolve`].
    pub fn for_completion() -> CommandResult<Self> {
        Self::resolve(&GlobalArgs {
            output: crate::cli::global::OutputFormat::Table,
            quiet: true,
            verbose: 0,
            color: crate::cli::global::ColorChoice::Never,
            project: std::env::var_os("IOC_PROJECT").map(PathBuf::from),
            engine: None,
        })
    }

    /// Settings of a test whose home, project, cache and state are below `folder`, without any variable of the
    /// environment.
    #[cfg(test)]
    pub(crate) fn for_test(folder: &Path) -> Self {
        let global = GlobalArgs {
            output: crate::cli::global::OutputFormat::Table,
            quiet: true,
            verbose: 0,
            color: crate::cli::global::ColorChoice::Never,
            project: None,
            engine: None,
        };
        let home = Environment::from([("HOME".to_owned(), folder.display().to_string())]);
        match Self::from_parts(&global, &home, folder) {
            Ok(settings) => settings,
            Err(error) => panic!("settings of a test: {error}"),
        }
    }

    fn from_parts(
        global: &GlobalArgs,
        environment: &Environment,
        current: &Path,
    ) -> CommandResult<Self> {
        let project = match &global.project {
            Some(folder) => Some(named_project(folder)?),
            None => current
                .ancestors()
                .find(|folder| folder.join(FILE_NAME).is_file())
                .map(Path::to_path_buf),
        };
        let project_file = match &project {
            Some(folder) => read(&folder.join(FILE_NAME), current)?,
            None => ProjectFile::default(),
        };
        let user_path = environment.get("IOC_CONFIG").map(PathBuf::from);
        let user_file = match user_path {
            Some(path) => read(&path, current)
                .map_err(|error| error.hint("`IOC_CONFIG` says that it is read"))?,
            None => match base_folder(environment, "XDG_CONFIG_HOME", ".config") {
                Some(folder) if folder.join("ioc/config.toml").is_file() => {
                    read(&folder.join("ioc/config.toml"), current)?
                }
                _ => ProjectFile::default(),
            },
        };
        let root = project.clone().unwrap_or_else(|| current.to_path_buf());
        let layers = Layers {
            environment,
            project: project_file,
            user: user_file,
            root,
        };
        layers.settle(global, project)
    }

    /// The beamline of that name.
    ///
    /// # Errors
    ///
    /// Not found, with the names that exist.
    pub fn beamline(&self, name: &str) -> CommandResult<&Beamline> {
        self.beamlines.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.beamlines.keys().map(String::as_str).collect();
            let error = CommandError::not_found(format!("there is no beamline `{name}`"));
            match crate::diagnostic::nearest(name, known.iter().copied()) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None if known.is_empty() => {
                    error.hint(format!("`ioc new beamline {name}` writes one"))
                }
                None => error.hint(format!("`ioc.toml` has {}", known.join(", "))),
            }
        })
    }
}

/// The files and the environment before they are merged.
struct Layers<'a> {
    environment: &'a Environment,
    project: ProjectFile,
    user: ProjectFile,
    root: PathBuf,
}

impl Layers<'_> {
    fn settle(self, global: &GlobalArgs, project: Option<PathBuf>) -> CommandResult<Settings> {
        let cache = self.folder("IOC_CACHE_DIR", "XDG_CACHE_HOME", ".cache")?;
        let state = self.folder("IOC_STATE_DIR", "XDG_STATE_HOME", ".local/state")?;
        let fetch = self.fetch();
        let registry = self.registry();
        let engine = global
            .engine
            .clone()
            .or_else(|| self.project.engine.host.clone())
            .or_else(|| self.environment.get("DOCKER_HOST").cloned())
            .or_else(|| self.user.engine.host.clone());
        let images = ImageSettings {
            folder: self.root.join(
                self.either(|file| file.images.folder.clone())
                    .unwrap_or_else(|| "generic-iocs".into()),
            ),
            base: self
                .variable("IOC_IMAGE_BASE")
                .or_else(|| self.either(|file| file.images.base.clone()))
                .unwrap_or_else(|| "localhost/debian:trixie".to_owned()),
            registry: self
                .variable("IOC_IMAGE_REGISTRY")
                .or_else(|| self.either(|file| file.images.registry.clone()))
                .unwrap_or_else(|| "localhost".to_owned()),
            tag: self
                .variable("IOC_IMAGE_TAG")
                .or_else(|| self.either(|file| file.images.tag.clone()))
                .unwrap_or_else(|| "latest".to_owned()),
        };
        let channel_access = self.channel_access();
        let release_charts = self.either(|file| file.release.charts.clone());
        let user = self.user();
        let kubernetes = self.kubernetes();
        let logs = self.logs();
        let alarm = self.alarm(&state);
        let root = self.root;
        let beamlines = self
            .project
            .beamline
            .into_iter()
            .map(|(name, table)| {
                let remote = table.repository.to_str().filter(|text| is_remote(text));
                let beamline = Beamline {
                    remote: remote.map(str::to_owned),
                    version: None,
                    charts: Vec::new(),
                    repository: root.join(&table.repository),
                    backend: table.backend,
                    context: table.context,
                    namespace: table.namespace.unwrap_or_else(|| name.clone()),
                    name: name.clone(),
                };
                (name, beamline)
            })
            .collect();
        Ok(Settings {
            project,
            images,
            fetch,
            registry,
            engine,
            release_charts,
            beamlines,
            channel_access,
            cache,
            state,
            user,
            kubernetes,
            logs,
            alarm,
        })
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.environment
            .get(name)
            .filter(|value| !value.is_empty())
            .cloned()
    }

    fn either<T>(&self, key: impl Fn(&ProjectFile) -> Option<T>) -> Option<T> {
        key(&self.project).or_else(|| key(&self.user))
    }

    fn fetch(&self) -> FetchSettings {
        let proxy_variables = ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"];
        FetchSettings {
            mirrors: [&self.project.mirrors[..], &self.user.mirrors[..]].concat(),
            ca_bundle: self
                .variable("IOC_CA_BUNDLE")
                .map(PathBuf::from)
                .or_else(|| {
                    self.either(|file| file.fetch.ca_bundle.clone())
                        .map(|path| self.root.join(path))
                })
                .or_else(|| self.variable("SSL_CERT_FILE").map(PathBuf::from)),
            proxy: self
                .variable("IOC_PROXY")
                .or_else(|| self.either(|file| file.fetch.proxy.clone()))
                .or_else(|| proxy_variables.iter().find_map(|name| self.variable(name))),
            no_proxy: self
                .variable("IOC_NO_PROXY")
                .or_else(|| self.either(|file| file.fetch.no_proxy.clone()))
                .or_else(|| self.variable("no_proxy"))
                .or_else(|| self.variable("NO_PROXY")),
            debian_mirror: self
                .variable("IOC_DEBIAN_MIRROR")
                .or_else(|| self.either(|file| file.fetch.debian_mirror.clone())),
            offline: self
                .variable("IOC_OFFLINE")
                .map(|value| value != "0" && value != "false")
                .or_else(|| self.either(|file| file.fetch.offline))
                .unwrap_or(false),
        }
    }

    /// Where Helm, Docker and Podman keep logins: their own variables, then their usual places.
    fn registry(&self) -> RegistrySettings {
        let file = |name: &str| self.variable(name).map(PathBuf::from);
        let helm = file("HELM_CONFIG_HOME").or_else(|| {
            Some(base_folder(self.environment, "XDG_CONFIG_HOME", ".config")?.join("helm"))
        });
        let below_helm = |path: &str| helm.as_ref().map(|folder| folder.join(path));
        let docker = file("DOCKER_CONFIG")
            .or_else(|| Some(self.variable("HOME").map(PathBuf::from)?.join(".docker")))
            .map(|folder| folder.join("config.json"));
        let podman = match file("REGISTRY_AUTH_FILE") {
            Some(named) => vec![named],
            None => [
                file("XDG_RUNTIME_DIR"),
                base_folder(self.environment, "XDG_CONFIG_HOME", ".config"),
            ]
            .into_iter()
            .flatten()
            .map(|folder| folder.join("containers/auth.json"))
            .collect(),
        };
        RegistrySettings {
            plain_http: [
                &self.project.registry.plain_http[..],
                &self.user.registry.plain_http[..],
            ]
            .concat(),
            helm_logins: file("HELM_REGISTRY_CONFIG")
                .or_else(|| below_helm("registry/config.json"))
                .into_iter()
                .collect(),
            engine_logins: docker.into_iter().chain(podman).collect(),
            helm_repositories: file("HELM_REPOSITORY_CONFIG")
                .or_else(|| below_helm("repositories.yaml")),
        }
    }

    fn channel_access(&self) -> Environment {
        let mut variables: Environment = self
            .environment
            .iter()
            .filter(|(key, _)| key.starts_with("EPICS_CA_"))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let mut set = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                variables.entry(key.to_owned()).or_insert(value);
            }
        };
        set(
            "EPICS_CA_ADDR_LIST",
            self.either(|file| file.channel_access.address_list.clone()),
        );
        set(
            "EPICS_CA_AUTO_ADDR_LIST",
            self.either(|file| file.channel_access.auto_address_list)
                .map(|on| if on { "YES" } else { "NO" }.to_owned()),
        );
        set(
            "EPICS_CA_SERVER_PORT",
            self.either(|file| file.channel_access.server_port)
                .map(|port| port.to_string()),
        );
        variables
    }

    fn folder(&self, own: &str, xdg: &str, home: &str) -> CommandResult<PathBuf> {
        if let Some(folder) = self.variable(own) {
            return std::path::absolute(&folder).map_err(|error| {
                CommandError::system(error, format!("failed to resolve `{own}={folder}`"))
            });
        }
        base_folder(self.environment, xdg, home)
            .map(|folder| folder.join("ioc"))
            .ok_or_else(|| {
                CommandError::new(
                    ErrorKind::System,
                    format!("neither `{own}` nor `HOME` says where files are kept"),
                )
                .hint(format!("set `{own}` to a folder"))
            })
    }

    fn logs(&self) -> LogStoreSettings {
        let path = |path: Option<PathBuf>| path.map(|path| self.root.join(path));
        LogStoreSettings {
            url: self
                .variable("IOC_LOGS_URL")
                .or_else(|| self.either(|file| file.logs.url.clone())),
            query: self
                .either(|file| file.logs.query.clone())
                .unwrap_or_else(|| DEFAULT_LOG_QUERY.to_owned()),
            tenant: self.either(|file| file.logs.tenant.clone()),
            token_file: path(self.either(|file| file.logs.token_file.clone())),
            user: self.either(|file| file.logs.user.clone()),
            password_file: path(self.either(|file| file.logs.password_file.clone())),
            page: self.either(|file| file.logs.page.clone()),
        }
    }

    fn kubernetes(&self) -> KubernetesSettings {
        let home = self.variable("HOME").map(PathBuf::from);
        KubernetesSettings {
            kubeconfig: crate::fleet::kubernetes::kubeconfig_files(
                self.variable("KUBECONFIG").as_deref(),
                home.as_deref(),
            ),
            in_cluster: self.variable("KUBERNETES_SERVICE_HOST").is_some(),
            proxy: self
                .variable("HTTPS_PROXY")
                .or_else(|| self.variable("https_proxy")),
            no_proxy: self
                .variable("NO_PROXY")
                .or_else(|| self.variable("no_proxy")),
        }
    }

    fn user(&self) -> String {
        let name = ["IOC_USER", "SUDO_USER", "USER", "LOGNAME"]
            .iter()
            .find_map(|name| self.variable(name))
            .unwrap_or_else(|| account_name(rustix::process::getuid().as_raw()));
        let host = rustix::system::uname();
        format!("{name}@{}", host.nodename().to_string_lossy())
    }
}

/// Whether `repository` of a beamline names a server: something with a scheme, or `user@host:path`.
fn is_remote(text: &str) -> bool {
    text.contains("://") || crate::source::definition::GitUrl::new(text).is_ok()
}

/// The account's name in the local table of accounts, or its number where the name is kept elsewhere.
fn account_name(uid: u32) -> String {
    let accounts = fs_err::read_to_string("/etc/passwd").unwrap_or_default();
    accounts
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2).and_then(|field| field.parse().ok()) == Some(uid))
        .map_or_else(|| uid.to_string(), |fields| fields[0].to_owned())
}

fn named_project(folder: &Path) -> CommandResult<PathBuf> {
    let file = folder.join(FILE_NAME);
    if !file.is_file() {
        return Err(CommandError::not_found(format!(
            "there is no `{FILE_NAME}` in `{}`",
            folder.display()
        ))
        .hint("`--project` and `IOC_PROJECT` name the folder that holds it"));
    }
    std::path::absolute(folder)
        .map_err(|error| CommandError::system(error, "failed to resolve the project folder"))
}

/// `$XDG_…` or the folder below `$HOME`.
fn base_folder(environment: &Environment, xdg: &str, home: &str) -> Option<PathBuf> {
    environment
        .get(xdg)
        .filter(|value| value.starts_with('/'))
        .map(PathBuf::from)
        .or_else(|| {
            environment
                .get("HOME")
                .map(|folder| Path::new(folder).join(home))
        })
}

fn read(path: &Path, current: &Path) -> CommandResult<ProjectFile> {
    let source = crate::text::read(path, project::LARGEST_FILE)?;
    let shown = path.strip_prefix(current).unwrap_or(path);
    project::parse(shown, &source)
        .map_err(|diagnostic| CommandError::from_diagnostic(ErrorKind::Input, *diagnostic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::global::{ColorChoice, OutputFormat};

    fn resolve(
        files: &[(&str, &str)],
        environment: &[(&str, &str)],
        engine: Option<&str>,
    ) -> Settings {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs_err::write(folder.path().join(name), text).unwrap();
        }
        let mut variables: Environment = environment
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        variables.entry("HOME".into()).or_insert("/nowhere".into());
        if files.iter().any(|(name, _)| *name == "user.toml") {
            let path = folder.path().join("user.toml");
            variables.insert("IOC_CONFIG".into(), path.display().to_string());
        }
        let global = GlobalArgs {
            output: OutputFormat::Table,
            quiet: false,
            verbose: 0,
            color: ColorChoice::Auto,
            project: None,
            engine: engine.map(str::to_owned),
        };
        Settings::from_parts(&global, &variables, folder.path()).unwrap()
    }

    #[test]
    fn flag_wins_over_project_over_environment_of_others_over_user_file() {
        let project = ("ioc.toml", "[engine]\nhost = \"unix:///project\"\n");
        let user = ("user.toml", "[engine]\nhost = \"unix:///user\"\n");
        let docker = [("DOCKER_HOST", "unix:///docker")];
        let engine = |settings: Settings| settings.engine.unwrap();
        assert_eq!(
            engine(resolve(&[project, user], &docker, Some("unix:///flag"))),
            "unix:///flag"
        );
        assert_eq!(
            engine(resolve(&[project, user], &docker, None)),
            "unix:///project"
        );
        assert_eq!(engine(resolve(&[user], &docker, None)), "unix:///docker");
        assert_eq!(engine(resolve(&[user], &[], None)), "unix:///user");
    }

    #[test]
    fn environment_wins_over_project_for_our_own_variables() {
        let project = ("ioc.toml", "[images]\nbase = \"a\"\ntag = \"b\"\n");
        let settings = resolve(&[project], &[("IOC_IMAGE_BASE", "c")], None);
        assert_eq!(
            (settings.images.base.as_str(), settings.images.tag.as_str()),
            ("c", "b")
        );
    }

    #[test]
    fn a_beamline_is_relative_to_the_project() {
        let project = (
            "ioc.toml",
            "[beamline.t01]\nrepository = \"beamlines/t01\"\n",
        );
        let settings = resolve(&[project], &[], None);
        let beamline = settings.beamline("t01").unwrap();
        assert_eq!(
            beamline.repository,
            settings.project.clone().unwrap().join("beamlines/t01")
        );
        assert_eq!(beamline.namespace, "t01");
    }
}
