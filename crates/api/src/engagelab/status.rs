//! `GET /v1/status`, generation A: what became of messages (docs/dialects/engagelab.md).

use super::answer;
use super::auth::Caller;
use super::codes::ApiError;
use super::codes::a::{LABEL_FORMAT, PHONE_FORMAT};
use super::display_texts::MESSAGE_TYPE;
use super::moment;
use super::query::{Query, invalid};
use crate::days;
use crate::delivery_result::DeliveryResult;
use crate::lookup::{self, Found, Lookup};
use engine::catalog::Snapshot;
use engine::public_id::PublicIds;
use engine::sms::phone::{self, Grammar};
use engine::sms::state::MessageState;
use engine::{Dialect, Engine, MessageFilter, MessageView, StoreError, UnixMs};
use jiff::tz::Offset;
use serde::{Serialize, Serializer};
use std::ops::Range;

/// A query, read.
#[derive(Debug, Clone)]
pub struct StatusQuery {
    zone: Offset,
    day: Range<UnixMs>,
    sms_ids: Vec<Box<str>>,
    filter: MessageFilter,
    status: Option<Status>,
    sub_status: Option<u16>,
    user: Option<Box<str>>,
    /// False when the query is for a type of message that cannot exist.
    possible: bool,
}

/// `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Sent = 1,
    Delivered = 2,
    Waiting = 3,
    ProcessFailed = 4,
    SendFailed = 5,
}

impl Status {
    const ALL: [Self; 5] = [
        Self::Sent,
        Self::Delivered,
        Self::Waiting,
        Self::ProcessFailed,
        Self::SendFailed,
    ];

    fn of(delivery_result: DeliveryResult) -> Self {
        match delivery_result {
            DeliveryResult::Requested => Self::Sent,
            DeliveryResult::Sent => Self::Waiting,
            DeliveryResult::Delivered => Self::Delivered,
            DeliveryResult::ProcessFailed(_) => Self::ProcessFailed,
            DeliveryResult::SendFailed(_) => Self::SendFailed,
        }
    }

    fn read(written: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|status| written.parse() == Ok(*status as u8))
    }

    /// The states a message can have then; the two kinds of failure share theirs.
    fn states(self) -> Vec<MessageState> {
        match self {
            Self::Sent => vec![
                MessageState::Queued,
                MessageState::InFlight,
                MessageState::InDoubt,
            ],
            Self::Waiting => vec![MessageState::Submitted, MessageState::Unknown],
            Self::Delivered => vec![MessageState::Delivered],
            Self::ProcessFailed | Self::SendFailed => MessageState::ALL
                .into_iter()
                .filter(|state| state.is_failure())
                .collect(),
        }
    }

    const fn is_failure(self) -> bool {
        matches!(self, Self::ProcessFailed | Self::SendFailed)
    }
}

impl StatusQuery {
    /// Reads a query string.
    ///
    /// # Errors
    /// 30400, 32002, 34020.
    pub fn read(query: &str) -> Result<Self, ApiError> {
        let query = Query::read(query);
        let zone = query.time_zone()?;
        let date = query.date("send_date")?;
        let day = days::span(date, date, zone).ok_or_else(|| invalid("send_date is out of range"))?;
        let status = query.get("status");
        let status = status.map(|s| Status::read(s).ok_or_else(|| invalid("status must be 1 to 5")));
        let status = status.transpose()?;
        let read_phone = |number| phone::parse(number, Grammar::EngageLabA).map_err(|_| &PHONE_FORMAT);
        let label = query.get("label_id");
        let label = label
            .map(|id| id.parse().map_err(|_| &LABEL_FORMAT))
            .transpose()?;
        let paging = query.paging()?;
        let filter = MessageFilter {
            numbers: query
                .get("phone")
                .map(read_phone)
                .transpose()?
                .into_iter()
                .collect(),
            states: status.map_or_else(Vec::new, Status::states),
            template: query.number("template_id")?.map(clamp),
            labels: label.into_iter().collect(),
            offset: paging.offset,
            limit: paging.limit,
            ..lookup::all_of(Dialect::EngagelabA)
        };
        let sub_status = query.number("sub_status")?;
        // An unencoded plus in an id has become a space.
        let sms_ids = query.message_ids("sms_ids")?.into_iter();
        Ok(Self {
            zone,
            day,
            sms_ids: sms_ids.map(|id| Box::from(id.replace("$ ", "$+"))).collect(),
            filter,
            status,
            sub_status: sub_status.map(|code| u16::try_from(code).unwrap_or(u16::MAX)),
            user: query.get("sms_user").map(Box::from),
            possible: query
                .get("msg_type")
                .is_none_or(|requested| requested.parse() == Ok(MESSAGE_TYPE)),
        })
    }

    /// Looks messages up.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn run(&self, engine: &Engine, caller: &Caller) -> Result<Found, StoreError> {
        if !self.possible {
            return Ok(Found::default());
        }
        let lookup = Lookup {
            account: caller.account,
            dialect: Dialect::EngagelabA,
            filter: self.filter.clone(),
            span: Some(self.day.clone()),
            ids: self.sms_ids.clone(),
            grammar: Grammar::EngageLabA,
        };
        let plain = self.sub_status.is_none() && self.user.is_none();
        if plain && !self.status.is_some_and(Status::is_failure) {
            return lookup.run(engine, None).await;
        }
        // The store filters neither by who failed nor by the hook's codes nor by users.
        let keeps = |message: &MessageView| {
            let delivery_result = DeliveryResult::of(message);
            self.status
                .is_none_or(|wanted| Status::of(delivery_result) == wanted)
                && self
                    .sub_status
                    .is_none_or(|wanted| sub_status(delivery_result) == wanted)
                && self
                    .user
                    .as_deref()
                    .is_none_or(|wanted| *wanted == *message.batch.user)
        };
        lookup.run(engine, Some(&keeps)).await
    }

    /// Renders the messages that were found.
    pub(super) fn answer(
        &self,
        found: &Found,
        caller: &Caller,
        catalog: &Snapshot,
        ids: &PublicIds,
    ) -> Vec<u8> {
        let rows = Rows {
            query: self,
            found,
            caller,
            catalog,
            ids,
        };
        let answer = List {
            result: rows,
            total: found.total,
            count: found.messages.len(),
        };
        answer::write(&answer, 512 * found.messages.len())
    }
}

fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Nothing numbers these for us: the codes SendCloud's hook has for the same failures; 0 without failure.
const fn sub_status(delivery_result: DeliveryResult) -> u16 {
    match delivery_result {
        DeliveryResult::ProcessFailed(code) | DeliveryResult::SendFailed(code) => code,
        DeliveryResult::Requested | DeliveryResult::Sent | DeliveryResult::Delivered => 0,
    }
}

#[derive(Serialize)]
struct List<'a> {
    result: Rows<'a>,
    total: u64,
    count: usize,
}

struct Rows<'a> {
    query: &'a StatusQuery,
    found: &'a Found,
    caller: &'a Caller,
    catalog: &'a Snapshot,
    ids: &'a PublicIds,
}

#[derive(Serialize)]
struct Row<'a> {
    phone: &'a str,
    sms_id: String,
    msg_type: u8,
    sms_user: &'a str,
    template_id: i64,
    template_name: &'a str,
    label_id: i64,
    status: u8,
    sub_status: u16,
    send_time: String,
    update_time: String,
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.found.messages.iter().map(|message| self.row(message)))
    }
}

impl<'a> Rows<'a> {
    fn row(&self, message: &'a MessageView) -> Row<'a>
    where
        Self: 'a,
    {
        let (account, batch) = (self.caller.account, &message.batch);
        let prefix = self.ids.message_prefix(account, batch.session, batch.template);
        let template = self.catalog.template_by_number(account, batch.template);
        let delivery_result = DeliveryResult::of(message);
        let time = |at| moment(at, self.query.zone);
        Row {
            phone: &message.written,
            sms_id: [&*prefix, "$", &message.written].concat(),
            msg_type: MESSAGE_TYPE,
            sms_user: &batch.user,
            template_id: batch.template,
            template_name: template.map_or("", |entry| &entry.template.name),
            label_id: batch.label,
            status: Status::of(delivery_result) as u8,
            sub_status: sub_status(delivery_result),
            send_time: time(message.batch.accepted_at),
            update_time: time(message.changed_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(query: &str) -> u32 {
        StatusQuery::read(query).map_or_else(|refused| refused.code.code, |_| 0)
    }

    #[test]
    fn queries_are_refused_field_by_field() {
        for (query, expected) in [
            ("", 30400),
            ("send_date=2026-11-22", 0),
            ("send_date=22.11.2026", 30400),
            ("send_date=2026-11-22&time_zone=%2B8", 0),
            ("send_date=2026-11-22&time_zone=+8", 0),
            ("send_date=2026-11-22&time_zone=-5", 0),
            ("send_date=2026-11-22&time_zone=15", 30400),
            ("send_date=2026-11-22&phone=%2B12673800456", 0),
            ("send_date=2026-11-22&phone=1233", 32002),
            ("send_date=2026-11-22&status=5", 0),
            ("send_date=2026-11-22&status=6", 30400),
            ("send_date=2026-11-22&label_id=x", 34020),
            ("send_date=2026-11-22&template_id=x", 30400),
            ("send_date=2026-11-22&sub_status=x", 30400),
            ("send_date=2026-11-22&offset=-1", 30400),
            ("send_date=2026-11-22&limit=x", 30400),
            ("send_date=2026-11-22&sms_ids=a;b;c;d;e;f;g;h;i;j", 0),
            ("send_date=2026-11-22&sms_ids=a;b;c;d;e;f;g;h;i;j;k", 30400),
        ] {
            assert_eq!(code(query), expected, "{query}");
        }
    }

    #[test]
    fn a_day_is_that_of_the_requested_zone() {
        let day = |zone: &str| {
            let query = StatusQuery::read(&format!("send_date=2026-11-22&time_zone={zone}")).unwrap();
            query.day.start
        };
        assert_eq!(day("0") - day("8"), 8 * 3_600_000);
        assert_eq!(day("8"), day("+8"));
    }

    #[test]
    fn every_state_is_found_by_the_number_that_reports_it() {
        for state in MessageState::ALL {
            let reported = Status::of(DeliveryResult::counted(state, ""));
            assert!(
                reported.states().contains(&state),
                "{state:?} is reported as {reported:?}"
            );
        }
        let numbers = Status::ALL.map(|status| status as u8);
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
        for (state, number) in [
            (MessageState::Queued, 1),
            (MessageState::Delivered, 2),
            (MessageState::Submitted, 3),
            (MessageState::Undelivered, 5),
        ] {
            assert_eq!(
                Status::of(DeliveryResult::counted(state, "")) as u8,
                number,
                "{state:?}"
            );
        }
        assert_eq!(
            Status::of(DeliveryResult::counted(MessageState::Rejected, "420")) as u8,
            4
        );
        assert_eq!(
            sub_status(DeliveryResult::counted(MessageState::Rejected, "069")),
            590
        );
    }

    #[test]
    fn what_cannot_be_there_is_not_looked_for() {
        let possible = |more: &str| {
            StatusQuery::read(&format!("send_date=2026-11-22{more}"))
                .unwrap()
                .possible
        };
        assert!(possible("") && possible("&msg_type=2"));
        assert!(!possible("&msg_type=1") && !possible("&msg_type=x"));
    }
}
