//! What Podman's own builder needs to be told otherwise than BuildKit. Pure.
//!
//! Keys are made of the text before: the same project has the same keys on both engines.

/// Caches that apt locks for itself: two builds at once must not share them.
const LOCKED: [&str; 3] = ["ioc-apt-archives", "ioc-apt-lists", "ioc-log"];

/// A Containerfile for Podman.
///
/// Its builder never gives a lock of a cache mount back while its service runs, so that the second build that
/// wants it waits for ever (seen with 4.3.1). Instead of locking, each target gets caches of its own.
pub(super) fn containerfile(text: &str, image: &str, target: &str) -> String {
    LOCKED
        .iter()
        .fold(text.replace(",sharing=locked", ""), |text, id| {
            text.replace(&format!("id={id}"), &format!("id={id}-{image}-{target}"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_are_not_locked_and_not_shared() {
        let text = "RUN --mount=type=cache,target=/var/cache/apt,id=ioc-apt-archives,sharing=locked \\\n    --mount=type=cache,target=/c,id=ioc-ccache true\n";
        assert_eq!(
            containerfile(text, "ioc-sim", "runtime"),
            "RUN --mount=type=cache,target=/var/cache/apt,id=ioc-apt-archives-ioc-sim-runtime \\\n    --mount=type=cache,target=/c,id=ioc-ccache true\n"
        );
    }
}
