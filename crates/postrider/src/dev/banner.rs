//! The output of `postrider dev`: addresses, commands to copy for each API, and each message of the sandbox.

use super::commands::{Example, examples};
use super::demo::Demo;
use super::webhook::DemoWebhook;
use crate::table::sanitize_for_terminal;
use engine::CarrierStatus;
use engine::clock::{Clock, SystemClock};
use engine::sandbox::{Entry, EntryState};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Write;
use std::path::Path;

/// The banner.
pub(super) fn banner(demo: &Demo, data: &Path) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "Postrider {version} is ready. Nothing leaves this machine: messages go to the sandbox and are shown below.

  APIs      {base}
  inbox     {base}/ in a browser, {base}/sandbox/messages as JSON
  health    {metrics}/readyz  {metrics}/metrics
  data      {data} (all credentials: demo.json)
{webhook}
Commands to copy: for each API one that sends, and one that queries the status.
",
        version = env!("CARGO_PKG_VERSION"),
        base = demo.base_url,
        metrics = demo.metrics_url,
        data = data.display(),
        webhook = demo.webhook.as_ref().map(webhook).unwrap_or_default(),
    );
    for Example {
        title,
        send,
        status,
        id,
    } in examples(demo)
    {
        let _ = writeln!(
            text,
            "# {title}\n{send}\n# Status query, with ID set to {id} of the response:\n{status}\n"
        );
    }
    text.push_str("Ctrl-C stops the node. Messages of the sandbox:\n");
    text
}

/// The webhook of the URL that was given.
fn webhook(webhook: &DemoWebhook) -> String {
    format!(
        "  webhook   {url}
            receives one POST for each event, in the format of Standard Webhooks (standardwebhooks.com), signed with
            {secret}
",
        url = webhook.url,
        secret = webhook.secret
    )
}

/// A change of a carrier's state: `10:00:00  carrier north  up since 10:00:00, 1 of 1 sessions`.
pub(super) fn carrier_line(status: &CarrierStatus, zone: &TimeZone) -> String {
    let time = |at| {
        Timestamp::from_millisecond(at)
            .map(|at| at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string())
            .unwrap_or_default()
    };
    let now = time(SystemClock.now());
    let name = sanitize_for_terminal(&status.name);
    format!(
        "{now}  carrier {name}  {}",
        crate::carrier::in_words(status, time)
    )
}

/// One line for a delivered message, or for a failed one with the reason.
pub(super) fn line(entry: &Entry, zone: &TimeZone) -> String {
    let time = Timestamp::from_millisecond(entry.time)
        .map(|at| at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string())
        .unwrap_or_default();
    // Clients choose the text, which may contain terminal escape sequences.
    let (to, text) = (
        sanitize_for_terminal(&entry.to),
        sanitize_for_terminal(&entry.text),
    );
    let from = if entry.from.is_empty() {
        String::new()
    } else {
        format!(" from {}", sanitize_for_terminal(&entry.from))
    };
    let parts = if entry.segments > 1 {
        format!(", {} segments", entry.segments)
    } else {
        String::new()
    };
    let class = entry.class.map_or("", |class| class.name());
    match entry.state {
        EntryState::Delivered => format!("{time}  {to}{from}  {text}  ({class}{parts})"),
        EntryState::Silent => format!("{time}  {to}{from}  {text}  ({class}{parts}; no receipt)"),
        EntryState::Failed(reason) => format!(
            "{time}  {to}{from}  FAILED {}: {}",
            reason.name(),
            reason.sentence()
        ),
        EntryState::Refused(reason) => {
            format!("{time}  {to}  REFUSED {}: {}", reason.name(), reason.sentence())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::sms::reason::Reason;
    use sms::class::{Class, Kind};

    #[test]
    fn a_message_is_one_harmless_line() {
        let delivered = Entry {
            no: 1,
            message: None,
            msisdn: None,
            to: "+447700900123".to_owned(),
            from: "Postrider".to_owned(),
            text: "Your code\nis\u{202e}\u{1b}[31m1".to_owned(),
            segments: 2,
            class: Some(Class::Otp),
            kind: Kind::Text,
            time: 1_795_000_000_000,
            state: EntryState::Delivered,
        };
        assert_eq!(
            line(&delivered, &TimeZone::UTC),
            "11:06:40  +447700900123 from Postrider  Your code is  [31m1  (otp, 2 segments)"
        );
        let refused = Entry {
            to: "12\u{7}".to_owned(),
            state: EntryState::Refused(Reason::NoRoute),
            ..delivered
        };
        let line = line(&refused, &TimeZone::UTC);
        assert!(
            line.starts_with("11:06:40  12   REFUSED no_route: No route leads"),
            "{line}"
        );
    }
}
