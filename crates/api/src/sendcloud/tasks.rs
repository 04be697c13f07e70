//! Sends to contact lists: `/smsapi/sendContactListTask`, `queryContactListTask`
//! (docs/dialects/sendcloud.md). The only interface that sends later.

use super::codes::{
    ApiError, EXECUTE_TIME_FORMAT, EXECUTE_TIME_PAST, FOUND, FULL, HEADER_KEY, LIST_UNKNOWN, PARAMETER_EMPTY,
    SERVER_ERROR, TASK_SAVED, TASK_UNKNOWN, TEMPLATE_EMPTY, TEMPLATE_UNKNOWN, TOO_MANY_ENTRIES,
};
use super::contacts::{list_name, named};
use super::display_texts;
use super::fields::{self, ENTRIES_MAX, LIST_GRAMMAR};
use super::local;
use super::manage::{Call, done, store_failed};
use super::params::Params;
use super::rules::{code_of, code_of_error, rules};
use crate::idempotency;
use engine::accept::{SignatureRef, TemplateRef};
use engine::sms::class::Kind;
use engine::task::{AddedTask, TaskError, TaskIdempotency, TaskRequest};
use engine::{Dialect, Task, TaskState, UnixMs};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The space of `Idempotency-Key`s of tasks: what is recorded with one is no answer to a send.
const SCOPE_HEADER: &str = "sendcloud-task-header";
/// Longest `taskName` and `senderName` in characters. No source has a limit; chosen.
const NAME_CHARS_MAX: usize = 100;

/// The parameters of a new task.
#[derive(Debug, PartialEq, Eq)]
pub struct TaskFields<'a> {
    /// Lists by name, each once.
    lists: Vec<&'a str>,
    name: &'a str,
    sender: Option<&'a str>,
    template: i64,
    label: i64,
    due: Option<UnixMs>,
}

impl<'a> TaskFields<'a> {
    /// Reads `sendContactListTask` at a moment.
    ///
    /// # Errors
    /// 441, 417, 433, 431, 451, 452.
    pub fn read(params: &'a Params<'_>, now: UnixMs) -> Result<Self, ApiError> {
        let template = params.get("templateId").ok_or(&TEMPLATE_EMPTY)?;
        let template = template
            .parse()
            .ok()
            .filter(|number: &i64| *number > 0)
            .ok_or(&TEMPLATE_UNKNOWN)?;
        Ok(Self {
            lists: lists(params)?,
            name: fields::required_name(params, "taskName", NAME_CHARS_MAX)?,
            sender: fields::name(params, "senderName", NAME_CHARS_MAX)?,
            template,
            // As with send: a label only sorts statistics.
            label: params
                .get("labelId")
                .and_then(|label| label.parse().ok())
                .unwrap_or(0),
            due: params.get("executeTime").map(|at| due(at, now)).transpose()?,
        })
    }
}

/// Lists between semicolons.
fn lists<'a>(params: &'a Params<'_>) -> Result<Vec<&'a str>, ApiError> {
    let names = list_name(params).unwrap_or_default().split(';').map(str::trim);
    let mut lists: Vec<&str> = Vec::new();
    for name in names.filter(|name| !name.is_empty()) {
        if lists.contains(&name) {
            continue;
        }
        if lists.len() == ENTRIES_MAX {
            return Err(ApiError::with_limit_of(
                &TOO_MANY_ENTRIES,
                "contactListName",
                ENTRIES_MAX,
            ));
        }
        lists.push(name);
    }
    if lists.is_empty() {
        return Err(ApiError::with_name(&PARAMETER_EMPTY, "contactListName"));
    }
    Ok(lists)
}

/// `executeTime` has no milliseconds: the present second is not past.
fn due(written: &str, now: UnixMs) -> Result<UnixMs, ApiError> {
    let at = local::read_moment(written).ok_or(&EXECUTE_TIME_FORMAT)?;
    if at < now - now.rem_euclid(1000) {
        return Err(ApiError::from(&EXECUTE_TIME_PAST));
    }
    Ok(at)
}

/// Parameters that task queries return, stored in the task's name.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Names {
    task: Box<str>,
    sender: Box<str>,
    lists: Box<str>,
}

impl Names {
    fn write(&self) -> Result<Box<str>, ApiError> {
        match serde_json::to_string(self) {
            Ok(names) => Ok(names.into()),
            Err(_) => Err(ApiError::from(&SERVER_ERROR)),
        }
    }

    /// Of a request; tasks of other dialects have a plain name.
    fn of(request: &TaskRequest) -> Self {
        serde_json::from_str(&request.name).unwrap_or_else(|_| Self {
            task: request.name.clone(),
            sender: Box::default(),
            lists: Box::default(),
        })
    }
}

/// `sendContactListTask`: to all members the lists have now.
pub(super) async fn send(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let given = TaskFields::read(call.params, call.now)?;
    let mut lists = Vec::with_capacity(given.lists.len());
    for name in &given.lists {
        lists.push(named(call, name).await?.id);
    }
    let names = Names {
        task: given.name.into(),
        sender: given.sender.unwrap_or_default().into(),
        lists: given.lists.join(";").into(),
    };
    let request = TaskRequest {
        dialect: Dialect::Sendcloud,
        user: call.caller.sms_user.into(),
        name: names.write()?,
        template: TemplateRef::Number(given.template),
        sender: None,
        signature: SignatureRef::OfTemplate,
        label: given.label,
        kind: Kind::Text,
        custom: None,
        rules: rules(LIST_GRAMMAR),
    };
    let key = idempotency::key(call.headers).map_err(|_| &HEADER_KEY)?;
    let reported = Arc::new(move |task: &Task| {
        let info = One {
            sms_task: Vo::of(task, &names, given.template, None),
        };
        done(&TASK_SAVED, info, 1)
    });
    // Made twice, a task sends to a whole list twice.
    let once = key.map(|key| {
        let reported = Arc::clone(&reported);
        TaskIdempotency {
            scope: SCOPE_HEADER,
            key: format!("{}\n{key}", call.caller.sms_user).into_boxed_str(),
            keep_ms: i64::from(call.api.limits.request_id_keep_s) * 1000,
            reply: Box::new(move |task| reported(task)),
        }
    });
    let made = call
        .engine()
        .add_task(call.account(), request, lists, given.due, None, once);
    match made.await.map_err(|error| refused(&error))? {
        AddedTask::New(task) => Ok(reported(&task)),
        AddedTask::Repeat { answer, .. } => Ok(answer),
    }
}

/// `queryContactListTask`: how far it is.
pub(super) async fn query(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let id = fields::required(call.params, "taskId")?
        .parse()
        .map_err(|_| &TASK_UNKNOWN)?;
    let found = call
        .engine()
        .task(call.account(), id)
        .await
        .map_err(|error| store_failed(&error))?;
    let task = found.ok_or(&TASK_UNKNOWN)?;
    let request = TaskRequest::of(&task).ok_or(&TASK_UNKNOWN)?;
    let names = Names::of(&request);
    let info = One {
        sms_task: Vo::of(
            &task,
            &names,
            template_of(&request),
            Some(request.label.to_string()),
        ),
    };
    Ok(done(&FOUND, info, 1))
}

fn template_of(request: &TaskRequest) -> i64 {
    match &request.template {
        TemplateRef::Number(number) => *number,
        TemplateRef::Pinned(frozen) => frozen.number,
        _ => 0,
    }
}

fn refused(error: &TaskError) -> ApiError {
    let code = match error {
        TaskError::Account(error) => code_of_error(error),
        TaskError::Refused(refusal) => code_of(*refusal),
        TaskError::NoList => &LIST_UNKNOWN,
        TaskError::TooMany => &FULL,
        _ => &SERVER_ERROR,
    };
    if *code == SERVER_ERROR {
        tracing::warn!(dialect = "sendcloud", %error, "task not created");
    }
    ApiError::from(code)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    sms_task: Vo<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Vo<'a> {
    task_id: i64,
    contact_list_name: &'a str,
    task_name: &'a str,
    sender_name: &'a str,
    template_id: i64,
    member_count: u64,
    status: &'static str,
    create_time: String,
    /// Empty until it has ended.
    end_time: String,
    /// Only in responses to queries, as a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    label_id: Option<String>,
}

impl<'a> Vo<'a> {
    fn of(task: &Task, names: &'a Names, template: i64, label: Option<String>) -> Self {
        Self {
            task_id: task.id,
            contact_list_name: &names.lists,
            task_name: &names.task,
            sender_name: &names.sender,
            template_id: template,
            member_count: task.members,
            status: match task.state {
                TaskState::Waiting => display_texts::TASK_WAITING.text(),
                TaskState::Running => display_texts::TASK_RUNNING.text(),
                TaskState::Done => display_texts::TASK_DONE.text(),
                TaskState::Failed | TaskState::Cancelled => display_texts::TASK_FAILED.text(),
            },
            create_time: local::moment(task.created_at),
            end_time: task.ended_at.map(local::moment).unwrap_or_default(),
            label_id: label,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22 00:30:00.500 in China.
    const NOW: UnixMs = 1_795_278_600_500;
    const GOOD: &str = "contactListName=a&taskName=t&templateId=1001";

    fn read(query: &str) -> Result<(Vec<String>, Option<UnixMs>), u32> {
        let params = Params::read(Some(query), b"").unwrap();
        TaskFields::read(&params, NOW)
            .map(|given| {
                (
                    given.lists.iter().map(|list| (*list).to_owned()).collect(),
                    given.due,
                )
            })
            .map_err(|refused| refused.code.code)
    }

    #[test]
    fn tasks_are_refused_parameter_by_parameter() {
        let many = |count: usize| {
            let names: Vec<_> = (0..count).map(|n| format!("l{n}")).collect();
            format!("contactListName={}&taskName=t&templateId=1001", names.join("%3B"))
        };
        for (query, expected) in [
            (GOOD, 200),
            ("contactName=a&taskName=t&templateId=1001", 200),
            ("taskName=t&templateId=1001", 441),
            ("contactListName=%3B%3B&taskName=t&templateId=1001", 441),
            ("contactListName=a&templateId=1001", 441),
            ("contactListName=a&taskName=t", 433),
            ("contactListName=a&taskName=t&templateId=x", 431),
            ("contactListName=a&taskName=t&templateId=-3", 431),
            (&*many(100), 200),
            (&*many(101), 441),
            (&format!("{GOOD}&senderName=s&labelId=9"), 200),
            (&format!("{GOOD}&senderName={}", "s".repeat(101)), 417),
            (&format!("{GOOD}&executeTime=2026-11-22+00:30:00"), 200),
            (&format!("{GOOD}&executeTime=2026-11-22%2000:30:01"), 200),
            (&format!("{GOOD}&executeTime=2026-11-22+00:29:59"), 452),
            (&format!("{GOOD}&executeTime=2026-11-22"), 451),
            (&format!("{GOOD}&executeTime=soon"), 451),
        ] {
            assert_eq!(
                read(query).map_or_else(|code| code, |_| 200),
                expected,
                "{query:.90}"
            );
        }
    }

    #[test]
    fn lists_stand_between_semicolons_each_once() {
        let (lists, due) = read("contactListName=a%3B%20b%20%3Ba%3Bc,d&taskName=t&templateId=1").unwrap();
        assert_eq!(lists, ["a", "b", "c,d"]);
        assert_eq!(due, None);
        let (_, due) = read(&format!("{GOOD}&executeTime=2026-11-22+08:00:00")).unwrap();
        assert_eq!(due, Some(1_795_305_600_000));
    }

    #[test]
    fn states_have_the_pages_words() {
        let names = Names {
            task: "t".into(),
            sender: Box::default(),
            lists: "a".into(),
        };
        for (state, ended_at, status, end_time) in [
            (TaskState::Waiting, None, "等待执行", ""),
            (TaskState::Running, None, "执行中", ""),
            (TaskState::Done, Some(NOW), "执行成功", "2026-11-22 00:30:00"),
            (TaskState::Failed, Some(NOW), "执行失败", "2026-11-22 00:30:00"),
            (TaskState::Cancelled, Some(NOW), "执行失败", "2026-11-22 00:30:00"),
        ] {
            let task = Task {
                ends_at: None,
                id: 1,
                account: engine::AccountId(1),
                request: "{}".into(),
                lists: vec![1],
                members: 1,
                last_contact: 1,
                due: NOW,
                state,
                progress: engine::TaskProgress::default(),
                error: Box::default(),
                created_at: NOW,
                ended_at,
            };
            let reported = Vo::of(&task, &names, 1001, None);
            assert_eq!(
                (reported.status, &*reported.end_time),
                (status, end_time),
                "{state:?}"
            );
        }
    }

    #[test]
    fn names_read_back_from_a_request() {
        let names = Names {
            task: "t \"quoted\"".into(),
            sender: "s".into(),
            lists: "a;b".into(),
        };
        let mut request = TaskRequest {
            dialect: Dialect::Sendcloud,
            user: "demo_user".into(),
            name: names.write().unwrap(),
            template: TemplateRef::Number(1001),
            sender: None,
            signature: SignatureRef::OfTemplate,
            label: 0,
            kind: Kind::Text,
            custom: None,
            rules: rules(LIST_GRAMMAR),
        };
        assert_eq!(Names::of(&request), names);
        request.name = "plain".into();
        assert_eq!(&*Names::of(&request).task, "plain");
    }
}
