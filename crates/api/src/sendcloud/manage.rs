//! The interfaces that manage templates, signatures, labels, contact lists and tasks, and those that count
//! (docs/dialects/sendcloud.md): their paths, and what they have in common.

use super::answer;
use super::auth::Caller;
use super::codes::{
    ALREADY_SUBMITTED, ApiError, Code, FULL, IN_REVIEW, IN_USE, LIST_UNKNOWN, MEMBER_UNKNOWN, NAME_TAKEN,
    NO_PERMISSION, SERVER_ERROR, SIGNATURE_UNKNOWN, TEMPLATE_UNKNOWN,
};
use super::params::Params;
use super::{contacts, labels, members, signatures, statistics, tasks, templates};
use crate::Api;
use engine::catalog::Snapshot;
use engine::manage::ManageError;
use engine::{AccountId, ContactRefusal, Engine, StoreError, UnixMs};
use http::HeaderMap;
use serde::Serialize;
use std::sync::Arc;

/// An interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interface {
    TemplateGet,
    TemplateList,
    TemplateAdd,
    TemplateSubmit,
    TemplateUpdate,
    TemplateDelete,
    SignatureGet,
    SignatureList,
    SignatureSave,
    SignatureUpdate,
    LabelGet,
    LabelList,
    LabelSave,
    LabelUpdate,
    LabelDelete,
    ListList,
    ListSave,
    ListUpdate,
    ListDelete,
    MemberList,
    MemberSave,
    MemberBatchSave,
    MemberDelete,
    TaskSend,
    TaskQuery,
    DataSendDay,
    DataProcessFailed,
    DataSendFailed,
}

impl Interface {
    /// Where each is. The page on signatures names two paths for one interface.
    pub(super) const PATHS: [(&'static str, Self); 29] = [
        ("/smsapi/get", Self::TemplateGet),
        ("/smsapi/list", Self::TemplateList),
        ("/smsapi/addsms", Self::TemplateAdd),
        ("/smsapi/submitsms", Self::TemplateSubmit),
        ("/smsapi/updatesms", Self::TemplateUpdate),
        ("/smsapi/deletesms", Self::TemplateDelete),
        ("/smsapi/sign/get", Self::SignatureGet),
        ("/smsapi/sign/list", Self::SignatureList),
        ("/smsapi/sign/save", Self::SignatureSave),
        ("/smsapi/sign/updatesms", Self::SignatureUpdate),
        ("/smsapi/sign/update", Self::SignatureUpdate),
        ("/smsapi/label/get", Self::LabelGet),
        ("/smsapi/label/list", Self::LabelList),
        ("/smsapi/label/save", Self::LabelSave),
        ("/smsapi/label/update", Self::LabelUpdate),
        ("/smsapi/label/delete", Self::LabelDelete),
        ("/smsapi/smsContactList/list", Self::ListList),
        ("/smsapi/smsContactList/save", Self::ListSave),
        ("/smsapi/smsContactList/update", Self::ListUpdate),
        ("/smsapi/smsContactList/delete", Self::ListDelete),
        ("/smsapi/smsContactListMember/list", Self::MemberList),
        ("/smsapi/smsContactListMember/saveOrUpdate", Self::MemberSave),
        (
            "/smsapi/smsContactListMember/batchSaveOrUpdate",
            Self::MemberBatchSave,
        ),
        ("/smsapi/smsContactListMember/delete", Self::MemberDelete),
        ("/smsapi/sendContactListTask", Self::TaskSend),
        ("/smsapi/queryContactListTask", Self::TaskQuery),
        ("/smsapi/data/sendDay", Self::DataSendDay),
        ("/smsapi/data/processFailed", Self::DataProcessFailed),
        ("/smsapi/data/sendFailed", Self::DataSendFailed),
    ];

    /// Handles a request; the body of the response.
    pub(super) async fn answer(self, call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
        match self {
            Self::TemplateGet => templates::get(call),
            Self::TemplateList => templates::list(call),
            Self::TemplateAdd => templates::add(call).await,
            Self::TemplateSubmit => templates::submit(call).await,
            Self::TemplateUpdate => templates::update(call).await,
            Self::TemplateDelete => templates::delete(call).await,
            Self::SignatureGet => signatures::get(call),
            Self::SignatureList => Ok(signatures::list(call)),
            Self::SignatureSave => signatures::save(call).await,
            Self::SignatureUpdate => signatures::update(call).await,
            Self::LabelGet => labels::get(call).await,
            Self::LabelList => labels::list(call).await,
            Self::LabelSave => labels::save(call).await,
            Self::LabelUpdate => labels::update(call).await,
            Self::LabelDelete => labels::delete(call).await,
            Self::ListList => contacts::list(call).await,
            Self::ListSave => contacts::save(call).await,
            Self::ListUpdate => contacts::update(call).await,
            Self::ListDelete => contacts::delete(call).await,
            Self::MemberList => members::list(call).await,
            Self::MemberSave => members::save(call).await,
            Self::MemberBatchSave => members::batch_save(call).await,
            Self::MemberDelete => members::delete(call).await,
            Self::TaskSend => tasks::send(call).await,
            Self::TaskQuery => tasks::query(call).await,
            Self::DataSendDay => statistics::send_day(call).await,
            Self::DataProcessFailed => statistics::process_failed(call).await,
            Self::DataSendFailed => statistics::send_failed(call).await,
        }
    }
}

/// An authenticated request.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) api: &'a Api,
    pub(super) params: &'a Params<'a>,
    pub(super) headers: &'a HeaderMap,
    pub(super) caller: Caller<'a>,
    /// As it was when the request came.
    pub(super) catalog: &'a Arc<Snapshot>,
    pub(super) now: UnixMs,
}

impl Call<'_> {
    pub(super) fn engine(&self) -> &Engine {
        &self.api.engine
    }

    pub(super) fn account(&self) -> AccountId {
        self.caller.account
    }
}

/// Octets of an entry of an answer, about.
const ENTRY_BYTES: usize = 256;

/// Renders a response with so many entries.
pub(super) fn done(code: &'static Code, info: impl Serialize, entries: usize) -> Vec<u8> {
    answer::body_with(code, info, ENTRY_BYTES * entries.max(1))
}

/// An answer with nothing but its text.
pub(super) fn done_only(code: &'static Code) -> Vec<u8> {
    answer::body_with(code, answer::Nothing {}, 0)
}

/// `info` of a list: what there is in all, what is in this answer, and the answer under a name of its own.
#[derive(Debug)]
pub(super) struct Listed<T> {
    pub(super) name: &'static str,
    pub(super) total: u64,
    pub(super) entries: Vec<T>,
}

impl<T: Serialize> Serialize for Listed<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("total", &self.total)?;
        map.serialize_entry("count", &self.entries.len())?;
        map.serialize_entry(self.name, &self.entries)?;
        map.end()
    }
}

/// The refusal for what managing came to.
pub(super) fn refused(error: &ManageError) -> ApiError {
    match error {
        ManageError::Unknown("signature") => ApiError::from(&SIGNATURE_UNKNOWN),
        ManageError::Unknown(_) => ApiError::from(&TEMPLATE_UNKNOWN),
        ManageError::NameTaken(_) => ApiError::from(&NAME_TAKEN),
        ManageError::InReview(_) | ManageError::NotInReview(_) => ApiError::from(&IN_REVIEW),
        ManageError::Submitted(_) => ApiError::from(&ALREADY_SUBMITTED),
        ManageError::InUse(_) => ApiError::from(&IN_USE),
        ManageError::TooMany(_) => ApiError::from(&FULL),
        ManageError::Store(error) => store_failed(error),
        // Does not occur on this wire.
        ManageError::NotRejected(_) => ApiError::from(&NO_PERMISSION),
        other => {
            tracing::warn!(dialect = "sendcloud", error = %other, "request failed");
            ApiError::from(&SERVER_ERROR)
        }
    }
}

/// The refusal for what the lists say.
pub(super) fn refused_by_lists(refusal: ContactRefusal) -> ApiError {
    ApiError::from(match refusal {
        ContactRefusal::NoList => &LIST_UNKNOWN,
        ContactRefusal::NameTaken => &NAME_TAKEN,
        ContactRefusal::NoMember => &MEMBER_UNKNOWN,
        ContactRefusal::Full | ContactRefusal::AccountFull | ContactRefusal::TasksFull => &FULL,
        ContactRefusal::InUse => &IN_USE,
        _ => &NO_PERMISSION,
    })
}

/// The refusal for a store that failed.
pub(super) fn store_failed(error: &StoreError) -> ApiError {
    tracing::warn!(dialect = "sendcloud", %error, "request failed");
    ApiError::from(&SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sendcloud::{
        contacts::ListFields, labels::LabelFields, members::MemberFields, signatures::SignatureFields,
        statistics::StatisticsQuery, status::StatusQuery, tasks::TaskFields, templates::ListTemplates,
        templates::TemplateFields,
    };
    use proptest::prelude::*;

    /// Every parameter these interfaces read.
    const NAMES: [&str; 38] = [
        "templateIdStr",
        "templateName",
        "templateText",
        "signId",
        "signName",
        "signPositionStr",
        "smsTypeStr",
        "msgType",
        "isVerifyStr",
        "id",
        "signType",
        "labelId",
        "labelName",
        "contactListName",
        "contactName",
        "newContactListName",
        "newContactName",
        "description",
        "phone",
        "phones",
        "userName",
        "vars",
        "taskName",
        "senderName",
        "templateId",
        "executeTime",
        "taskId",
        "days",
        "startDate",
        "endDate",
        "msgTypeStr",
        "templateIdsStr",
        "labelIdsStr",
        "smsIds",
        "aggregate",
        "start",
        "limit",
        "unknown",
    ];

    fn values() -> impl Strategy<Value = String> {
        prop_oneof![
            "\\PC{0,40}",
            "[0-9;,-]{0,24}",
            "[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9:]{0,8})?",
            r#"[{}\[\]"':,a-z0-9%]{0,40}"#,
            "[+0]{0,2}[0-9 ;,-]{7,40}",
        ]
    }

    proptest! {
        #[test]
        fn no_parameters_make_a_reader_panic(
            pairs in prop::collection::btree_map(prop::sample::select(&NAMES[..]), values(), 0..20),
            now in 0_i64..4_102_444_800_000,
        ) {
            let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            let params = Params::read(None, form.as_bytes()).unwrap();
            let codes = [
                ListTemplates::read(&params).err(),
                TemplateFields::read(&params).err(),
                SignatureFields::read(&params).err(),
                LabelFields::read(&params).err(),
                ListFields::read(&params, false).err(),
                ListFields::read(&params, true).err(),
                MemberFields::read_one(&params).err(),
                MemberFields::read_many(&params).err(),
                TaskFields::read(&params, now).err(),
                StatisticsQuery::read(&params, now).err(),
                StatusQuery::read(&params, now).err(),
            ];
            for refused in codes.into_iter().flatten() {
                prop_assert!((400..=499).contains(&refused.code.code) || refused.code.code == 601);
                let message = refused.message(super::super::codes::Language::Chinese);
                prop_assert!(!message.is_empty() && !message.contains('{'), "{}", message);
            }
        }
    }

    #[test]
    fn every_interface_has_a_path_of_its_own() {
        let mut paths: Vec<_> = Interface::PATHS.iter().map(|(path, _)| *path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), Interface::PATHS.len());
    }
}
