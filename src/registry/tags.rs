//! The tags of a repository, page by page.

use reqwest::header::LINK;
use reqwest::{Method, StatusCode};

use super::error::{Action, RegistryError};
use super::reference::Reference;
use super::transport::{Call, Registry};

/// Largest page, in bytes.
const LARGEST_PAGE: usize = 4 * 1024 * 1024;
/// Most tags that a repository may have before something is wrong.
const MOST_TAGS: usize = 200_000;

#[derive(serde::Deserialize)]
struct Page {
    /// Registries answer `null` for a repository whose tags were all deleted.
    tags: Option<Vec<String>>,
}

impl Registry {
    /// All tags of a repository, in the order of the registry.
    ///
    /// # Errors
    ///
    /// There is no such repository, or the registry cannot be asked or refuses.
    pub async fn tags(&self, repository: &Reference) -> Result<Vec<String>, RegistryError> {
        let at = self.locate(repository, Action::Pull).await?;
        let mut url = at.url("tags/list")?;
        let mut tags = Vec::new();
        loop {
            let what = format!("give the tags of `{}`", repository.repository_name());
            let call = Call::new(Method::GET, url.clone(), what);
            let response = self.send(&at, Action::Pull, &call).await?;
            if response.status() == StatusCode::NOT_FOUND {
                return Err(RegistryError::UnknownRepository {
                    reference: repository.clone(),
                });
            }
            if !response.status().is_success() {
                return Err(self.refusal(&at, Action::Pull, &call.what, response).await);
            }
            let next = response
                .headers()
                .get(LINK)
                .and_then(|value| value.to_str().ok())
                .and_then(next_page)
                .map(str::to_owned);
            let body = self.body(response, LARGEST_PAGE).await;
            let body =
                body.map_err(|error| at.endpoint.body_failed(error, &call.what, LARGEST_PAGE))?;
            let page: Page =
                serde_json::from_slice(&body).map_err(|error| RegistryError::Content {
                    what: format!("the list of tags of `{}`", repository.repository_name()),
                    why: format!("it is not the JSON of a registry: {error}"),
                })?;
            let before = tags.len();
            tags.extend(page.tags.unwrap_or_default());
            let Some(next) = next else { return Ok(tags) };
            let following = at.endpoint.location(&url, &next)?;
            // A registry that sends us in circles, or elsewhere with our login, gets no further.
            if following == url || tags.len() == before || !at.endpoint.owns(&following) {
                return Ok(tags);
            }
            if tags.len() > MOST_TAGS {
                return Err(RegistryError::TooLarge {
                    registry: at.endpoint.registry,
                    what: format!("list of tags of `{}`", repository.repository_name()),
                    limit: MOST_TAGS as u64,
                });
            }
            url = following;
        }
    }
}

/// The URL of `<URL>; rel="next"`.
fn next_page(header: &str) -> Option<&str> {
    header.split(',').find_map(|link| {
        let (url, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters
            .split(';')
            .any(|parameter| matches!(parameter.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then_some(url)
    })
}

#[cfg(test)]
mod tests {
    use super::next_page;

    #[test]
    fn the_next_page_is_found() {
        for (header, expected) in [
            (
                "</v2/a/tags/list?last=b&n=100>; rel=\"next\"",
                Some("/v2/a/tags/list?last=b&n=100"),
            ),
            ("<x>; rel=prev, <y>; a=b; rel=next", Some("y")),
            ("<x>", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(next_page(header), expected);
        }
    }
}
