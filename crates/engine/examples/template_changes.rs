//! What one change of a template costs, by how many templates there are: `cargo run --release -p engine --example
//! template_changes`. Changes go the whole way, from an account's request to the catalog that shows it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement prints and may stop at the first surprise"
)]

use engine::catalog::{Review, SecretSealer};
use engine::clock::SystemClock;
use engine::manage::{TemplateEdit, Then};
use engine::{AccountId, Engine, Settings};
use std::sync::Arc;
use std::time::Instant;
use store::sqlite::{Mode, SqliteConfig, SqliteStore};
use store::{Account, Caps, CatalogChange, Position, Store, Template};

const ACCOUNT: AccountId = AccountId(1);
const CHANGES: usize = 200;

fn account() -> Account {
    Account {
        id: ACCOUNT,
        name: "acme".into(),
        balance: None,
        weight: 1,
        caps: Caps::default(),
        may_send: true,
        senders: Vec::new(),
        blocked_words: Vec::new(),
        project_ids: Vec::new(),
        auto_approve: true,
        repeats_with_other_content: Default::default(),
        inbound_to: Vec::new(),
        opt_out_words: Vec::new(),
        opt_in_words: None,
    }
}

fn template(number: i64) -> Template {
    Template {
        account: ACCOUNT,
        number,
        ut_id: format!("UTA{number}").into(),
        name: format!("template {number}").into(),
        class: engine::sms::class::Class::Notice,
        text: format!("Dear {{name}}, your order {number} of {{date}} is on its way to {{place}}.").into(),
        review: Review::Approved,
        reason: "".into(),
        signature: None,
        position: Position::Front,
        version: 1,
        ttl_s: None,
        remark: "".into(),
        details: serde_json::Value::Null,
        created_at: 0,
        updated_at: 0,
    }
}

/// Milliseconds of processor time that this process has used (proc(5): `utime` and `stime`, in hundredths of a second).
fn processor_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.map(|field| field.parse::<u64>().unwrap() * 10).sum()
}

#[tokio::main]
async fn main() {
    for count in [1, 3_264, 50_000] {
        let folder = std::env::temp_dir().join(format!("postrider-template-changes-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("postrider.db");
        let store = Arc::new(SqliteStore::open(&path, Mode::Serve, SqliteConfig::default()).unwrap());
        let put = (0..count).map(|number| CatalogChange::PutTemplate(template(number)));
        let all = [CatalogChange::PutAccount(account())].into_iter().chain(put);
        store.change_catalog(all.collect()).await.unwrap();
        let engine = Engine::start(
            store,
            SecretSealer::new(&[1; 32]),
            Arc::new(SystemClock),
            Settings::default(),
        );
        let engine = engine.await.unwrap();
        let (reads, used, mut spans) = (engine.catalog_reads(), processor_ms(), Vec::new());
        for no in 0..CHANGES {
            let edit = TemplateEdit {
                name: None,
                unique_name: true,
                class: None,
                text: Some(format!("Text {no} of {{name}}").into()),
                signature: None,
                position: None,
                remark: None,
                details: None,
                then: Then::Submit,
            };
            let began = Instant::now();
            engine.change_template(ACCOUNT, count / 2, edit).await.unwrap();
            spans.push(began.elapsed());
        }
        spans.sort();
        let median = spans.get(CHANGES / 2).copied().unwrap_or_default();
        println!(
            "{count} templates: {median:?} a change (median), {} us of a processor, {} times read as a whole",
            (processor_ms() - used) * 1_000 / CHANGES as u64,
            engine.catalog_reads() - reads
        );
        engine.stop(std::time::Duration::from_secs(1)).await.unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
