//! `postrider qualification`: the identity documents that clients of UCloud's API submit for their signatures.

use super::decision::Decision;
use super::{ListArgs, ReasonArgs, ReviewArgs, account_name, account_named, name};
use crate::control::{NodeCommand, carry_out};
use crate::exit::Failure;
use crate::logging;
use crate::open::Look;
use crate::table::{Table, sanitize_for_terminal};
use crate::when;
use anyhow::{Context, anyhow};
use api::uspeedo::files;
use api::uspeedo::qualifications::{Documents, Status, id, read_id};
use clap::{Args, Subcommand};
use engine::catalog::{Catalog, Review};
use engine::clock::{Clock, SystemClock};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use store::{AccountId, Record, RecordFilter, RecordKind, Store, UnixMs};

/// Records read at a time.
const READ_MAX: usize = 1000;

/// Lists, shows and reviews qualifications: the identity documents for signatures, submitted over UCloud's API.
///
/// May be used while a node runs.
#[derive(Args, Clone, Debug)]
pub(crate) struct QualificationArgs {
    #[command(subcommand)]
    command: QualificationCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum QualificationCommand {
    /// Lists qualifications
    List(ListArgs),
    /// Shows a qualification and its documents
    Show(ShowArgs),
    /// Approves submitted qualifications
    Approve(ReviewArgs),
    /// Rejects submitted qualifications: the account may change them and submit them again
    Reject(ReasonArgs),
    /// Disables approved qualifications
    Disable(ReasonArgs),
    /// Enables disabled qualifications
    Enable(ReviewArgs),
}

#[derive(Args, Clone, Debug)]
struct ShowArgs {
    /// Id or number of the qualification
    #[arg(value_name = "ID")]
    id: String,
    /// Also write its documents into this existing directory
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    #[command(flatten)]
    look: Look,
}

/// Runs the subcommand.
pub(crate) async fn run(args: &QualificationArgs, out: &mut impl Write) -> Result<(), Failure> {
    logging::start_for_tool()?;
    match &args.command {
        QualificationCommand::List(args) => list(args, out).await,
        QualificationCommand::Show(args) => show(args, out).await,
        QualificationCommand::Approve(args) => review(args, &Decision::Approve, out).await,
        QualificationCommand::Reject(args) => {
            review(&args.selection, &args.decision(Decision::Reject), out).await
        }
        QualificationCommand::Disable(args) => {
            review(&args.selection, &args.decision(Decision::Disable), out).await
        }
        QualificationCommand::Enable(args) => review(args, &Decision::Enable, out).await,
    }
}

/// A stored qualification.
struct Qualification {
    record: Record,
    documents: Documents,
}

impl Qualification {
    fn of(record: Record) -> anyhow::Result<Self> {
        let documents = serde_json::from_str(&record.body)
            .with_context(|| format!("read qualification {}", id(record.id)))?;
        Ok(Self { record, documents })
    }

    fn review(&self) -> Review {
        review_of(self.documents.status)
    }

    /// Sets the status with the reason and the time of the review.
    fn set_status(&mut self, status: Status, reason: &str, now: UnixMs) -> anyhow::Result<()> {
        self.documents.status = status;
        self.documents.reason = reason.to_owned();
        self.documents.review_ended_at = now;
        let body = serde_json::to_string(&self.documents).context("serialize a qualification")?;
        self.record.body = body.into();
        self.record.updated_at = now;
        Ok(())
    }

    fn to_json(&self, catalog: &Catalog) -> Value {
        let documents = &self.documents;
        let moment = |at: UnixMs| (at > 0).then(|| when::exact(at));
        let files: serde_json::Map<String, Value> = documents
            .files
            .iter()
            .map(|(name, number)| (name.clone(), json!(files::id(*number))))
            .collect();
        json!({
            "id": id(self.record.id),
            "account": account_name(catalog, self.record.account),
            "name": self.record.name,
            "review": name(self.review()),
            "reason": documents.reason,
            "for_others": documents.attr == 1,
            "texts": documents.texts,
            "files": files,
            "created_at": when::exact(self.record.created_at),
            "updated_at": when::exact(self.record.updated_at),
            "review_started_at": moment(documents.review_started_at),
            "review_ended_at": moment(documents.review_ended_at),
        })
    }
}

const fn review_of(status: Status) -> Review {
    match status {
        Status::Draft => Review::Draft,
        Status::InReview => Review::Submitted,
        Status::Approved => Review::Approved,
        Status::Rejected => Review::Rejected,
        Status::Disabled => Review::Disabled,
    }
}

const fn status_of(review: Review) -> Status {
    match review {
        Review::Draft => Status::Draft,
        Review::Submitted => Status::InReview,
        Review::Approved => Status::Approved,
        Review::Rejected => Status::Rejected,
        Review::Disabled => Status::Disabled,
    }
}

/// All qualifications of an account.
async fn of_account(store: &dyn Store, account: AccountId) -> anyhow::Result<Vec<Qualification>> {
    let mut found = Vec::new();
    loop {
        let filter = RecordFilter {
            name_contains: None,
            offset: found.len() as u64,
            limit: READ_MAX,
        };
        let page = store
            .records(account, RecordKind::Qualification, filter)
            .await
            .context("read qualifications")?;
        let last = page.items.len() < READ_MAX;
        for record in page.items {
            found.push(Qualification::of(record)?);
        }
        if last {
            return Ok(found);
        }
    }
}

/// Finds a qualification by its id or by the number in it.
async fn named(store: &dyn Store, catalog: &Catalog, written: &str) -> anyhow::Result<Option<Qualification>> {
    let Some(number) = read_id(written).or_else(|| written.parse().ok()) else {
        return Ok(None);
    };
    for account in &catalog.accounts {
        let found = store
            .record(account.id, RecordKind::Qualification, number)
            .await
            .context("read a qualification")?;
        if let Some(record) = found {
            return Qualification::of(record).map(Some);
        }
    }
    Ok(None)
}

async fn list(args: &ListArgs, out: &mut impl Write) -> Result<(), Failure> {
    let store = args.look.open().await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let account = args.account.as_deref().map(|name| account_named(&catalog, name));
    let account = account.transpose().map_err(Failure::bad_input)?;
    let review = args.review.map(super::Stage::review);
    let mut listed = Vec::new();
    for owner in &catalog.accounts {
        if account.is_none_or(|account| owner.id == account) {
            listed.extend(of_account(&*store, owner.id).await?);
        }
    }
    store.close().await.context("close the store")?;
    listed.retain(|one| review.is_none_or(|review| one.review() == review));
    listed.sort_by_key(|one| one.record.id);
    if args.look.json {
        let qualifications: Vec<Value> = listed.iter().map(|one| one.to_json(&catalog)).collect();
        let document = json!({ "qualifications": qualifications });
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        return Ok(());
    }
    let zone = TimeZone::system();
    let mut table = Table::new(&["ID", "ACCOUNT", "REVIEW", "CHANGED", "DOCUMENTS", "NAME"]);
    for one in &listed {
        table.row([
            id(one.record.id),
            account_name(&catalog, one.record.account),
            name(one.review()).to_owned(),
            when::short(one.record.updated_at, &zone),
            one.documents.files.len().to_string(),
            one.record.name.to_string(),
        ]);
    }
    if table.is_empty() {
        writeln!(out, "no qualifications")?;
    } else {
        table.print(out)?;
    }
    Ok(())
}

async fn show(args: &ShowArgs, out: &mut impl Write) -> Result<(), Failure> {
    let store = args.look.open().await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let Some(one) = named(&*store, &catalog, &args.id).await? else {
        store.close().await.context("close the store")?;
        writeln!(out, "no such qualification")?;
        return Err(Failure::found());
    };
    let saved = match &args.save {
        Some(folder) => save(&*store, &one, folder).await?,
        None => Vec::new(),
    };
    store.close().await.context("close the store")?;
    if args.look.json {
        let mut document = one.to_json(&catalog);
        if args.save.is_some() {
            document["saved"] = json!(saved);
        }
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        return Ok(());
    }
    let zone = TimeZone::system();
    let documents = &one.documents;
    writeln!(
        out,
        "qualification {}  {}  {}",
        id(one.record.id),
        sanitize_for_terminal(&one.record.name),
        name(one.review())
    )?;
    let whose = if documents.attr == 1 {
        "a third party's"
    } else {
        "its own"
    };
    let fixed = [
        ("account", account_name(&catalog, one.record.account)),
        ("for", format!("{whose} signatures")),
        ("reason", documents.reason.clone()),
        ("made", when::short(one.record.created_at, &zone)),
        ("changed", when::short(one.record.updated_at, &zone)),
    ];
    for (name, value) in fixed.iter().filter(|(_, value)| !value.is_empty()) {
        writeln!(out, "  {name:<10} {}", sanitize_for_terminal(value))?;
    }
    for (name, value) in &documents.texts {
        writeln!(
            out,
            "  {}: {}",
            sanitize_for_terminal(name),
            sanitize_for_terminal(value)
        )?;
    }
    for (name, number) in &documents.files {
        writeln!(out, "  {}: {}", sanitize_for_terminal(name), files::id(*number))?;
    }
    for path in saved {
        writeln!(out, "written: {}", path.display())?;
    }
    Ok(())
}

/// Writes the documents into a directory, under names that no client chose; returns their paths.
async fn save(store: &dyn Store, one: &Qualification, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !folder.is_dir() {
        return Err(Failure::bad_input(anyhow!(
            "--save: the directory {} does not exist",
            folder.display()
        )));
    }
    let mut saved = Vec::new();
    for &number in one.documents.files.values() {
        let record = store
            .record(one.record.account, RecordKind::File, number)
            .await
            .context("read a document")?;
        let Some(record) = record else { continue };
        let path = folder.join(files::id(number));
        // Documents of persons and companies: readable by the user of this command only.
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options
            .open(&path)
            .and_then(|mut file| file.write_all(&record.data))
            .with_context(|| format!("write {}", path.display()))?;
        saved.push(path);
    }
    Ok(saved)
}

async fn review(args: &ReviewArgs, decision: &Decision, out: &mut impl Write) -> Result<(), Failure> {
    let store = args.look.open().await?;
    let catalog = store.load_catalog().await.context("read the catalog")?;
    let reviewed = decide(&*store, &catalog, &args.numbers, decision, SystemClock.now()).await;
    store.close().await.context("close the store")?;
    let reviewed = reviewed?;
    let config = args.look.place.config()?;
    for (before, one) in &reviewed {
        let command = NodeCommand::ReviewQualification {
            account: one.record.account,
            qualification: one.record.id,
            from: status_of(*before).into(),
            to: one.documents.status.into(),
            reason: decision.reason(),
        };
        if carry_out(&config, &command).await? == 0 {
            let changed = "was changed by others meanwhile: check it again";
            return Err(anyhow!("qualification {} {changed}", id(one.record.id)).into());
        }
    }
    if args.look.json {
        let qualifications: Vec<Value> = reviewed.iter().map(|(_, one)| one.to_json(&catalog)).collect();
        let document = json!({ "qualifications": qualifications });
        writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
        return Ok(());
    }
    for (before, one) in &reviewed {
        writeln!(
            out,
            "qualification {} ({}) of {}: {} -> {}",
            id(one.record.id),
            sanitize_for_terminal(&one.record.name),
            account_name(&catalog, one.record.account),
            name(*before),
            name(one.review())
        )?;
    }
    Ok(())
}

/// Stores the result of a review. Returns 0 and changes nothing when the
/// qualification does not exist or its status is not `from`.
pub(crate) async fn store_review(
    store: &dyn Store,
    (account, number): (AccountId, i64),
    (from, to): (u8, u8),
    reason: &str,
    now: UnixMs,
) -> anyhow::Result<u64> {
    let found = store.record(account, RecordKind::Qualification, number).await;
    let Some(record) = found.context("read a qualification")? else {
        return Ok(0);
    };
    let mut one = Qualification::of(record)?;
    if u8::from(one.documents.status) != from {
        return Ok(0);
    }
    let to = Status::try_from(to).map_err(|error| anyhow!(error))?;
    one.set_status(to, reason, now)?;
    let changed = store.change_record(one.record).await;
    Ok(u64::from(changed.context("write a qualification")?.is_ok()))
}

/// All named qualifications with the decision, each with its review before; when it is not possible for one, an error.
async fn decide(
    store: &dyn Store,
    catalog: &Catalog,
    names: &[String],
    decision: &Decision,
    now: UnixMs,
) -> Result<Vec<(Review, Qualification)>, Failure> {
    let (mut reviewed, mut wrong) = (Vec::<(Review, Qualification)>::new(), Vec::new());
    for written in names {
        let Some(mut one) = named(store, catalog, written).await? else {
            wrong.push(format!("there is no qualification {written}"));
            continue;
        };
        if reviewed.iter().any(|(_, other)| other.record.id == one.record.id) {
            continue;
        }
        let before = one.review();
        match decision.on(before) {
            Ok(review) => {
                one.set_status(status_of(review), &decision.reason(), now)?;
                reviewed.push((before, one));
            }
            Err(why) => wrong.push(format!(
                "qualification {} ({}) of {} is {}: {why}",
                id(one.record.id),
                one.record.name,
                account_name(catalog, one.record.account),
                name(before)
            )),
        }
    }
    if wrong.is_empty() {
        Ok(reviewed)
    } else {
        let wrong = wrong.join("\n  ");
        Err(Failure::bad_input(anyhow!("nothing was changed:\n  {wrong}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_the_review_it_stands_for() {
        for number in 0..5_u8 {
            let status = Status::try_from(number).unwrap();
            assert_eq!(status_of(review_of(status)), status);
        }
        assert_eq!(review_of(Status::InReview), Review::Submitted);
    }
}
