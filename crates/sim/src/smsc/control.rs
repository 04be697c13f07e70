//! Orders to a running simulator.

use std::sync::Arc;

use serde::Deserialize;
use sms::segment::{Reference, TooLong};

use super::SmscHandle;
use super::behaviour::{Behaviour, Garbage};
use super::mo_generator::InboundSms;
use super::receipt::{Delivery, Inward};
use super::script::Script;
use super::shared::LinkOrder;
use crate::InvalidSetting;

/// An order to a running simulator. `system_id` selects the sessions; `None`: all.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// Replaces the behaviour. The counts of rules and the faults of binds start again.
    Behave(Box<Behaviour>),
    /// Cut connections in the middle of whatever they do.
    Disconnect {
        /// The `system_id` of the sessions; `None`: all.
        #[serde(default)]
        system_id: Option<String>,
    },
    /// Unbind sessions in good order.
    Unbind {
        /// The `system_id` of the sessions; `None`: all.
        #[serde(default)]
        system_id: Option<String>,
    },
    /// Send garbage.
    Garbage {
        /// The `system_id` of the sessions; `None`: all.
        #[serde(default)]
        system_id: Option<String>,
        /// The kind of garbage.
        kind: Garbage,
    },
    /// Go away: close the port, and cut what is connected.
    Leave,
    /// Come back.
    Return,
    /// Let a subscriber send a message.
    Inbound(Inbound),
    /// Deletes all counts, kept messages and waiting deliveries.
    Reset,
}

/// A message from a subscriber.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inbound {
    /// The `system_id` that receives it; it waits for the next bind if there is none. Must have bound once.
    pub system_id: String,
    /// The subscriber's number, digits with country code.
    pub from: String,
    /// The number it was sent to.
    pub to: String,
    /// The text. More than 160 characters of the GSM alphabet, or 70 others, go in several parts.
    pub text: String,
}

/// Why an order is not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The behaviour is invalid.
    #[error(transparent)]
    InvalidSetting(#[from] InvalidSetting),
    /// No session has ever bound with that `system_id`.
    #[error("system_id {0:?} has never bound")]
    Unknown(String),
    /// The text needs more parts than a message can have.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

impl SmscHandle {
    /// Executes an order.
    ///
    /// # Errors
    /// [`OrderError`] if it cannot be done; nothing has changed then.
    pub fn control(&self, order: Order) -> Result<(), OrderError> {
        match order {
            Order::Behave(behaviour) => self.behave(*behaviour)?,
            Order::Disconnect { system_id } => self.disconnect(system_id.as_deref()),
            Order::Unbind { system_id } => self.order(system_id.as_deref(), LinkOrder::Unbind),
            Order::Garbage { system_id, kind } => self.order(system_id.as_deref(), LinkOrder::Garbage(kind)),
            Order::Leave => {
                // The accepting task closes the port; a connection accepted before that is cut with the others or by stopping.
                self.listening.send_replace(false);
                self.disconnect(None);
            }
            Order::Return => {
                self.listening.send_replace(true);
            }
            Order::Inbound(inbound) => self.write_to(&inbound)?,
            Order::Reset => self.shared.reset(),
        }
        Ok(())
    }

    fn behave(&self, behaviour: Behaviour) -> Result<(), InvalidSetting> {
        behaviour.check()?;
        self.shared.script.store(Arc::new(Script::new(behaviour)));
        self.shared.behaves.notify_one();
        for link in self.shared.links_of(None) {
            link.wake.notify_one();
        }
        Ok(())
    }

    fn disconnect(&self, system_id: Option<&str>) {
        let links = self.shared.links_of(system_id);
        self.shared.ledger.lock().counts.cuts += links.len() as u64;
        for link in links {
            link.cut.cancel();
        }
    }

    fn order(&self, system_id: Option<&str>, order: LinkOrder) {
        for link in self.shared.links_of(system_id) {
            link.orders.lock().push(order);
            link.wake.notify_one();
        }
    }

    fn write_to(&self, inbound: &Inbound) -> Result<(), OrderError> {
        let mailbox = (self.shared.known_mailbox(&inbound.system_id))
            .ok_or_else(|| OrderError::Unknown(inbound.system_id.clone()))?;
        let inbound_sms = InboundSms {
            from: inbound.from.clone(),
            to: inbound.to.clone(),
            text: inbound.text.clone(),
            reference: Reference::Bits16,
            common: self.shared.next_reference(),
        };
        let now_ms = self.shared.now().ms;
        let mut deliveries = inbound_sms
            .cut()?
            .into_iter()
            .map(|pdu| (now_ms, Delivery::Inbound(Arc::new(Inward { pdu, of: None }))))
            .collect();
        mailbox.schedule(&mut deliveries);
        Ok(())
    }
}
