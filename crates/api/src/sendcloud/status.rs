//! `/smsapi/status/query` (contract/sendcloud.md section 3.9): what became of messages.

use super::answer;
use super::auth::Caller;
use super::codes::{DAYS, OK, PHONE_FORMAT, QUERY_FORMAT, Refused, TOO_MANY_ASKED};
use super::params::Params;
use crate::days;
use crate::lookup::{self, Found, LIMIT_MAX, Lookup};
use crate::verdict::Verdict;
use engine::catalog::Snapshot;
use engine::public_id::PublicIds;
use engine::sms::class::Kind;
use engine::sms::phone::{self, Grammar};
use engine::{AccountId, Dialect, Engine, MessageFilter, MessageId, MessageView, StoreError, UnixMs};
use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Serialize, Serializer};
use std::ops::RangeInclusive;

/// Most `phones`, and most `smsIds`, of one query.
const ASKED_MAX: usize = 100;
/// Longest span of days.
const DAYS_MAX: i32 = 30;

/// A query, read.
#[derive(Debug, Clone)]
pub struct StatusQuery {
    range: Option<RangeInclusive<MessageId>>,
    sms_ids: Vec<Box<str>>,
    filter: MessageFilter,
    message_type: Option<MessageType>,
}

/// `msgTypeStr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageType {
    Domestic,
    International,
    Voice,
    /// MMS and video: never sent here.
    Unsent,
}

impl MessageType {
    fn of(message: &MessageView) -> Self {
        match message.batch.kind {
            Kind::Voice => Self::Voice,
            Kind::Text if message.msisdn.is_mainland_china() => Self::Domestic,
            Kind::Text => Self::International,
        }
    }

    /// How the store calls it, when it makes that difference.
    const fn kind(self) -> Option<Kind> {
        match self {
            Self::Domestic | Self::International => Some(Kind::Text),
            Self::Voice => Some(Kind::Voice),
            Self::Unsent => None,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Domestic => "国内短信",
            Self::International => "国际短信",
            Self::Voice => "语音",
            Self::Unsent => "",
        }
    }
}

impl StatusQuery {
    /// Reads the parameters at a moment (which decides what `days=1`, today, is).
    ///
    /// # Errors
    /// 451, 412, 441: the service's codes for these are not known, and chosen.
    pub fn read(params: &Params<'_>, now: UnixMs) -> Result<Self, Refused> {
        let number = |name: &str| {
            params
                .get(name)
                .map(|value| value.parse::<u64>().map_err(|_| &QUERY_FORMAT))
        };
        let sms_ids: Vec<Box<str>> = list(params, "smsIds")?.into_iter().map(Box::from).collect();
        let read_phone =
            |phone| phone::parse(phone, Grammar::SendCloudInternational).map_err(|_| &PHONE_FORMAT);
        let read_label = |label: &str| label.parse().map_err(|_| &QUERY_FORMAT);
        if params.get("templateName").is_some() {
            // Answering as if it had not been asked for would be a lie.
            return Err(Refused::from(&QUERY_FORMAT));
        }
        let range = span(params, now)?;
        if range.is_none() && sms_ids.is_empty() {
            return Err(Refused::with_limit(&DAYS, DAYS_MAX));
        }
        let message_type = params.get("msgTypeStr").map(message_type).transpose()?;
        let filter = MessageFilter {
            numbers: list(params, "phones")?
                .into_iter()
                .map(read_phone)
                .collect::<Result<_, _>>()?,
            template: params
                .get("templateId")
                .map(|id| id.parse().map_err(|_| &QUERY_FORMAT))
                .transpose()?,
            labels: list(params, "labelIdsStr")?
                .into_iter()
                .map(read_label)
                .collect::<Result<_, _>>()?,
            kind: message_type.and_then(MessageType::kind),
            offset: number("start").transpose()?.unwrap_or(0),
            limit: number("limit")
                .transpose()?
                .map_or(LIMIT_MAX, |limit| limit.min(LIMIT_MAX as u64) as usize),
            ..lookup::all_of(Dialect::Sendcloud)
        };
        Ok(Self {
            range,
            sms_ids,
            filter,
            message_type,
        })
    }

    /// Looks messages up.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn run(self, engine: &Engine, account: AccountId) -> Result<Found, StoreError> {
        let lookup = Lookup {
            account,
            dialect: Dialect::Sendcloud,
            filter: self.filter,
            range: self.range,
            ids: self.sms_ids,
            grammar: Grammar::SendCloudInternational,
        };
        match self.message_type {
            None | Some(MessageType::Voice) => lookup.run(engine, None).await,
            // The store tells voice from text, not China from abroad.
            Some(wanted) => {
                lookup
                    .run(engine, Some(&|message| MessageType::of(message) == wanted))
                    .await
            }
        }
    }
}

/// Entries between semicolons; commas, which other interfaces use, do as well.
fn list<'a>(params: &'a Params<'_>, name: &str) -> Result<Vec<&'a str>, Refused> {
    let entries = params
        .get(name)
        .unwrap_or_default()
        .split([';', ','])
        .map(str::trim)
        .filter(|e| !e.is_empty());
    let entries: Vec<_> = entries.take(ASKED_MAX + 1).collect();
    if entries.len() > ASKED_MAX {
        Err(Refused::with_limit(&TOO_MANY_ASKED, ASKED_MAX))
    } else {
        Ok(entries)
    }
}

fn message_type(written: &str) -> Result<MessageType, Refused> {
    match written {
        "0" => Ok(MessageType::Domestic),
        "2" => Ok(MessageType::International),
        "3" => Ok(MessageType::Voice),
        "1" | "5" => Ok(MessageType::Unsent),
        _ => Err(Refused::from(&QUERY_FORMAT)),
    }
}

/// `days` (1 is today), or `startDate` and `endDate`: days in China, both ends included.
fn span(params: &Params<'_>, now: UnixMs) -> Result<Option<RangeInclusive<MessageId>>, Refused> {
    let malformed = || Refused::with_limit(&DAYS, DAYS_MAX);
    let (first, last) = match (params.get("days"), params.get("startDate"), params.get("endDate")) {
        (Some(days), _, _) => {
            let days = days.parse().ok().filter(|days| (1..=DAYS_MAX).contains(days));
            let days: i32 = days.ok_or_else(malformed)?;
            let today = days::today(now, days::CHINA);
            let first = today.checked_sub((days - 1).days()).map_err(|_| malformed())?;
            (first, today)
        }
        (None, Some(start), Some(end)) => {
            let read = |date| days::read(date).ok_or_else(malformed);
            (read(start)?, read(end)?)
        }
        (None, None, None) => return Ok(None),
        _ => return Err(malformed()),
    };
    if last < first || days_in(first, last) > DAYS_MAX {
        return Err(malformed());
    }
    days::ids(first, last, days::CHINA)
        .map(Some)
        .ok_or_else(malformed)
}

fn days_in(first: Date, last: Date) -> i32 {
    first
        .until(last)
        .map_or(i32::MAX, |span| span.get_days().saturating_add(1))
}

/// Words what was found.
pub(super) fn answer(found: &Found, caller: Caller<'_>, catalog: &Snapshot, ids: &PublicIds) -> Vec<u8> {
    let rows = Rows {
        found,
        caller,
        catalog,
        ids,
    };
    let info = Info {
        vo_list: rows,
        vo_list_size: found.messages.len(),
        total: found.total.to_string(),
    };
    answer::body_with(&OK, info, 512 * found.messages.len())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info<'a> {
    vo_list: Rows<'a>,
    vo_list_size: usize,
    /// A text, unlike the size.
    total: String,
}

struct Rows<'a> {
    found: &'a Found,
    caller: Caller<'a>,
    catalog: &'a Snapshot,
    ids: &'a PublicIds,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    sms_id: String,
    msg_type: &'static str,
    receiver: &'a str,
    request_time: String,
    update_time: String,
    sms_user: &'a str,
    status: String,
    status_code: u16,
    send_log: String,
    template_id: String,
    template_name: &'a str,
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
        let verdict = Verdict::of(message);
        let (status, send_log) = words(verdict, message);
        let template = self.catalog.template_by_number(account, batch.template);
        Row {
            sms_id: format!("{prefix}${}", message.written),
            msg_type: MessageType::of(message).text(),
            receiver: &message.written,
            request_time: local_time(message.id.accepted_at()),
            update_time: local_time(message.changed_at),
            sms_user: self.caller.sms_user,
            status,
            status_code: verdict.code(),
            send_log,
            template_id: batch.template.to_string(),
            template_name: template.map_or("", |entry| &entry.template.name),
        }
    }
}

/// `status` and `sendLog`.
fn words(verdict: Verdict, message: &MessageView) -> (String, String) {
    let meaning = meaning(verdict.code());
    match verdict {
        Verdict::Requested | Verdict::Sent => ("请求".to_owned(), String::new()),
        Verdict::Delivered => ("送达".to_owned(), "发送成功".to_owned()),
        Verdict::ProcessFailed(code) => (
            format!("处理失败-{meaning}"),
            format!("smsworker:{}", worker_log(code)),
        ),
        Verdict::SendFailed(_) => {
            let word = message.state.name().to_uppercase();
            (format!("发送失败-{meaning}"), format!("{word}({meaning})"))
        }
    }
}

/// What a hook code means; words after the vendor's interception table.
const fn meaning(code: u16) -> &'static str {
    match code {
        410 => "全局拦截列表",
        420 => "局部拦截列表",
        430 => "取消订阅",
        440 => "关键词过滤",
        450 => "替换变量错误",
        460 => "短信内容超过500字",
        500 => "空号",
        510 => "停机",
        550 => "被投诉",
        580 => "关机",
        _ => "其他",
    }
}

/// The worker's words: those of 420 and 430 are the vendor's, the others made alike.
const fn worker_log(code: u16) -> &'static str {
    match code {
        410 => "address in global bounce list",
        420 => "address in local bounce list",
        430 => "address in unsubscribe list",
        440 => "content filtered by keyword",
        450 => "variable error",
        460 => "content over 500 characters",
        _ => "other",
    }
}

fn local_time(moment: UnixMs) -> String {
    days::at(moment, days::CHINA)
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22 00:30 in China.
    const NOW: UnixMs = 1_795_278_600_000;

    fn read(query: &str) -> Result<StatusQuery, Refused> {
        StatusQuery::read(&Params::read(Some(query), b"").unwrap(), NOW)
    }

    #[test]
    fn a_query_needs_a_span_of_at_most_thirty_days_or_ids() {
        for (query, expected) in [
            ("", 451),
            ("days=1", 200),
            ("days=30", 200),
            ("days=31", 451),
            ("days=0", 451),
            ("days=x", 451),
            ("startDate=2026-10-24&endDate=2026-11-22", 200),
            ("startDate=2026-10-23&endDate=2026-11-22", 451),
            ("startDate=2026-11-22&endDate=2026-11-21", 451),
            ("startDate=2026-11-22", 451),
            ("startDate=22.11.2026&endDate=2026-11-22", 451),
            ("smsIds=x", 200),
            ("days=1&phones=13800138000;%2B15550100", 200),
            ("days=1&phones=abc", 412),
            ("days=1&msgTypeStr=3", 200),
            ("days=1&msgTypeStr=9", 441),
            ("days=1&templateId=x", 441),
            ("days=1&templateName=x", 441),
            ("days=1&labelIdsStr=1;x", 441),
            ("days=1&limit=-1", 441),
            ("days=1&start=x", 441),
        ] {
            assert_eq!(
                read(query).map_or_else(|refused| refused.code.code, |_| 200),
                expected,
                "{query}"
            );
        }
        let many = |count: usize| format!("smsIds={}", vec!["x"; count].join(";"));
        assert!(read(&many(100)).is_ok());
        assert_eq!(read(&many(101)).unwrap_err().code.code, 412);
    }

    #[test]
    fn days_are_chinas_and_pages_are_bounded() {
        let today = read("days=1&limit=1000").unwrap();
        let (first, last) = today.range.unwrap().into_inner();
        assert_eq!(first.accepted_at(), NOW - 30 * 60_000);
        assert_eq!(last.plus(1).accepted_at() - first.accepted_at(), 86_400_000);
        assert_eq!((today.filter.offset, today.filter.limit), (0, LIMIT_MAX));
        let two = read("days=2&start=5&limit=0").unwrap();
        assert_eq!(
            two.range.unwrap().start().accepted_at(),
            NOW - 30 * 60_000 - 86_400_000
        );
        assert_eq!((two.filter.offset, two.filter.limit), (5, 0));
    }
}
