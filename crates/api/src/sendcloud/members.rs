//! Members of contact lists: `/smsapi/smsContactListMember/*` (docs/dialects/sendcloud.md).

use super::codes::{
    ApiError, DELETED, FOUND, PARAMETER_LENGTH, PHONE_EMPTY, SAVED, TOO_MANY_PHONES, VALUE_HAS_LINK,
    VALUE_TOO_LONG, VARS_FORMAT,
};
use super::contacts::of_call;
use super::fields::{self, ENTRIES_MAX, Paging, longer_than};
use super::local;
use super::manage::{Call, Listed, done, done_only, refused_by_lists, store_failed};
use super::params::Params;
use super::rules::VALUE_CHARS_MAX;
use super::vars;
use engine::accept::Values;
use engine::sms::phone::Msisdn;
use engine::sms::template::contains_link;
use engine::{Contact, PutContact};
use serde::Serialize;
use std::collections::HashSet;

/// Longest name of a person in characters. No source has a limit; chosen.
const USER_NAME_CHARS_MAX: usize = 64;
/// Longest `vars` of a member in characters. No source has a limit; chosen.
const VARS_CHARS_MAX: usize = 4096;

/// Members as `saveOrUpdate` and `batchSaveOrUpdate` give them.
#[derive(Debug)]
pub struct MemberFields<'a> {
    /// Each number once.
    phones: Vec<(Msisdn, &'a str)>,
    user_name: Option<&'a str>,
    /// A JSON object of texts.
    vars: Option<String>,
}

impl<'a> MemberFields<'a> {
    /// Reads one member: `phone`.
    ///
    /// # Errors
    /// 411, 412, 417, 441, 483.
    pub fn read_one(params: &'a Params<'_>) -> Result<Self, ApiError> {
        let phone = params.get("phone").ok_or(&PHONE_EMPTY)?;
        Self::read(params, vec![fields::phone(phone)?])
    }

    /// Reads many: `phones`, which the newer page also calls `phone`, between semicolons.
    ///
    /// # Errors
    /// As [`Self::read_one`].
    pub fn read_many(params: &'a Params<'_>) -> Result<Self, ApiError> {
        let list = params.get("phones").or_else(|| params.get("phone"));
        let entries = list
            .ok_or(&PHONE_EMPTY)?
            .split([';', ','])
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let entries: Vec<&str> = entries.take(ENTRIES_MAX + 1).collect();
        if entries.is_empty() {
            return Err(ApiError::from(&PHONE_EMPTY));
        }
        if entries.len() > ENTRIES_MAX {
            return Err(ApiError::with_limit(&TOO_MANY_PHONES, ENTRIES_MAX));
        }
        let phones: Vec<_> = entries.into_iter().map(fields::phone).collect::<Result<_, _>>()?;
        let mut seen = HashSet::with_capacity(phones.len());
        let once = phones
            .into_iter()
            .filter(|(msisdn, _)| seen.insert(*msisdn))
            .collect();
        Self::read(params, once)
    }

    fn read(params: &'a Params<'_>, phones: Vec<(Msisdn, &'a str)>) -> Result<Self, ApiError> {
        Ok(Self {
            phones,
            user_name: fields::text(params, "userName", USER_NAME_CHARS_MAX)?,
            vars: params.get("vars").map(read_vars).transpose()?,
        })
    }

    fn contacts(&self) -> Vec<PutContact> {
        let contact = |(msisdn, written): &(Msisdn, &str)| PutContact {
            msisdn: *msisdn,
            written: Box::from(*written),
            user_name: self.user_name.map(Box::from),
            vars: self.vars.as_deref().map(Box::from),
        };
        self.phones.iter().map(contact).collect()
    }
}

/// Reads `vars` into an object of texts: what cannot be sent later is refused now, where somebody sees it.
fn read_vars(written: &str) -> Result<String, ApiError> {
    let values = vars::read_values(written).ok_or(&VARS_FORMAT)?;
    let named = match values {
        Values::Named(named) => named,
        _ => Vec::new(),
    };
    for (_, value) in &named {
        if longer_than(value, VALUE_CHARS_MAX) {
            return Err(ApiError::from(&VALUE_TOO_LONG));
        }
        if contains_link(value) {
            return Err(ApiError::from(&VALUE_HAS_LINK));
        }
    }
    let object: serde_json::Map<_, _> = named
        .into_iter()
        .map(|(name, value)| (name.into_string(), serde_json::Value::from(value.into_string())))
        .collect();
    let object = serde_json::Value::Object(object).to_string();
    if longer_than(&object, VARS_CHARS_MAX) {
        return Err(ApiError::with_limit_of(&PARAMETER_LENGTH, "vars", VARS_CHARS_MAX));
    }
    Ok(object)
}

/// `list`: one number, names that contain something, or all.
pub(super) async fn list(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let paging = Paging::read(call.params)?;
    let msisdn = call
        .params
        .get("phone")
        .map(|phone| fields::phone(phone).map(|(msisdn, _)| msisdn))
        .transpose()?;
    let user_name = fields::text(call.params, "userName", USER_NAME_CHARS_MAX)?.unwrap_or_default();
    let list = of_call(call).await?;
    let found = call
        .engine()
        .contacts(
            call.account(),
            list.id,
            msisdn,
            user_name,
            paging.start,
            paging.limit,
        )
        .await
        .map_err(|error| store_failed(&error))?;
    let listed = Listed {
        name: "contactMemberList",
        total: found.total,
        entries: found.items.iter().map(Vo::of).collect(),
    };
    let entries = listed.entries.len();
    Ok(done(&FOUND, listed, 2 * entries))
}

/// `saveOrUpdate`: one member, new or known by its number.
pub(super) async fn save(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let saved = put(call, &MemberFields::read_one(call.params)?).await?;
    let contact = saved.first().ok_or(&super::codes::SERVER_ERROR)?;
    let one = One {
        contact_member: Vo::of(contact),
    };
    Ok(done(&SAVED, one, 1))
}

/// `batchSaveOrUpdate`: many at once, all or none.
pub(super) async fn batch_save(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let saved = put(call, &MemberFields::read_many(call.params)?).await?;
    let many = Many {
        count: saved.len(),
        contact_member_list: saved.iter().map(Vo::of).collect(),
    };
    Ok(done(&SAVED, many, 2 * saved.len()))
}

/// `delete`: one member.
pub(super) async fn delete(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let (msisdn, _) = fields::phone(call.params.get("phone").ok_or(&PHONE_EMPTY)?)?;
    let list = of_call(call).await?;
    call.engine()
        .remove_contact(call.account(), list.id, msisdn)
        .await
        .map_err(|error| store_failed(&error))?
        .map_err(refused_by_lists)?;
    Ok(done_only(&DELETED))
}

async fn put(call: &Call<'_>, given: &MemberFields<'_>) -> Result<Vec<Contact>, ApiError> {
    let list = of_call(call).await?;
    call.engine()
        .put_contacts(call.account(), list.id, given.contacts())
        .await
        .map_err(|error| store_failed(&error))?
        .map_err(refused_by_lists)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    contact_member: Vo<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Many<'a> {
    count: usize,
    contact_member_list: Vec<Vo<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Vo<'a> {
    id: i64,
    /// The vendor's spelling.
    #[serde(rename = "contactlistId")]
    contact_list_id: i64,
    phone: &'a str,
    user_name: &'a str,
    /// A text that holds JSON.
    vars: &'a str,
    create_time: String,
}

impl<'a> Vo<'a> {
    fn of(contact: &'a Contact) -> Self {
        Self {
            id: contact.id,
            contact_list_id: contact.list,
            phone: &contact.written,
            user_name: &contact.user_name,
            vars: if contact.vars.is_empty() {
                "{}"
            } else {
                &contact.vars
            },
            create_time: local::moment(contact.created_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(query: &str) -> Result<Option<String>, u32> {
        let params = Params::read(Some(query), b"").unwrap();
        MemberFields::read_one(&params)
            .map(|given| given.vars)
            .map_err(|refused| refused.code.code)
    }

    fn many(query: &str) -> Result<usize, u32> {
        let params = Params::read(Some(query), b"").unwrap();
        MemberFields::read_many(&params)
            .map(|given| given.phones.len())
            .map_err(|refused| refused.code.code)
    }

    #[test]
    fn a_member_is_refused_parameter_by_parameter() {
        let long = "x".repeat(33);
        for (query, expected) in [
            ("phone=13800138000", Ok(None)),
            ("phone=13800138000&vars=%7B%7D", Ok(Some("{}"))),
            (
                "phone=13800138000&vars={\"name\":\"hello\"}",
                Ok(Some("{\"name\":\"hello\"}")),
            ),
            ("phone=13800138000&vars={'n':7}", Ok(Some("{\"n\":\"7\"}"))),
            ("phone=13800138000&vars={101}", Err(441)),
            ("phone=13800138000&vars=[1]", Err(441)),
            ("phone=13800138000&vars={\"n\":\"http://x\"}", Err(441)),
            (&format!("phone=13800138000&vars={{\"n\":\"{long}\"}}"), Err(483)),
            ("vars={}", Err(411)),
            ("phone=abc", Err(412)),
            (
                &format!("phone=13800138000&userName={}", "x".repeat(65)),
                Err(417),
            ),
        ] {
            assert_eq!(
                one(query),
                expected.map(|vars| vars.map(str::to_owned)),
                "{query}"
            );
        }
    }

    #[test]
    fn many_members_are_a_hundred_at_most_and_each_number_once() {
        let phones = |count: usize| {
            let all: Vec<_> = (0..count).map(|n| format!("138{n:08}")).collect();
            format!("phones={}", all.join(";"))
        };
        for (query, expected) in [
            ("phones=13800138000;13900139000", Ok(2)),
            ("phone=13800138000;13900139000", Ok(2)),
            ("phones=13800138000;008613800138000", Ok(1)),
            ("phones=%20;", Err(411)),
            ("", Err(411)),
            ("phones=13800138000;abc", Err(412)),
            (&*phones(100), Ok(100)),
            (&*phones(101), Err(412)),
        ] {
            assert_eq!(many(query), expected, "{query:.60}");
        }
    }
}
