//! Elasticsearch and OpenSearch, where the test bed runs them (`elasticsearch.sh`, also with `--opensearch`).

use std::sync::Arc;

use alarm_log::query::{Filter, History, Order, Query};
use alarm_log::remote::{Fault, Login};
use alarm_log::rest::Rest;
use alarm_log::sink::elasticsearch::{ElasticsearchHistory, ElasticsearchSink, Options, Rotation};
use alarm_log::sink::{Outcome, Sink as _};
use alarm_log::{Entry, Kind};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::logging::until;
use crate::service::{Does, Front, open, part};
use crate::story;

/// The services that there are.
fn services() -> Vec<String> {
    [
        ("ELASTICSEARCH_URL", "elasticsearch.sh"),
        ("OPENSEARCH_URL", "elasticsearch.sh --opensearch"),
    ]
    .into_iter()
    .filter_map(|(variable, script)| part(variable, script))
    .collect()
}

fn sink(at: &str) -> ElasticsearchSink {
    ElasticsearchSink::new(open(at), Options::default())
}

async fn ask(method: reqwest::Method, url: &str, body: Option<Value>) -> Value {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    let mut request = client.request(method, url);
    if let Some(body) = body {
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    let bytes = request.send().await.unwrap().bytes().await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// What is written is there to be found, without waiting for the service's own second.
async fn refresh(at: &str) {
    ask(reqwest::Method::POST, &format!("{at}/_refresh"), None).await;
}

/// Removes the indices of a test, by their names: patterns are not taken.
async fn remove(at: &str, configuration: &str) {
    let lower = configuration.to_lowercase();
    let found = ask(
        reqwest::Method::GET,
        &format!("{at}/{lower}_alarms_*"),
        None,
    )
    .await;
    for index in found.as_object().unwrap().keys() {
        let removed = ask(reqwest::Method::DELETE, &format!("{at}/{index}"), None).await;
        assert_eq!(removed["acknowledged"], true, "{removed}");
    }
}

#[tokio::test]
async fn indices_and_documents_are_those_of_phoebus() {
    for at in services() {
        let name = story::name("Indices");
        let mut sink = sink(&at);
        sink.check(std::slice::from_ref(&name)).await.unwrap();
        let entries = story::entries(&name);
        for _again in 0..2 {
            story::tell(&mut sink, &entries).await;
        }
        refresh(&at).await;
        let lower = name.to_lowercase();
        let month = entries[0].time.strftime("%Y-%m-01").to_string();
        for (word, documents) in [("state", 5), ("cmd", 2), ("config", 5)] {
            let index = format!("{lower}_alarms_{word}_{month}");
            let found = ask(reqwest::Method::GET, &format!("{at}/{index}/_count"), None).await;
            assert_eq!(found["count"], documents, "{index}");
        }
        // given again, nothing has changed
        let url = format!("{at}/{lower}_alarms_state*/_search?version=true");
        let found = ask(reqwest::Method::GET, &url, None).await;
        let hits = found.pointer("/hits/hits").unwrap().as_array().unwrap();
        assert!(hits.iter().all(|hit| hit["_version"] == 1));
        let major = hits
            .iter()
            .find(|hit| hit["_id"] == json!(entries[4].id()))
            .unwrap();
        let expected = json!({
            "severity": "MAJOR", "latch": "true", "message": "HIHI_ALARM", "value": "95.0",
            "time": "2026-11-22 05:11:05.638", "current_severity": "MAJOR", "current_message": "HIHI_ALARM",
            "notify": "true", "pv": "t:ai1", "config": format!("state:/{name}/A/t:ai1"),
            "message_time": entries[4].time.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
        });
        assert_eq!(major["_source"], expected);
        remove(&at, &name).await;
    }
}

#[tokio::test]
async fn searches_find_what_sqlite_finds() {
    for at in services() {
        let name = story::name("Searches");
        let entries = story::entries(&name);
        story::tell(&mut sink(&at), &entries).await;
        refresh(&at).await;
        let history = ElasticsearchHistory::new(open(&at));
        let kept: Vec<Entry> = entries
            .iter()
            .filter(|entry| story::is_of_phoebus(entry))
            .cloned()
            .collect();
        for filter in story::filters(&name, &entries) {
            let found = story::found(&history, &filter, Order::NewestFirst, 100).await;
            let found = story::ids(&found).into_iter().collect();
            assert_eq!(story::wanted(&kept, &filter), found, "{filter:?}");
        }
        story::pages(&history, &story::of(&name), kept.len()).await;
        // states come back as what they were, to the millisecond
        let found = story::found(&history, &story::of(&name), Order::OldestFirst, 100).await;
        let sine = found.iter().find(|entry| entry.pv == "sim://sine").unwrap();
        assert_eq!(sine, &entries[5]);
        let folder = tempfile::tempdir().unwrap();
        let sqlite = story::in_sqlite(folder.path(), &kept).await;
        for span in [1, 1000, 3_600_000, i64::MAX] {
            let expected = sqlite.count(story::of(&name), span).await.unwrap();
            let found = history.count(story::of(&name), span).await.unwrap();
            assert_eq!(found, expected, "spans of {span} ms");
        }
        remove(&at, &name).await;
    }
}

#[tokio::test]
async fn what_is_not_kept_is_refused_by_name() {
    for at in services() {
        let history = ElasticsearchHistory::new(open(&at));
        let filter = Filter {
            kinds: [Kind::Talk].into(),
            ..Filter::default()
        };
        let query = Query {
            filter: filter.clone(),
            ..Query::newest(1)
        };
        for said in [
            History::search(&history, query).await.unwrap_err(),
            History::count(&history, filter, 1000).await.unwrap_err(),
        ] {
            assert!(said.reason.contains("keeps no `talk`"), "{said}");
        }
    }
}

async fn get(address: std::net::SocketAddr, path: &str) -> String {
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    let answer = client.get(format!("http://{address}{path}")).send().await;
    answer.unwrap().text().await.unwrap()
}

async fn serve(history: Arc<dyn History>) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Rest::new(history, None).router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// The answers from SQLite are compared with those recorded of the real one beside the code.
#[tokio::test]
async fn phoebus_clients_get_the_answers_that_sqlite_gives() {
    for at in services() {
        let name = story::name("Answers");
        // SQLite keeps more of them
        let entries: Vec<Entry> = story::entries(&name)
            .into_iter()
            .filter(story::is_of_phoebus)
            .collect();
        story::tell(&mut sink(&at), &entries).await;
        refresh(&at).await;
        let folder = tempfile::tempdir().unwrap();
        let sqlite = serve(Arc::new(story::in_sqlite(folder.path(), &entries).await)).await;
        let ours = serve(Arc::new(ElasticsearchHistory::new(open(&at)))).await;
        for query in [
            format!("/search/alarm?root={name}"),
            format!("/search/alarm?root={name}&severity=MAJOR&size=2"),
            format!("/search/alarm?root={name}&user=tester"),
            format!("/search/alarm?root={name}&command=Disabled"),
            format!("/search/alarm?root={name}&start=5%20minutes&end=now"),
            format!("/search/alarm?pv={name}/A/t:ai1&size=3"),
            format!("/search/alarm/pv/{name}%2FB"),
            format!("/search/alarm/config?config=/{name}/A"),
            format!("/search/alarm?root={name}&pv=t:nosuch"),
            format!("/v1/history/counts?at=/{name}&since=2h&span=1s"),
        ] {
            let expected = get(sqlite, &query).await;
            assert_eq!(get(ours, &query).await, expected, "{query}");
        }
        // it looks at all indices, of which other tests make and remove some
        until("an answer", async || {
            get(ours, "/").await.contains("\"status\":\"Connected\"")
        })
        .await;
        remove(&at, &name).await;
    }
}

#[tokio::test]
async fn a_record_that_no_index_takes_does_not_keep_the_others() {
    for at in services() {
        let name = story::name("Partial");
        let mut entries = story::entries(&name);
        // a name that no index can have, and a year that no date of the server has
        let strange = story::entries(&format!("{name} with spaces"));
        entries[3] = strange[3].clone();
        if let alarm_log::Event::State(state) = &mut entries[4].event {
            state.event_time = Some(jiff::Timestamp::MIN);
        }
        let outcomes = sink(&at).write(&entries).await.unwrap();
        for (place, outcome) in outcomes.iter().enumerate() {
            match (place, outcome) {
                (3, Outcome::Refused(why)) => assert!(why.contains("invalid_index_name"), "{why}"),
                (4, Outcome::Refused(why)) => assert!(why.contains("parsing_exception"), "{why}"),
                (_, outcome) => assert_eq!(*outcome, Outcome::Taken, "{place}"),
            }
        }
        refresh(&at).await;
        let history = ElasticsearchHistory::new(open(&at));
        let found = story::found(&history, &story::of(&name), Order::OldestFirst, 100).await;
        assert_eq!(found.len(), 10);
        remove(&at, &name).await;
    }
}

#[tokio::test]
async fn what_is_busy_is_asked_again_and_long_texts_are_kept() {
    for at in services() {
        let name = story::name("Busy");
        let mut entries: Vec<Entry> = story::entries(&name).into_iter().take(5).collect();
        if let alarm_log::Event::State(state) = &mut entries[4].event {
            state.value = Some("x".repeat(100_000));
        }
        let busy = json!({ "create": {
            "status": 429, "error": { "type": "es_rejected_execution_exception", "reason": "queue" }
        } });
        let text = json!({ "errors": true, "items": vec![busy; entries.len()] }).to_string();
        let does = Does {
            answers: Some(("/_bulk", 2, 200, text)),
            ..Does::default()
        };
        let front = Front::new(&at, does).await;
        let remote = front.remote(&Login::None).unwrap().compressing(true);
        let mut sink = ElasticsearchSink::new(remote, Options::default());
        story::tell(&mut sink, &entries).await;
        assert_eq!(front.answered(), 3);
        refresh(&at).await;
        let history = ElasticsearchHistory::new(open(&at));
        let found = story::found(&history, &story::of(&name), Order::OldestFirst, 100).await;
        assert_eq!(found.len(), 5);
        assert!(found.contains(&{
            let mut long = entries[4].clone();
            if let alarm_log::Event::State(state) = &mut long.event {
                state.event_time = Some("2026-11-22T05:11:05.638Z".parse().unwrap());
            }
            long
        }));
        // for ever, until the drain tries again
        let does = Does {
            answers: Some(("/_bulk", usize::MAX, 503, "no shard".to_owned())),
            ..Does::default()
        };
        let front = Front::new(&at, does).await;
        let remote = front.remote(&Login::None).unwrap();
        let said = ElasticsearchSink::new(remote, Options::default())
            .write(&entries)
            .await
            .unwrap_err();
        assert!(
            said.reason
                .contains("does not take documents now: no shard"),
            "{said}"
        );
        remove(&at, &name).await;
    }
}

#[tokio::test]
async fn logins_and_certificates() {
    for at in services() {
        let does = Does {
            wants: Some("ApiKey a2V5OnNlY3JldA==".to_owned()),
            tls: true,
            ..Does::default()
        };
        let front = Front::new(&at, does).await;
        let check = async |login: Login| {
            let remote = front.remote(&login).unwrap();
            ElasticsearchSink::new(remote, Options::default())
                .check(&[])
                .await
        };
        check(Login::ApiKey("a2V5OnNlY3JldA==".to_owned()))
            .await
            .unwrap();
        let wrong = [
            Login::None,
            Login::ApiKey("wrong".to_owned()),
            Login::Password {
                user: "elastic".to_owned(),
                password: "wrong".to_owned(),
            },
        ];
        for login in wrong {
            let said = check(login).await.unwrap_err();
            assert!(
                matches!(said, Fault::Denied { unknown: true, .. }),
                "{said}"
            );
            assert!(!said.may_pass() && said.hint().is_some());
            assert!(!said.to_string().contains("wrong"), "{said}");
        }
        // nobody has said that this certificate is good
        let mut stranger = ElasticsearchSink::new(open(&front.address), Options::default());
        let said = stranger.check(&[]).await.unwrap_err();
        assert!(matches!(said, Fault::Tls { .. }), "{said}");
        // and that is not TLS at all
        let mut plain =
            ElasticsearchSink::new(open(&at.replace("http:", "https:")), Options::default());
        let said = plain.check(&[]).await.unwrap_err();
        assert!(
            matches!(said, Fault::Tls { .. } | Fault::Away { .. }),
            "{said}"
        );
    }
}

#[tokio::test]
async fn something_else_answers_or_nobody() {
    let does = Does {
        answers: Some(("/", usize::MAX, 200, "<html>hello</html>".to_owned())),
        ..Does::default()
    };
    let front = Front::new("http://127.0.0.1:1", does).await;
    let said = sink(&front.address).check(&[]).await.unwrap_err();
    assert!(matches!(said, Fault::Strange { .. }), "{said}");
    assert!(
        said.to_string()
            .contains("is no Elasticsearch or OpenSearch"),
        "{said}"
    );
    let old = json!({ "version": { "number": "6.8.0" } }).to_string();
    let does = Does {
        answers: Some(("/", usize::MAX, 200, old)),
        ..Does::default()
    };
    let front = Front::new("http://127.0.0.1:1", does).await;
    let said = sink(&front.address).check(&[]).await.unwrap_err();
    assert!(said.to_string().contains("it is version 6.8.0"), "{said}");
    let nobody = "http://127.0.0.1:1";
    let said = sink(nobody).check(&[]).await.unwrap_err();
    assert!(said.may_pass(), "{said}");
    let history = ElasticsearchHistory::new(open(nobody));
    let said = History::search(&history, Query::newest(1))
        .await
        .unwrap_err();
    assert!(said.reason.contains("does not answer"), "{said}");
}

#[tokio::test]
async fn foreign_fields_are_told_at_the_start_and_lose_nothing() {
    for at in services() {
        let name = story::name("Foreign");
        let entries = story::entries(&name);
        let month = entries[0].time.strftime("%Y-%m-01");
        let index = format!("{}_alarms_state_{month}", name.to_lowercase());
        let mappings = json!({ "mappings": { "properties": {
            "config": { "type": "keyword" }, "pv": { "type": "text" }
        } } });
        ask(
            reqwest::Method::PUT,
            &format!("{at}/{index}"),
            Some(mappings),
        )
        .await;
        let mut sink = sink(&at);
        let said = sink.check(std::slice::from_ref(&name)).await.unwrap_err();
        assert_eq!(
            said.to_string(),
            format!(
                "`{index}` of {at} is not as an alarm history is: its field `pv` is `text`, not `keyword`"
            )
        );
        // one that comes later keeps everything waiting
        let said = sink.write(&entries).await.unwrap_err();
        assert!(said.reason.contains("its field `pv`"), "{said}");
        remove(&at, &name).await;
        story::tell(&mut sink, &entries).await;
        remove(&at, &name).await;
    }
}

#[tokio::test]
async fn other_rotations_have_other_names() {
    for at in services() {
        let name = story::name("Rotation");
        let entries = story::entries(&name);
        let options = Options {
            rotation: Rotation::Never,
            ..Options::default()
        };
        story::tell(&mut ElasticsearchSink::new(open(&at), options), &entries).await;
        let index = format!("{}_alarms_cmd", name.to_lowercase());
        refresh(&at).await;
        let found = ask(reqwest::Method::GET, &format!("{at}/{index}/_count"), None).await;
        assert_eq!(found["count"], 2);
        remove(&at, &name).await;
    }
}
