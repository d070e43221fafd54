//! Trying again what failed for a reason that passes: an API server that restarts, is overloaded or has no leader.
//!
//! Only what may be done twice is tried again: reading, server-side apply, and writes that carry a resource version.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// How long an API server may be away in the middle of a command.
pub const PATIENCE: Duration = Duration::from_mins(1);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_mins(1);

/// Whether trying again can help.
pub fn is_transient(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => {
            matches!(status.code, 429 | 502 | 503 | 504)
                || (status.code == 500
                    && [
                        "etcdserver",
                        "leader",
                        "timeout",
                        "timed out",
                        "connection refused",
                    ]
                    .iter()
                    .any(|word| status.message.contains(word)))
        }
        kube::Error::Service(_) | kube::Error::HyperError(_) | kube::Error::ReadEvents(_) => true,
        _ => false,
    }
}

/// How long the server asks to wait.
fn asked_pause(error: &kube::Error) -> Option<Duration> {
    let kube::Error::Api(status) = error else {
        return None;
    };
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)).min(Duration::from_secs(10)))
}

/// Does `request` until it succeeds, fails for good, or [`PATIENCE`] has passed.
///
/// # Errors
///
/// The last refusal.
pub async fn retrying<T, F, Fut>(request: F) -> Result<T, kube::Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, kube::Error>>,
{
    retrying_for(PATIENCE, FIRST_PAUSE, request).await
}

async fn retrying_for<T, F, Fut>(
    patience: Duration,
    first_pause: Duration,
    mut request: F,
) -> Result<T, kube::Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, kube::Error>>,
{
    let begin = Instant::now();
    let mut pause = first_pause;
    loop {
        let result = match tokio::time::timeout(ANSWER, request()).await {
            Ok(result) => result,
            Err(elapsed) => Err(kube::Error::Service(Box::new(elapsed))),
        };
        let error = match result {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let wait = asked_pause(&error).unwrap_or(pause);
        if !is_transient(&error) || begin.elapsed() + wait > patience {
            return Err(error);
        }
        tracing::debug!(%error, ?wait, "trying again");
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn api(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Status::failure(message, "").with_code(code).boxed())
    }

    #[test]
    fn only_what_passes_is_tried_again() {
        for (error, expected) in [
            (api(429, ""), true),
            (api(503, ""), true),
            (api(500, "etcdserver: leader changed"), true),
            (api(500, "nil pointer"), false),
            (api(404, ""), false),
            (api(409, ""), false),
            (kube::Error::Service("connection refused".into()), true),
        ] {
            assert_eq!(is_transient(&error), expected, "{error}");
        }
    }

    #[tokio::test]
    async fn an_api_server_that_comes_back_is_waited_for_and_one_that_does_not_is_given_up() {
        let (patience, pause) = (Duration::from_millis(60), Duration::from_millis(2));
        let mut left = 5;
        let result = retrying_for(Duration::from_secs(20), pause, || {
            left -= 1;
            let result = if left > 0 {
                Err(api(503, ""))
            } else {
                Ok(left)
            };
            async move { result }
        })
        .await;
        assert_eq!(result.unwrap(), 0);
        let mut asked = 0;
        let result: Result<(), _> = retrying_for(patience, pause, || {
            asked += 1;
            async { Err(api(503, "")) }
        })
        .await;
        assert!(result.is_err() && asked > 2, "{asked}");
        asked = 0;
        let result: Result<(), _> = retrying_for(patience, pause, || {
            asked += 1;
            async { Err(api(404, "")) }
        })
        .await;
        assert!(result.is_err());
        assert_eq!(asked, 1);
    }
}
