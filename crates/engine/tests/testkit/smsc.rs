//! A scripted SMSC on a real socket.

use smpp::CommandStatus;
use smpp::field::{EsmClass, MessageState};
use smpp::pdu::{DeliverSm, SubmitSm, SubmitSmResp};
use smpp::server::{self, Incoming, ServerConfig};
use smpp::session::{Event, Reply as PduReply, Request};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// What the SMSC does with one submit.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    /// The answer's status; `None`: no answer.
    pub status: Option<CommandStatus>,
    /// The receipt's state, if one comes.
    pub receipt: Option<MessageState>,
    /// The receipt comes before the answer.
    pub early: bool,
    /// The answer waits this long.
    pub(crate) late_ms: u64,
    /// The session ends in this way instead of an answer.
    pub end: Option<End>,
    /// Inbound messages that follow the answer.
    pub inbound: Vec<DeliverSm>,
    /// A `generic_nack` of status 0 answers.
    pub nack: bool,
}

impl Act {
    pub(crate) const DELIVER: Self = Self {
        status: Some(CommandStatus::ROK),
        receipt: Some(MessageState::DELIVERED),
        early: false,
        late_ms: 0,
        end: None,
        inbound: Vec::new(),
        nack: false,
    };

    pub(crate) const fn refuse(status: CommandStatus) -> Self {
        Self {
            status: Some(status),
            receipt: None,
            early: false,
            late_ms: 0,
            end: None,
            inbound: Vec::new(),
            nack: false,
        }
    }
}

/// How a session ends with a submit unanswered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The connection is dropped.
    HangUp,
    /// `unbind` comes instead of an answer.
    Unbind,
    /// A frame whose length cannot be.
    BrokenFrame,
}

impl Act {
    pub(crate) fn silent() -> Self {
        Self {
            status: None,
            receipt: None,
            ..Self::DELIVER
        }
    }

    pub(crate) fn nack() -> Self {
        Self {
            nack: true,
            ..Self::silent()
        }
    }

    pub(crate) fn ending(end: End) -> Self {
        Self {
            end: Some(end),
            ..Self::silent()
        }
    }
}

type Script = dyn Fn(u64, &SubmitSm) -> Act + Send + Sync;

/// A carrier that plays a script: what to do with the n-th submit (from 0).
pub(crate) struct Smsc {
    pub port: u16,
    seen: Arc<Mutex<Vec<SubmitSm>>>,
    sessions: Arc<AtomicU64>,
    /// The server runs until this is dropped.
    _running: tokio::sync::oneshot::Sender<()>,
}

impl Smsc {
    pub(crate) async fn start(script: impl Fn(u64, &SubmitSm) -> Act + Send + Sync + 'static) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), script)
    }

    /// Waits until it has seen so many submits.
    pub(crate) async fn until_seen(&self, count: usize) {
        super::until("submits at the SMSC", || self.seen.lock().unwrap().len() >= count).await;
    }

    /// One that remembers nothing of what it sees.
    #[allow(dead_code, reason = "for measuring only")]
    pub(crate) async fn start_quietly(
        script: impl Fn(u64, &SubmitSm) -> Act + Send + Sync + 'static,
    ) -> Self {
        Self::run(TcpListener::bind("127.0.0.1:0").await.unwrap(), script, false)
    }

    pub(crate) fn start_on(
        listener: TcpListener,
        script: impl Fn(u64, &SubmitSm) -> Act + Send + Sync + 'static,
    ) -> Self {
        Self::run(listener, script, true)
    }

    fn run(
        listener: TcpListener,
        script: impl Fn(u64, &SubmitSm) -> Act + Send + Sync + 'static,
        remember: bool,
    ) -> Self {
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let script: Arc<Script> = Arc::new(script);
        let (count, kept) = (Arc::new(AtomicU64::new(0)), Arc::clone(&seen));
        let sessions = Arc::new(AtomicU64::new(0));
        let bound = Arc::clone(&sessions);
        let mut config = ServerConfig::default();
        config.session.window_max = 1000;
        let serve = server::serve(
            listener,
            config,
            None,
            async {
                let _ = stopped.await;
            },
            move |incoming: Incoming| {
                bound.fetch_add(1, Ordering::Relaxed);
                session(
                    incoming,
                    Arc::clone(&script),
                    Arc::clone(&count),
                    remember.then(|| Arc::clone(&kept)),
                    port,
                )
            },
        );
        tokio::spawn(serve);
        Self {
            port,
            seen,
            sessions,
            _running: stop,
        }
    }

    /// Sessions that were begun.
    pub(crate) fn sessions(&self) -> u64 {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Everything submitted so far, in order.
    pub(crate) fn seen(&self) -> Vec<SubmitSm> {
        self.seen.lock().unwrap().clone()
    }

    /// Destinations with how often each was submitted.
    pub(crate) fn times(&self) -> std::collections::BTreeMap<String, usize> {
        let mut times = std::collections::BTreeMap::new();
        for submit in self.seen() {
            *times
                .entry(String::from_utf8_lossy(submit.destination.addr.as_bytes()).into_owned())
                .or_default() += 1;
        }
        times
    }
}

async fn session(
    incoming: Incoming,
    script: Arc<Script>,
    count: Arc<AtomicU64>,
    seen: Option<Arc<Mutex<Vec<SubmitSm>>>>,
    port: u16,
) {
    let Ok((smsc, mut events)) = incoming.accept("smsc").await else {
        return;
    };
    while let Some(batch) = events.next().await {
        let (mut answers, mut receipts) = (Vec::new(), Vec::new());
        for event in batch {
            let Event::Submit { sequence, pdu } = event else {
                continue;
            };
            let n = count.fetch_add(1, Ordering::SeqCst);
            let act = script(n, &pdu);
            if let Some(seen) = &seen {
                seen.lock().unwrap().push(pdu);
            }
            match act.end {
                None => {}
                Some(end) => {
                    smsc.respond(std::mem::take(&mut answers));
                    match end {
                        End::HangUp => {}
                        End::Unbind => smsc.unbind_and_drain(Duration::ZERO).await,
                        End::BrokenFrame => {
                            smsc.send_raw(&b"\0\0\0\x05\x80\0\0\x04\0\0\0\0\0\0\0\x01"[..]);
                            smsc.closed().await;
                        }
                    }
                    smsc.close();
                    return;
                }
            }
            if act.nack {
                answers.push(PduReply {
                    sequence,
                    status: CommandStatus::ROK,
                    pdu: smpp::Pdu::GenericNack,
                });
            }
            // Carriers do not share ids: two of these can play one carrier after the other.
            let id = format!("{port:x}-{n:x}");
            if act.late_ms > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(act.late_ms)).await;
            }
            if let Some(status) = act.status {
                answers.push(PduReply {
                    sequence,
                    status,
                    pdu: SubmitSmResp::new(&id).into(),
                });
            }
            for (part, pdu) in (0u64..).zip(act.inbound) {
                receipts.push(Request::new(1 << 40 | n << 8 | part, pdu));
            }
            if let Some(state) = act.receipt {
                let receipt = Request::new(n, receipt(&id, state));
                if act.early {
                    let _ = smsc.send_batch(vec![receipt]).await;
                } else {
                    receipts.push(receipt);
                }
            }
        }
        smsc.respond(answers);
        let _ = smsc.send_batch(receipts).await;
    }
}

fn receipt(id: &str, state: MessageState) -> DeliverSm {
    let word = state.receipt_word().unwrap_or("UNKNOWN");
    let text = format!(
        "id:{id} sub:001 dlvrd:001 submit date:2611220504 done date:2611220505 stat:{word} err:000 text:Hello"
    );
    DeliverSm {
        esm_class: EsmClass(0x04),
        short_message: text.into(),
        ..DeliverSm::default()
    }
}
