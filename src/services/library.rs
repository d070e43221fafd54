//! The library charts that `ioc` carries: `helm-library/` of its source tree.

use rust_embed::RustEmbed;

/// Files below `helm-library/`, named by their path in it.
#[derive(RustEmbed)]
#[folder = "helm-library/"]
struct Library;

/// Name of the chart that all instances share.
pub const IOC_INSTANCE: &str = "ioc-instance";

/// The files of one library chart as path below its folder and contents, sorted.
pub fn chart_files(chart: &str) -> Vec<(String, Vec<u8>)> {
    let prefix = format!("{chart}/");
    let mut files: Vec<(String, Vec<u8>)> = Library::iter()
        .filter_map(|path| {
            let name = path.strip_prefix(&prefix)?.to_owned();
            Some((name, Library::get(&path)?.data.into_owned()))
        })
        .collect();
    files.sort();
    files
}

/// The version of a library chart, from its `Chart.yaml`.
pub fn chart_version(chart: &str) -> Option<String> {
    let file = Library::get(&format!("{chart}/Chart.yaml"))?;
    let text = std::str::from_utf8(&file.data).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("version:"))
        .map(|version| version.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_chart_is_carried_with_its_version() {
        let files = chart_files(IOC_INSTANCE);
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.contains(&"templates/_statefulset.tpl"), "{names:?}");
        assert!(names.contains(&"values.schema.json"), "{names:?}");
        assert!(chart_version(IOC_INSTANCE).is_some_and(|version| version.split('.').count() == 3));
    }
}
