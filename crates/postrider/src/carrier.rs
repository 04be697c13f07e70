//! `postrider carrier`: the state of carriers, and binding them again.

use crate::control::{self, Answer, NodeCommand};
use crate::exit::Failure;
use crate::logging;
use crate::open::{Look, Place};
use crate::table::{Table, sanitize_for_terminal};
use crate::when;
use clap::{Args, Subcommand};
use engine::{CarrierState, CarrierStatus};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::io::Write;
use store::UnixMs;

/// Shows the state of carriers and reconnects them.
#[derive(Args, Clone, Debug)]
pub(crate) struct CarrierArgs {
    #[command(subcommand)]
    command: CarrierCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum CarrierCommand {
    /// Lists carriers: state, sessions, queued messages, last error and next bind attempt
    List(ListArgs),
    /// Binds the sessions of a carrier that wait for their next bind attempt at once
    Reconnect(ReconnectArgs),
}

/// The carrier to reconnect.
#[derive(Args, Clone, Debug)]
struct ReconnectArgs {
    /// Name of the carrier
    name: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Args, Clone, Debug)]
struct ListArgs {
    #[command(flatten)]
    look: Look,
}

/// Runs the subcommand.
pub(crate) async fn run(args: &CarrierArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    match &args.command {
        CarrierCommand::List(args) => list(args, out).await,
        CarrierCommand::Reconnect(args) => reconnect(args, out).await,
    }
}

async fn reconnect(args: &ReconnectArgs, out: &mut impl Write) -> Result<(), Failure> {
    let config = args.place.config_of_existing()?;
    let command = NodeCommand::Reconnect {
        carrier: args.name.as_str().into(),
    };
    control::carry_out(&config, &command).await?;
    Ok(writeln!(
        out,
        "carrier {}: binding the sessions that are down; bound sessions stay",
        sanitize_for_terminal(&args.name)
    )?)
}

async fn list(args: &ListArgs, out: &mut impl Write) -> Result<(), Failure> {
    let config = args.look.place.config_of_existing()?;
    let carriers = match control::answer(&config, &NodeCommand::Carriers).await? {
        Answer::Carriers(carriers) => carriers,
        other => return Err(other.unexpected()),
    };
    if args.look.json {
        let carriers: Vec<Value> = carriers.iter().map(document).collect();
        let document = json!({ "carriers": carriers });
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        return Ok(());
    }
    print(&carriers, out)?;
    Ok(())
}

fn print(carriers: &[CarrierStatus], out: &mut impl Write) -> std::io::Result<()> {
    if carriers.is_empty() {
        return writeln!(out, "no carriers");
    }
    let zone = TimeZone::system();
    let mut table = Table::new(&[
        "NO", "CARRIER", "TYPE", "STATE", "SINCE", "SESSIONS", "QUEUE", "WINDOW", "NEXT TRY",
    ]);
    for one in carriers {
        let is_smpp = &*one.kind == "smpp";
        let of = |used: usize, all: usize| format!("{used}/{all}");
        table.row([
            one.no.to_string(),
            one.name.to_string(),
            one.kind.to_string(),
            one.state.to_string(),
            when::short(one.since, &zone),
            if is_smpp {
                of(one.binds_up, one.binds)
            } else {
                "-".to_owned()
            },
            one.queued.to_string(),
            if is_smpp {
                of(one.window_used, one.window_max)
            } else {
                "-".to_owned()
            },
            one.next_try
                .map_or_else(|| "-".to_owned(), |at| when::short(at, &zone)),
        ]);
    }
    table.print(out)?;
    // A long error does not fit a table.
    for one in carriers {
        if let Some(error) = &one.last_error {
            let at = when::short(error.at, &zone);
            let message = sanitize_for_terminal(&error.message);
            writeln!(
                out,
                "{} last failed at {at}: {message}",
                sanitize_for_terminal(&one.name)
            )?;
        }
    }
    if carriers.iter().any(|one| one.state == CarrierState::Stopped) {
        writeln!(out, "no node serves this store: no message is sent")?;
    }
    Ok(())
}

/// A carrier as JSON.
pub(crate) fn document(one: &CarrierStatus) -> Value {
    json!({
        "no": one.no.0,
        "name": one.name,
        "type": one.kind,
        "state": one.state,
        "since": when::exact(one.since),
        "sessions": one.binds_up,
        "sessions_configured": one.binds,
        "queued": one.queued,
        "window_used": one.window_used,
        "window_max": one.window_max,
        "next_try": one.next_try.map(when::exact),
        "last_error": one.last_error.as_ref().map(|error| {
            json!({ "at": when::exact(error.at), "message": error.message })
        }),
    })
}

/// A carrier's state as text: `down since 10:00:00: connection refused; next try 10:00:05`. `time` formats the times.
pub(crate) fn in_words(one: &CarrierStatus, time: impl Fn(UnixMs) -> String) -> String {
    let mut words = format!("{} since {}", one.state, time(one.since));
    if one.state == CarrierState::Up {
        if one.binds > 0 {
            words = format!("{words}, {} of {} sessions", one.binds_up, one.binds);
        }
        return words;
    }
    if let Some(error) = &one.last_error {
        words = format!("{words}: {}", sanitize_for_terminal(&error.message));
    }
    if let Some(next_try) = one.next_try {
        words = format!("{words}; next try {}", time(next_try));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::CarrierError;
    use store::CarrierNo;

    const AT: UnixMs = 1_795_000_000_000;

    #[test]
    fn a_carrier_is_shown_with_its_error_and_its_next_try() {
        let north = CarrierStatus {
            no: CarrierNo(2),
            name: "north".into(),
            kind: "smpp".into(),
            state: CarrierState::Down,
            since: AT,
            binds_up: 0,
            binds: 2,
            last_error: Some(CarrierError {
                at: AT + 1_000,
                message: "cannot connect to 127.0.0.1:2775: Connection refused".into(),
            }),
            next_try: Some(AT + 5_000),
            queued: 7,
            window_used: 0,
            window_max: 20,
        };
        assert_eq!(
            in_words(&north, when::exact),
            "down since 2026-11-18T11:06:40.000Z: cannot connect to 127.0.0.1:2775: Connection refused; \
             next try 2026-11-18T11:06:45.000Z"
        );
        let mut out = Vec::new();
        print(std::slice::from_ref(&north), &mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert!(shown.contains("0/2") && shown.contains("0/20"), "{shown}");
        assert!(shown.contains("north last failed at "), "{shown}");
        let document = document(&north);
        assert_eq!(
            (&document["state"], &document["queued"]),
            (&json!("down"), &json!(7))
        );
        assert_eq!(document["next_try"], "2026-11-18T11:06:45.000Z");
        let up = CarrierStatus {
            state: CarrierState::Up,
            binds_up: 1,
            ..north
        };
        assert_eq!(
            in_words(&up, when::exact),
            "up since 2026-11-18T11:06:40.000Z, 1 of 2 sessions"
        );
    }
}
