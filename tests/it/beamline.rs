//! A beamline of a test's own on the shared container engine, with instances of the real `ioc-sim` image.
//!
//! Names of beamline, instances and PVs differ between tests, so that they run at the same time on one engine and
//! one Channel Access network (loopback only: the values that `ioc new` writes see to that).

use std::ops::Deref;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::context::{TestContext, repository};
use crate::engine::{Engine, wait_for};

/// Tag of the images that tests build, so that nobody's own images are replaced.
pub(crate) const TAG: &str = "it";

/// How long a PV may take to answer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A project with one beamline; containers and folders go when it is dropped, also when a test fails.
pub(crate) struct Beamline {
    context: TestContext,
    engine: Engine,
    name: String,
}

impl Deref for Beamline {
    type Target = TestContext;

    fn deref(&self) -> &TestContext {
        &self.context
    }
}

impl Beamline {
    /// A beamline without instances; `None` where there is no container engine.
    pub(crate) fn new() -> Option<Self> {
        let engine = Engine::shared()?;
        sim_image(engine);
        Some(Self::on(engine))
    }

    /// The same on an engine that has, or need not have, the image.
    pub(crate) fn on(engine: &Engine) -> Self {
        static COUNT: AtomicU8 = AtomicU8::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Eight characters; `Engine::clear_what_dead_runs_left` reads the process back.
        let name = format!("z{:05x}{count:02x}", std::process::id() & 0xf_ffff);
        let context = project()
            .env("DOCKER_HOST", engine.host())
            .shown_as(name.clone(), "beamline")
            .shown_as(name.to_uppercase(), "BEAMLINE")
            .shown_as(host_name(), "host");
        context.succeed(&["new", "beamline", &name]);
        Self {
            context,
            engine: engine.clone(),
            name,
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The engine that its instances run on.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Adds a simulated sample stage, or with `mo` in its name a motor, and gives the name of the instance.
    pub(crate) fn add(&self, rest: &str) -> String {
        let instance = format!("{}-{rest}", self.name);
        self.succeed(&["new", "instance", &instance, "--image", "ioc-sim"]);
        instance
    }

    /// Adds an instance and deploys it.
    pub(crate) fn deployed(&self, rest: &str) -> String {
        let instance = self.add(rest);
        self.succeed(&["deploy", &instance, "--yes"]);
        instance
    }

    /// Path of a file of an instance, from the project folder.
    pub(crate) fn file(&self, instance: &str, path: &str) -> String {
        format!("beamlines/{}/services/{instance}/{path}", self.name)
    }

    /// A PV of an instance; its prefix is the instance in capitals.
    pub(crate) fn pv(instance: &str, name: &str) -> String {
        format!("{}:{name}", instance.to_uppercase())
    }

    /// Reads a PV from this machine, as an operator's client would.
    pub(crate) fn get(instance: &str, name: &str) -> String {
        let pv = Self::pv(instance, name);
        let client = ca::Client::new(ca::Configuration::loopback());
        match wait_for(client.get(&pv, PATIENCE)) {
            Ok(reading) => reading.value.to_string(),
            Err(error) => panic!("{pv}: {error}"),
        }
    }

    /// Writes a PV from this machine.
    pub(crate) fn put(instance: &str, name: &str, value: &str) {
        let pv = Self::pv(instance, name);
        let client = ca::Client::new(ca::Configuration::loopback());
        wait_for(client.put(&pv, value, PATIENCE)).unwrap_or_else(|error| panic!("{pv}: {error}"));
    }

    /// Whether nobody answers for a PV.
    pub(crate) fn is_silent(instance: &str, name: &str) -> bool {
        let client = ca::Client::new(ca::Configuration::loopback());
        let pv = Self::pv(instance, name);
        wait_for(client.find(&pv, Duration::from_secs(1))).is_err()
    }

    /// One row of `ioc ps`.
    pub(crate) fn row(&self, instance: &str) -> serde_json::Value {
        let rows = self.json(&["ps", instance]);
        let [row] = rows.as_array().unwrap().as_slice() else {
            panic!("not one row: {rows:#}");
        };
        row.clone()
    }

    /// Waits until something that the engine or an IOC does by itself has happened.
    pub(crate) fn until(what: &str, mut happened: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !happened() {
            assert!(begin.elapsed() < 2 * PATIENCE, "still not: {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Beamline {
    fn drop(&mut self) {
        self.engine.clear(&self.name);
    }
}

/// Name of this machine, which is the node of its instances.
fn host_name() -> String {
    let names = rustix::system::uname();
    names.nodename().to_string_lossy().into_owned()
}

/// A project with the image definitions of this repository and no beamline.
pub(crate) fn project() -> TestContext {
    let context = TestContext::new().env("IOC_IMAGE_TAG", TAG).env(
        "IOC_CACHE_DIR",
        repository().join(".cache/ioc").to_str().unwrap(),
    );
    context.write(
        "ioc.toml",
        "[channel-access]\naddress-list = \"127.255.255.255\"\nauto-address-list = false\n",
    );
    let copied = Command::new("cp")
        .arg("-a")
        .arg(repository().join("generic-iocs"))
        .arg(context.project())
        .status()
        .unwrap();
    assert!(copied.success());
    context
}

/// Builds the base image and `ioc-sim` as a user would, once in a test run; nothing is built again that is there.
pub(crate) fn sim_image(engine: &Engine) {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    base_image(engine);
    let built = BUILT.get_or_init(|| {
        let context = project().env("DOCKER_HOST", engine.host());
        run(&context, &["build", "ioc-sim"])
    });
    if let Err(report) = built {
        panic!("{report}");
    }
}

/// Makes the operating-system image, once in a run and only where it is missing.
pub(crate) fn base_image(engine: &Engine) {
    static MADE: OnceLock<Result<(), String>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let context = project().env("DOCKER_HOST", engine.host());
        run(&context, &["image", "bootstrap"])
    });
    if let Err(report) = made {
        panic!("{report}");
    }
}

fn run(context: &TestContext, arguments: &[&str]) -> Result<(), String> {
    let output = context.command(arguments).output().unwrap();
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "`ioc {}` failed:\n{}",
        arguments.join(" "),
        context.report(&output)
    ))
}
