//! `GET /v1/status`, generation A: what became of messages (contract/engagelab.md section 6).

use super::answer;
use super::auth::Caller;
use super::codes::Refused;
use super::codes::a::{BAD_REQUEST, LABEL_FORMAT, PHONE_FORMAT};
use crate::days;
use crate::lookup::{self, Found, LIMIT_MAX, Lookup};
use crate::verdict::Verdict;
use engine::catalog::Snapshot;
use engine::public_id::PublicIds;
use engine::sms::phone::{self, Grammar};
use engine::sms::state::MessageState;
use engine::{Dialect, Engine, MessageFilter, MessageId, MessageView, StoreError};
use jiff::tz::Offset;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::RangeInclusive;

/// Most `sms_ids` of one query.
const SMS_IDS_MAX: usize = 10;
/// Zones, in hours from UTC.
const TIME_ZONES: RangeInclusive<i8> = -12..=14;
/// The only `msg_type` there is: international SMS.
const MSG_TYPE: u8 = 2;

/// A query, read.
#[derive(Debug, Clone)]
pub struct StatusQuery {
    zone: Offset,
    day: RangeInclusive<MessageId>,
    sms_ids: Vec<Box<str>>,
    filter: MessageFilter,
    status: Option<Status>,
    sub_status: Option<u16>,
    /// False when the query asks for what cannot be there: another user's messages, another type.
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

    fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Requested => Self::Sent,
            Verdict::Sent => Self::Waiting,
            Verdict::Delivered => Self::Delivered,
            Verdict::ProcessFailed(_) => Self::ProcessFailed,
            Verdict::SendFailed(_) => Self::SendFailed,
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
    pub fn read(query: &str, user: &str) -> Result<Self, Refused> {
        let fields: HashMap<Cow<'_, str>, Cow<'_, str>> = form_urlencoded::parse(query.as_bytes()).collect();
        let get = |name: &str| {
            fields
                .get(name)
                .map(|value| value.trim())
                .filter(|value| !value.is_empty())
        };
        let zone = get("time_zone").map_or(Ok(days::CHINA), time_zone)?;
        let date = get("send_date")
            .and_then(days::read)
            .ok_or_else(|| invalid("send_date must be yyyy-MM-dd"))?;
        let day = days::ids(date, date, zone).ok_or_else(|| invalid("send_date is out of range"))?;
        let number = |name: &str, what| {
            get(name)
                .map(|v| v.parse::<u64>().map_err(|_| invalid(what)))
                .transpose()
        };
        let status = get("status").map(|s| Status::read(s).ok_or_else(|| invalid("status must be 1 to 5")));
        let status = status.transpose()?;
        let read_phone = |number| phone::parse(number, Grammar::EngageLabA).map_err(|_| &PHONE_FORMAT);
        let filter = MessageFilter {
            numbers: get("phone").map(read_phone).transpose()?.into_iter().collect(),
            states: status.map_or_else(Vec::new, Status::states),
            template: number("template_id", "template_id must be a integer")?.map(clamp),
            labels: get("label_id")
                .map(|id| id.parse().map_err(|_| &LABEL_FORMAT))
                .transpose()?
                .into_iter()
                .collect(),
            offset: number("offset", "offset must be a integer")?.unwrap_or(0),
            limit: number("limit", "limit must be a integer")?
                .map_or(LIMIT_MAX, |n| n.min(LIMIT_MAX as u64) as usize),
            ..lookup::all_of(Dialect::EngagelabA)
        };
        let sub_status = number("sub_status", "sub_status must be a integer")?;
        Ok(Self {
            zone,
            day,
            sms_ids: sms_ids(get("sms_ids").unwrap_or_default())?,
            filter,
            status,
            sub_status: sub_status.map(|code| u16::try_from(code).unwrap_or(u16::MAX)),
            possible: get("sms_user").is_none_or(|asked| asked == user)
                && get("msg_type").is_none_or(|asked| asked.parse() == Ok(MSG_TYPE)),
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
            range: Some(self.day.clone()),
            ids: self.sms_ids.clone(),
            grammar: Grammar::EngageLabA,
        };
        if self.sub_status.is_none() && !self.status.is_some_and(Status::is_failure) {
            return lookup.run(engine, None).await;
        }
        // The store knows neither who failed nor the hook's codes.
        let keeps = |message: &MessageView| {
            let verdict = Verdict::of(message);
            self.status.is_none_or(|wanted| Status::of(verdict) == wanted)
                && self.sub_status.is_none_or(|wanted| sub_status(verdict) == wanted)
        };
        lookup.run(engine, Some(&keeps)).await
    }

    /// Words what was found.
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

fn invalid(what: &'static str) -> Refused {
    Refused::saying(&BAD_REQUEST, what)
}

fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Whole hours from UTC; a plus has become a space when nobody encoded it.
fn time_zone(written: &str) -> Result<Offset, Refused> {
    let hours = written.strip_prefix('+').unwrap_or(written).parse().ok();
    let hours = hours.filter(|hours| TIME_ZONES.contains(hours));
    hours
        .map(Offset::constant)
        .ok_or_else(|| invalid("time_zone must be a whole hour from -12 to 14"))
}

fn sms_ids(written: &str) -> Result<Vec<Box<str>>, Refused> {
    // An unencoded plus in an id has become a space.
    let ids = written.split(';').map(str::trim).filter(|id| !id.is_empty());
    let ids: Vec<Box<str>> = ids
        .take(SMS_IDS_MAX + 1)
        .map(|id| Box::from(id.replace("$ ", "$+")))
        .collect();
    if ids.len() > SMS_IDS_MAX {
        Err(invalid("sms_ids cannot have more than 10 ids"))
    } else {
        Ok(ids)
    }
}

/// Nothing numbers these for us: the codes SendCloud's hook has for the same failures; 0 without failure.
const fn sub_status(verdict: Verdict) -> u16 {
    match verdict {
        Verdict::ProcessFailed(code) | Verdict::SendFailed(code) => code,
        Verdict::Requested | Verdict::Sent | Verdict::Delivered => 0,
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
        let verdict = Verdict::of(message);
        // `2022-11-14T14:27:48+0800`: no colon in the zone.
        let time = |moment| {
            days::at(moment, self.query.zone)
                .strftime("%Y-%m-%dT%H:%M:%S%z")
                .to_string()
        };
        Row {
            phone: &message.written,
            sms_id: [&*prefix, "$", &message.written].concat(),
            msg_type: MSG_TYPE,
            sms_user: &self.caller.user,
            template_id: batch.template,
            template_name: template.map_or("", |entry| &entry.template.name),
            label_id: batch.label,
            status: Status::of(verdict) as u8,
            sub_status: sub_status(verdict),
            send_time: time(message.id.accepted_at()),
            update_time: time(message.changed_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(query: &str) -> u32 {
        StatusQuery::read(query, "demo").map_or_else(|refused| refused.code.code, |_| 0)
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
    fn a_day_is_that_of_the_zone_asked_for() {
        let day = |zone: &str| {
            let query = StatusQuery::read(&format!("send_date=2026-11-22&time_zone={zone}"), "demo").unwrap();
            query.day.start().accepted_at()
        };
        assert_eq!(day("0") - day("8"), 8 * 3_600_000);
        assert_eq!(day("8"), day("+8"));
    }

    #[test]
    fn what_cannot_be_there_is_not_looked_for() {
        let possible = |more: &str| {
            StatusQuery::read(&format!("send_date=2026-11-22{more}"), "demo")
                .unwrap()
                .possible
        };
        assert!(possible("") && possible("&sms_user=demo") && possible("&msg_type=2"));
        assert!(!possible("&sms_user=other") && !possible("&msg_type=1"));
    }
}
