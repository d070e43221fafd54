//! The routes, in one table: method, path, who may use it, what answers.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post, put};

use crate::api::auth::{Role, guard};
use crate::api::{Api, Problem, configuration, events, health, items, operations};
use crate::metrics::KindLabel;

/// A route.
#[derive(Debug, Clone)]
pub struct Route {
    /// Method, such as `get`.
    pub method: &'static str,
    /// Path.
    pub path: &'static str,
    /// Who may use it; `None` for everybody.
    pub role: Option<Role>,
    handler: MethodRouter<Api>,
    /// Whether each replica answers for itself; everything else is for the one that leads.
    is_own: bool,
    /// Whether a whole configuration may be sent.
    is_large: bool,
}

/// All routes.
pub fn routes() -> Vec<Route> {
    let viewer = Some(Role::Viewer);
    let operator = Some(Role::Operator);
    let admin = Some(Role::Admin);
    let route = |method, path, role, handler| Route {
        method,
        path,
        role,
        handler,
        is_own: false,
        is_large: false,
    };
    let own = |method, path, role, handler| Route {
        is_own: true,
        ..route(method, path, role, handler)
    };
    let large = |path, role, handler| Route {
        method: "post",
        path,
        role,
        handler,
        is_own: false,
        is_large: true,
    };
    vec![
        own("get", "/livez", None, get(health::live)),
        own("get", "/readyz", None, get(health::ready)),
        own("get", "/openapi.json", None, get(health::document)),
        own("get", "/metrics", viewer, get(health::metrics)),
        route("get", "/v1/server", viewer, get(items::server)),
        route("get", "/v1/items", viewer, get(items::list)),
        route("get", "/v1/item", viewer, get(items::story)),
        route("get", "/v1/events", viewer, get(events::follow)),
        route(
            "post",
            "/v1/acknowledge",
            operator,
            post(operations::acknowledge),
        ),
        route(
            "post",
            "/v1/unacknowledge",
            operator,
            post(operations::unacknowledge),
        ),
        route("post", "/v1/enable", operator, post(operations::enable)),
        route("post", "/v1/disable", operator, post(operations::disable)),
        route("post", "/v1/shelve", operator, post(operations::shelve)),
        route("post", "/v1/unshelve", operator, post(operations::unshelve)),
        route(
            "post",
            "/v1/maintenance",
            operator,
            post(operations::maintenance),
        ),
        route("post", "/v1/notify", operator, post(operations::notify)),
        route("post", "/v1/reload", admin, post(operations::reload)),
        route(
            "get",
            "/v1/configuration",
            viewer,
            get(configuration::export),
        ),
        large("/v1/configuration/diff", viewer, post(configuration::diff)),
        large("/v1/configuration/apply", admin, post(configuration::apply)),
        own("get", "/v1/log", viewer, get(health::log)),
        own("put", "/v1/log", admin, put(health::set_log)),
    ]
}

/// The router of all routes.
pub(super) fn router(api: &Api) -> Router {
    let mut router = Router::new();
    for route in routes() {
        let limit = if route.is_large {
            api.settings.configuration_limit
        } else {
            api.settings.body_limit
        };
        let handler = route
            .handler
            .layer(DefaultBodyLimit::max(limit))
            .layer(from_fn_with_state(
                (api.clone(), route.role, route.is_own),
                guard,
            ));
        router = router.route(route.path, handler);
    }
    if let Some(beside) = api.settings.beside.clone() {
        let viewer = (api.clone(), Some(Role::Viewer), true);
        router = router.merge(
            beside
                .with_state(())
                .layer(from_fn_with_state(viewer, guard)),
        );
    }
    router
        .fallback(async || {
            Problem::missing("there is no such path")
                .hint("ask `/openapi.json` for those that there are")
        })
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "the path is not asked in this way",
            )
        })
        .layer(from_fn_with_state(api.clone(), bounded))
        .with_state(api.clone())
}

/// Ends what takes too long, and counts the answers.
async fn bounded(State(api): State<Api>, request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(api.settings.request_timeout, next.run(request)).await;
    let mut response = answer.unwrap_or_else(|_elapsed| Problem::busy().into_response());
    let kind = response.status().as_u16().to_string();
    api.metrics
        .requests
        .get_or_create(&KindLabel { kind })
        .inc();
    response.headers_mut().insert(
        axum::http::header::CACHE_CONTROL,
        axum::http::HeaderValue::from_static("no-store"),
    );
    response
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_document_has_all_routes_and_no_others() {
        let document: Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
        let mut described: Vec<(String, String, Option<String>)> = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let role = operation["x-role"].as_str().map(str::to_owned);
                // without a role nothing is asked for, not even by default
                assert_eq!(
                    role.is_none(),
                    operation["security"] == serde_json::json!([]),
                    "{path}"
                );
                described.push((method.clone(), path.clone(), role));
            }
        }
        let mut served: Vec<(String, String, Option<String>)> = routes()
            .iter()
            .map(|route| {
                let role = route.role.map(|role| role.name().to_owned());
                (route.method.to_owned(), route.path.to_owned(), role)
            })
            .collect();
        described.sort();
        served.sort();
        assert_eq!(described, served);
    }

    #[test]
    fn what_the_document_refers_to_is_there() {
        let text = include_str!("openapi.json");
        let document: Value = serde_json::from_str(text).unwrap();
        for reference in text
            .split("\"#")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
        {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }

    #[test]
    fn whoever_may_only_look_changes_nothing() {
        for route in routes() {
            let is_look = route.method == "get" || route.path == "/v1/configuration/diff";
            let changes = route.role.is_some_and(|role| role >= Role::Operator);
            assert_ne!(is_look, changes, "{} {}", route.method, route.path);
        }
    }
}
