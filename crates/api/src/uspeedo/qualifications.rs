//! Qualifications: the identity documents behind a signature (contract section 3.3). UCloud only.
//!
//! Nothing is sent by them, so they are records: kept, shown, listed. One that is submitted is approved at once for
//! accounts that approve by themselves; otherwise it waits.

use super::answer::done;
use super::api_error::ApiError;
use super::error_texts::Thing;
use super::files;
use super::handle_action::ActionRequest;
use super::handler::store_failed;
use super::params::{self, bounded, integer, required, required_integer, texts};
use super::tree::Members;
use engine::{Record, RecordFilter, RecordKind, RecordRefusal, UnixMs};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};

/// Longest name, and longest company name, in characters (the latter is documented).
pub const NAME_CHARS_MAX: usize = 100;
/// Longest other text in characters: nothing is documented.
pub const OTHER_CHARS_MAX: usize = 128;
/// Records read at a time.
const READ_MAX: usize = 1000;

/// What stands in front of a qualification's number in its id.
const ID_PREFIX: &str = "QUAL";

/// Texts that stand in requests and in answers under one name.
const TEXTS: [&str; 8] = [
    "CompanyName",
    "CompanyCreditCode",
    "HandlerName",
    "HandlerPhone",
    "HandlerIDNumber",
    "ManagerName",
    "ManagerPhone",
    "ManagerIDNumber",
];
/// Files: their names in requests and in answers.
const FILES: [(&str, &str); 6] = [
    ("CompanyCertificateFileId", "CompanyCertificateFile"),
    ("CompanyWorkScenePhotosFileId", "CompanyWorkScenePhotos"),
    ("HandlerIDCardFrontImageFileId", "HandlerIDCardFrontImage"),
    ("HandlerIDCardBackImageFileId", "HandlerIDCardBackImage"),
    ("HandlerHandHeldImageFileId", "HandlerHandHeldImage"),
    // In the vendor's sample request only.
    ("PowerOfAttorneyFileId", "PowerOfAttorney"),
];

/// `Status` of a qualification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Status {
    /// Its owner still writes it.
    #[default]
    Draft,
    /// It is reviewed.
    InReview,
    /// It may be used.
    Approved,
    /// It was refused.
    Rejected,
    /// It was switched off.
    Disabled,
}

impl From<Status> for u8 {
    fn from(status: Status) -> Self {
        status as Self
    }
}

impl TryFrom<u8> for Status {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        Ok(match number {
            0 => Self::Draft,
            1 => Self::InReview,
            2 => Self::Approved,
            3 => Self::Rejected,
            4 => Self::Disabled,
            _ => return Err("a status is 0 to 4"),
        })
    }
}

/// A qualification as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Documents {
    /// 0: for the account's own signatures. 1: for somebody else's.
    pub attr: u8,
    /// Where it stands.
    pub status: Status,
    /// Texts by their names in requests.
    pub texts: BTreeMap<String, String>,
    /// Numbers of files by their names in requests.
    pub files: BTreeMap<String, i64>,
    /// Why it was rejected.
    pub reason: String,
    /// When its review began; 0 before.
    pub review_started_at: UnixMs,
    /// When its review ended; 0 before.
    pub review_ended_at: UnixMs,
}

/// The parameters of a qualification: its name, where the request has one, and the resulting documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Its name.
    pub name: Option<String>,
    /// Its documents, not yet submitted.
    pub documents: Documents,
    /// Whether it is submitted with this.
    pub submit: bool,
}

/// The id of a qualification by its number.
pub fn id(number: i64) -> String {
    format!("{ID_PREFIX}{number:08}")
}

/// The number behind an id; `None` when it is not one of ours.
pub fn read_id(written: &str) -> Option<i64> {
    let number = written.strip_prefix(ID_PREFIX)?.parse().ok()?;
    (id(number) == written).then_some(number)
}

/// Reads the parameters of `AddUSMSSignatureQualification`.
pub fn parse_new(params: &Members<'_>) -> Result<Application, ApiError> {
    for name in ["Name", "Attr", "HandlerPhone"] {
        required(params, name)?;
    }
    parse_edit(params, Documents::default())
}

/// Applies `UpdateUSMSSignatureQualification` to documents; a field that the request does not name stays.
pub fn parse_edit(params: &Members<'_>, mut documents: Documents) -> Result<Application, ApiError> {
    let name = params::name(params, "Name", NAME_CHARS_MAX)?.map(str::to_owned);
    if let Some(attr) = integer(params, "Attr", 0..=1)? {
        documents.attr = u8::try_from(attr).unwrap_or_default();
    }
    let submit = required_integer(params, "Status", 0..=1)? == 1;
    for name in TEXTS {
        let chars_max = match name {
            "CompanyName" => NAME_CHARS_MAX,
            _ => OTHER_CHARS_MAX,
        };
        if let Some(text) = bounded(params, name, chars_max)? {
            documents.texts.insert(name.to_owned(), text.to_owned());
        }
    }
    for (name, _) in FILES {
        if let Some(written) = bounded(params, name, OTHER_CHARS_MAX)? {
            let number = files::read_id(written).ok_or(ApiError::Value(name))?;
            documents.files.insert(name.to_owned(), number);
        }
    }
    Ok(Application {
        name,
        documents,
        submit,
    })
}

/// The documents after the request: submitted or still a draft.
fn settled(request: ActionRequest<'_>, application: Application) -> Documents {
    let now = request.engine().now();
    let catalog = request.engine().catalog();
    let auto = catalog
        .account(request.caller.account)
        .is_some_and(|account| account.auto_approve);
    let (status, started, ended) = match (application.submit, auto) {
        (false, _) => (Status::Draft, 0, 0),
        (true, false) => (Status::InReview, now, 0),
        (true, true) => (Status::Approved, now, now),
    };
    Documents {
        status,
        reason: String::new(),
        review_started_at: started,
        review_ended_at: ended,
        ..application.documents
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Made {
    qualification_id: String,
}

/// `AddUSMSSignatureQualification`
pub(super) async fn add(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    let application = parse_new(request.params)?;
    check_files(request, &application.documents).await?;
    let name = application.name.clone().unwrap_or_default();
    let documents = settled(request, application);
    let record = Record {
        id: 0,
        account: request.caller.account,
        kind: RecordKind::Qualification,
        name: name.into(),
        body: serde_json::to_string(&documents).unwrap_or_default().into(),
        data: Vec::new(),
        created_at: request.engine().now(),
        updated_at: request.engine().now(),
    };
    let added = request.engine().add_record(record).await;
    let record = added
        .map_err(|error| store_failed(request.context, &error))?
        .map_err(refusal)?;
    Ok(done(
        request.context,
        &Made {
            qualification_id: id(record.id),
        },
    ))
}

/// `UpdateUSMSSignatureQualification`
pub(super) async fn update(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    let number = read_id(required(request.params, "QualificationId")?);
    let found = match number {
        Some(number) => find(request, number).await?,
        None => None,
    };
    let before = found
        .as_ref()
        .map(|(_, documents)| documents.clone())
        .unwrap_or_default();
    let application = parse_edit(request.params, before)?;
    let (record, before) = found.ok_or(ApiError::Unknown(Thing::Qualification))?;
    if before.status == Status::InReview {
        return Err(ApiError::InReview(Thing::Qualification));
    }
    check_files(request, &application.documents).await?;
    let name = application
        .name
        .clone()
        .map_or(record.name, String::into_boxed_str);
    let documents = settled(request, application);
    let changed = Record {
        name,
        body: serde_json::to_string(&documents).unwrap_or_default().into(),
        updated_at: request.engine().now(),
        ..record
    };
    let number = changed.id;
    let changed = request.engine().change_record(changed).await;
    changed
        .map_err(|error| store_failed(request.context, &error))?
        .map_err(refusal)?;
    Ok(done(
        request.context,
        &Made {
            qualification_id: id(number),
        },
    ))
}

fn refusal(refusal: RecordRefusal) -> ApiError {
    match refusal {
        RecordRefusal::None => ApiError::Unknown(Thing::Qualification),
        RecordRefusal::NameTaken => ApiError::NameTaken(Thing::Qualification),
        RecordRefusal::Full | RecordRefusal::NoRoom => ApiError::TooMany(Thing::Qualification),
        _ => ApiError::Store,
    }
}

/// Every file named must be one of the account's.
async fn check_files(request: ActionRequest<'_>, documents: &Documents) -> Result<(), ApiError> {
    if documents.files.is_empty() {
        return Ok(());
    }
    let ours = files::numbers(request).await?;
    let gone = |name: &str| {
        documents
            .files
            .get(name)
            .is_some_and(|number| !ours.contains(number))
    };
    match FILES.into_iter().find(|(name, _)| gone(name)) {
        Some((name, _)) => Err(ApiError::Value(name)),
        None => Ok(()),
    }
}

/// A qualification that a signature names must be one of the account's.
pub(super) async fn must_exist(request: ActionRequest<'_>, written: &str) -> Result<(), ApiError> {
    let number = read_id(written).ok_or(ApiError::Unknown(Thing::Qualification))?;
    match find(request, number).await? {
        Some(_) => Ok(()),
        None => Err(ApiError::Unknown(Thing::Qualification)),
    }
}

async fn find(request: ActionRequest<'_>, number: i64) -> Result<Option<(Record, Documents)>, ApiError> {
    let account = request.caller.account;
    let found = request
        .engine()
        .record(account, RecordKind::Qualification, number)
        .await;
    let found = found.map_err(|error| store_failed(request.context, &error))?;
    Ok(found.map(|record| {
        let documents = documents(&record);
        (record, documents)
    }))
}

fn documents(record: &Record) -> Documents {
    serde_json::from_str(&record.body).unwrap_or_default()
}

/// What both answers say. Times are Unix seconds.
fn shown(record: &Record, documents: &Documents, texts: &[&str]) -> Map<String, Value> {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| drop(out.insert(name.to_owned(), value));
    put("QualificationId", id(record.id).into());
    put("Name", (&*record.name).into());
    put("Attr", documents.attr.into());
    put("Status", u8::from(documents.status).into());
    put("ErrCode", 0.into());
    put("ErrDesc", documents.reason.as_str().into());
    put("CreateTime", (record.created_at / 1000).into());
    put("ModifyTime", (record.updated_at / 1000).into());
    put("ReviewStartTime", (documents.review_started_at / 1000).into());
    put("ReviewEndTime", (documents.review_ended_at / 1000).into());
    for &name in texts {
        put(name, documents.texts.get(name).map_or("", String::as_str).into());
    }
    out
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    data: Map<String, Value>,
}

/// `QueryUSMSSignatureQualification`
pub(super) async fn query(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    let number = read_id(required(request.params, "QualificationId")?);
    let number = number.ok_or(ApiError::Unknown(Thing::Qualification))?;
    let found = find(request, number).await?;
    let (record, documents) = found.ok_or(ApiError::Unknown(Thing::Qualification))?;
    let mut data = shown(&record, &documents, &TEXTS);
    for (context, reported) in FILES {
        // The vendor gives links to its console; here a file is known by its id alone.
        let file = documents.files.get(context).map(|number| files::id(*number));
        data.insert(reported.to_owned(), file.unwrap_or_default().into());
    }
    Ok(done(request.context, &Found { data }))
}

/// The parameters of `GetUSMSSignatureQualification`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Page, from 0.
    pub page: usize,
    /// Rows of a page.
    pub rows: usize,
    /// The newest first.
    pub descending: bool,
    /// Only this attribute.
    pub attr: Option<u8>,
    /// Only this status.
    pub status: Option<Status>,
}

/// Reads the parameters of `GetUSMSSignatureQualification`.
pub fn parse_listing(params: &Members<'_>) -> Result<Listing, ApiError> {
    let (page, rows) = params::page(params)?;
    // Ids grow with time: both orders are one.
    if !matches!(required(params, "OrderBy")?, "QualificationId" | "CreateTime") {
        return Err(ApiError::Value("OrderBy"));
    }
    let descending = params::descending(params)?;
    let small = |name, max| -> Result<Option<u8>, ApiError> {
        let number = integer(params, name, 0..=max)?;
        Ok(number.and_then(|number| u8::try_from(number).ok()))
    };
    Ok(Listing {
        page,
        rows,
        descending,
        attr: small("QualificationAttr", 1)?,
        status: small("Status", 4)?.and_then(|status| Status::try_from(status).ok()),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    total: usize,
    data: Vec<Map<String, Value>>,
}

/// `GetUSMSSignatureQualification`
pub(super) async fn list(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    let listing = parse_listing(request.params)?;
    let mut found = all(request).await?;
    found.retain(|(_, documents)| {
        listing.attr.is_none_or(|attr| attr == documents.attr)
            && listing.status.is_none_or(|status| status == documents.status)
    });
    if listing.descending {
        found.reverse();
    }
    let texts = ["CompanyName", "HandlerName", "ManagerName"];
    let data = found
        .iter()
        .skip(listing.page.saturating_mul(listing.rows))
        .take(listing.rows)
        .map(|(record, documents)| {
            let mut row = shown(record, documents, &texts);
            row.insert("AccountId".to_owned(), record.account.0.into());
            row
        });
    Ok(done(
        request.context,
        &Listed {
            total: found.len(),
            data: data.collect(),
        },
    ))
}

/// All of the account's, by number.
async fn all(request: ActionRequest<'_>) -> Result<Vec<(Record, Documents)>, ApiError> {
    let mut found = Vec::new();
    loop {
        let filter = RecordFilter {
            name_contains: None,
            offset: found.len() as u64,
            limit: READ_MAX,
        };
        let account = request.caller.account;
        let page = request
            .engine()
            .records(account, RecordKind::Qualification, filter)
            .await
            .map_err(|error| store_failed(request.context, &error))?;
        let last = page.items.len() < READ_MAX;
        found.extend(page.items.into_iter().map(|record| {
            let documents = documents(&record);
            (record, documents)
        }));
        if last {
            return Ok(found);
        }
    }
}

/// `DeleteUSMSSignatureQualification`: all or none. Files that no other names go with them.
pub(super) async fn delete(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    let ids = texts(
        request.params,
        "QualificationIds",
        request.api.limits.sessions_per_query_max,
    )?;
    let numbers: Option<HashSet<i64>> = ids.iter().map(|id| read_id(id)).collect();
    let numbers = numbers.ok_or(ApiError::Unknown(Thing::Qualification))?;
    let (removed, kept): (Vec<_>, Vec<_>) = all(request)
        .await?
        .into_iter()
        .partition(|(record, _)| numbers.contains(&record.id));
    if removed.len() < numbers.len() {
        return Err(ApiError::Unknown(Thing::Qualification));
    }
    if removed
        .iter()
        .any(|(_, documents)| documents.status == Status::InReview)
    {
        return Err(ApiError::InReview(Thing::Qualification));
    }
    for (record, _) in &removed {
        request
            .engine()
            .remove_record(record.account, RecordKind::Qualification, record.id)
            .await
            .map_err(|error| store_failed(request.context, &error))?;
    }
    let named: HashSet<i64> = kept
        .iter()
        .flat_map(|(_, documents)| documents.files.values())
        .copied()
        .collect();
    let free: HashSet<i64> = removed
        .iter()
        .flat_map(|(_, documents)| documents.files.values())
        .filter(|number| !named.contains(number))
        .copied()
        .collect();
    files::drop_all(request, free.into_iter().collect()).await;
    Ok(done(request.context, &()))
}

#[cfg(test)]
mod tests {
    use super::super::params::ROWS_MAX;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read<T>(body: &Value, read: impl Fn(&Members<'_>) -> T) -> T {
        let body = body.to_string();
        read(&Members::from_json(body.as_bytes(), 1 << 20).unwrap())
    }

    #[test]
    fn what_an_edit_does_not_name_stays() {
        let new = json!({"Name": "n", "Attr": 1, "Status": 0, "HandlerPhone": "1", "CompanyName": "c",
            "CompanyCertificateFileId": "FILE00000007"});
        let first = read(&new, parse_new).unwrap();
        assert_eq!((first.documents.attr, first.submit), (1, false));
        let edit = json!({"Status": 1, "CompanyName": "d"});
        let second = read(&edit, |params| parse_edit(params, first.documents.clone())).unwrap();
        assert_eq!(
            (second.name, second.submit, second.documents.attr),
            (None, true, 1)
        );
        assert_eq!(second.documents.texts["CompanyName"], "d");
        assert_eq!(second.documents.texts["HandlerPhone"], "1");
        assert_eq!(second.documents.files["CompanyCertificateFileId"], 7);
    }

    #[test]
    fn documents_survive_being_kept() {
        let documents = Documents {
            attr: 1,
            status: Status::Rejected,
            texts: [("CompanyName".to_owned(), "名 \"x\"".to_owned())].into(),
            files: [("PowerOfAttorneyFileId".to_owned(), 3)].into(),
            reason: "r".to_owned(),
            review_started_at: 1,
            review_ended_at: 2,
        };
        let kept = serde_json::to_string(&documents).unwrap();
        assert_eq!(serde_json::from_str::<Documents>(&kept).unwrap(), documents);
        assert!(serde_json::from_str::<Documents>(r#"{"status":9}"#).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_requested_fits_its_bounds(
            page in any::<i64>(), rows in any::<i64>(), attr in -1_i64..4, order in "asc|DESC|up|.{0,4}",
        ) {
            let body = json!({"Page": page, "NumPerPage": rows, "OrderBy": "CreateTime", "OrderType": order,
                "QualificationAttr": attr});
            if let Ok(listing) = read(&body, parse_listing) {
                prop_assert!((1..=ROWS_MAX).contains(&rows) && listing.rows as i64 == rows);
                prop_assert!(listing.page as i64 == page && (0..=1).contains(&attr));
                prop_assert!(order.eq_ignore_ascii_case("asc") || order.eq_ignore_ascii_case("desc"));
            }
        }

        #[test]
        fn an_id_reads_back_and_nothing_else_does(number in 0..i64::MAX, other in ".{0,12}") {
            prop_assert_eq!(read_id(&id(number)), Some(number));
            if let Some(number) = read_id(&other) {
                prop_assert_eq!(id(number), other);
            }
        }
    }
}
