//! `postrider webhook list`.

use super::{ListArgs, title};
use crate::apply::file::EventName;
use crate::exit::Failure;
use crate::review::account_named;
use crate::table::Table;
use crate::webhook_formats::shown;
use crate::when;
use anyhow::Context;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::io::Write;
use store::{Catalog, Endpoint, EndpointState, Events, LastError, Store, UnixMs};

/// A webhook with its delivery state.
struct Standing<'c> {
    endpoint: &'c Endpoint,
    state: EndpointState,
    /// The time of the oldest event that is not delivered yet.
    behind_since: Option<UnixMs>,
}

pub(super) async fn run(args: &ListArgs, out: &mut impl Write) -> Result<(), Failure> {
    let store = args.look.open().await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    if let Some(name) = &args.account {
        account_named(&catalog, name).map_err(Failure::bad_input)?;
    }
    let states = store
        .endpoint_states()
        .await
        .context("read the states of webhooks")?;
    let mut standings = Vec::new();
    for state in states {
        let endpoint = catalog
            .endpoints
            .iter()
            .find(|endpoint| endpoint.id == state.endpoint);
        let Some(endpoint) = endpoint.filter(|endpoint| is_selected(args, &catalog, endpoint)) else {
            continue;
        };
        let behind = store
            .events(endpoint.account, state.acked_offset, endpoint.kinds, 1)
            .await;
        let (unacked, _) = behind.context("read the events")?;
        standings.push(Standing {
            endpoint,
            state,
            behind_since: unacked.first().map(|event| event.at),
        });
    }
    store.close().await.context("close the store")?;
    if args.look.json {
        let webhooks: Vec<Value> = standings.iter().map(|one| to_json(&catalog, one)).collect();
        let document = json!({ "webhooks": webhooks });
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        return Ok(());
    }
    let zone = TimeZone::system();
    let mut table = Table::new(&[
        "NO",
        "WEBHOOK",
        "FORMAT",
        "DELIVERED",
        "WAITING",
        "DEAD",
        "STATE",
        "URL",
    ]);
    for one in &standings {
        table.row([
            one.endpoint.id.0.to_string(),
            title(&catalog, one.endpoint),
            one.endpoint.format.to_string(),
            match one.behind_since {
                None => "all".to_owned(),
                Some(at) => format!("to {}", when::short(at, &zone)),
            },
            one.state.waiting.to_string(),
            one.state.dead.to_string(),
            state(one, &zone),
            one.endpoint.url.to_string(),
        ]);
    }
    if table.is_empty() {
        writeln!(out, "no webhooks")?;
    } else {
        table.print(out)?;
    }
    // A long reason does not fit a table.
    for one in &standings {
        if let Some(pause) = &one.state.pause {
            let reason = crate::table::sanitize_for_terminal(&pause.reason);
            writeln!(out, "{} is paused: {reason}", title(&catalog, one.endpoint))?;
        }
        if let Some(error) = error_to_show(&one.state) {
            let message = crate::table::sanitize_for_terminal(&error.message);
            let at = when::short(error.at, &zone);
            writeln!(
                out,
                "{} last failed at {at}: {message}",
                title(&catalog, one.endpoint)
            )?;
        }
    }
    Ok(())
}

/// The last error of a webhook, unless it is healthy now.
fn error_to_show(state: &EndpointState) -> Option<&LastError> {
    let is_well =
        state.pause.is_none() && state.failing_since.is_none() && state.waiting == 0 && state.dead == 0;
    state.last_error.as_ref().filter(|_| !is_well)
}

fn is_selected(args: &ListArgs, catalog: &Catalog, endpoint: &Endpoint) -> bool {
    let account = crate::review::account_name(catalog, endpoint.account);
    args.account.as_ref().is_none_or(|name| *name == account)
}

/// The state in a few words.
fn state(one: &Standing<'_>, zone: &TimeZone) -> String {
    match (&one.state.pause, one.state.failing_since) {
        _ if !one.endpoint.enabled => "off".to_owned(),
        (Some(pause), _) => format!("paused since {}", when::short(pause.since, zone)),
        (None, Some(since)) => format!("failing since {}", when::short(since, zone)),
        (None, None) if one.endpoint.url.is_empty() => "polled".to_owned(),
        (None, None) => "on".to_owned(),
    }
}

fn to_json(catalog: &Catalog, one: &Standing<'_>) -> Value {
    let Standing {
        endpoint,
        state,
        behind_since,
    } = one;
    let events: Vec<&str> = EventName::of(endpoint.kinds).map(EventName::name).collect();
    let pause = state.pause.as_ref().map(|pause| {
        json!({
            "since": when::exact(pause.since),
            "until": pause.until.map(when::exact),
            "reason": pause.reason,
        })
    });
    json!({
        "no": endpoint.id.0,
        "account": crate::review::account_name(catalog, endpoint.account),
        "name": endpoint.name,
        "format": endpoint.format,
        "url": endpoint.url,
        "events": events,
        "settings": shown(&endpoint.settings, Some(&endpoint.settings)),
        "has_secret": !endpoint.sealed_secret.is_empty(),
        "enabled": endpoint.enabled,
        "acked": state.acked_offset.to_string(),
        // The former name of `acked`.
        "told": state.acked_offset.to_string(),
        "behind_since": behind_since.map(when::exact),
        "waiting": state.waiting,
        "dead": state.dead,
        "failing_since": state.failing_since.map(when::exact),
        "pause": pause,
        "last_error": state.last_error.as_ref().map(|error| {
            json!({ "at": when::exact(error.at), "message": error.message })
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{AccountId, EndpointId, EventKinds, EventOffset, Pause};

    const AT: UnixMs = 1_795_000_000_000;

    fn standing(endpoint: &Endpoint, pause: Option<Pause>, failing_since: Option<UnixMs>) -> Standing<'_> {
        Standing {
            endpoint,
            state: EndpointState {
                endpoint: endpoint.id,
                acked_offset: EventOffset { row: 3, index: 1 },
                pause,
                failing_since,
                waiting: 2,
                dead: 1,
                last_error: Some(LastError {
                    at: AT,
                    message: "HTTP 503 from the server".into(),
                }),
            },
            behind_since: Some(AT),
        }
    }

    #[test]
    fn a_webhook_says_how_it_stands_and_never_its_secret() {
        let endpoint = Endpoint {
            id: EndpointId(4),
            account: AccountId(1),
            name: "crm".into(),
            format: "standard".into(),
            url: "https://crm.example/".into(),
            kinds: EventKinds::ENDED | EventKinds::INBOUND,
            settings: json!({}),
            sealed_secret: b"sealed".to_vec(),
            enabled: true,
        };
        let pause = Some(Pause {
            since: AT,
            until: None,
            reason: "moving".into(),
        });
        let zone = &TimeZone::UTC;
        assert_eq!(state(&standing(&endpoint, None, None), zone), "on");
        assert_eq!(
            state(&standing(&endpoint, None, Some(AT)), zone),
            "failing since 2026-11-18T11:06:40Z"
        );
        let paused = standing(&endpoint, pause.clone(), Some(AT));
        assert_eq!(state(&paused, zone), "paused since 2026-11-18T11:06:40Z");
        let document = to_json(&Catalog::default(), &paused);
        assert_eq!(document["pause"]["reason"], "moving");
        assert_eq!(document["events"], json!(["ended", "inbound"]));
        assert_eq!(
            (&document["acked"], &document["told"], &document["has_secret"]),
            (&json!("3.1"), &json!("3.1"), &json!(true))
        );
        assert_eq!(document["last_error"]["message"], "HTTP 503 from the server");
        assert!(error_to_show(&paused.state).is_some());
        assert_eq!(document["behind_since"], "2026-11-18T11:06:40.000Z");
        assert!(!document.to_string().contains("sealed"));
        let off = Endpoint {
            enabled: false,
            ..endpoint.clone()
        };
        assert_eq!(state(&standing(&off, pause, None), zone), "off");
    }
}
