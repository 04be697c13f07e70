//! `/smsapi/status/query` (docs/dialects/sendcloud.md): what became of messages.

use super::answer::{self, LANGUAGE};
use super::auth::Caller;
use super::codes::{ApiError, DAYS, OK, PHONE_FORMAT, QUERY_FORMAT, TOO_MANY_REQUESTED};
use super::fields::{MessageType, Span};
use super::params::Params;
use super::{display_texts, failures, local};
use crate::delivery_result::DeliveryResult;
use crate::lists;
use crate::lookup::{self, Found, LIMIT_MAX, Lookup};
use engine::catalog::Snapshot;
use engine::public_id::PublicIds;
use engine::sms::class::Kind;
use engine::sms::phone::{self, Grammar};
use engine::{AccountId, Dialect, Engine, MessageFilter, MessageView, ReasonView, StoreError, UnixMs};
use serde::{Serialize, Serializer};
use std::ops::Range;

/// Most `phones`, and most `smsIds`, of one query.
const REQUESTED_MAX: usize = 100;
/// Longest span of days.
const DAYS_MAX: i32 = 30;
/// How numbers are written in a query: of China and of abroad.
const PHONES: Grammar = Grammar::SendCloudInternational;

/// A query, read.
#[derive(Debug, Clone)]
pub struct StatusQuery {
    span: Option<Range<UnixMs>>,
    sms_ids: Vec<Box<str>>,
    filter: MessageFilter,
    message_type: Option<MessageType>,
    template_name: Option<Box<str>>,
}

/// How the store calls a type, when it makes that difference.
const fn kind(message_type: MessageType) -> Option<Kind> {
    match message_type {
        MessageType::Domestic | MessageType::International => Some(Kind::Text),
        MessageType::Voice => Some(Kind::Voice),
        MessageType::Unsent => None,
    }
}

fn type_of(message: &MessageView) -> MessageType {
    MessageType::of_message(message)
}

impl StatusQuery {
    /// Reads the parameters at a moment (which decides what `days=1`, today, is).
    ///
    /// # Errors
    /// 451, 412, 441: the service's codes for these are not known, and chosen.
    pub fn read(params: &Params<'_>, now: UnixMs) -> Result<Self, ApiError> {
        let number = |name: &str| {
            params
                .get(name)
                .map(|value| value.parse::<u64>().map_err(|_| &QUERY_FORMAT))
        };
        let sms_ids = within(lists::message_ids(params.get("smsIds").unwrap_or_default()))?;
        let phones = lists::numbers(params.get("phones").unwrap_or_default(), PHONES);
        let sms_ids: Vec<Box<str>> = sms_ids.into_iter().map(Box::from).collect();
        let read_phone = |phone| phone::parse(phone, PHONES).map_err(|_| &PHONE_FORMAT);
        let read_label = |label: &str| label.parse().map_err(|_| &QUERY_FORMAT);
        let malformed = || ApiError::with_limit(&DAYS, DAYS_MAX);
        let span = Span::read(params, now, DAYS_MAX)?
            .map(|span| span.times().ok_or_else(malformed))
            .transpose()?;
        if span.is_none() && sms_ids.is_empty() {
            return Err(malformed());
        }
        let read_type = |written| MessageType::read(written).ok_or(&QUERY_FORMAT);
        let message_type = params.get("msgTypeStr").map(read_type).transpose()?;
        let filter = MessageFilter {
            numbers: within(phones)?
                .into_iter()
                .map(read_phone)
                .collect::<Result<_, _>>()?,
            template: params
                .get("templateId")
                .map(|id| id.parse().map_err(|_| &QUERY_FORMAT))
                .transpose()?,
            labels: within(lists::entries(params.get("labelIdsStr").unwrap_or_default()).collect())?
                .into_iter()
                .map(read_label)
                .collect::<Result<_, _>>()?,
            kind: message_type.and_then(kind),
            offset: number("start").transpose()?.unwrap_or(0),
            limit: number("limit")
                .transpose()?
                .map_or(LIMIT_MAX, |limit| limit.min(LIMIT_MAX as u64) as usize),
            ..lookup::all_of(Dialect::Sendcloud)
        };
        Ok(Self {
            span,
            sms_ids,
            filter,
            message_type,
            template_name: params.get("templateName").map(Box::from),
        })
    }

    /// Looks messages up.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn run(
        mut self,
        engine: &Engine,
        catalog: &Snapshot,
        account: AccountId,
    ) -> Result<Found, StoreError> {
        let Some(namesakes) = self.namesakes(catalog, account) else {
            return Ok(Found::default());
        };
        if let [only] = *namesakes {
            self.filter.template = Some(only);
        }
        let lookup = Lookup {
            account,
            dialect: Dialect::Sendcloud,
            filter: self.filter,
            span: self.span,
            ids: self.sms_ids,
            grammar: PHONES,
        };
        // The store filters by voice or text, not by China or abroad, and by one template at a time.
        let by_type = self.message_type.filter(|wanted| *wanted != MessageType::Voice);
        if by_type.is_none() && namesakes.len() < 2 {
            return lookup.run(engine, None).await;
        }
        let keeps = |message: &MessageView| {
            by_type.is_none_or(|wanted| type_of(message) == wanted)
                && (namesakes.is_empty() || namesakes.binary_search(&message.batch.template).is_ok())
        };
        lookup.run(engine, Some(&keeps)).await
    }

    /// The templates that match `templateName`: empty when it is not given, `None` when nothing can match.
    /// With `templateId` as well, both must be meant. In the order of their numbers.
    fn namesakes(&self, catalog: &Snapshot, account: AccountId) -> Option<Vec<i64>> {
        let Some(name) = &self.template_name else {
            return Some(Vec::new());
        };
        let named = catalog
            .templates_of(account)
            .map(|entry| &entry.template)
            .filter(|template| template.name == *name)
            .map(|template| template.number)
            .filter(|number| self.filter.template.is_none_or(|requested| requested == *number));
        let named: Vec<i64> = named.collect();
        (!named.is_empty()).then_some(named)
    }
}

/// No more than a query may have.
fn within(entries: Vec<&str>) -> Result<Vec<&str>, ApiError> {
    if entries.len() > REQUESTED_MAX {
        Err(ApiError::with_limit(&TOO_MANY_REQUESTED, REQUESTED_MAX))
    } else {
        Ok(entries)
    }
}

/// Renders the messages that were found.
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
        let delivery_result = DeliveryResult::of(message);
        let template = self.catalog.template_by_number(account, batch.template);
        Row {
            sms_id: format!("{prefix}${}", message.written),
            msg_type: type_of(message).text(),
            receiver: &message.written,
            request_time: local::moment(message.batch.accepted_at),
            update_time: local::moment(message.changed_at),
            // Messages of older stores do not say whose they were.
            sms_user: if batch.user.is_empty() {
                self.caller.sms_user
            } else {
                &batch.user
            },
            status: failures::status(delivery_result, LANGUAGE),
            status_code: delivery_result.code(),
            send_log: send_log(delivery_result, message),
            template_id: batch.template.to_string(),
            template_name: template.map_or("", |entry| &entry.template.name),
        }
    }
}

/// `sendLog`.
fn send_log(delivery_result: DeliveryResult, message: &MessageView) -> String {
    match delivery_result {
        DeliveryResult::Requested | DeliveryResult::Sent => String::new(),
        DeliveryResult::Delivered => display_texts::SENT_WELL.text().to_owned(),
        DeliveryResult::ProcessFailed(code) => failures::worker_log(code),
        DeliveryResult::SendFailed(code) => {
            let log = failures::carrier_log(code, message.state, LANGUAGE);
            match ReasonView::of(message) {
                Some(reason) => format!("{log} {}", reason.name),
                None => log,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22 00:30 in China.
    const NOW: UnixMs = 1_795_278_600_000;

    fn read(query: &str) -> Result<StatusQuery, ApiError> {
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
            ("days=1&msgTypeStr=1", 200),
            ("days=1&msgTypeStr=3", 200),
            ("days=1&msgTypeStr=5", 200),
            ("days=1&msgTypeStr=9", 441),
            ("days=1&templateId=x", 441),
            ("days=1&templateName=x", 200),
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
        let phones = |count: usize| format!("days=1&phones={}", vec!["13800138000"; count].join(";"));
        assert!(read(&phones(100)).is_ok());
        assert_eq!(read(&phones(101)).unwrap_err().code.code, 412);
    }

    #[test]
    fn days_are_chinas_and_pages_are_bounded() {
        let today = read("days=1&limit=1000").unwrap();
        let day = today.span.unwrap();
        assert_eq!(day.start, NOW - 30 * 60_000);
        assert_eq!(day.end - day.start, 86_400_000);
        assert_eq!((today.filter.offset, today.filter.limit), (0, LIMIT_MAX));
        let two = read("days=2&start=5&limit=0").unwrap();
        assert_eq!(two.span.unwrap().start, NOW - 30 * 60_000 - 86_400_000);
        assert_eq!((two.filter.offset, two.filter.limit), (5, 0));
    }
}
