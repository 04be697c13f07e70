//! `postrider send`: a message by hand, through the node that serves the store.

use crate::control::{self, Answer, Order, SendOrder};
use crate::exit::Failure;
use crate::logging;
use crate::open::Look;
use anyhow::anyhow;
use clap::Args;
use serde_json::json;
use std::io::Write;

/// Sends a message, as one of the account's applications would, through the node that serves the store.
///
/// The message goes the way of all others: templates, suppressions, limits, balance and routes hold for it.
#[derive(Args, Clone, Debug)]
pub(crate) struct SendArgs {
    /// To whom: an international number; may be given several times
    #[arg(long = "to", value_name = "NUMBER", required = true)]
    to: Vec<String>,
    /// The template: its number, its UT id or its name
    #[arg(long, value_name = "TEMPLATE", required_unless_present = "text")]
    template: Option<String>,
    /// Free text instead of a template: only where the node is `postrider dev`
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["template", "vars"])]
    text: Option<String>,
    /// The value of a variable of the template; may be given several times
    #[arg(long = "var", value_name = "NAME=VALUE")]
    vars: Vec<String>,
    /// Whose message it is; may be left out where there is one account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// The sender that the recipient sees
    #[arg(long, value_name = "SENDER")]
    sender: Option<String>,
    #[command(flatten)]
    look: Look,
}

/// Has it sent.
pub(crate) async fn run(args: &SendArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    let config = args.look.place.config_of_existing()?;
    let mut vars = Vec::with_capacity(args.vars.len());
    for var in &args.vars {
        let Some((name, value)) = var.split_once('=').filter(|(name, _)| !name.trim().is_empty()) else {
            return Err(Failure::bad_input(anyhow!("--var {var:?} is not NAME=VALUE")));
        };
        let name: Box<str> = name.trim().into();
        if vars.iter().any(|(known, _)| *known == name) {
            return Err(Failure::bad_input(anyhow!("--var {name}=… is given twice")));
        }
        vars.push((name, value.into()));
    }
    if args.text.as_deref().is_some_and(|text| text.trim().is_empty()) {
        return Err(Failure::bad_input(anyhow!(
            "--text is empty: there is nothing to send"
        )));
    }
    let order = Order::Send(Box::new(SendOrder {
        account: args.account.as_deref().map(Into::into),
        to: args.to.iter().map(|to| to.trim().into()).collect(),
        template: args.template.as_deref().map(Into::into),
        text: args.text.as_deref().map(Into::into),
        vars,
        sender: args.sender.as_deref().map(Into::into),
    }));
    let sent = match control::answer(&config, &order).await? {
        Answer::Sent(sent) => sent,
        other => return Err(other.unexpected()),
    };
    let any_refused = sent.iter().any(|one| one.refused.is_some());
    if args.look.json {
        let messages: Vec<_> = sent
            .iter()
            .map(|one| {
                let reason = one.refused.as_ref().map(|refused| {
                    json!({ "code": refused.code, "name": refused.name, "message": refused.message })
                });
                json!({ "to": one.to, "id": one.id.map(|id| id.to_string()), "reason": reason })
            })
            .collect();
        let document = json!({ "messages": messages });
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
    } else {
        for one in &sent {
            match (&one.id, &one.refused) {
                (Some(id), _) => writeln!(out, "accepted  {}  postrider status {id}", one.to)?,
                (None, Some(refused)) => writeln!(
                    out,
                    "refused   {}  {} {}: {}",
                    one.to,
                    refused.code,
                    refused.name,
                    crate::table::harmless(&refused.message)
                )?,
                (None, None) => {}
            }
        }
    }
    if any_refused {
        Err(Failure::silent())
    } else {
        Ok(())
    }
}
