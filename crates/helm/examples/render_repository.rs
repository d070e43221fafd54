//! How long a services repository of 100 instances takes: `cargo run --release -p helm --example
//! render_repository [COUNT]`.
//!
//! Each instance is a folder of its own with links to one `Chart.yaml` and one `templates`, a values
//! file, a `config` folder and the library chart vendored; the chart is that of the conformance case
//! `service-hostnet`. Loading and rendering are both counted.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use helm::{Capabilities, Chart, Limits, LoadOptions, ReleaseOptions, Values, render};

fn make_repository(root: &Path, case: &Path, count: usize) -> Result<(), Box<dyn Error>> {
    let chart = case.join("chart");
    for number in 0..count {
        let instance = root.join(format!("services/t01-ea-ioc-{number:03}"));
        fs_err::create_dir_all(instance.join("config"))?;
        for name in ["Chart.yaml", "templates", "charts"] {
            std::os::unix::fs::symlink(chart.join(name), instance.join(name))?;
        }
        let values = format!("ioc-instance:\n  image: example.org/ioc:{number}\n");
        fs_err::write(instance.join("values.yaml"), values)?;
        fs_err::write(
            instance.join("config/st.cmd"),
            format!("# {number}\niocInit\n"),
        )?;
    }
    fs_err::copy(
        case.join("services.yaml"),
        root.join("services/values.yaml"),
    )?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args()
        .nth(1)
        .map_or(Ok(100), |count| count.parse())?;
    let case = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/conformance/helm/service-hostnet")
        .canonicalize()?;
    let root = tempfile::tempdir()?;
    make_repository(root.path(), &case, count)?;
    let mut out = std::io::stdout();
    for round in 0..5 {
        let begin = Instant::now();
        let options = LoadOptions::default();
        let shared = fs_err::read_to_string(root.path().join("services/values.yaml"))?;
        let shared = Values::new().file("values.yaml", &shared)?;
        let (mut loading, mut bytes) = (0.0, 0);
        for number in 0..count {
            let name = format!("t01-ea-ioc-{number:03}");
            let folder = root.path().join("services").join(&name);
            let from = Instant::now();
            let chart = Chart::load(&folder, &options)?;
            loading += from.elapsed().as_secs_f64();
            let release = ReleaseOptions::install(&name, "t01", jiff::Zoned::now());
            let own = fs_err::read_to_string(folder.join("values.yaml"))?;
            let values = shared.clone().file("values.yaml", &own)?.into_value();
            let rendered = render(
                &chart,
                &values,
                &release,
                &Capabilities::default(),
                &Limits::default(),
            )?;
            bytes += rendered.to_template_output().len();
        }
        let all = begin.elapsed().as_secs_f64() * 1e3;
        let loading = loading * 1e3;
        writeln!(
            out,
            "round {round}: {count} instances in {all:.1} ms, {loading:.1} ms of them loading, \
             {bytes} bytes"
        )?;
    }
    Ok(())
}
