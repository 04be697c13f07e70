//! Contact lists: `/smsapi/smsContactList/*` (docs/dialects/sendcloud.md).

use super::codes::{
    ApiError, FOUND, LIST_DELETED, LIST_UNKNOWN, PARAMETER_EMPTY, PARAMETER_FORMAT, PARAMETER_LENGTH, SAVED,
    UPDATED,
};
use super::fields::{self, Paging, longer_than};
use super::local;
use super::manage::{Call, Listed, done, done_only, refused_by_lists, store_failed};
use super::params::Params;
use engine::ContactList;
use engine::sms::visible::is_display_control;
use serde::Serialize;

/// Longest name of a list in characters: that of the sister product (chosen).
pub(super) const NAME_CHARS_MAX: usize = 48;
/// Longest description in characters. No source has a limit; chosen.
const DESCRIPTION_CHARS_MAX: usize = 255;

/// The name of a parameter, as the tables have it.
const LIST_NAME: &str = "contactListName";

/// `contactListName`; the examples of the page say `contactName`.
pub(super) fn list_name<'a>(params: &'a Params<'_>) -> Option<&'a str> {
    params.get(LIST_NAME).or_else(|| params.get("contactName"))
}

/// A name that must be there and that a list can have: tasks separate them by semicolons.
fn checked<'a>(name: Option<&'a str>, parameter: &'static str) -> Result<&'a str, ApiError> {
    let name = name.ok_or_else(|| ApiError::with_name(&PARAMETER_EMPTY, parameter))?;
    if longer_than(name, NAME_CHARS_MAX) {
        return Err(ApiError::with_limit_of(
            &PARAMETER_LENGTH,
            parameter,
            NAME_CHARS_MAX,
        ));
    }
    if name.contains(';') || name.contains(is_display_control) {
        return Err(ApiError::with_name(&PARAMETER_FORMAT, parameter));
    }
    Ok(name)
}

/// A list as `save` and `update` give it.
#[derive(Debug, PartialEq, Eq)]
pub struct ListFields<'a> {
    name: &'a str,
    new_name: Option<&'a str>,
    description: Option<&'a str>,
}

impl<'a> ListFields<'a> {
    /// Reads both; `newContactListName` belongs to `update`.
    ///
    /// # Errors
    /// 441, 417.
    pub fn read(params: &'a Params<'_>, is_update: bool) -> Result<Self, ApiError> {
        let new_name = is_update.then(|| {
            let written = params
                .get("newContactListName")
                .or_else(|| params.get("newContactName"));
            checked(written, "newContactListName")
        });
        Ok(Self {
            name: checked(list_name(params), LIST_NAME)?,
            new_name: new_name.transpose()?,
            description: fields::text(params, "description", DESCRIPTION_CHARS_MAX)?,
        })
    }
}

/// `list`: the lists whose name contains the text of the query.
pub(super) async fn list(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let paging = Paging::read(call.params)?;
    let name = list_name(call.params)
        .map(|name| checked(Some(name), LIST_NAME))
        .transpose()?;
    let found = call
        .engine()
        .lists(
            call.account(),
            name.unwrap_or_default(),
            paging.start,
            paging.limit,
        )
        .await
        .map_err(|error| store_failed(&error))?;
    let listed = Listed {
        name: "contactLists",
        total: found.total,
        entries: found.items.iter().map(Vo::of).collect(),
    };
    let entries = listed.entries.len();
    Ok(done(&FOUND, listed, entries))
}

/// `save`: a new one.
pub(super) async fn save(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let given = ListFields::read(call.params, false)?;
    let saved = call
        .engine()
        .add_list(call.account(), given.name, given.description.unwrap_or_default())
        .await
        .map_err(|error| store_failed(&error))?
        .map_err(refused_by_lists)?;
    Ok(done(&SAVED, One::of(&saved), 1))
}

/// `update`: another name, another description.
pub(super) async fn update(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let given = ListFields::read(call.params, true)?;
    let known = named(call, given.name).await?;
    let changed = call
        .engine()
        .change_list(call.account(), known.id, given.new_name, given.description)
        .await
        .map_err(|error| store_failed(&error))?
        .map_err(refused_by_lists)?;
    Ok(done(&UPDATED, One::of(&changed), 1))
}

/// `delete`: with its members.
pub(super) async fn delete(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let known = of_call(call).await?;
    call.engine()
        .remove_list(call.account(), known.id)
        .await
        .map_err(|error| store_failed(&error))?
        .map_err(refused_by_lists)?;
    Ok(done_only(&LIST_DELETED))
}

/// The list that a request names.
pub(super) async fn of_call(call: &Call<'_>) -> Result<ContactList, ApiError> {
    named(call, checked(list_name(call.params), LIST_NAME)?).await
}

/// The list of a name.
pub(super) async fn named(call: &Call<'_>, name: &str) -> Result<ContactList, ApiError> {
    let found = call
        .engine()
        .list_named(call.account(), name)
        .await
        .map_err(|error| store_failed(&error))?;
    Ok(found.ok_or(&LIST_UNKNOWN)?)
}

#[derive(Serialize)]
struct One<'a> {
    contact: Vo<'a>,
}

impl<'a> One<'a> {
    fn of(list: &'a ContactList) -> Self {
        Self {
            contact: Vo::of(list),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Vo<'a> {
    contact_list_id: i64,
    contact_list_name: &'a str,
    description: &'a str,
    member_count: u64,
    create_time: String,
    update_time: String,
}

impl<'a> Vo<'a> {
    fn of(list: &'a ContactList) -> Self {
        Self {
            contact_list_id: list.id,
            contact_list_name: &list.name,
            description: &list.description,
            member_count: list.members,
            create_time: local::moment(list.created_at),
            update_time: local::moment(list.updated_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_refused_parameter_by_parameter() {
        let long = "x".repeat(NAME_CHARS_MAX + 1);
        for (query, is_update, expected) in [
            ("contactListName=a", false, 200),
            ("contactName=a", false, 200),
            ("contactListName=a&description=d", false, 200),
            ("", false, 441),
            ("contactListName=a%3Bb", false, 441),
            ("contactListName=a%0Ab", false, 441),
            (&format!("contactListName={long}"), false, 417),
            (
                &format!("contactListName=a&description={}", "d".repeat(256)),
                false,
                417,
            ),
            ("contactListName=a&newContactListName=b", true, 200),
            ("contactName=a&newContactName=b", true, 200),
            ("contactListName=a", true, 441),
            ("contactListName=a&newContactListName=b%3Bc", true, 441),
        ] {
            let params = Params::read(Some(query), b"").unwrap();
            let read = ListFields::read(&params, is_update);
            assert_eq!(
                read.map_or_else(|refused| refused.code.code, |_| 200),
                expected,
                "{query}"
            );
        }
    }
}
