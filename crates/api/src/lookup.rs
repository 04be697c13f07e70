//! Finding messages for the status queries of SendCloud and EngageLab: by days, or by the ids they were given.

use engine::public_id::PublicIds;
use engine::sms::phone::{self, Grammar, Msisdn};
use engine::{AccountId, Dialect, Engine, MessageFilter, MessageId, MessageView, StoreError, UnixMs};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

/// Most messages of one answer (both vendors: 100).
pub(crate) const LIMIT_MAX: usize = 100;
/// Matches are counted up to here.
const COUNT_MAX: u64 = 100_000;
/// What the store cannot filter by is applied to so many of the newest matches.
const SCANNED_MAX: usize = 10_000;
/// The ids of a request lie within so many of its first.
const REQUEST_IDS_MAX: i64 = 1 << MessageId::COUNTER_BITS;

/// What to look for.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    /// Whose.
    pub(crate) account: AccountId,
    /// The wire they came on.
    pub(crate) dialect: Dialect,
    /// What the store can filter by, and the page.
    pub(crate) filter: MessageFilter,
    /// Only messages accepted in this span of time.
    pub(crate) span: Option<Range<UnixMs>>,
    /// Only messages with one of these ids (empty: all). Ids that are not the account's are passed over.
    pub(crate) ids: Vec<Box<str>>,
    /// How numbers in ids may be written.
    pub(crate) grammar: Grammar,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The requested page, newest first.
    pub(crate) messages: Vec<MessageView>,
    /// How many there are in all.
    pub(crate) total: u64,
}

/// Says of a message whether it is wanted.
pub(crate) type Keeps<'a> = &'a (dyn Fn(&MessageView) -> bool + Send + Sync);

/// A filter that lets everything of a dialect through.
pub(crate) fn all_of(dialect: Dialect) -> MessageFilter {
    MessageFilter {
        numbers: Vec::new(),
        states: Vec::new(),
        dialects: vec![dialect],
        template: None,
        labels: Vec::new(),
        kind: None,
        offset: 0,
        limit: LIMIT_MAX,
        count_max: COUNT_MAX,
    }
}

impl Lookup {
    /// Looks messages up. `keeps` is what the store cannot filter by.
    pub(crate) async fn run(self, engine: &Engine, keeps: Option<Keeps<'_>>) -> Result<Found, StoreError> {
        let mut messages = match (&self.span, keeps) {
            _ if !self.ids.is_empty() => self.by_id(engine).await?,
            (None, _) => return Ok(Found::default()),
            (Some(span), None) => {
                let (messages, total) = engine.find(self.account, span.clone(), self.filter).await?;
                return Ok(Found { messages, total });
            }
            (Some(span), Some(_)) => {
                let newest = MessageFilter {
                    offset: 0,
                    limit: SCANNED_MAX,
                    ..self.filter.clone()
                };
                engine.find(self.account, span.clone(), newest).await?.0
            }
        };
        messages.retain(|message| keeps.is_none_or(|keeps| keeps(message)));
        Ok(self.page(messages))
    }

    /// Messages by their ids, one question a request.
    async fn by_id(&self, engine: &Engine) -> Result<Vec<MessageView>, StoreError> {
        let mut found = Vec::new();
        for (first, numbers) in self.numbers_by_request(engine.public_ids()) {
            // Requests of the same millisecond lie in the range as well: there is room for some of their messages.
            let limit = numbers.len() + LIMIT_MAX;
            let requested = MessageFilter {
                numbers,
                limit,
                offset: 0,
                ..all_of(self.dialect)
            };
            let range = first..=first.plus(REQUEST_IDS_MAX);
            let (messages, _) = engine.find(self.account, range, requested).await?;
            found.extend(
                messages
                    .into_iter()
                    .filter(|m| m.batch.session == first && self.lets_through(m)),
            );
        }
        found.sort_unstable_by_key(|message| Reverse(message.id));
        Ok(found)
    }

    fn numbers_by_request(&self, ids: &PublicIds) -> BTreeMap<MessageId, Vec<Msisdn>> {
        let mut by_request: BTreeMap<MessageId, Vec<Msisdn>> = BTreeMap::new();
        for (first, written) in self
            .ids
            .iter()
            .filter_map(|id| ids.read_message(self.account, id))
        {
            if let Ok(number) = phone::parse(written, self.grammar) {
                by_request.entry(first).or_default().push(number);
            }
        }
        by_request
    }

    /// The whole filter, for messages found by their ids.
    fn lets_through(&self, message: &MessageView) -> bool {
        fn among<T: PartialEq>(wanted: &[T], one: &T) -> bool {
            wanted.is_empty() || wanted.contains(one)
        }
        let (filter, batch) = (&self.filter, &message.batch);
        self.span
            .as_ref()
            .is_none_or(|span| span.contains(&batch.accepted_at))
            && among(&filter.numbers, &message.msisdn)
            && among(&filter.states, &message.state)
            && among(&filter.dialects, &batch.dialect)
            && among(&filter.labels, &batch.label)
            && filter.template.is_none_or(|template| template == batch.template)
            && filter.kind.is_none_or(|kind| kind == batch.kind)
    }

    fn page(&self, found: Vec<MessageView>) -> Found {
        let total = found.len() as u64;
        let start = usize::try_from(self.filter.offset).unwrap_or(usize::MAX);
        Found {
            messages: found.into_iter().skip(start).take(self.filter.limit).collect(),
            total,
        }
    }
}
