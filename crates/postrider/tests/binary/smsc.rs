//! A scripted SMSC over TCP. It accepts one system id with one password, keeps every `submit_sm`, and can send inbound messages and
//! receipts of messages that an earlier instance accepted; the simulator (`sim::smsc`) knows only its own messages.

use crate::testkit::time_left;
use serde::{Deserialize, Serialize};
use smpp::CommandStatus;
use smpp::field::{Address, DataCoding, EsmClass};
use smpp::pdu::{DeliverSm, SubmitSm, SubmitSmResp};
use smpp::server::{self, Incoming, ServerConfig, ServerSession};
use smpp::session::{Event, Reply, Request};
use sms::alphabet;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// A part of a concatenated message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) reference: u16,
    pub(crate) total: u8,
    /// From 1.
    pub(crate) number: u8,
}

impl Part {
    /// A message of one part.
    pub(crate) const SINGLE: Self = Self {
        reference: 0,
        total: 1,
        number: 1,
    };
}

/// A received `submit_sm`.
#[derive(Clone, Debug)]
pub(crate) struct Submit {
    /// Digits with country code.
    pub(crate) to: String,
    /// Without the user data header.
    pub(crate) text: String,
    /// `None` for a message of one part.
    pub(crate) part: Option<Part>,
    /// The message id of a successful response.
    pub(crate) id: Option<u64>,
}

/// `stat` and `err` of a receipt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receipt {
    pub(crate) stat: &'static str,
    pub(crate) err: &'static str,
}

impl Receipt {
    pub(crate) const DELIVERED: Self = Self {
        stat: "DELIVRD",
        err: "000",
    };
}

/// The reaction to a `submit_sm`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reaction {
    /// Accepts it under the next message id, and sends the receipt, if any, after the response.
    Accept(Option<Receipt>),
    /// Accepts it under this message id, without a receipt.
    AcceptAs(u64),
    Reject(CommandStatus),
    /// Sends no response, but the receipt, if any, under this message id.
    NoResponse(Option<(u64, Receipt)>),
}

pub(crate) struct SmscConfig<'a> {
    pub(crate) system_id: &'a str,
    pub(crate) password: &'a str,
    /// Message ids begin after this one. Two instances of one carrier need ranges that do not overlap.
    pub(crate) ids_after: u64,
    /// Writes message ids in hexadecimal in responses; they are decimal in receipts and otherwise in responses.
    pub(crate) hex_in_responses: bool,
}

type Script = dyn Fn(&Submit) -> Reaction + Send + Sync;

struct Shared {
    system_id: String,
    password: String,
    hex_in_responses: bool,
    script: Box<Script>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    submits: Vec<Submit>,
    last_id: u64,
    session: Option<ServerSession>,
    rejected_binds: usize,
    last_token: u64,
    /// Status of each `deliver_sm_resp`, by the token of the request.
    delivered: HashMap<u64, CommandStatus>,
}

/// Runs until it is dropped; its connections are closed without `unbind` then.
pub(crate) struct Smsc {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    runtime: Runtime,
}

impl Smsc {
    /// Starts on a free port of the loopback interface.
    pub(crate) fn start(
        config: &SmscConfig<'_>,
        script: impl Fn(&Submit) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            system_id: config.system_id.to_owned(),
            password: config.password.to_owned(),
            hex_in_responses: config.hex_in_responses,
            script: Box::new(script),
            state: Mutex::new(State {
                last_id: config.ids_after,
                ..State::default()
            }),
            changed: Condvar::new(),
        });
        let serving = Arc::clone(&shared);
        let handler = move |incoming: Incoming| serve(incoming, Arc::clone(&serving));
        let never = std::future::pending::<()>();
        runtime.spawn(server::serve(
            listener,
            ServerConfig::default(),
            None,
            never,
            handler,
        ));
        Self {
            port,
            shared,
            runtime,
        }
    }

    /// Every `submit_sm` so far, in order.
    pub(crate) fn submits(&self) -> Vec<Submit> {
        self.shared.state.lock().unwrap().submits.clone()
    }

    /// Number of binds with another system id or password.
    pub(crate) fn rejected_binds(&self) -> usize {
        self.shared.state.lock().unwrap().rejected_binds
    }

    /// Waits for `count` matching submits; returns all of them.
    pub(crate) fn wait_for(
        &self,
        what: &str,
        count: usize,
        matches: impl Fn(&Submit) -> bool,
    ) -> Vec<Submit> {
        self.wait_until(what, |state| {
            let submits = state.submits.iter().filter(|submit| matches(submit));
            let submits: Vec<Submit> = submits.cloned().collect();
            (submits.len() >= count).then_some(submits)
        })
    }

    /// Waits until every `deliver_sm` sent so far has its response.
    pub(crate) fn wait_for_responses(&self) {
        self.wait_until("the response to a deliver_sm", |state| {
            let count = u64::try_from(state.delivered.len()).unwrap();
            (count == state.last_token).then_some(())
        });
    }

    /// Sends a receipt and waits for its response.
    pub(crate) fn send_receipt(&self, id: u64, to: &str, receipt: Receipt) {
        self.deliver(receipt_pdu(id, to, receipt));
    }

    /// Sends an inbound message, or one part of it, and waits for the response. The text must be in the GSM alphabet.
    pub(crate) fn send_inbound(&self, from: &str, to: &str, text: &str, part: Option<Part>) {
        let mut payload = Vec::new();
        if let Some(part) = part {
            let [high, low] = part.reference.to_be_bytes();
            payload.extend([6, 8, 4, high, low, part.total, part.number]);
        }
        payload.extend(alphabet::encode_gsm7(text).unwrap());
        self.deliver(DeliverSm {
            source: Address::international(from),
            destination: Address::unknown(to),
            esm_class: if part.is_some() {
                EsmClass::UDHI
            } else {
                EsmClass::DEFAULT
            },
            short_message: payload.into(),
            ..DeliverSm::default()
        });
    }

    fn deliver(&self, pdu: DeliverSm) {
        let session = self.wait_until("a session", |state| state.session.clone());
        let token = self.shared.next_token();
        let batch = vec![Request::new(token, pdu)];
        self.runtime.block_on(session.send_batch(batch)).unwrap();
        let status = self.wait_until("the response to a deliver_sm", |state| {
            state.delivered.get(&token).copied()
        });
        assert!(status.is_ok(), "deliver_sm was rejected: {status:?}");
    }

    fn wait_until<T>(&self, what: &str, done: impl Fn(&State) -> Option<T>) -> T {
        let since = Instant::now();
        let mut state = self.shared.state.lock().unwrap();
        loop {
            if let Some(done) = done(&state) {
                return done;
            }
            let left = time_left(since).unwrap_or_else(|| {
                panic!(
                    "no {what} in time; {} binds rejected; submits: {:#?}",
                    state.rejected_binds, state.submits
                )
            });
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}

impl Shared {
    fn update<T>(&self, update: impl FnOnce(&mut State) -> T) -> T {
        let updated = update(&mut self.state.lock().unwrap());
        self.changed.notify_all();
        updated
    }

    fn next_token(&self) -> u64 {
        self.update(|state| {
            state.last_token += 1;
            state.last_token
        })
    }

    fn next_id(&self) -> u64 {
        self.update(|state| {
            state.last_id += 1;
            state.last_id
        })
    }

    /// Keeps a `submit_sm`; returns the response and the receipt.
    fn submit(&self, sequence: u32, pdu: &SubmitSm) -> (Option<Reply>, Option<Request>) {
        let mut submit = decoded(pdu);
        let (status, id, receipt) = match (self.script)(&submit) {
            Reaction::Accept(receipt) => {
                let id = self.next_id();
                let receipt = receipt.map(|receipt| (id, receipt));
                (Some(CommandStatus::ROK), Some(id), receipt)
            }
            Reaction::AcceptAs(id) => (Some(CommandStatus::ROK), Some(id), None),
            Reaction::Reject(status) => (Some(status), None, None),
            Reaction::NoResponse(receipt) => (None, None, receipt),
        };
        submit.id = id;
        // The token is counted before the submit can be seen: `wait_for_responses` then waits for this receipt.
        let receipt = receipt
            .map(|(id, receipt)| Request::new(self.next_token(), receipt_pdu(id, &submit.to, receipt)));
        self.update(|state| state.submits.push(submit));
        let id = match id {
            Some(id) if self.hex_in_responses => format!("{id:x}"),
            Some(id) => id.to_string(),
            None => String::new(),
        };
        let response = status.map(|status| Reply {
            sequence,
            status,
            pdu: SubmitSmResp::new(id).into(),
        });
        (response, receipt)
    }
}

async fn serve(incoming: Incoming, shared: Arc<Shared>) {
    let bind = incoming.bind();
    if bind.system_id != *shared.system_id || bind.password != *shared.password {
        shared.update(|state| state.rejected_binds += 1);
        return incoming.refuse(CommandStatus::RINVPASWD).await;
    }
    let Ok((session, mut events)) = incoming.accept("smsc").await else {
        return;
    };
    shared.update(|state| state.session = Some(session.clone()));
    while let Some(batch) = events.next().await {
        let (mut responses, mut receipts) = (Vec::new(), Vec::new());
        for event in batch {
            match event {
                Event::Submit { sequence, pdu } => {
                    let (response, receipt) = shared.submit(sequence, &pdu);
                    responses.extend(response);
                    receipts.extend(receipt);
                }
                Event::Response { token, status, .. } => {
                    shared.update(|state| state.delivered.insert(token, status));
                }
                _ => {}
            }
        }
        session.respond(responses);
        let _ = session.send_batch(receipts).await;
    }
    // A later session may have replaced this one.
    shared.update(|state| state.session.take_if(|session| session.is_closed()));
}

fn decoded(pdu: &SubmitSm) -> Submit {
    let (part, text) = match &pdu.payload()[..] {
        [6, 8, 4, high, low, total, number, text @ ..] if pdu.esm_class.has_udhi() => {
            let part = Part {
                reference: u16::from_be_bytes([*high, *low]),
                total: *total,
                number: *number,
            };
            (Some(part), text)
        }
        text => (None, text),
    };
    let text = match pdu.data_coding {
        DataCoding::UCS2 => alphabet::decode_ucs2(text),
        _ => alphabet::decode_gsm7(text),
    };
    Submit {
        to: pdu.destination.addr.to_string(),
        text,
        part,
        id: None,
    }
}

/// A receipt as in SMPP 3.4 Appendix B.
fn receipt_pdu(id: u64, to: &str, receipt: Receipt) -> DeliverSm {
    let Receipt { stat, err } = receipt;
    let text = format!(
        "id:{id} sub:001 dlvrd:001 submit date:2611220504 done date:2611220505 stat:{stat} err:{err} text:-"
    );
    DeliverSm {
        source: Address::international(to),
        esm_class: EsmClass::DELIVERY_RECEIPT,
        short_message: text.into(),
        ..DeliverSm::default()
    }
}
