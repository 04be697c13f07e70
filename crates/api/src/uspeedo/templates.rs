//! Templates: submitted, shown, changed, removed (contract sections 3.1 to 3.3 and 6), on all three wires.
//!
//! A template belongs to its account, not to the wire it came over. What only this family knows of one lies in its
//! details under a name of its own, so that the other families' stay what they are.

use super::answer::done;
use super::api_error::ApiError;
use super::error_texts::Thing;
use super::handle_action::ActionRequest;
use super::handler::refused;
use super::params::{self, bounded, check_account_id, flag, required, required_integer, texts};
use super::request_context::RequestContext;
use super::tree::{Members, Node};
use engine::Dialect;
use engine::catalog::{Position, Review, Template};
use engine::manage::{NewTemplate, TemplateEdit, Then};
use engine::sms::class::Class;
use engine::sms::template::unread_placeholder;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest name in characters.
pub const NAME_CHARS_MAX: usize = 32;
/// Longest content of a new template in characters.
pub const NEW_TEXT_CHARS_MAX: usize = 500;
/// Longest content of a changed template in characters: the documents differ.
pub const TEXT_CHARS_MAX: usize = 600;
/// Longest remark in characters.
pub const REMARK_CHARS_MAX: usize = 128;
/// Longest other text in characters: nothing is documented.
pub const OTHER_CHARS_MAX: usize = 2000;
/// Most tags of a template: nothing is documented.
pub const TAGS_MAX: usize = 100;

/// Under which name this family's part lies in a template's or signature's details.
const DETAILS: &str = "usms";

/// What only this family knows of a template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Details {
    /// What the variables are, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub instruction: String,
    /// The country it is for (REST v1).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub brevity_code: String,
    /// Tags (uSpeedo).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<i64>,
    /// What the variables are (uSpeedo), as written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variable_attr: String,
    /// Whether it is for abroad (UCloud).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub international: bool,
    /// How to opt out (UCloud).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unsubscribe_info: String,
}

/// This family's part of details.
pub(super) fn own_details<T: Default + for<'d> Deserialize<'d>>(details: &Value) -> T {
    details
        .get(DETAILS)
        .and_then(|own| T::deserialize(own).ok())
        .unwrap_or_default()
}

/// Details with another part of this family.
pub(super) fn with_own_details<T: Serialize>(details: &Value, own: &T) -> Value {
    let mut all = match details {
        Value::Object(all) => all.clone(),
        _ => serde_json::Map::new(),
    };
    // Structs of strings and numbers always serialise.
    all.insert(DETAILS.to_owned(), serde_json::to_value(own).unwrap_or_default());
    Value::Object(all)
}

/// Reads the parameters of `CreateUSMSTemplate`.
pub fn parse_new(params: &Members<'_>, dialect: Dialect) -> Result<NewTemplate, ApiError> {
    check_account_id(params)?;
    let purpose = required_integer(params, "Purpose", 1..=3)?;
    let class = class_of(purpose).ok_or(ApiError::Value("Purpose"))?;
    let name =
        params::name(params, "TemplateName", NAME_CHARS_MAX)?.ok_or(ApiError::Missing("TemplateName"))?;
    let content = content(params, NEW_TEXT_CHARS_MAX)?.ok_or(ApiError::Missing("Template"))?;
    check_placeholders(content)?;
    let remark = bounded(params, "Remark", REMARK_CHARS_MAX)?.unwrap_or_default();
    let details = edited(params, Details::default())?;
    let opt_out_missing = details.unsubscribe_info.is_empty() && !details.international;
    if dialect == Dialect::Ucloud && class == Class::Marketing && opt_out_missing {
        return Err(ApiError::Missing("UnsubscribeInfo"));
    }
    Ok(NewTemplate {
        name: name.into(),
        // No document forbids two of a name.
        unique_name: false,
        class,
        text: content.into(),
        signature: None,
        position: Position::Front,
        remark: remark.into(),
        details: with_own_details(&Value::Null, &details),
        then: Then::Submit,
    })
}

/// Reads the changes that `UpdateUSMSTemplate` makes to a template with these details.
pub fn parse_edit(params: &Members<'_>, dialect: Dialect, old: &Value) -> Result<TemplateEdit, ApiError> {
    check_account_id(params)?;
    let name = params::name(params, "TemplateName", NAME_CHARS_MAX)?;
    let content = content(params, TEXT_CHARS_MAX)?;
    // The Action pages demand one of the two in prose; REST v1 marks all parameters optional.
    if dialect != Dialect::UspeedoRest && name.is_none() && content.is_none() {
        return Err(ApiError::Missing("Template"));
    }
    let remark = bounded(params, "Remark", REMARK_CHARS_MAX)?;
    let before: Details = own_details(old);
    let details = edited(params, before.clone())?;
    Ok(TemplateEdit {
        name: name.map(Box::from),
        unique_name: false,
        class: None,
        text: content.map(Box::from),
        signature: None,
        position: None,
        remark: remark.map(Box::from),
        details: (details != before).then(|| with_own_details(old, &details)),
        then: Then::Submit,
    })
}

/// What looks like a placeholder must be one: it would be sent as it stands.
fn check_placeholders(text: &str) -> Result<(), ApiError> {
    let found = unread_placeholder(text);
    found.map_or(Ok(()), |_| Err(ApiError::Placeholder))
}

fn content<'m>(params: &'m Members<'_>, chars_max: usize) -> Result<Option<&'m str>, ApiError> {
    match bounded(params, "Template", chars_max)? {
        Some(content) if content.trim().is_empty() => Err(ApiError::Value("Template")),
        content => Ok(content),
    }
}

/// Details with what a request says of them; what it does not name stays.
fn edited(params: &Members<'_>, mut details: Details) -> Result<Details, ApiError> {
    let texts = [
        ("Instruction", &mut details.instruction),
        ("BrevityCode", &mut details.brevity_code),
        ("VariableAttr", &mut details.variable_attr),
        ("UnsubscribeInfo", &mut details.unsubscribe_info),
    ];
    for (name, kept) in texts {
        if let Some(given) = bounded(params, name, OTHER_CHARS_MAX)? {
            given.clone_into(kept);
        }
    }
    if let Some(international) = flag(params, "International")? {
        details.international = international;
    }
    if let Some(tags) = tags(params)? {
        details.tags = tags;
    }
    Ok(details)
}

/// A list of whole numbers; REST's try-it form shows it as a JSON text (contract section 3.1).
fn tags(params: &Members<'_>) -> Result<Option<Vec<i64>>, ApiError> {
    const NAME: &str = "Tags";
    let number = |node: &Node<'_>| node.as_text().and_then(|text| text.parse::<i64>().ok());
    let list: Option<Vec<i64>> = match params.get(NAME) {
        None => return Ok(None),
        Some(Node::List(list)) => list.iter().map(number).collect(),
        Some(Node::Text(text)) if text.trim_ascii_start().starts_with('[') => serde_json::from_str(text).ok(),
        Some(one) => number(one).map(|one| vec![one]),
    };
    match list.ok_or(ApiError::Shape(NAME))? {
        list if list.len() > TAGS_MAX => Err(ApiError::Value(NAME)),
        list => Ok(Some(list)),
    }
}

/// `Purpose` (contract section 6).
pub(super) const fn class_of(purpose: i64) -> Option<Class> {
    match purpose {
        1 => Some(Class::Otp),
        2 => Some(Class::Notice),
        3 => Some(Class::Marketing),
        _ => None,
    }
}

const fn purpose_of(class: Class) -> u8 {
    match class {
        Class::Otp => 1,
        Class::Notice => 2,
        Class::Marketing => 3,
    }
}

/// `Status` of templates and signatures (contract section 4.6). Waiting for a review and being reviewed are one
/// here, so that 1 does not occur.
pub(super) const fn status_of(review: Review) -> u8 {
    match review {
        Review::Draft | Review::Submitted => 0,
        Review::Approved => 2,
        Review::Rejected => 3,
        Review::Disabled => 4,
    }
}

/// The `OutTemplate` of all three wires.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct OutTemplate<'a> {
    template_id: &'a str,
    purpose: u8,
    template_name: &'a str,
    template: &'a str,
    status: u8,
    remark: &'a str,
    err_desc: &'a str,
    create_time: i64,
    instruction: String,
    /// UCloud only.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsubscribe_info: Option<String>,
    /// uSpeedo only.
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Vec<Attribute>>,
    /// uSpeedo only.
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<i64>>,
}

/// What a variable is.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Attribute {
    variable: String,
    attribute: String,
    default: String,
}

fn out<'t>(context: &RequestContext, template: &'t Template) -> OutTemplate<'t> {
    let details: Details = own_details(&template.details);
    let uspeedo = context.dialect != Dialect::Ucloud;
    OutTemplate {
        template_id: &template.ut_id,
        purpose: purpose_of(template.class),
        template_name: &template.name,
        template: &template.text,
        status: status_of(template.review),
        remark: &template.remark,
        err_desc: &template.reason,
        create_time: template.created_at / 1000,
        instruction: details.instruction,
        unsubscribe_info: (!uspeedo).then_some(details.unsubscribe_info),
        // The form of `VariableAttr` is not documented: returned when it is a list of these objects.
        attributes: uspeedo.then(|| serde_json::from_str(&details.variable_attr).unwrap_or_default()),
        tags: uspeedo.then_some(details.tags),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Created<'a> {
    template_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Found<T> {
    data: T,
}

/// `CreateUSMSTemplate`, `POST USMSTemplate`
pub(super) async fn create(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    let new = parse_new(request.params, request.context.dialect)?;
    let template = request
        .engine()
        .add_template(request.caller.account, new)
        .await
        .map_err(|error| refused(request.context, &error, Thing::Template))?;
    Ok(done(
        request.context,
        &Created {
            template_id: &template.ut_id,
        },
    ))
}

/// `QueryUSMSTemplate`: one template at UCloud, several at uSpeedo.
pub(super) fn query(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    check_account_id(request.params)?;
    let ids_max = match request.context.dialect {
        Dialect::Ucloud => 1,
        _ => request.api.limits.sessions_per_query_max,
    };
    let ids = texts(request.params, "TemplateId", ids_max)?;
    show(request, &ids)
}

/// Templates by their ids. Those that are not there are left out, but one must be there.
pub(super) fn show(request: ActionRequest<'_>, ids: &[String]) -> Result<Vec<u8>, ApiError> {
    let catalog = request.engine().catalog();
    let found: Vec<_> = ids
        .iter()
        .filter_map(|id| catalog.template_by_ut_id(request.caller.account, id))
        .map(|entry| out(request.context, &entry.template))
        .collect();
    let Some(first) = found.first() else {
        return Err(ApiError::Unknown(Thing::Template));
    };
    Ok(match request.context.dialect {
        // UCloud's clients decode one object, uSpeedo's a list (contract sections 3.2 and 3.3).
        Dialect::Ucloud => done(request.context, &Found { data: first }),
        _ => done(request.context, &Found { data: &found }),
    })
}

/// `UpdateUSMSTemplate`
pub(super) async fn update(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    let id = required(request.params, "TemplateId")?;
    change(request, id).await
}

/// Changes the template of an id.
pub(super) async fn change(request: ActionRequest<'_>, id: &str) -> Result<Vec<u8>, ApiError> {
    let catalog = request.engine().catalog();
    let account = request.caller.account;
    let template = catalog
        .template_by_ut_id(account, id)
        .map(|entry| &entry.template);
    // Errors of the request take precedence over errors of the template.
    let details = template.map_or(&Value::Null, |template| &template.details);
    let edit = parse_edit(request.params, request.context.dialect, details)?;
    // A text of before stays as it is.
    if let Some(text) = &edit.text
        && template.is_none_or(|template| template.text != *text)
    {
        check_placeholders(text)?;
    }
    let number = template.ok_or(ApiError::Unknown(Thing::Template))?.number;
    request
        .engine()
        .change_template(account, number, edit)
        .await
        .map_err(|error| refused(request.context, &error, Thing::Template))?;
    Ok(done(request.context, &()))
}

/// `DeleteUSMSTemplate`
pub(super) async fn delete(request: ActionRequest<'_>) -> Result<Vec<u8>, ApiError> {
    check_account_id(request.params)?;
    let ids = texts(
        request.params,
        "TemplateIds",
        request.api.limits.sessions_per_query_max,
    )?;
    remove(request, &ids).await
}

/// Removes the templates of these ids, all or none.
pub(super) async fn remove(request: ActionRequest<'_>, ids: &[String]) -> Result<Vec<u8>, ApiError> {
    let account = request.caller.account;
    let catalog = request.engine().catalog();
    let numbers: Option<Vec<i64>> = ids
        .iter()
        .map(|id| Some(catalog.template_by_ut_id(account, id)?.template.number))
        .collect();
    let mut numbers = numbers.ok_or(ApiError::Unknown(Thing::Template))?;
    numbers.sort_unstable();
    numbers.dedup();
    request
        .engine()
        .remove_templates(account, &numbers)
        .await
        .map_err(|error| refused(request.context, &error, Thing::Template))?;
    Ok(done(request.context, &()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const DIALECTS: [Dialect; 3] = [Dialect::UspeedoRest, Dialect::UspeedoAction, Dialect::Ucloud];

    fn read<T>(body: &Value, read: impl Fn(&Members<'_>) -> T) -> T {
        let body = body.to_string();
        read(&Members::from_json(body.as_bytes(), 1 << 20).unwrap())
    }

    #[test]
    fn others_details_are_left_as_they_are() {
        let details = json!({"hook": {"a": 1}, "usms": {"Instruction": "old", "Tags": [3]}});
        let edit = json!({"TemplateName": "n", "Instruction": "new"});
        let edit = read(&edit, |params| parse_edit(params, Dialect::Ucloud, &details)).unwrap();
        assert_eq!(
            edit.details,
            Some(json!({"hook": {"a": 1}, "usms": {"Instruction": "new", "Tags": [3]}}))
        );
        let rename = json!({"TemplateName": "n", "Tags": []});
        let rename = read(&rename, |params| {
            parse_edit(params, Dialect::UspeedoAction, &details)
        })
        .unwrap();
        assert_eq!((rename.details, rename.text), (None, None));
        let own: Details = own_details(&json!({"usms": "not ours"}));
        assert_eq!(own, Details::default());
    }

    #[test]
    fn the_vendors_numbers_stand_for_classes_and_reviews() {
        for (purpose, class) in [(1, Class::Otp), (2, Class::Notice), (3, Class::Marketing)] {
            assert_eq!(class_of(purpose), Some(class));
            assert_eq!(i64::from(purpose_of(class)), purpose);
        }
        let statuses = [
            Review::Draft,
            Review::Submitted,
            Review::Approved,
            Review::Rejected,
            Review::Disabled,
        ];
        assert_eq!(statuses.map(status_of), [0, 0, 2, 3, 4]);
    }

    proptest! {
        #[test]
        fn whatever_is_made_fits_its_bounds_and_changes_back(
            purpose in -1_i64..6, name in ".{0,40}", text in ".{0,40}", tags in prop::collection::vec(any::<i64>(), 0..120),
            opt_out in ".{0,4}", international in any::<bool>(),
        ) {
            let body = json!({"Purpose": purpose, "TemplateName": name, "Template": text, "Tags": tags,
                "UnsubscribeInfo": opt_out, "International": international});
            for dialect in DIALECTS {
                let Ok(new) = read(&body, |params| parse_new(params, dialect)) else { continue };
                prop_assert!((1..=3).contains(&purpose) && tags.len() <= TAGS_MAX);
                prop_assert!((1..=NAME_CHARS_MAX).contains(&new.name.chars().count()) && !new.text.trim().is_empty());
                let explains_opt_out = international || !opt_out.is_empty();
                prop_assert!(dialect != Dialect::Ucloud || purpose != 3 || explains_opt_out);
                let edit = read(&body, |params| parse_edit(params, dialect, &new.details)).unwrap();
                prop_assert_eq!((edit.details, edit.text), (None, Some(new.text)));
            }
        }

        #[test]
        fn reading_never_panics(text in ".{0,20}", number in any::<i64>()) {
            for value in [json!(text), json!(number), json!([text]), json!({"a": text}), json!(format!("[{text}]"))] {
                let mut body = json!({"Purpose": 1, "TemplateName": "n", "Template": "t"});
                for name in ["Purpose", "TemplateName", "Template", "Remark", "Tags", "International", "VariableAttr"] {
                    body[name] = value.clone();
                    let _ = read(&body, |params| parse_new(params, Dialect::Ucloud));
                    let _ = read(&body, |params| parse_edit(params, Dialect::UspeedoRest, &value));
                }
            }
        }
    }
}
