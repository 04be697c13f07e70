mod blocked_words;
mod exported;
mod mistakes;
mod names;
mod own;
mod partial;
mod routes;
mod secrets;
mod webhooks;
mod wire;
mod words;

use super::*;
use engine::catalog::{Review, Snapshot};
use std::ffi::OsString;
use std::io;

const NOW: UnixMs = 1_795_000_000_000;

/// A provider's file with something of everything.
const FULL: &str = r#"
[[account]]
name = "acme"
weight = 10
balance = 500
senders = ["Acme"]

[[account.credential]]
family = "sendcloud"
key = "acme"
secret = "acme-secret-of-the-tests"

[[account.credential]]
family = "uspeedo"
key = "acme-key"
secret_env = "ACME_SECRET"

[[account.signature]]
text = "Acme"

[[account.template]]
name = "code"
class = "otp"
text = "Your code is {code}."
signature = "Acme"

[[account.template]]
name = "sale"
class = "marketing"
text = "Sale!"
number = 2000
ut_id = "UTASALE"
review = "submitted"

[[account.webhook]]
name = "crm"
format = "sendcloud"
url = "https://crm.example/hook"
events = ["ended", "inbound"]
secret = "acme-hook-of-the-tests"

[[account]]
name = "beta"

[[carrier]]
name = "north"
type = "smpp"
host = "smsc.example"
system_id = "postrider"
password = "hunter2"
window_max = 50

[[carrier]]
name = "box"
type = "sandbox"

[[route]]
prefixes = ["44"]
accounts = ["acme"]
carriers = ["north", "box"]

[[route]]
carriers = ["box"]

[[suppression]]
number = "+447700900123"
kind = "unsubscribed"
account = "acme"
"#;

fn sealer() -> SecretSealer {
    SecretSealer::new(&[7; 32])
}

fn plan_with(text: &str, existing: &Existing, options: ApplyOptions) -> Result<Plan, Vec<String>> {
    let file = File::parse(text);
    plan(Inputs {
        text,
        file: &file,
        existing,
        sealer: &sealer(),
        environment: Environment {
            variable: &|name| (name == "ACME_SECRET").then(|| OsString::from("from-env-of-the-tests")),
            read: &|_| Err(io::ErrorKind::NotFound.into()),
            check_authorities: &|_| Ok(()),
        },
        webhook_formats: &WebhookFormats::all(),
        allow: Some(&[]),
        options,
        now: NOW,
    })
    .map_err(|wrong| wrong.list.iter().map(ToString::to_string).collect())
}

/// What a store does with changes.
fn carry_out(existing: &mut Existing, plan: Plan) {
    let catalog = &mut existing.catalog;
    for change in plan.changes {
        match change {
            CatalogChange::PutAccount(mut account) => {
                let old = catalog.accounts.iter().position(|old| old.id == account.id);
                account.balance = old.and_then(|at| catalog.accounts[at].balance);
                catalog.accounts.retain(|old| old.id != account.id);
                catalog.accounts.push(account);
            }
            CatalogChange::PutBlockedWords(list) => {
                catalog.blocked_words.retain(|old| old.name != list.name);
                catalog.blocked_words.push(list);
            }
            CatalogChange::RemoveBlockedWords(name) => catalog.blocked_words.retain(|old| old.name != name),
            CatalogChange::SetBalance(id, balance) => {
                catalog
                    .accounts
                    .iter_mut()
                    .filter(|account| account.id == id)
                    .for_each(|a| a.balance = balance);
            }
            CatalogChange::RemoveAccount(id) => {
                catalog.accounts.retain(|old| old.id != id);
                catalog.credentials.retain(|old| old.account != id);
                catalog.signatures.retain(|old| old.account != id);
                catalog.templates.retain(|old| old.account != id);
                catalog.endpoints.retain(|old| old.account != id);
            }
            CatalogChange::PutCredential(new) => {
                catalog
                    .credentials
                    .retain(|old| (&old.family, &old.key) != (&new.family, &new.key));
                catalog.credentials.push(new);
            }
            CatalogChange::RemoveCredential(family, key) => {
                catalog
                    .credentials
                    .retain(|old| (&old.family, &old.key) != (&family, &key));
            }
            CatalogChange::PutSignature(new) => {
                catalog.signatures.retain(|old| old.id != new.id);
                catalog.signatures.push(new);
            }
            CatalogChange::RemoveSignature(id) => catalog.signatures.retain(|old| old.id != id),
            CatalogChange::PutTemplate(new) => {
                catalog.templates.retain(|old| old.number != new.number);
                catalog.templates.push(new);
            }
            CatalogChange::RemoveTemplate(number) => catalog.templates.retain(|old| old.number != number),
            CatalogChange::PutEndpoint(new) => {
                catalog.endpoints.retain(|old| old.id != new.id);
                catalog.endpoints.push(new);
            }
            CatalogChange::RemoveEndpoint(id) => catalog.endpoints.retain(|old| old.id != id),
            CatalogChange::PutCarrier(new) => {
                catalog.carriers.retain(|old| old.no != new.no);
                catalog.carriers.push(new);
            }
            CatalogChange::RemoveCarrier(no) => catalog.carriers.retain(|old| old.no != no),
            CatalogChange::ReplaceRoutes(routes) => catalog.routes = routes,
            CatalogChange::PutSuppression(new) => existing.suppressions.push(new),
            CatalogChange::Suppress(new) => existing.suppressions.push(new.suppression),
            CatalogChange::RemoveSuppression(gone) => {
                existing.suppressions.retain(|old| *old != gone);
            }
            _ => unreachable!("no other changes are planned"),
        }
        catalog.version += 1;
    }
}

fn applied(text: &str) -> Existing {
    let mut existing = Existing {
        suppressions: Vec::new(),
        ..Existing::default()
    };
    let plan = plan_with(text, &existing, ApplyOptions::default()).unwrap();
    carry_out(&mut existing, plan);
    existing
}

fn rendered(plan: &Plan) -> String {
    plan.lines.iter().map(|line| format!("{line}\n")).collect()
}

const PRUNE: ApplyOptions = ApplyOptions {
    prune: true,
    set_balances: false,
};

const SET_BALANCES: ApplyOptions = ApplyOptions {
    prune: false,
    set_balances: true,
};

#[test]
fn a_file_becomes_a_catalog_the_engine_takes_with_secrets_that_open() {
    let existing = applied(FULL);
    let snapshot = Snapshot::compile(existing.catalog.clone(), &sealer()).unwrap();
    let sendcloud = snapshot.credential("sendcloud", "acme").unwrap();
    assert_eq!(sendcloud.secret.expose_secret(), "acme-secret-of-the-tests");
    assert_eq!(
        snapshot
            .credential("uspeedo", "acme-key")
            .unwrap()
            .secret
            .expose_secret(),
        "from-env-of-the-tests"
    );
    let code = snapshot.template_by_number(sendcloud.account, 2001).unwrap();
    assert_eq!(&*code.international, "[Acme]Your code is {code}.");
    assert_eq!(
        snapshot
            .template_by_ut_id(sendcloud.account, "UTASALE")
            .unwrap()
            .template
            .review,
        Review::Submitted
    );
    assert_eq!(
        existing
            .catalog
            .accounts
            .iter()
            .find(|a| &*a.name == "acme")
            .unwrap()
            .balance,
        Some(500)
    );
    assert_eq!(existing.suppressions.len(), 1);
    let north = existing
        .catalog
        .carriers
        .iter()
        .find(|carrier| &*carrier.name == "north")
        .unwrap();
    assert!(
        !north.settings.to_string().contains("hunter2"),
        "the password must not be stored in the clear"
    );
    let sealed = north.settings["password_sealed"].as_str().unwrap();
    let sealed: Vec<u8> = (0..sealed.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&sealed[at..at + 2], 16).unwrap())
        .collect();
    assert_eq!(
        sealer().open("carrier/north", &sealed).unwrap().expose_secret(),
        "hunter2"
    );
}

#[test]
fn applying_twice_changes_nothing() {
    let existing = applied(FULL);
    for options in [
        ApplyOptions::default(),
        PRUNE,
        ApplyOptions {
            prune: true,
            set_balances: true,
        },
    ] {
        let again = plan_with(FULL, &existing, options).unwrap();
        assert!(again.changes.is_empty(), "{}", rendered(&again));
    }
}

#[test]
fn a_secret_may_leave_the_file_once_it_is_stored() {
    let existing = applied(FULL);
    let text = FULL
        .replace("secret = \"acme-secret-of-the-tests\"\n", "")
        .replace("secret_env = \"ACME_SECRET\"\n", "")
        .replace("secret = \"acme-hook-of-the-tests\"\n", "")
        .replace("password = \"hunter2\"\n", "");
    let plan = plan_with(&text, &existing, ApplyOptions::default()).unwrap();
    assert!(plan.changes.is_empty(), "{}", rendered(&plan));
}

#[test]
fn secrets_never_show_in_the_diff() {
    let mut existing = Existing::default();
    let first = plan_with(FULL, &existing, ApplyOptions::default()).unwrap();
    let mut all = rendered(&first);
    carry_out(&mut existing, first);
    let text = FULL
        .replace("hunter2", "hunter3")
        .replace("acme-secret-of-the-tests", "another-secret");
    let second = plan_with(&text, &existing, ApplyOptions::default()).unwrap();
    assert_eq!(second.changes.len(), 2);
    all.push_str(&rendered(&second));
    for secret in [
        "hunter",
        "acme-secret-of-the-tests",
        "another-secret",
        "from-env-of-the-tests",
    ] {
        assert!(!all.contains(secret), "{secret} shows in:\n{all}");
    }
    assert!(all.contains("password: (as stored) -> (another)"), "{all}");
}

#[test]
fn a_diff_has_only_changed_properties_and_numbers_stay() {
    let existing = applied(FULL);
    let text = FULL
        .replace("weight = 10", "weight = 20")
        .replace("Your code is", "The code is");
    let plan = plan_with(&text, &existing, ApplyOptions::default()).unwrap();
    assert_eq!(
        rendered(&plan),
        "~ account acme\n      weight: 10 -> 20\n\
         ~ template acme/code\n      text: \"Your code is {code}.\" -> \"The code is {code}.\"\n"
    );
    assert!(plan.changes.iter().any(|change| matches!(change,
        CatalogChange::PutTemplate(template) if template.number == 2001 && template.created_at == NOW)));
}

#[test]
fn what_the_file_does_not_name_stays_until_pruned() {
    let mut existing = applied(FULL);
    let text = "[[account]]\nname = \"acme\"\n[[carrier]]\nname = \"box\"\ntype = \"sandbox\"\n[[route]]\ncarriers = [\"box\"]\n";
    let kept = plan_with(text, &existing, ApplyOptions::default()).unwrap();
    assert!(
        kept.lines.iter().all(|line| line.sign != Sign::Remove),
        "{}",
        rendered(&kept)
    );
    assert!(
        kept.lines
            .iter()
            .any(|line| line.what == "account beta with all its objects")
    );
    let pruned = plan_with(text, &existing, PRUNE).unwrap();
    carry_out(&mut existing, pruned);
    let catalog = &existing.catalog;
    assert_eq!(
        (
            catalog.accounts.len(),
            catalog.credentials.len(),
            catalog.templates.len(),
            catalog.signatures.len() + catalog.endpoints.len()
        ),
        (1, 0, 0, 0)
    );
    assert_eq!(
        (
            catalog.carriers.len(),
            catalog.routes.len(),
            existing.suppressions.len()
        ),
        (1, 1, 0)
    );
    assert!(Snapshot::compile(catalog.clone(), &sealer()).is_ok());
}

#[test]
fn a_removed_carriers_number_is_not_given_away_while_messages_wait_for_it() {
    let mut existing = applied(FULL);
    existing
        .waited_for
        .extend(existing.catalog.carriers.iter().map(|carrier| carrier.no));
    let highest = existing
        .catalog
        .carriers
        .iter()
        .map(|carrier| carrier.no)
        .max()
        .unwrap();
    let text = "[[carrier]]\nname = \"new\"\ntype = \"sandbox\"\n";
    let pruned = plan_with(text, &existing, PRUNE).unwrap();
    assert!(
        pruned
            .notes
            .iter()
            .any(|note| note.starts_with("carrier north: its queued messages")),
        "{:?}",
        pruned.notes
    );
    carry_out(&mut existing, pruned);
    assert!(existing.catalog.carriers[0].no > highest);
    existing.catalog.carriers.clear();
    let plan = plan_with(text, &existing, ApplyOptions::default()).unwrap();
    assert!(
        plan.changes
            .iter()
            .all(|change| !matches!(change, CatalogChange::PutCarrier(c) if c.no <= highest))
    );
}

#[test]
fn a_balance_is_the_initial_one_unless_set_balances_is_given() {
    let mut existing = applied(FULL);
    existing
        .catalog
        .accounts
        .iter_mut()
        .filter(|a| &*a.name == "acme")
        .for_each(|a| a.balance = Some(3));
    assert!(
        plan_with(FULL, &existing, ApplyOptions::default())
            .unwrap()
            .changes
            .is_empty()
    );
    let topped_up = plan_with(FULL, &existing, SET_BALANCES).unwrap();
    assert_eq!(
        rendered(&topped_up),
        "~ balance of acme\n      3 segments -> 500 segments\n"
    );
    // A balance that the file does not name stays.
    let unnamed = FULL.replace("balance = 500\n", "");
    let plan = plan_with(&unnamed, &existing, SET_BALANCES).unwrap();
    assert!(plan.changes.is_empty(), "{}", rendered(&plan));
    // Nor is a limit removed without `--set-balances`.
    let lifted = FULL.replace("balance = 500\n", "reset = [\"balance\"]\n");
    let plan = plan_with(&lifted, &existing, ApplyOptions::default()).unwrap();
    assert!(
        plan.changes.is_empty() && plan.notes.len() == 1,
        "{:?}",
        plan.notes
    );
    assert_eq!(
        rendered(&plan_with(&lifted, &existing, SET_BALANCES).unwrap()),
        "~ balance of acme\n      3 segments -> not counted\n"
    );
}

#[test]
fn an_account_is_renamed_by_its_id() {
    let existing = applied("[[account]]\nname = \"old\"\nid = 9\n");
    let plan = plan_with(
        "[[account]]\nname = \"new\"\nid = 9\n",
        &existing,
        ApplyOptions::default(),
    )
    .unwrap();
    assert_eq!(
        rendered(&plan),
        "~ account old (now new)\n      name: old -> new\n"
    );
}

#[test]
fn a_route_of_the_store_is_not_left_with_an_account_that_is_renamed() {
    let route = "[[carrier]]\nname = \"c\"\ntype = \"sandbox\"\n[[route]]\naccounts = [\"old\"]\ncarriers = [\"c\"]\n";
    let existing = applied(&format!("[[account]]\nname = \"old\"\nid = 9\n{route}"));
    let renamed = "[[account]]\nname = \"new\"\nid = 9\n";
    let wrong = plan_with(renamed, &existing, ApplyOptions::default()).unwrap_err();
    assert!(
        wrong.len() == 1
            && wrong[0].contains("names account \"old\"")
            && wrong[0].ends_with("[[route]] name = \"from old\", accounts = [...]"),
        "{wrong:?}"
    );
    // What is advised works, and changes nothing else.
    let advised = format!("{renamed}[[route]]\nname = \"from old\"\naccounts = [\"new\"]\n");
    let plan = plan_with(&advised, &existing, ApplyOptions::default()).unwrap();
    assert_eq!(plan.changes.len(), 2, "{}", rendered(&plan));
    let with_route = format!("{renamed}{}", route.replace("old", "new"));
    assert!(plan_with(&with_route, &existing, PRUNE).is_ok());
}

#[test]
fn route_order_is_meaning() {
    let existing = applied(FULL);
    let route = "[[route]]\nprefixes = [\"44\"]\naccounts = [\"acme\"]\ncarriers = [\"north\", \"box\"]\n\n";
    let text = format!("{}{route}", FULL.replace(route, ""));
    let plan = plan_with(&text, &existing, ApplyOptions::default()).unwrap();
    let [CatalogChange::ReplaceRoutes(routes)] = plan.changes.as_slice() else {
        panic!("{}", rendered(&plan))
    };
    assert_eq!(
        routes.iter().map(|route| route.position).collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(routes[0].rule["prefixes"].as_array().unwrap().len(), 0);
}

#[test]
fn numbers_and_ids_given_by_itself_avoid_those_that_are_taken() {
    let text = "[[account]]\nname = \"a\"\nid = 5\n\
        [[account.template]]\nname = \"x\"\nclass = \"otp\"\ntext = \"x\"\n\
        [[account.template]]\nname = \"y\"\nclass = \"otp\"\ntext = \"y\"\nnumber = 1001\n\
        [[account]]\nname = \"b\"\n\
        [[account.template]]\nname = \"x\"\nclass = \"otp\"\ntext = \"x\"\n";
    let existing = applied(text);
    let mut ids: Vec<u32> = existing
        .catalog
        .accounts
        .iter()
        .map(|account| account.id.0)
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [5, 6]);
    let mut numbers: Vec<i64> = existing
        .catalog
        .templates
        .iter()
        .map(|template| template.number)
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1001, 1002, 1003]);
    let ut_ids: HashSet<&str> = existing
        .catalog
        .templates
        .iter()
        .map(|template| &*template.ut_id)
        .collect();
    assert_eq!(ut_ids.len(), 3);
}
