//! API versions that Kubernetes gave up.

/// One line per API version and kind, see there.
const TABLE: &str = include_str!("deprecated.txt");

/// What Helm says of an object of that API version and kind on a cluster of that version; nothing when all is well.
pub(super) fn problem(api_version: &str, kind: &str, cluster: (u64, u64)) -> Option<String> {
    let (facts, instead) = TABLE.lines().find_map(|line| {
        let (facts, instead) = line
            .split_once(" | ")
            .map_or((line, None), |(facts, instead)| (facts, Some(instead)));
        let rest = facts.strip_prefix(api_version)?.strip_prefix(' ')?;
        let rest = rest.strip_prefix(kind)?.strip_prefix(' ')?;
        Some((rest, instead))
    })?;
    let (since, until) = facts.split_once(' ')?;
    if cluster < number(since)? {
        return None;
    }
    let mut text = format!("{api_version} {kind} is deprecated in v{since}+");
    if until != "-" {
        text.push_str(&format!(", unavailable in v{until}+"));
    }
    if let Some(instead) = instead {
        text.push_str(&format!("; use {instead}"));
    }
    Some(text)
}

fn number(version: &str) -> Option<(u64, u64)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
