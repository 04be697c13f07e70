//! Files: the documents behind signatures. `UploadUSMSFile` takes them by themselves, the signature actions take them
//! among their parameters. Either way they are stored with the messages, and only the account can read them.

use super::answer::done;
use super::api_error::ApiError;
use super::error_texts::Thing;
use super::handle_action::ActionRequest;
use super::handler::store_failed;
use super::params::{self, bounded, decode, required, required_integer};
use super::tree::Members;
use engine::{Record, RecordFilter, RecordKind, RecordRefusal};
use serde::Serialize;
use std::collections::HashSet;

/// Longest file in octets (contract section 3.3: 4 MB). A request must still fit `api.limits.body_bytes_max`.
pub const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most files of an account: nothing is documented.
pub const FILES_MAX: usize = 1000;
/// Longest file name and type in characters: nothing is documented.
pub const NAME_CHARS_MAX: usize = 255;

/// What stands in front of a file's number in its id.
const ID_PREFIX: &str = "FILE";

/// A file as a request has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, where it has one.
    pub name: String,
    /// Its MIME type, where the request has one.
    pub mime: String,
    /// Its content.
    pub content: Vec<u8>,
}

/// What is kept of a file beside its content.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Kept<'f> {
    file_name: &'f str,
    file_type: &'f str,
}

/// The id of a file by its number.
pub fn id(number: i64) -> String {
    format!("{ID_PREFIX}{number:08}")
}

/// The number behind an id; `None` when it is not one of ours.
pub fn read_id(written: &str) -> Option<i64> {
    let number = written.strip_prefix(ID_PREFIX)?.parse().ok()?;
    (id(number) == written).then_some(number)
}

/// What `UploadUSMSFile` brings.
pub fn parse_upload(params: &Members<'_>) -> Result<File, ApiError> {
    let name = params::name(params, "FileName", NAME_CHARS_MAX)?.ok_or(ApiError::Missing("FileName"))?;
    let mime = bounded(params, "FileType", NAME_CHARS_MAX)?.unwrap_or_default();
    required_integer(params, "Source", 0..=0)?;
    let mut file = parse_document(required(params, "FileContent")?, "FileContent")?;
    name.clone_into(&mut file.name);
    if !mime.is_empty() {
        mime.clone_into(&mut file.mime);
    }
    Ok(file)
}

/// A document among parameters: Base64, or a MIME type, `;base64,` and Base64 (contract section 3.3), as in data URLs.
pub fn parse_document(written: &str, name: &'static str) -> Result<File, ApiError> {
    let (mime, encoded) = match written.split_once(";base64,") {
        Some((mime, encoded)) => (mime.strip_prefix("data:").unwrap_or(mime), encoded),
        None => ("", written),
    };
    if mime.chars().count() > NAME_CHARS_MAX {
        return Err(ApiError::Value(name));
    }
    match decode(encoded) {
        None => Err(ApiError::Shape(name)),
        Some(content) if content.is_empty() || content.len() > FILE_BYTES_MAX => Err(ApiError::Value(name)),
        Some(content) => Ok(File {
            name: String::new(),
            mime: mime.to_owned(),
            content,
        }),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Uploaded {
    file_id: String,
}

/// `UploadUSMSFile`
pub(super) async fn upload(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    let file = parse_upload(request.params)?;
    let number = keep(request, file).await?;
    Ok(done(request.context, &Uploaded { file_id: id(number) }))
}

/// Keeps a file; its number.
pub(super) async fn keep(request: ActionRequest<'_>, file: File) -> Result<i64, ApiError> {
    let kept = Kept {
        file_name: &file.name,
        file_type: &file.mime,
    };
    let record = Record {
        id: 0,
        account: request.caller.account,
        kind: RecordKind::File,
        // Names of files need not differ.
        name: Box::default(),
        body: serde_json::to_string(&kept).unwrap_or_default().into(),
        data: file.content,
        created_at: request.engine().now(),
        updated_at: request.engine().now(),
    };
    match request.engine().add_record(record).await {
        Ok(Ok(record)) => Ok(record.id),
        Ok(Err(RecordRefusal::Full)) => Err(ApiError::TooMany(Thing::File)),
        Ok(Err(RecordRefusal::NoRoom)) => Err(ApiError::NoRoom),
        Ok(Err(_)) => Err(ApiError::Store),
        Err(error) => Err(store_failed(request.context, &error)),
    }
}

/// The numbers of the account's files.
pub(super) async fn numbers(request: ActionRequest<'_>) -> Result<HashSet<i64>, ApiError> {
    let all = RecordFilter {
        name_contains: None,
        offset: 0,
        limit: FILES_MAX,
    };
    let account = request.caller.account;
    let page = request.engine().records(account, RecordKind::File, all).await;
    let page = page.map_err(|error| store_failed(request.context, &error))?;
    Ok(page.items.into_iter().map(|record| record.id).collect())
}

/// Removes files that nothing refers to any more. A failure is only logged: the request itself succeeded.
pub(super) async fn drop_all(request: ActionRequest<'_>, numbers: Vec<i64>) {
    for number in numbers {
        let account = request.caller.account;
        let removed = request
            .engine()
            .remove_record(account, RecordKind::File, number)
            .await;
        if let Err(error) = removed {
            tracing::warn!(request = request.context.uuid, %error, "unreferenced file not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    #[test]
    fn documents_come_bare_or_with_their_type() {
        for (written, mime) in [
            ("aGVsbG8=", ""),
            ("image/jpeg;base64,aGVsbG8=", "image/jpeg"),
            ("data:image/png;base64,aGVsbG8", "image/png"),
        ] {
            let file = parse_document(written, "File").unwrap();
            assert_eq!(
                (&*file.mime, &*file.content),
                (mime, b"hello".as_slice()),
                "{written}"
            );
        }
        for (written, fault) in [
            ("?", ApiError::Shape("File")),
            ("image/jpeg;base64,?", ApiError::Shape("File")),
            ("image/jpeg;base64,", ApiError::Value("File")),
        ] {
            assert_eq!(parse_document(written, "File"), Err(fault), "{written}");
        }
    }

    #[test]
    fn a_document_has_four_megabytes_at_most() {
        let of = |bytes| parse_document(&STANDARD.encode(vec![7; bytes]), "File");
        assert_eq!(of(FILE_BYTES_MAX).unwrap().content.len(), FILE_BYTES_MAX);
        assert_eq!(of(FILE_BYTES_MAX + 1), Err(ApiError::Value("File")));
    }

    proptest! {
        #[test]
        fn an_id_reads_back_and_nothing_else_does(number in 0..i64::MAX, other in ".{0,12}") {
            prop_assert_eq!(read_id(&id(number)), Some(number));
            if let Some(number) = read_id(&other) {
                prop_assert_eq!(id(number), other);
            }
        }

        #[test]
        fn reading_a_document_never_panics(written in ".*") {
            let _ = parse_document(&written, "File");
        }
    }
}
