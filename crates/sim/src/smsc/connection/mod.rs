//! One connection: one task that reads many PDUs at once and writes all that follows from them in one piece.
//!
//! This stands on the frames and PDUs of `smpp` but not on its session: a simulator has to do what a session forbids
//! (answer nothing, answer twice, break off in the middle of a window), and a session tested against itself proves little.

mod deliver;
mod receive;
mod submit;

use std::collections::{BTreeMap, VecDeque};
use std::future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use smpp::command::SEQUENCE_MAX;
use smpp::field::InterfaceVersion;
use smpp::pdu::{Bind, BindKind, Pdu};
use smpp::{CommandStatus, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep_until;

use self::deliver::InFlight;
use self::submit::{Answer, RateGate};
use super::garbage;
use super::mailbox::Mailbox;
use super::receipt::{Delivery, ReceiptFormatter};
use super::script::Script;
use super::shared::{Link, LinkOrder, Moment, Shared};
use super::wheel::Wheel;
use crate::seed::Question;

/// Octets read at once at most.
const READ_OCTETS: usize = 256 * 1024;

/// How long an unbind of ours waits for its answer.
const UNBIND_MS: u64 = 5_000;

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// What has been written still leaves.
    Flushed,
    /// What has not left is lost.
    Cut,
}

/// A session that is bound.
struct Bound {
    /// Numbers binds since the simulator started.
    number: u64,
    kind: BindKind,
    mailbox: Arc<Mailbox>,
}

/// A bind whose answer waits.
struct PendingBind {
    due_ms: u64,
    sequence: u32,
    bind: Bind,
    number: u64,
}

/// When the next fault of each kind is due on this bind.
#[derive(Default)]
struct FaultInjector {
    /// In messages of this bind.
    cut_at: Option<u64>,
    cut_at_ms: Option<u64>,
    /// In messages of this bind.
    garbage_at: Option<u64>,
}

pub(super) struct Connection {
    shared: Arc<Shared>,
    link: Arc<Link>,
    stream: TcpStream,
    script: Arc<Script>,
    input: BytesMut,
    out: BytesMut,
    ending: Option<Ending>,
    pending_bind: Option<PendingBind>,
    bound: Option<Bound>,
    fault_injector: FaultInjector,
    /// Messages of this bind.
    submits: u64,
    garbage_sent: u64,
    gate: RateGate,
    /// Answers that wait for their time.
    answers: Wheel<Answer>,
    answers_due: VecDeque<Answer>,
    /// Deliveries that wait for their answer, by sequence number, which is also the order they left in.
    in_flight: BTreeMap<u32, InFlight>,
    /// Room for what is taken from the mailbox.
    taken: Vec<Delivery>,
    /// Deliveries of one batch of messages on their way into the mailbox.
    planned: Vec<(u64, Delivery)>,
    sequence: u32,
    enquire_at_ms: Option<u64>,
    read_again_at_ms: u64,
    unbind_until_ms: Option<u64>,
    receipt_formatter: ReceiptFormatter,
    id_text: Vec<u8>,
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>, link: Arc<Link>, stream: TcpStream) -> Self {
        let script = shared.script.load_full();
        Self {
            shared,
            link,
            stream,
            script,
            input: BytesMut::new(),
            out: BytesMut::new(),
            ending: None,
            pending_bind: None,
            bound: None,
            fault_injector: FaultInjector::default(),
            submits: 0,
            garbage_sent: 0,
            gate: RateGate::default(),
            answers: Wheel::default(),
            answers_due: VecDeque::new(),
            in_flight: BTreeMap::new(),
            taken: Vec::new(),
            planned: Vec::new(),
            sequence: 0,
            enquire_at_ms: None,
            read_again_at_ms: 0,
            unbind_until_ms: None,
            receipt_formatter: ReceiptFormatter::default(),
            id_text: Vec::new(),
        }
    }

    /// Runs until the connection is over, and gives back what was not acknowledged.
    pub(super) async fn run(mut self) {
        let link = Arc::clone(&self.link);
        let ended = tokio::select! {
            ended = self.serve() => ended,
            () = link.cut.cancelled() => Ok(()),
        };
        if let Err(error) = ended {
            tracing::debug!(peer = %link.peer, %error, "connection lost");
        }
        self.leave();
    }

    async fn serve(&mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        loop {
            let now = self.shared.now();
            self.follow_script(now);
            self.execute_orders();
            self.fall_due(now);
            match self.ending {
                Some(Ending::Cut) => return Ok(()),
                Some(Ending::Flushed) => {
                    self.flush().await?;
                    return self.stream.shutdown().await;
                }
                None => self.flush().await?,
            }
            let reads = self.reads(now);
            let due = self.next_due_ms(now).map(|ms| self.shared.instant_at(ms));
            let wake = Arc::clone(&self.link.wake);
            tokio::select! {
                () = wake.notified() => {}
                () = async { match due {
                    Some(due) => sleep_until(due).await,
                    None => future::pending().await,
                }} => {}
                read = read(&mut self.stream, &mut self.input), if reads => {
                    if read? == 0 {
                        return Ok(());
                    }
                    let now = self.shared.now();
                    self.read_again_at_ms = now.ms + self.script.behaviour.faults.read_pause_ms;
                    self.receive(now);
                }
            }
        }
    }

    /// Applies a behaviour that has changed.
    fn follow_script(&mut self, now: Moment) {
        let current = self.shared.script.load();
        if Arc::ptr_eq(&current, &self.script) {
            return;
        }
        self.script = Arc::clone(&current);
        drop(current);
        self.draw_faults(now);
    }

    fn draw_faults(&mut self, now: Moment) {
        let Some(Bound { number, .. }) = self.bound else {
            return;
        };
        let faults = &self.script.behaviour.faults;
        let seed = self.shared.seed;
        let draw = |span: super::Span, question| {
            (!span.is_zero()).then(|| seed.roll(question, number, 0).within(span.min, span.max))
        };
        self.fault_injector = FaultInjector {
            cut_at: draw(faults.disconnect_after, Question::Disconnect)
                .map(|after| self.submits + after.max(1)),
            cut_at_ms: draw(faults.disconnect_after_ms, Question::DisconnectTime).map(|after| now.ms + after),
            garbage_at: draw(faults.garbage_after, Question::Garbage)
                .map(|after| self.submits + after.max(1)),
        };
        let every_ms = faults.enquire_link_ms;
        self.enquire_at_ms = (every_ms > 0).then_some(now.ms + every_ms);
    }

    fn execute_orders(&mut self) {
        let orders = std::mem::take(&mut *self.link.orders.lock());
        for order in orders {
            match order {
                LinkOrder::Garbage(kind) => self.send_garbage(kind),
                LinkOrder::Unbind if self.bound.is_some() => {
                    let sequence = self.next_sequence();
                    self.say(&Pdu::Unbind, CommandStatus::ROK, sequence);
                    self.unbind_until_ms = Some(self.shared.now().ms + UNBIND_MS);
                }
                LinkOrder::Unbind => {}
            }
        }
    }

    /// Does everything whose time has come.
    fn fall_due(&mut self, now: Moment) {
        if self.fault_injector.cut_at_ms.is_some_and(|at| at <= now.ms) {
            return self.cut();
        }
        if self.unbind_until_ms.is_some_and(|at| at <= now.ms) {
            self.ending = Some(Ending::Flushed);
            return;
        }
        if self.script.behaviour.faults.hanging {
            return;
        }
        if let Some(pending) = self.pending_bind.take_if(|pending| pending.due_ms <= now.ms) {
            self.answer_bind(pending, now);
        }
        self.answers.take_due(now.ms, &mut self.answers_due);
        while let Some(answer) = self.answers_due.pop_front() {
            self.answer(answer);
        }
        self.deliver_due(now);
        if self.enquire_at_ms.is_some_and(|at| at <= now.ms) {
            let sequence = self.next_sequence();
            self.say(&Pdu::EnquireLink, CommandStatus::ROK, sequence);
            self.enquire_at_ms = Some(now.ms + self.script.behaviour.faults.enquire_link_ms.max(1));
        }
    }

    /// The millisecond at which [`Self::fall_due`] has something to do, or reading goes on.
    fn next_due_ms(&self, now: Moment) -> Option<u64> {
        let always = [
            self.fault_injector.cut_at_ms,
            self.unbind_until_ms,
            (self.read_again_at_ms > now.ms).then_some(self.read_again_at_ms),
        ];
        let unless_hanging = || {
            let pending_bind = self.pending_bind.as_ref().map(|pending| pending.due_ms);
            [
                pending_bind,
                self.answers.next_due_ms(),
                self.enquire_at_ms,
                self.next_delivery_ms(),
            ]
        };
        let hanging = self.script.behaviour.faults.hanging;
        let others = if hanging { [None; 4] } else { unless_hanging() };
        always.into_iter().chain(others).flatten().min()
    }

    fn reads(&self, now: Moment) -> bool {
        !self.script.behaviour.faults.reading_paused && self.read_again_at_ms <= now.ms
    }

    async fn flush(&mut self) -> io::Result<()> {
        let at_once = match self.script.behaviour.faults.write_octets_max {
            0 => usize::MAX,
            octets => octets,
        };
        while !self.out.is_empty() {
            let octets = self.out.split_to(at_once.min(self.out.len()));
            self.stream.write_all(&octets).await?;
            if !self.out.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(())
    }

    /// Puts a PDU among what is to be written.
    fn say(&mut self, pdu: &Pdu, status: CommandStatus, sequence: u32) -> bool {
        let said = pdu.encode(status, sequence, &Limits::LENIENT, &mut self.out);
        if let Err(error) = &said {
            tracing::debug!(command = %pdu.command(), %error, "PDU encoding failed");
        }
        said.is_ok()
    }

    fn send_garbage(&mut self, kind: super::Garbage) {
        let sequence = self.next_sequence();
        garbage::write(kind, sequence, &mut self.out);
        self.shared.ledger.lock().counts.garbage += 1;
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = if self.sequence >= SEQUENCE_MAX {
            1
        } else {
            self.sequence + 1
        };
        self.sequence
    }

    /// Ends the connection; what has not left is lost.
    fn cut(&mut self) {
        self.ending = Some(Ending::Cut);
        self.shared.ledger.lock().counts.cuts += 1;
    }

    /// Ends the session and returns its unanswered deliveries to the mailbox.
    fn leave(&mut self) {
        let Some(bound) = self.bound.take() else { return };
        bound.mailbox.leave(self.link.number);
        let in_flight = std::mem::take(&mut self.in_flight);
        self.shared
            .in_flight
            .fetch_sub(in_flight.len(), Ordering::Relaxed);
        self.shared.ledger.lock().counts.receipts_in_doubt += in_flight.len() as u64;
        bound
            .mailbox
            .give_back(in_flight.into_values().map(|in_flight| in_flight.delivery));
    }

    fn bound_as(&mut self, bind: &Bind, number: u64, now: Moment) {
        let mailbox = self.shared.mailbox(&bind.system_id);
        if bind.kind.receives() {
            mailbox.join(self.link.number, Arc::clone(&self.link.wake));
        }
        *self.link.system_id.lock() = Some(bind.system_id.as_bytes().into());
        self.bound = Some(Bound {
            number,
            kind: bind.kind,
            mailbox,
        });
        self.draw_faults(now);
    }

    /// The `sc_interface_version` of the answer; none for an ESME of 3.3, which knows no optional parameters.
    fn version_for(bind: &Bind) -> Option<InterfaceVersion> {
        bind.interface_version
            .has_tlvs()
            .then_some(InterfaceVersion::V3_4)
    }
}

async fn read(stream: &mut TcpStream, input: &mut BytesMut) -> io::Result<usize> {
    input.reserve(READ_OCTETS);
    stream.read_buf(input).await
}
