//! Pipeline files: where each forge looks for its own, and what stands in it.

/// Path and text of the workflow for GitHub and forges that run its workflows.
pub const GITHUB: (&str, &str) = (".github/workflows/ioc.yml", include_str!("ci/github.yml"));

/// Path and text of the pipeline for GitLab.
pub const GITLAB: (&str, &str) = (".gitlab-ci.yml", include_str!("ci/gitlab.yml"));
