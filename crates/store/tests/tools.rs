//! A tool beside a server: the server reports what it changes, and follows its subscriptions.
#![allow(clippy::unwrap_used, clippy::panic)]

use store::conformance::fixtures::{ACCOUNT, NOW, accepted_batch, endpoint, happened, listening};
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{
    CatalogChange, EndpointId, EventKinds, EventWhat, Events, Position, Review, Statistics, Store, Template,
};

fn template(review: Review) -> Template {
    Template {
        account: ACCOUNT,
        number: 500,
        ut_id: "UT500".into(),
        name: "Welcome".into(),
        class: sms::class::Class::Otp,
        text: "code {1}".into(),
        review,
        reason: "".into(),
        signature: None,
        position: Position::Front,
        version: 1,
        ttl_s: None,
        remark: "".into(),
        details: serde_json::Value::Null,
        created_at: NOW,
        updated_at: NOW + 7,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_logs_events_that_a_tool_subscribes_to_and_reports_events_that_a_tool_logged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postrider.db");
    let server = SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).unwrap();
    let tool = SqliteStore::open(&path, Mode::Tool, SqliteConfig::default()).unwrap();
    accepted_batch(&server, NOW, 0..1).await;
    listening(&tool, endpoint(1, ACCOUNT, EventKinds::ALL)).await;
    let (send, mut woken) = tokio::sync::mpsc::unbounded_channel();
    server.on_events(Box::new(move |accounts| send.send(accounts.to_vec()).unwrap()));
    let first = accepted_batch(&server, NOW + 1, 0..1).await.first;
    assert_eq!(woken.recv().await, Some(vec![ACCOUNT]));

    for review in [Review::Submitted, Review::Approved] {
        let change = CatalogChange::PutTemplate(template(review));
        tool.change_catalog(vec![change]).await.unwrap();
    }
    server.probe().await.unwrap();
    assert_eq!(woken.recv().await, Some(vec![ACCOUNT]), "by the next commit");
    let accepted = EventWhat::Accepted { first, count: 1 };
    let reviewed = EventWhat::TemplateReviewed {
        number: 500,
        review: Review::Approved,
    };
    let expected = [(NOW + 1, accepted), (NOW + 7, reviewed)];
    assert_eq!(happened(&server).await, expected);
    assert_eq!(happened(&tool).await, expected, "a tool may look");
    let states = tool.endpoint_states().await.unwrap();
    assert_eq!(states.len(), 1);

    let removed = CatalogChange::RemoveEndpoint(EndpointId(1));
    tool.change_catalog(vec![removed]).await.unwrap();
    accepted_batch(&server, NOW + 9, 0..1).await;
    assert_eq!(happened(&server).await.len(), 2, "nobody wants to know");
    let counters = store::conformance::fixtures::all_counters();
    let counted = tool.statistics(ACCOUNT, counters, 9).await.unwrap();
    assert_eq!(counted[0].messages, 3);
}
