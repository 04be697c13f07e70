//! What `postrider dev` prints: where everything is, a command to copy for each dialect, and each message delivered.

use super::commands::{Example, examples};
use super::demo::Demo;
use super::webhook::DemoWebhook;
use crate::table::harmless;
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
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "Postrider {version} is ready. Nothing leaves this machine: messages go to the sandbox and show below.

  APIs      {base}
  inbox     {base}/ in a browser, {base}/sandbox/messages for programs
  health    {metrics}/readyz  {metrics}/metrics
  data      {data} (demo.json has all credentials)
{webhook}
One command for each API, to copy, and a second one that asks what became of it.
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
            "# {title}\n{send}\n# What became of it, once ID is set to {id} of the answer:\n{status}\n"
        );
    }
    text.push_str("Ctrl-C stops it. What the sandbox delivers:\n");
    text
}

/// What is told to the URL that was given.
fn webhook(webhook: &DemoWebhook) -> String {
    format!(
        "  webhook   {url}
            what happens is POSTed there, one event a call, as Standard Webhooks (standardwebhooks.com), signed with
            {secret}
",
        url = webhook.url,
        secret = webhook.secret
    )
}

/// A carrier whose state changed: `10:00:00  carrier north  up since 10:00:00, 1 of 1 sessions`.
pub(super) fn carrier_line(status: &CarrierStatus, zone: &TimeZone) -> String {
    let time = |at| {
        Timestamp::from_millisecond(at)
            .map(|at| at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string())
            .unwrap_or_default()
    };
    let now = time(SystemClock.now());
    let name = harmless(&status.name);
    format!(
        "{now}  carrier {name}  {}",
        crate::carrier::in_words(status, time)
    )
}

/// One line for a message that arrived, or for one that did not, with the reason.
pub(super) fn line(entry: &Entry, zone: &TimeZone) -> String {
    let time = Timestamp::from_millisecond(entry.time)
        .map(|at| at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string())
        .unwrap_or_default();
    // What was sent could carry sequences that a terminal obeys.
    let (to, text) = (harmless(&entry.to), harmless(&entry.text));
    let from = if entry.from.is_empty() {
        String::new()
    } else {
        format!(" from {}", harmless(&entry.from))
    };
    let parts = if entry.segments > 1 {
        format!(", {} segments", entry.segments)
    } else {
        String::new()
    };
    let class = entry.class.map_or("", |class| class.name());
    match entry.state {
        EntryState::Delivered => format!("{time}  {to}{from}  {text}  ({class}{parts})"),
        EntryState::Silent => format!("{time}  {to}{from}  {text}  ({class}{parts}; no receipt will come)"),
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
