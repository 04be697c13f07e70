//! What is written for the node: its configuration and its catalog. The one place that knows their formats.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use sim::load::{Demo, EngageLab, SendCloud, Template, Uspeedo};

/// A carrier of the catalog.
#[derive(Clone, Debug)]
pub(crate) struct CarrierEntry {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) binds: u64,
    pub(crate) window_max: u64,
}

/// Where an account is told its events, in the general form.
#[derive(Clone, Debug)]
pub(crate) struct WebhookEntry {
    pub(crate) account: u32,
    pub(crate) url: String,
    pub(crate) events: &'static [&'static str],
    /// Calls to make at once.
    pub(crate) concurrency: u32,
}

/// How a node is set up.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) api: SocketAddr,
    pub(crate) metrics: SocketAddr,
    pub(crate) accounts: u32,
    /// In the order they are tried.
    pub(crate) carriers: Vec<CarrierEntry>,
    pub(crate) webhooks: Vec<WebhookEntry>,
    /// Settings of the section `[notify]` beside the one written here.
    pub(crate) notify: &'static str,
    /// Sections of the configuration beside those written here.
    pub(crate) more: String,
}

/// The number that people write to who write to this account.
pub(crate) fn inbound_number(account: u32) -> String {
    format!("{}", 10_690 + account)
}

/// Any key will do; it seals secrets that are known to everybody.
const MASTER_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// What signs the calls; the sink does not look.
const WEBHOOK_SECRET: &str = "whsec_Y2FtcGFpZ25zIGFyZSBubyBzZWNyZXQ=";

impl Settings {
    /// `postrider.toml`.
    pub(crate) fn config(&self, folder: &Path) -> String {
        let Self {
            api,
            metrics,
            notify,
            more,
            ..
        } = self;
        let store = folder.join("postrider.db");
        let store = store.display();
        let notify = match self.webhooks.is_empty() {
            true => String::new(),
            // Endpoints of campaigns are on this machine.
            false => format!("[notify]\nallow = [\"127.0.0.1/32\"]\n{notify}\n"),
        };
        format!(
            r#"
[api]
listen = "{api}"
[api.limits]
sendcloud_status_per_minute_max = 0
engagelab_status_per_minute_max = 0
[metrics]
listen = "{metrics}"
[store]
path = "{store}"
[secrets]
master_key = "{MASTER_KEY}"
[log]
level = "info"
{notify}{more}"#
        )
    }

    /// The catalog for `postrider apply`.
    pub(crate) fn catalog(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        for account in 0..self.accounts {
            let _ = write!(
                text,
                "[[account]]\nname = \"{}\"\nid = {}\ninbound_to = [\"{}\"]\n",
                name(account),
                id(account),
                inbound_number(account)
            );
            for (at, webhook) in self.webhooks.iter().enumerate() {
                let WebhookEntry {
                    url,
                    events,
                    concurrency,
                    ..
                } = webhook;
                if webhook.account == account {
                    let _ = write!(
                        text,
                        "[[account.webhook]]\nname = \"{}\"\nformat = \"standard\"\nurl = \"{url}\"\n\
                         events = {events:?}\nsecret = \"{WEBHOOK_SECRET}\"\n\
                         settings = {{ concurrency = {concurrency} }}\n",
                        webhook_name(at)
                    );
                }
            }
            for family in ["uspeedo", "sendcloud", "engagelab"] {
                let (key, secret) = (key(account), secret(account));
                let _ = write!(
                    text,
                    "[[account.credential]]\nfamily = \"{family}\"\nkey = \"{key}\"\nsecret = \"{secret}\"\n"
                );
            }
            for (at, (name, class, body)) in TEMPLATES.iter().enumerate() {
                let Template { number, ut_id } = template(account, at);
                let _ = write!(
                    text,
                    "[[account.template]]\nname = \"{name}\"\nclass = \"{class}\"\ntext = \"{body}\"\n\
                     number = {number}\nut_id = \"{ut_id}\"\n"
                );
            }
        }
        for carrier in &self.carriers {
            let CarrierEntry {
                name,
                address,
                binds,
                window_max,
            } = carrier;
            let (host, port) = (address.ip(), address.port());
            let _ = write!(
                text,
                "[[carrier]]\nname = \"{name}\"\ntype = \"smpp\"\nhost = \"{host}\"\nport = {port}\n\
                 system_id = \"postrider\"\npassword = \"secret\"\nbinds = {binds}\nwindow_max = {window_max}\n\
                 reconnect_s = 1\nreconnect_s_max = 1\nresponse_timeout_s = 15\nretry_s = 1\nretry_s_max = 2\n\
                 attempts_max = 20\nfailover_after_s = 2\n"
            );
        }
        let names: Vec<String> = self
            .carriers
            .iter()
            .map(|carrier| format!("\"{}\"", carrier.name))
            .collect();
        let _ = write!(text, "[[route]]\ncarriers = [{}]\n", names.join(", "));
        text
    }

    /// What webhooks are called.
    pub(crate) fn webhook_names(&self) -> impl Iterator<Item = String> {
        (0..self.webhooks.len()).map(webhook_name)
    }

    /// What a client of an account knows.
    pub(crate) fn demo(&self, account: u32) -> Demo {
        let (key, secret) = (key(account), secret(account));
        let templates = TEMPLATES.iter().enumerate();
        let templates: HashMap<String, Template> = templates
            .map(|(at, (name, ..))| ((*name).to_owned(), template(account, at)))
            .collect();
        Demo {
            base_url: format!("http://{}", self.api),
            metrics_url: format!("http://{}", self.metrics),
            account_id: u64::from(id(account)),
            uspeedo: Uspeedo {
                access_key_id: key.clone(),
                access_key_secret: secret.clone(),
            },
            sendcloud: SendCloud {
                sms_user: key.clone(),
                sms_key: secret.clone(),
            },
            engagelab: EngageLab {
                sms_user: key,
                sms_key: secret,
            },
            templates,
        }
    }
}

const TEMPLATES: [(&str, &str, &str); 3] = [
    ("code", "otp", "Your verification code is {{code}}."),
    (
        "notice",
        "notice",
        "Hello {{name}}, your order waits for you at {{place}}.",
    ),
    (
        "plain",
        "marketing",
        "Hello from Postrider, this week everything is half the price.",
    ),
];

fn webhook_name(at: usize) -> String {
    format!("sink-{at}")
}

fn id(account: u32) -> u32 {
    account + 1
}

fn name(account: u32) -> String {
    format!("campaign-{account}")
}

fn key(account: u32) -> String {
    format!("campaign-{account}")
}

fn secret(account: u32) -> String {
    format!("campaign-secret-{account}")
}

fn template(account: u32, at: usize) -> Template {
    let number = u64::from(id(account)) * 1_000 + at as u64;
    Template {
        number,
        ut_id: format!("UTA26112200{number}"),
    }
}
