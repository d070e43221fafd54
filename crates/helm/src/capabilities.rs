//! What a chart may ask about its target: Kubernetes version, API versions, Helm version.

/// `.Capabilities` of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The version of the Kubernetes API server.
    pub kube_version: KubeVersion,
    /// Group versions (`apps/v1`) and, on a real cluster, also kinds (`apps/v1/Deployment`).
    pub api_versions: Vec<String>,
    /// What calls itself Helm.
    pub helm_version: HelmVersion,
}

impl KubeVersion {
    /// The first two numbers.
    pub(crate) fn numbers(&self) -> (u64, u64) {
        let number = |text: &str| {
            let digits = text.trim_end_matches(|last: char| !last.is_ascii_digit());
            digits.parse().unwrap_or(0)
        };
        (number(&self.major), number(&self.minor))
    }
}

/// A Kubernetes version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeVersion {
    /// The full version with a leading `v`, for example `v1.33.4-gke.1245000`.
    pub version: String,
    /// The same without what follows the patch number; this is what it prints as.
    pub normalized: String,
    /// The first number.
    pub major: String,
    /// The second number.
    pub minor: String,
}

/// `.Capabilities.HelmVersion`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelmVersion {
    /// Version of Helm, with a leading `v`.
    pub version: String,
    /// Commit that Helm was built from.
    pub git_commit: String,
    /// `clean` or `dirty`.
    pub git_tree_state: String,
    /// Version of the Go compiler.
    pub go_version: String,
    /// Version of the Kubernetes client library.
    pub kube_client_version: String,
}

impl HelmVersion {
    /// Go name, JSON name and text of each field, in Go's order.
    pub(crate) fn fields(&self) -> [(&'static str, &'static str, &str); 5] {
        [
            ("Version", "version", &self.version),
            ("GitCommit", "git_commit", &self.git_commit),
            ("GitTreeState", "git_tree_state", &self.git_tree_state),
            ("GoVersion", "go_version", &self.go_version),
            (
                "KubeClientVersion",
                "kube_client_version",
                &self.kube_client_version,
            ),
        ]
    }
}

/// A text that is not the version of a Kubernetes server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a Kubernetes version such as `1.33` or `v1.33.4`")]
pub struct KubeVersionError(pub String);

impl KubeVersionError {
    /// The message in Helm's own words.
    pub fn helm_text(&self) -> String {
        format!("could not parse {:?} as version", self.0)
    }
}

impl KubeVersion {
    /// Reads `1.33`, `v1.33.4` or `v1.33.4-gke.1245000`.
    ///
    /// # Errors
    /// When the text does not begin with at least two numbers.
    pub fn parse(text: &str) -> Result<Self, KubeVersionError> {
        let invalid = || KubeVersionError(text.to_owned());
        let plain = text.strip_prefix('v').unwrap_or(text);
        let numeric_end = plain
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(plain.len());
        let numbers: Vec<&str> = plain[..numeric_end]
            .trim_end_matches('.')
            .split('.')
            .collect();
        let valid = numbers.len() >= 2
            && numbers.iter().all(|number| {
                number.parse::<u32>().is_ok() && (*number == "0" || !number.starts_with('0'))
            });
        let [major, minor, rest @ ..] = numbers.as_slice() else {
            return Err(invalid());
        };
        if !valid {
            return Err(invalid());
        }
        let normalized = match rest {
            [] => format!("v{major}.{minor}.0"),
            rest => format!("v{major}.{minor}.{}", rest.join(".")),
        };
        Ok(Self {
            version: format!("v{plain}"),
            normalized,
            major: (*major).to_owned(),
            minor: (*minor).to_owned(),
        })
    }
}

impl Default for Capabilities {
    /// What `helm template` of Helm 4.3.1 assumes when it knows no cluster.
    fn default() -> Self {
        Self {
            kube_version: KubeVersion {
                version: "v1.37.0".to_owned(),
                normalized: "v1.37.0".to_owned(),
                major: "1".to_owned(),
                minor: "37".to_owned(),
            },
            api_versions: DEFAULT_API_VERSIONS
                .iter()
                .map(|&text| text.to_owned())
                .collect(),
            helm_version: HelmVersion {
                version: "v4.3.1".to_owned(),
                git_commit: "c0d08d0d6d9424d4a14febb5e8a3e51b0dd00dff".to_owned(),
                git_tree_state: "clean".to_owned(),
                go_version: "go1.27.2".to_owned(),
                kube_client_version: "v1.37".to_owned(),
            },
        }
    }
}

/// `{{ .Capabilities.APIVersions }}` of Helm 4.3.1 without a cluster, in its order.
const DEFAULT_API_VERSIONS: [&str; 57] = [
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "lifecycle.k8s.io/v1alpha1",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];
