//! Charts and real registries: Debian's docker-registry, real helm in both directions, and the faults that only a
//! fake can make.

mod charts;
mod dependencies;
mod faults;
mod images;
mod lint;
mod services;
mod tokens;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::context::TestContext;
use crate::testbed;

/// A test with helm, two registries and a folder of its own in them.
struct Bed {
    context: TestContext,
    helm: String,
    /// `HOST:PORT` of the registry without a login.
    open: String,
    /// `HOST:PORT` of the one with a login.
    login: String,
    user: String,
    password: String,
    /// Folder in the registries that nobody else uses.
    folder: String,
}

impl Bed {
    /// `None` where a real part is missing, which has been said aloud.
    fn new(name: &str) -> Option<Self> {
        let helm = testbed::part("helm.sh", "HELM_BINARY")?;
        let registry = |variable| testbed::part("registry.sh", variable);
        let context = TestContext::new();
        let config = context
            .root()
            .join("home/.config/helm/registry/config.json");
        let context = context.env("HELM_REGISTRY_CONFIG", config.display().to_string());
        Some(Self {
            helm,
            open: registry("REGISTRY")?,
            login: registry("REGISTRY_LOGIN")?,
            user: registry("REGISTRY_USER")?,
            password: registry("REGISTRY_PASSWORD")?,
            folder: format!("{name}-{}", std::process::id()),
            context,
        })
    }

    /// Runs real helm in the project, with the same home as `ioc`.
    fn helm(&self, arguments: &[&str]) -> Output {
        let home = self.context.root().join("home");
        let config = home.join(".config/helm/registry/config.json");
        Command::new(&self.helm)
            .args(arguments)
            .current_dir(self.context.project())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .env("HELM_REGISTRY_CONFIG", config)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    }

    /// The same, which must succeed; gives standard output.
    fn helm_succeeds(&self, arguments: &[&str]) -> String {
        let output = self.helm(arguments);
        assert!(
            output.status.success(),
            "helm {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// `oci://HOST:PORT/FOLDER` in the registry without a login.
    fn remote(&self) -> String {
        format!("oci://{}/{}", self.open, self.folder)
    }

    fn path(&self, inner: &str) -> PathBuf {
        self.context.project().join(inner)
    }

    /// Writes a small chart with templates into the project.
    fn chart(&self, name: &str, version: &str) {
        let context = &self.context;
        context.write(
            &format!("{name}/Chart.yaml"),
            format!(
                "apiVersion: v2\nname: {name}\nversion: {version}\ndescription: a <small> chart & more\nhome: https://home.example\nsources: [https://one.example, https://two.example]\nmaintainers: [{{name: A, email: a@x.example}}, {{name: B}}]\nannotations: {{org.opencontainers.image.title: other, x: \"1\"}}\n"
            ),
        );
        context.write(&format!("{name}/values.yaml"), "size: 3 # replicas\n");
        context.write(&format!("{name}/README.md"), "# read me\n");
        context.write(
            &format!("{name}/templates/config.yaml"),
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {size: {{ .Values.size | quote }}}\n",
        );
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
