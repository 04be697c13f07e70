//! Contact lists, their members, and the tasks that send to them.

use super::{AccountId, NewIdempotency, UnixMs};
use sms::phone::Msisdn;

/// A list of contacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactList {
    /// Its id, unique in the store, never given twice.
    pub id: i64,
    /// Whose.
    pub account: AccountId,
    /// Its name, unique within the account.
    pub name: Box<str>,
    /// In words.
    pub description: Box<str>,
    /// Members now.
    pub members: u64,
    /// When it was made.
    pub created_at: UnixMs,
    /// When it or a member last changed.
    pub updated_at: UnixMs,
}

/// One member of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Its id, unique in the store, never given twice; grows with every new member.
    pub id: i64,
    /// The list.
    pub list: i64,
    /// The number.
    pub msisdn: Msisdn,
    /// The number as the caller wrote it.
    pub written: Box<str>,
    /// The person's name.
    pub user_name: Box<str>,
    /// Values for templates: a JSON object.
    pub vars: Box<str>,
    /// When it was made.
    pub created_at: UnixMs,
    /// When it last changed.
    pub updated_at: UnixMs,
}

/// A member to add, or to change if its number is in the list already.
#[derive(Debug, Clone)]
pub struct PutContact {
    /// The number.
    pub msisdn: Msisdn,
    /// As written.
    pub written: Box<str>,
    /// The person's name; `None` leaves it.
    pub user_name: Option<Box<str>>,
    /// Values, a JSON object; `None` leaves them.
    pub vars: Option<Box<str>>,
}

/// How a change to lists ended that could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContactRefusal {
    /// No such list.
    NoList,
    /// Another list of the account has that name.
    NameTaken,
    /// No such member.
    NoMember,
    /// As many lists, or members of the list, as there may be.
    Full,
    /// As many members of all its lists as the account may have.
    AccountFull,
    /// As many open tasks as the account may have.
    TasksFull,
    /// A task is sending to it.
    InUse,
}

/// Bounds on the members of lists, looked at when some are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContactBounds {
    /// Members of one list.
    pub list_max: u64,
    /// Members of all lists of an account; a number in two lists counts twice.
    pub account_max: u64,
}

/// A page of something, and how much there is in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries of this page.
    pub items: Vec<T>,
    /// How many there are without offset and limit.
    pub total: u64,
}

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TaskState {
    /// Waits for its time.
    Waiting = 0,
    /// Members are being accepted.
    Running = 1,
    /// All members were accepted or refused.
    Done = 2,
    /// It could not go on: see [`Task::error`].
    Failed = 3,
    /// Somebody called it off.
    Cancelled = 4,
}

/// A send to the members of lists, piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id, unique in the store.
    pub id: i64,
    /// Whose.
    pub account: AccountId,
    /// What the engine needs to send a piece: JSON.
    pub request: Box<str>,
    /// The lists, in order.
    pub lists: Vec<i64>,
    /// Members of all lists when it was made.
    pub members: u64,
    /// Only members with ids up to this: whoever is added later is not sent to.
    pub last_contact: i64,
    /// When it is to begin.
    pub due: UnixMs,
    /// When it ends, whoever is left: no member is accepted at or after that, and what was accepted and still waits
    /// expires. `None` for never.
    pub ends_at: Option<UnixMs>,
    /// Where it is.
    pub state: TaskState,
    /// How far it is.
    pub progress: TaskProgress,
    /// Why it failed, in words.
    pub error: Box<str>,
    /// When it was made.
    pub created_at: UnixMs,
    /// When it ended.
    pub ended_at: Option<UnixMs>,
}

/// A task to make.
#[derive(Debug)]
pub struct NewTask {
    /// Tasks of the account that may be open, this one among them.
    pub open_max: u64,
    /// Whose.
    pub account: AccountId,
    /// The lists, in order; at least one.
    pub lists: Vec<i64>,
    /// What the engine needs to send a piece: JSON.
    pub request: Box<str>,
    /// When it is to begin.
    pub due: UnixMs,
    /// See [`Task::ends_at`].
    pub ends_at: Option<UnixMs>,
    /// The present.
    pub now: UnixMs,
    /// Present when the request must be done once only.
    pub idempotency: Option<NewIdempotency<Task>>,
}

/// What came of a [`NewTask`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddedTask {
    /// It is made. One without members is done already.
    New(Task),
    /// The request was done before; nothing is made.
    Repeat {
        /// What was recorded with it.
        answer: Vec<u8>,
        /// Whether its body was the same.
        same_body: bool,
    },
}

/// How far a task is. Recorded in the transaction that accepts the piece, so that no member gets two
/// messages and none is left out, whatever ends the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TaskProgress {
    /// Index of the list it is in.
    pub list: u32,
    /// The last member that was accepted or refused, 0 for none.
    pub contact: i64,
    /// Members accepted.
    pub accepted: u64,
    /// Members refused (suppressed, unreadable, without a value).
    pub refused: u64,
}

/// A step of a task, to be recorded with what it accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskStep {
    /// The task.
    pub task: i64,
    /// How far it was: a step is refused when the task is elsewhere, or not running.
    pub from: TaskProgress,
    /// How far it is then, before what the transaction itself refuses is counted over to
    /// [`TaskProgress::refused`].
    pub to: TaskProgress,
}
