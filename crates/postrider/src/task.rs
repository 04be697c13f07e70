//! `postrider task`: sends to contact lists, their progress, and their cancellation.

use crate::control::{NodeCommand, carry_out};
use crate::exit::Failure;
use crate::logging;
use crate::number;
use crate::open::{Look, Place};
use crate::review::{account_name, account_named};
use crate::table::{Table, sanitize_for_terminal};
use crate::when;
use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use engine::task::TaskRequest;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::io::Write;
use store::{Catalog, Contacts, Store, Task, TaskState};

/// Tasks that are listed.
const TASKS_MAX: usize = 10_000;
/// Contact lists of an account that are read for their names.
const LISTS_MAX: usize = 10_000;

/// Lists, shows, ends and cancels tasks: sends to contact lists that accounts created over an API
#[derive(Args, Clone, Debug)]
pub(crate) struct TaskArgs {
    #[command(subcommand)]
    command: TaskCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum TaskCommand {
    /// Lists scheduled and running tasks, or all
    List(ListArgs),
    /// Shows a task: its text, its contact lists, its progress
    Show(ShowArgs),
    /// Sets the end of a task: later members are not sent to, and messages that it accepts from now on expire at that time
    End(EndArgs),
    /// Cancels a task: further members are not sent to; accepted messages are still sent
    Cancel(CancelArgs),
}

#[derive(Args, Clone, Debug)]
struct ListArgs {
    /// Only those of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Also ended tasks: the newest 10000 of all, newest first
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    look: Look,
}

#[derive(Args, Clone, Debug)]
struct ShowArgs {
    /// Number of the task
    #[arg(value_parser = number::whole::<i64>)]
    no: i64,
    #[command(flatten)]
    look: Look,
}

#[derive(Args, Clone, Debug)]
struct CancelArgs {
    /// Number of the task
    #[arg(value_parser = number::whole::<i64>)]
    no: i64,
    #[command(flatten)]
    place: Place,
}

#[derive(Args, Clone, Debug)]
struct EndArgs {
    /// Number of the task
    #[arg(value_parser = number::whole::<i64>)]
    no: i64,
    /// End: 2026-11-30T18:00:00Z, a local "2026-11-30 18:00", or a time from now: 90s, 30m, 2h, 7d
    #[arg(long, value_name = "TIME", required_unless_present = "none")]
    at: Option<String>,
    /// Remove the end: the task runs until all members were sent to
    #[arg(long, conflicts_with = "at")]
    none: bool,
    #[command(flatten)]
    place: Place,
}

/// Runs the subcommand.
pub(crate) async fn run(args: &TaskArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    match &args.command {
        TaskCommand::List(args) => list(args, out).await,
        TaskCommand::Show(args) => show(args, out).await,
        TaskCommand::End(args) => end(args, out).await,
        TaskCommand::Cancel(args) => cancel(args, out).await,
    }
}

async fn list(args: &ListArgs, out: &mut impl Write) -> Result<(), Failure> {
    let store = args.look.open().await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    if let Some(name) = &args.account {
        account_named(&catalog, name).map_err(Failure::bad_input)?;
    }
    let tasks = match args.all {
        true => store.tasks(None, TASKS_MAX).await,
        false => store.open_tasks(TASKS_MAX).await,
    };
    let mut tasks = tasks.context("read the tasks")?;
    store.close().await.context("close the store")?;
    if let Some(name) = &args.account {
        tasks.retain(|task| account_name(&catalog, task.account) == *name);
    }
    if args.look.json {
        let tasks: Vec<Value> = tasks.iter().map(|task| to_json(&catalog, task)).collect();
        let document = json!({ "tasks": tasks });
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        return Ok(());
    }
    let zone = TimeZone::system();
    let mut table = Table::new(&[
        "NO", "ACCOUNT", "STATE", "DUE", "MEMBERS", "ACCEPTED", "REFUSED", "NAME",
    ]);
    for task in &tasks {
        table.row([
            task.id.to_string(),
            account_name(&catalog, task.account),
            name(task.state).to_owned(),
            when::short(task.due, &zone),
            task.members.to_string(),
            task.progress.accepted.to_string(),
            task.progress.refused.to_string(),
            TaskRequest::of(task).as_ref().map(title).unwrap_or_default(),
        ]);
    }
    if table.is_empty() {
        let none = if args.all {
            "no tasks"
        } else {
            "no scheduled or running tasks"
        };
        writeln!(out, "{none}")?;
    } else {
        table.print(out)?;
    }
    Ok(())
}

async fn show(args: &ShowArgs, out: &mut impl Write) -> Result<(), Failure> {
    let store = args.look.open().await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let Some(task) = find(&*store, &catalog, args.no).await? else {
        store.close().await.context("close the store")?;
        writeln!(out, "no such task")?;
        return Err(Failure::found());
    };
    let page = store.lists(task.account, Box::default(), 0, LISTS_MAX).await;
    let lists = page.context("read the contact lists")?.items;
    store.close().await.context("close the store")?;
    if args.look.json {
        writeln!(
            out,
            "{}",
            serde_json::to_string_pretty(&to_json(&catalog, &task))?
        )?;
        return Ok(());
    }
    let named = task.lists.iter().map(|id| {
        let list = lists.iter().find(|list| list.id == *id);
        list.map_or_else(
            || format!("{id} (removed)"),
            |list| format!("{id} ({})", list.name),
        )
    });
    let named: Vec<String> = named.collect();
    Ok(print_task(&catalog, &task, &named.join(", "), out)?)
}

fn print_task(catalog: &Catalog, task: &Task, lists: &str, out: &mut impl Write) -> std::io::Result<()> {
    let zone = TimeZone::system();
    let request = TaskRequest::of(task);
    let of = |read: &dyn Fn(&TaskRequest) -> String| request.as_ref().map(read).unwrap_or_default();
    writeln!(out, "task {}  {}", task.id, name(task.state))?;
    let progress = task.progress;
    let lines = [
        ("account", account_name(catalog, task.account)),
        ("name", of(&title)),
        ("text", of(&text)),
        ("lists", lists.to_owned()),
        ("due", when::short(task.due, &zone)),
        (
            "ends",
            task.ends_at.map(|at| when::short(at, &zone)).unwrap_or_default(),
        ),
        ("members", task.members.to_string()),
        ("accepted", progress.accepted.to_string()),
        ("refused", progress.refused.to_string()),
        ("error", task.error.to_string()),
        ("made", when::short(task.created_at, &zone)),
        (
            "ended",
            task.ended_at.map(|at| when::short(at, &zone)).unwrap_or_default(),
        ),
    ];
    for (name, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        writeln!(out, "  {name:<10} {}", sanitize_for_terminal(value))?;
    }
    Ok(())
}

async fn cancel(args: &CancelArgs, out: &mut impl Write) -> Result<(), Failure> {
    let config = args.place.config_of_existing()?;
    let store = crate::open::store(&config, store::sqlite::Mode::Tool).await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let task = find(&*store, &catalog, args.no).await?;
    store.close().await.context("close the store")?;
    let Some(task) = task else {
        return Err(Failure::bad_input(anyhow!("there is no task {}", args.no)));
    };
    let command = NodeCommand::Cancel {
        account: task.account,
        task: task.id,
    };
    if carry_out(&config, &command).await? == 0 {
        return Err(Failure::bad_input(anyhow!("task {} has ended already", args.no)));
    }
    Ok(writeln!(
        out,
        "task {} is cancelled; accepted messages are still sent",
        args.no
    )?)
}

async fn end(args: &EndArgs, out: &mut impl Write) -> Result<(), Failure> {
    let now = jiff::Timestamp::now().as_millisecond();
    let zone = TimeZone::system();
    let ends_at = args.at.as_deref().map(|at| when::read_ahead(at, now, &zone));
    let ends_at = ends_at
        .transpose()
        .map_err(|why| Failure::bad_input(anyhow!("--at: {why}")))?;
    let config = args.place.config_of_existing()?;
    let store = crate::open::store(&config, store::sqlite::Mode::Tool).await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let task = find(&*store, &catalog, args.no).await?;
    store.close().await.context("close the store")?;
    let Some(task) = task else {
        return Err(Failure::bad_input(anyhow!("there is no task {}", args.no)));
    };
    let command = NodeCommand::EndTask {
        account: task.account,
        task: task.id,
        ends_at,
    };
    if carry_out(&config, &command).await? == 0 {
        return Err(Failure::bad_input(anyhow!("task {} has ended already", args.no)));
    }
    let no = args.no;
    match ends_at {
        Some(at) => writeln!(out, "task {no} ends at {}", when::short(at, &zone))?,
        None => writeln!(out, "task {no} has no end")?,
    }
    Ok(())
}

/// A task of any account.
async fn find(store: &dyn Store, catalog: &Catalog, no: i64) -> anyhow::Result<Option<Task>> {
    for account in &catalog.accounts {
        let found = store.task(account.id, no).await.context("read the task")?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The name that the account gave it. An API may have stored more with the name.
fn title(request: &TaskRequest) -> String {
    let kept: Option<Value> = serde_json::from_str(&request.name).ok();
    let name = kept.as_ref().and_then(|kept| kept.get("task")?.as_str());
    name.unwrap_or(&request.name).to_owned()
}

/// The text that it sends, as approved when the task was created.
fn text(request: &TaskRequest) -> String {
    match &request.template {
        engine::accept::TemplateRef::Pinned(frozen) => frozen.international.to_string(),
        _ => String::new(),
    }
}

const fn name(state: TaskState) -> &'static str {
    match state {
        TaskState::Waiting => "waiting",
        TaskState::Running => "running",
        TaskState::Done => "done",
        TaskState::Failed => "failed",
        TaskState::Cancelled => "cancelled",
    }
}

fn to_json(catalog: &Catalog, task: &Task) -> Value {
    let request = TaskRequest::of(task);
    json!({
        "no": task.id,
        "account": account_name(catalog, task.account),
        "name": request.as_ref().map(title),
        "text": request.as_ref().map(text),
        "lists": task.lists,
        "state": name(task.state),
        "due": when::exact(task.due),
        "ends_at": task.ends_at.map(when::exact),
        "members": task.members,
        "accepted": task.progress.accepted,
        "refused": task.progress.refused,
        "error": task.error,
        "created_at": when::exact(task.created_at),
        "ended_at": task.ended_at.map(when::exact),
    })
}
