//! Which binds are accepted, and the status of refused ones.

use sim::smsc::{SmscConfig, User};
use smpp::CommandStatus;
use smpp::client::ConnectError;
use smpp::pdu::{Bind, BindKind};

use crate::esme::{Esme, behave, start, start_with, until};

fn bind(system_id: &str, password: &str) -> Bind {
    Bind::new(BindKind::Transceiver, system_id, password)
}

fn refusal(tried: Result<Esme, ConnectError>) -> Option<CommandStatus> {
    match tried {
        Err(ConnectError::Refused(status)) => Some(status),
        Err(other) => panic!("{other:?}"),
        Ok(_) => None,
    }
}

#[tokio::test]
async fn anyone_may_bind_unless_users_are_named() {
    let open = start_with("").await;
    assert_eq!(refusal(Esme::try_bind(&open, bind("anyone", "")).await), None);

    let user = User {
        system_id: "esme".into(),
        password: "secret".into(),
    };
    let closed = start(SmscConfig {
        users: vec![user],
        ..SmscConfig::default()
    })
    .await;
    for (system_id, password, expected) in [
        ("esme", "secret", None),
        ("esme", "wrong", Some(CommandStatus::RINVPASWD)),
        ("other", "secret", Some(CommandStatus::RINVSYSID)),
    ] {
        assert_eq!(
            refusal(Esme::try_bind(&closed, bind(system_id, password)).await),
            expected,
            "{system_id}"
        );
    }
    assert_eq!((closed.counts().binds, closed.counts().binds_refused), (1, 2));
}

#[tokio::test]
async fn a_bind_beyond_the_allowance_is_refused_until_one_is_free() {
    let smsc = start(SmscConfig {
        binds_max: 1,
        ..SmscConfig::default()
    })
    .await;
    let first = Esme::bind(&smsc).await;
    let second = Esme::try_bind(&smsc, bind("esme", "secret")).await;
    assert_eq!(refusal(second), Some(CommandStatus::RALYBND));
    assert_eq!(
        refusal(Esme::try_bind(&smsc, bind("other", "secret")).await),
        None,
        "others have their own"
    );
    first.client.close();
    until("the bind is gone", || smsc.counts().binds_up == 0).await;
    assert_eq!(refusal(Esme::try_bind(&smsc, bind("esme", "secret")).await), None);
}

#[tokio::test]
async fn binds_are_refused_as_scripted() {
    let smsc = start_with("binds = { refused_first = 2, refused_with = \"RSYSERR\", delay_ms = 5 }").await;
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(refusal(Esme::try_bind(&smsc, bind("esme", "secret")).await));
    }
    assert_eq!(
        outcomes,
        [Some(CommandStatus::RSYSERR), Some(CommandStatus::RSYSERR), None]
    );
    behave(&smsc, "binds.refused_share = 1.0");
    assert_eq!(
        refusal(Esme::try_bind(&smsc, bind("esme", "secret")).await),
        Some(CommandStatus::RBINDFAIL)
    );
}
