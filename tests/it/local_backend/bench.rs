//! A namespace of its own on the real engine, and what is deployed there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ioc::engine::Engine;
use ioc::fleet::deploy::{Deployed, Desired, Options};
use ioc::fleet::progress::Silent;
use ioc::fleet::release::{Record, record};
use ioc::fleet::session::{Fleet, Session, Subject, node_name};
use ioc::fleet::store::Store;
use ioc::settings::ImageSettings;
use ioc::ui::error::CommandError;
use tokio_util::sync::CancellationToken;

use crate::context::TestContext;
use crate::testbed;

/// The image that the test bed loads.
pub(super) const IMAGE: &str = "localhost/debian:trixie";

/// A namespace of its own on the real engine; what is left of it goes when it is dropped.
pub(super) struct Bench {
    pub(super) host: String,
    pub(super) namespace: String,
    pub(super) context: TestContext,
}

impl Bench {
    pub(super) fn new(namespace: &str) -> Option<Self> {
        let host = testbed::part("engine.sh", "DOCKER_HOST")?;
        // a thread of its own: the shared engine's calls block, and these tests are async
        let ready =
            std::thread::spawn(|| crate::engine::Engine::shared().map(crate::beamline::base_image));
        ready.join().unwrap()?;
        Some(Self {
            host,
            namespace: format!("it-{namespace}-{}", std::process::id()),
            context: TestContext::new(),
        })
    }

    pub(super) async fn fleet(&self) -> Fleet {
        self.fleet_at(&self.host).await
    }

    pub(super) async fn fleet_at(&self, host: &str) -> Fleet {
        Fleet {
            engine: Engine::connect_to(host).await.unwrap(),
            store: Store::new(&self.context.state()),
            node: node_name(),
            user: "tester@here".into(),
            images: ImageSettings {
                folder: "generic-iocs".into(),
                base: IMAGE.into(),
                registry: "localhost".into(),
                tag: "latest".into(),
            },
            channel_access: BTreeMap::new(),
        }
    }

    pub(super) fn subject(&self, instance: &str) -> Subject {
        Subject {
            instance: instance.into(),
            namespace: self.namespace.clone(),
            beamline: "it".into(),
        }
    }

    pub(super) fn claims(&self) -> PathBuf {
        self.context.state().join(&self.namespace).join("claims")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let host = self.host.clone();
        let namespace = self.namespace.clone();
        // a runtime of its own: drop runs inside that of the test
        let removed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let engine = Engine::connect_to(&host).await.unwrap();
                let all = ioc::fleet::containers::list_with_staged(&engine)
                    .await
                    .unwrap();
                for container in all.iter().filter(|one| one.namespace == namespace) {
                    let options = bollard::query_parameters::RemoveContainerOptions {
                        force: true,
                        v: true,
                        link: false,
                    };
                    let _gone = engine
                        .docker()
                        .remove_container(&container.id, Some(options))
                        .await;
                }
            });
        })
        .join();
        assert!(removed.is_ok(), "containers of {} are left", self.namespace);
    }
}

/// Manifests of an instance that runs `script` and has a configuration file and a claim.
pub(super) fn manifests(instance: &str, script: &str, config: &str) -> String {
    format!(
        r#"---
kind: ConfigMap
metadata: {{name: {instance}-config}}
data: {{value: "{config}"}}
---
kind: PersistentVolumeClaim
metadata: {{name: {instance}-data}}
---
kind: StatefulSet
metadata: {{name: {instance}}}
spec:
  replicas: 1
  template:
    metadata: {{labels: {{app: {instance}, configHash: "{config}"}}}}
    spec:
      hostNetwork: true
      terminationGracePeriodSeconds: 2
      securityContext: {{runAsUser: 1234, runAsGroup: 1235, fsGroup: 1236}}
      volumes:
        - {{name: config, configMap: {{name: {instance}-config}}}}
        - {{name: data, persistentVolumeClaim: {{claimName: {instance}-data}}}}
        - {{name: scratch, emptyDir: {{}}}}
      containers:
        - name: {instance}
          image: {IMAGE}
          command: [sh, -c]
          args:
            - |
              {script}
          stdin: true
          tty: true
          env: [{{name: WHO, value: {instance}}}, {{name: GREETING, value: hello $(WHO)}}]
          securityContext: {{readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
          resources: {{limits: {{memory: 64Mi, cpu: 500m}}}}
          volumeMounts:
            - {{name: config, mountPath: /config}}
            - {{name: data, mountPath: /data, subPath: deep/{instance}}}
            - {{name: scratch, mountPath: /scratch}}
"#
    )
}

/// Runs until it is asked to end.
pub(super) const FOREVER: &str = "trap 'exit 0' TERM; echo started; while :; do sleep 0.1; done";

pub(super) fn desired(manifest: &str) -> Desired {
    Desired {
        record: Record {
            manifest: manifest.to_owned(),
            ..Record::default()
        },
        ..Desired::default()
    }
}

pub(super) fn options(atomic: bool) -> Options {
    Options {
        atomic,
        wait: Some(Duration::from_secs(30)),
        message: None,
    }
}

pub(super) async fn deploy(
    fleet: &Fleet,
    subject: &Subject,
    manifest: &str,
    options: &Options,
) -> Result<Deployed, CommandError> {
    let mut session = fleet.open(subject, Some("deploys"))?;
    let plan = session.plan(desired(manifest)).await?;
    session
        .carry_out(plan, options, &Silent, &CancellationToken::new())
        .await
}

/// Runs a command in the container of the instance and gives its output.
pub(super) async fn exec(session: &Session<'_>, host: &str, command: &str) -> String {
    use futures_util::StreamExt as _;
    let engine = Engine::connect_to(host).await.unwrap();
    let containers = session.containers().await.unwrap();
    let main = containers.iter().find(|one| one.is_ioc).unwrap();
    let options = bollard::exec::CreateExecOptions {
        cmd: Some(vec!["sh", "-c", command]),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..Default::default()
    };
    let exec = engine
        .docker()
        .create_exec(&main.id, options)
        .await
        .unwrap();
    let started = engine
        .docker()
        .start_exec(&exec.id, None::<bollard::exec::StartExecOptions>)
        .await
        .unwrap();
    let bollard::exec::StartExecResults::Attached { mut output, .. } = started else {
        unreachable!("not detached");
    };
    let mut text = String::new();
    while let Some(piece) = output.next().await {
        text.push_str(&piece.unwrap().to_string());
    }
    text.replace('\r', "")
}

pub(super) fn statuses(session: &Session<'_>) -> Vec<String> {
    session
        .history()
        .iter()
        .map(|record| {
            format!(
                "{} {}: {}",
                record::revision(record),
                record.info.status,
                record.info.description
            )
        })
        .collect()
}
