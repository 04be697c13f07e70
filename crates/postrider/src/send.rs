//! `postrider send`: sends a message through the node that serves the store.

use crate::control::{self, Answer, NodeCommand, SendCommand};
use crate::exit::Failure;
use crate::logging;
use crate::open::Look;
use anyhow::anyhow;
use clap::Args;
use serde_json::json;
use std::io::Write;

/// Sends a message through the node that serves the store, like a client of the account.
///
/// Templates, suppressions, limits, balance and routes apply as to all messages.
#[derive(Args, Clone, Debug)]
pub(crate) struct SendArgs {
    /// Recipient: an international number; may be repeated
    #[arg(long = "to", value_name = "NUMBER", required = true)]
    to: Vec<String>,
    /// Number, UT id or name of the template
    #[arg(long, value_name = "TEMPLATE", required_unless_present = "text")]
    template: Option<String>,
    /// Free text instead of a template, with `postrider dev` only
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["template", "vars"])]
    text: Option<String>,
    /// Value of a template variable; may be repeated
    #[arg(long = "var", value_name = "NAME=VALUE")]
    vars: Vec<String>,
    /// The account; optional when there is only one
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Sender that the recipient sees
    #[arg(long, value_name = "SENDER")]
    sender: Option<String>,
    #[command(flatten)]
    look: Look,
}

/// Sends the message and prints the results.
pub(crate) async fn run(args: &SendArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    let config = args.look.place.config_of_existing()?;
    let mut vars = Vec::with_capacity(args.vars.len());
    for var in &args.vars {
        let Some((name, value)) = var.split_once('=').filter(|(name, _)| !name.trim().is_empty()) else {
            return Err(Failure::bad_input(anyhow!("--var {var:?} must be NAME=VALUE")));
        };
        let name: Box<str> = name.trim().into();
        if vars.iter().any(|(known, _)| *known == name) {
            return Err(Failure::bad_input(anyhow!("--var {name}=… is given twice")));
        }
        vars.push((name, value.into()));
    }
    if args.text.as_deref().is_some_and(|text| text.trim().is_empty()) {
        return Err(Failure::bad_input(anyhow!("--text is empty")));
    }
    let command = NodeCommand::Send(Box::new(SendCommand {
        account: args.account.as_deref().map(Into::into),
        to: args.to.iter().map(|to| to.trim().into()).collect(),
        template: args.template.as_deref().map(Into::into),
        text: args.text.as_deref().map(Into::into),
        vars,
        sender: args.sender.as_deref().map(Into::into),
    }));
    let sent = match control::answer(&config, &command).await? {
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
                    crate::table::sanitize_for_terminal(&refused.message)
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
