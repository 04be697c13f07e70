//! `postrider webhook dead`: calls that were given up on, or wait.

use super::{CallsArgs, named, title};
use crate::exit::Failure;
use crate::table::{Table, counted};
use crate::when;
use anyhow::Context;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use store::{Event, EventWhat, Events, Redelivery, RedeliveryFilter, Store};

pub(super) async fn run(args: &CallsArgs, out: &mut impl Write) -> Result<(), Failure> {
    let store = args.look.open().await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let endpoint = named(&catalog, &args.webhook)?;
    let filter = if args.waiting {
        RedeliveryFilter::Waiting
    } else {
        RedeliveryFilter::Dead
    };
    let calls = store
        .redeliveries(endpoint.id, filter, args.after, args.limit.into())
        .await;
    let calls = calls.context("read the webhook's calls")?;
    store.close().await.context("close the store")?;
    if args.look.json {
        let told: Vec<Value> = calls.iter().map(told).collect();
        let document = json!({ "webhook": title(&catalog, endpoint), "calls": told });
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        return Ok(());
    }
    let zone = TimeZone::system();
    let mut table = Table::new(&["NO", "TRIES", "FIRST TRIED", "DUE", "EVENTS", "WHAT CAME OF IT"]);
    for call in &calls {
        table.row([
            call.no.to_string(),
            call.tries.to_string(),
            when::short(call.first_tried_at, &zone),
            if call.due == i64::MAX {
                "never".to_owned()
            } else {
                when::short(call.due, &zone)
            },
            summary(&call.events),
            call.error.to_string(),
        ]);
    }
    if table.is_empty() {
        let what = if args.waiting { "waits" } else { "was given up on" };
        writeln!(out, "no call of {} {what}", title(&catalog, endpoint))?;
        return Ok(());
    }
    table.print(out)?;
    if calls.len() == usize::from(args.limit)
        && let Some(last) = calls.last()
    {
        writeln!(out, "there may be more: --after {}", last.no)?;
    }
    Ok(())
}

/// What a call tells: how many events of each kind, and of one alone what it is about.
fn summary(events: &[Event]) -> String {
    if let [event] = events {
        return about(&event.what);
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for event in events {
        *counts.entry(kind(&event.what)).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    counts.join(", ")
}

fn kind(what: &EventWhat) -> &'static str {
    let name = crate::apply::file::EventName::of(what.kind()).next();
    name.map_or("unknown", crate::apply::file::EventName::name)
}

fn about(what: &EventWhat) -> String {
    match what {
        EventWhat::Accepted { first, count } => format!("accepted {first}, {}", counted(*count, "message")),
        EventWhat::Message { id, state, .. } => format!("message {id} {state}"),
        EventWhat::Inbound { id } => format!("inbound {}", id.0),
        EventWhat::TemplateReviewed { number, review } => {
            format!("template {number} {}", crate::review::name(*review))
        }
        EventWhat::SignatureReviewed { id, review } => {
            format!("signature {id} {}", crate::review::name(*review))
        }
        _ => "unknown".to_owned(),
    }
}

fn told(call: &Redelivery) -> Value {
    let events = call.events.iter().map(|event| {
        json!({
            "place": event.place.to_string(),
            "at": when::exact(event.at),
            "kind": kind(&event.what),
            "about": about(&event.what),
        })
    });
    json!({
        "no": call.no,
        "tries": call.tries,
        "first_tried_at": when::exact(call.first_tried_at),
        "due": (call.due != i64::MAX).then(|| when::exact(call.due)),
        "error": call.error,
        "events": events.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sms::state::MessageState;
    use store::{EventPlace, MessageId};

    fn event(index: u32, what: EventWhat) -> Event {
        Event {
            place: EventPlace { row: 1, index },
            at: 1_795_000_000_000,
            what,
        }
    }

    #[test]
    fn a_call_says_what_it_tells() {
        let delivered = |id| EventWhat::Message {
            id: MessageId(id),
            state: MessageState::Delivered,
            error: "".into(),
        };
        let accepted = EventWhat::Accepted {
            first: MessageId(5),
            count: 2,
        };
        assert_eq!(summary(&[event(0, delivered(5))]), "message 5 delivered");
        let several = [event(0, accepted), event(1, delivered(5)), event(2, delivered(6))];
        assert_eq!(summary(&several), "1 accepted, 2 ended");
        let call = Redelivery {
            no: 3,
            events: several.to_vec(),
            tries: 9,
            due: i64::MAX,
            first_tried_at: 1_795_000_000_000,
            error: "HTTP 500".into(),
        };
        let document = told(&call);
        assert_eq!(
            (&document["due"], &document["events"][1]["about"]),
            (&Value::Null, &json!("message 5 delivered"))
        );
    }
}
