//! SendCloud's contact lists and the tasks that send to them, from the client's side.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::task::JoinSet;

use super::demo::{Demo, Template};
use super::dialect::sendcloud::write_form;
use super::dialect::write_request;
use super::number;
use super::status::{SENDCLOUD_NUMBERS, Standings, StatusError, of_numbers};
use super::wire::{Wire, WireError};

/// Members of one call.
const MEMBERS_A_CALL: u64 = 100;

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// It has not begun.
    Waiting,
    /// It is sending.
    Running,
    /// It has sent to all.
    Done,
    /// It has ended otherwise.
    Failed,
}

/// The status of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its number.
    pub id: u64,
    /// Members it is to send to.
    pub members: u64,
    /// How far it is.
    pub state: TaskState,
}

/// What an account's messages of today and yesterday come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Messages that a status query finds.
    pub found: u64,
    /// Messages that the statistics count.
    pub requested: u64,
    /// Of these, delivered.
    pub delivered: u64,
    /// Of these, failed, before or after they left.
    pub failed: u64,
}

/// The account's side of a connection.
#[derive(Debug)]
pub struct Contacts {
    demo: Demo,
    wire: Option<Wire>,
}

impl Contacts {
    /// For an account; nothing is connected yet.
    #[must_use]
    pub const fn new(demo: Demo) -> Self {
        Self { demo, wire: None }
    }

    /// Makes a list.
    ///
    /// # Errors
    /// [`StatusError`] if it is not answered as documented.
    pub async fn make_list(&mut self, name: &str) -> Result<(), StatusError> {
        self.call("/smsapi/smsContactList/save", &[("contactListName", name)])
            .await
            .map(drop)
    }

    /// Puts the recipients of `count` places from `first` on into a list, 100 at most.
    ///
    /// # Errors
    /// [`StatusError`] if it is not answered as documented.
    async fn put(&mut self, list: &str, first: u64, count: u64) -> Result<(), StatusError> {
        let phones: Vec<String> = (first..first + count)
            .map(|place| format!("+{}", number(place)))
            .collect();
        let phones = phones.join(";");
        let parameters = [("contactListName", list), ("phones", phones.as_str())];
        self.call("/smsapi/smsContactListMember/batchSaveOrUpdate", &parameters)
            .await
            .map(drop)
    }

    /// Begins to send a template to all members of a list.
    ///
    /// # Errors
    /// [`StatusError`] if it is not answered as documented.
    pub async fn begin_task(&mut self, list: &str, template: &Template) -> Result<Task, StatusError> {
        let template = template.number.to_string();
        let parameters = [
            ("contactListName", list),
            ("taskName", list),
            ("templateId", template.as_str()),
        ];
        let info = self.call("/smsapi/sendContactListTask", &parameters).await?;
        read_task(&info)
    }

    /// How far a task is.
    ///
    /// # Errors
    /// [`StatusError`] if it is not answered as documented.
    pub async fn task(&mut self, id: u64) -> Result<Task, StatusError> {
        let id = id.to_string();
        let info = self
            .call("/smsapi/queryContactListTask", &[("taskId", id.as_str())])
            .await?;
        read_task(&info)
    }

    /// What the account's messages of today and yesterday come to, by status query and by statistics.
    ///
    /// # Errors
    /// [`StatusError`] if it is not answered as documented.
    pub async fn counted(&mut self) -> Result<Counted, StatusError> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(deserialize_with = "number_in_text")]
            total: u64,
        }
        #[derive(Deserialize)]
        struct Days {
            total: Day,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Day {
            #[serde(deserialize_with = "number_in_text")]
            request_num: u64,
            #[serde(deserialize_with = "number_in_text")]
            send_num: u64,
            #[serde(deserialize_with = "number_in_text")]
            process_failed_num: u64,
            #[serde(deserialize_with = "number_in_text")]
            send_failed_num: u64,
        }
        let info = self
            .call("/smsapi/status/query", &[("days", "2"), ("limit", "0")])
            .await?;
        let found: Found = understand(&info)?;
        let info = self
            .call("/smsapi/data/sendDay", &[("aggregate", "1"), ("days", "2")])
            .await?;
        let Days { total: day } = understand(&info)?;
        Ok(Counted {
            found: found.total,
            requested: day.request_num,
            delivered: day.send_num,
            failed: day.process_failed_num + day.send_failed_num,
        })
    }

    /// What became of messages to numbers.
    ///
    /// # Errors
    /// [`StatusError`] if it is not answered as documented.
    pub async fn standings(&mut self, numbers: &[u64]) -> Result<Standings, StatusError> {
        let mut standings = Standings::new();
        for numbers in numbers.chunks(SENDCLOUD_NUMBERS) {
            let mut wire = self.wire().await?;
            of_numbers(&mut wire, &self.demo, numbers, &[("days", "2")], &mut standings).await?;
            self.wire = Some(wire);
        }
        Ok(standings)
    }

    /// Makes a signed call; what its answer says in `info`.
    async fn call(&mut self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, StatusError> {
        let mut sorted = parameters.to_vec();
        sorted.push(("smsUser", self.demo.sendcloud.sms_user.as_str()));
        sorted.sort_unstable();
        let (mut body, mut request) = (Vec::new(), Vec::new());
        write_form(&sorted, &self.demo.sendcloud.sms_key, &mut body);
        write_request(
            path,
            "Content-Type: application/x-www-form-urlencoded\r\n",
            &body,
            &mut request,
        );
        let mut wire = self.wire().await?;
        let exchange = wire.exchange(&request).await?;
        let info = read(exchange.status, exchange.body);
        self.wire = Some(wire);
        info
    }

    /// The connection that was used last, or another one.
    async fn wire(&mut self) -> Result<Wire, WireError> {
        match self.wire.take().filter(|wire| !wire.is_closing()) {
            Some(wire) => Ok(wire),
            None => Wire::connect(&self.demo.base_url, TIMEOUT).await,
        }
    }
}

/// Fills a list with the recipients of `count` places from `first` on, over several connections; how long it took.
///
/// # Errors
/// [`StatusError`] of the first call that is not answered as documented.
pub async fn fill_list(
    demo: &Demo,
    list: &str,
    first: u64,
    count: u64,
    connections: usize,
) -> Result<Duration, StatusError> {
    let began = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..connections.max(1) {
        let (next, list) = (Arc::clone(&next), list.to_owned());
        let mut contacts = Contacts::new(demo.clone());
        callers.spawn(async move {
            loop {
                let done = next.fetch_add(MEMBERS_A_CALL, Ordering::Relaxed);
                if done >= count {
                    return Ok(());
                }
                contacts
                    .put(&list, first + done, MEMBERS_A_CALL.min(count - done))
                    .await?;
            }
        });
    }
    while let Some(called) = callers.join_next().await {
        called.unwrap_or_else(|error| {
            Err(StatusError::Answer {
                status: 0,
                body: error.to_string(),
            })
        })?;
    }
    Ok(began.elapsed())
}

/// Business answers are HTTP 200 with a code inside: 200 is good.
fn read(status: u16, body: &[u8]) -> Result<Value, StatusError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Envelope {
        status_code: u32,
        info: Value,
    }
    match serde_json::from_slice(body) {
        Ok(Envelope {
            status_code: 200,
            info,
        }) => Ok(info),
        _ => {
            let beginning = String::from_utf8_lossy(body.get(..200).unwrap_or(body));
            Err(StatusError::Answer {
                status,
                body: beginning.into_owned(),
            })
        }
    }
}

fn understand<'a, T: Deserialize<'a>>(info: &'a Value) -> Result<T, StatusError> {
    T::deserialize(info).map_err(|error| StatusError::Answer {
        status: 200,
        body: format!("{error}: {info}"),
    })
}

fn read_task(info: &Value) -> Result<Task, StatusError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Info<'a> {
        #[serde(borrow)]
        sms_task: Vo<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Vo<'a> {
        task_id: u64,
        member_count: u64,
        #[serde(borrow)]
        status: Cow<'a, str>,
    }
    let Info { sms_task: vo } = understand(info)?;
    let state = match vo.status.as_ref() {
        "等待执行" => TaskState::Waiting,
        "执行中" => TaskState::Running,
        "执行成功" => TaskState::Done,
        "执行失败" => TaskState::Failed,
        other => {
            return Err(StatusError::Answer {
                status: 200,
                body: format!("unknown status of a task: {other}"),
            });
        }
    };
    Ok(Task {
        id: vo.task_id,
        members: vo.member_count,
        state,
    })
}

/// SendCloud writes some numbers as text.
fn number_in_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn only_code_200_is_good() {
        let good = r#"{"result":true,"statusCode":200,"message":"x","info":{"a":1}}"#;
        assert_eq!(read(200, good.as_bytes()).unwrap(), json!({ "a": 1 }));
        for bad in [
            r#"{"result":false,"statusCode":451,"message":"x","info":{}}"#,
            "",
            "<html>",
        ] {
            assert!(read(200, bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_task_is_read_in_each_of_its_states() {
        for (word, state) in [
            ("等待执行", Some(TaskState::Waiting)),
            ("执行中", Some(TaskState::Running)),
            ("执行成功", Some(TaskState::Done)),
            ("执行失败", Some(TaskState::Failed)),
            ("?", None),
        ] {
            let info = json!({ "smsTask": { "taskId": 7, "memberCount": 1000, "status": word } });
            let expected = state.map(|state| Task {
                id: 7,
                members: 1000,
                state,
            });
            assert_eq!(read_task(&info).ok(), expected, "{word}");
        }
        assert!(read_task(&json!({})).is_err());
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(status: u16, body: Vec<u8>) {
            if let Ok(info) = read(status, &body) {
                let _ = read_task(&info);
            }
        }
    }
}
