//! What `postrider dev` prints: where everything is, a command to copy for each dialect, and each message delivered.

use super::commands::{Example, examples};
use super::demo::Demo;
use super::webhook::DemoWebhook;
use engine::CarrierStatus;
use engine::clock::{Clock, SystemClock};
use engine::sandbox::Delivered;
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
  inbox     {base}/sandbox/messages
  health    {metrics}/readyz  {metrics}/metrics
  data      {data} (demo.json has all credentials)
{webhook}
One command for each API, to copy. To ask what became of it, set ID to what the answer gives and use the second one.
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
        let _ = writeln!(text, "# {title}\n{send}\n# ID='{id} of the answer'\n{status}\n");
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
    let name = crate::table::harmless(&status.name);
    format!(
        "{now}  carrier {name}  {}",
        crate::carrier::in_words(status, time)
    )
}

/// One line for a message that arrived.
pub(super) fn line(message: &Delivered, zone: &TimeZone) -> String {
    let time = Timestamp::from_millisecond(message.time)
        .map(|at| at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string())
        .unwrap_or_default();
    // A text could carry sequences that a terminal obeys.
    let text: String = message
        .text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let from = if message.from.is_empty() {
        String::new()
    } else {
        format!(" from {}", message.from)
    };
    let parts = if message.segments == 1 {
        String::new()
    } else {
        format!(", {} segments", message.segments)
    };
    format!(
        "{time}  {to}{from}  {text}  ({class}{parts})",
        to = message.to,
        class = message.class
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use sms::class::{Class, Kind};

    #[test]
    fn a_delivered_message_is_one_harmless_line() {
        let message = Delivered {
            id: 1,
            to: "+447700900123".to_owned(),
            from: "Postrider".to_owned(),
            text: "Your code\nis \u{1b}[31m1".to_owned(),
            segments: 2,
            class: Class::Otp,
            kind: Kind::Text,
            time: 1_795_000_000_000,
        };
        assert_eq!(
            line(&message, &TimeZone::UTC),
            "11:06:40  +447700900123 from Postrider  Your code is  [31m1  (otp, 2 segments)"
        );
    }
}
