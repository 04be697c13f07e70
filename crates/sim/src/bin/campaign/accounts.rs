//! The configuration and the catalog of the node. No other module depends on their formats.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use sim::load::{Demo, EngageLab, SendCloud, Template, Text, Ucloud, Uspeedo};

/// A carrier of the catalog.
#[derive(Clone, Debug)]
pub(crate) struct CarrierEntry {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) binds: u64,
    pub(crate) window_max: u64,
    /// The account whose messages it gets first; `None`: those of all accounts without a carrier of their own.
    pub(crate) only: Option<u32>,
    /// Carriers that get its messages while it is away, in the order they are tried.
    pub(crate) then: &'static [&'static str],
    /// Settings that differ from carrier to carrier, in TOML.
    pub(crate) more: &'static str,
}

impl CarrierEntry {
    /// One that gets the messages of every account, with nothing beside it.
    pub(crate) const fn new(name: &'static str, address: SocketAddr, binds: u64, window_max: u64) -> Self {
        Self {
            name,
            address,
            binds,
            window_max,
            only: None,
            then: &[],
            more: "",
        }
    }
}

/// A webhook of an account, in the general form.
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
    /// Changes something small in the catalog: the weights of all accounts, a text of each, a route, and the rate of one
    /// carrier in turn, whose sessions then bind again.
    pub(crate) edition: u64,
    /// In the order they are tried.
    pub(crate) carriers: Vec<CarrierEntry>,
    pub(crate) webhooks: Vec<WebhookEntry>,
    /// Settings of the section `[notify]` beside the one written here.
    pub(crate) notify: &'static str,
    /// Sections of the configuration beside those written here.
    pub(crate) more: String,
}

/// The number of inbound messages for this account.
pub(crate) fn inbound_number(account: u32) -> String {
    format!("{}", 10_690 + account)
}

/// The name under which the node binds.
pub(crate) const SYSTEM_ID: &str = "postrider";

/// Any key will do; it seals secrets that are known to everybody.
const MASTER_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// An approved signature that every account has.
const SIGNATURE: &str = "Postrider";

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
                "[[account]]\nname = \"{}\"\nid = {}\ninbound_to = [\"{}\"]\nweight = {}\n",
                name(account),
                id(account),
                inbound_number(account),
                1 + (self.edition + u64::from(account)) % 3
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
            for family in ["uspeedo", "ucloud", "sendcloud", "engagelab"] {
                let (key, secret) = (key(account), secret(account));
                let _ = write!(
                    text,
                    "[[account.credential]]\nfamily = \"{family}\"\nkey = \"{key}\"\nsecret = \"{secret}\"\n"
                );
            }
            // No template has it: UCloud's requests name one that is approved.
            let _ = write!(text, "[[account.signature]]\ntext = \"{SIGNATURE}\"\n");
            let templates = (0_usize..).zip(TEXTS).map(|(at, text)| {
                let (class, body) = body(text);
                (at, text.template(), class, body)
            });
            let edition = format!("Edition {}.", self.edition);
            let changing = (CHANGING, "changing".into(), "notice", edition);
            for (at, name, class, body) in templates.chain([changing]) {
                let Template { number, ut_id } = template(account, at);
                let _ = write!(
                    text,
                    "[[account.template]]\nname = \"{name}\"\nclass = \"{class}\"\ntext = \"{body}\"\n\
                     number = {number}\nut_id = \"{ut_id}\"\n"
                );
            }
        }
        for (at, carrier) in (0..).zip(&self.carriers) {
            let CarrierEntry {
                name,
                address,
                binds,
                window_max,
                more,
                ..
            } = carrier;
            // A rate that is never reached: what matters is that the carrier changes under load.
            let rate = match self.last_change(at) {
                0 => String::new(),
                edition => format!("rate_per_s_max = {}\n", 100_000 + edition),
            };
            let (host, port) = (address.ip(), address.port());
            let _ = write!(
                text,
                "[[carrier]]\nname = \"{name}\"\ntype = \"smpp\"\nhost = \"{host}\"\nport = {port}\n\
                 system_id = \"{SYSTEM_ID}\"\npassword = \"secret\"\nbinds = {binds}\nwindow_max = {window_max}\n\
                 reconnect_s = 1\nreconnect_s_max = 1\nresponse_timeout_s = 15\nretry_s = 1\nretry_s_max = 2\n\
                 attempts_max = 20\nfailover_after_s = 2\n{rate}{more}\n"
            );
        }
        for carrier in &self.carriers {
            if let Some(account) = carrier.only {
                let names: Vec<&str> = [carrier.name]
                    .into_iter()
                    .chain(carrier.then.iter().copied())
                    .collect();
                let _ = write!(
                    text,
                    "[[route]]\naccounts = [\"{}\"]\ncarriers = {names:?}\n",
                    name(account),
                );
            }
        }
        let common = || self.carriers.iter().filter(|carrier| carrier.only.is_none());
        let then = common().flat_map(|carrier| carrier.then.iter().copied());
        let names: Vec<&str> = common().map(|carrier| carrier.name).chain(then).collect();
        let _ = write!(text, "[[route]]\ncarriers = {names:?}\n");
        // For numbers that no client uses: what matters is that routes change under load. An unchanged catalog stays
        // without it, so that earlier programs, which know no names of routes, can be measured with the same one.
        if self.edition > 0 {
            let enabled = self.edition.is_multiple_of(2);
            let _ = write!(
                text,
                "[[route]]\nname = \"changing\"\nprefixes = [\"992\"]\nenabled = {enabled}\ncarriers = {names:?}\n"
            );
        }
        text
    }

    /// The last edition that changed the carrier in this place.
    fn last_change(&self, at: u64) -> u64 {
        let carriers = self.carriers.len().max(1) as u64;
        let since = (self.edition + carriers - at % carriers) % carriers;
        self.edition.saturating_sub(since)
    }

    /// What webhooks are called.
    pub(crate) fn webhook_names(&self) -> impl Iterator<Item = String> {
        (0..self.webhooks.len()).map(webhook_name)
    }

    /// What a client of an account knows.
    pub(crate) fn demo(&self, account: u32) -> Demo {
        let (key, secret) = (key(account), secret(account));
        let templates: HashMap<String, Template> = TEXTS
            .into_iter()
            .enumerate()
            .map(|(at, text)| (text.template().into_owned(), template(account, at)))
            .collect();
        Demo {
            base_url: format!("http://{}", self.api),
            metrics_url: format!("http://{}", self.metrics),
            account_id: u64::from(id(account)),
            uspeedo: Uspeedo {
                access_key_id: key.clone(),
                access_key_secret: secret.clone(),
            },
            ucloud: Ucloud {
                public_key: key.clone(),
                private_key: secret.clone(),
                sig_content: SIGNATURE.to_owned(),
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
            clock_offsets_s: Vec::new(),
        }
    }
}

/// What accounts have templates for.
const TEXTS: [Text; 25] = {
    let mut texts = [Text::Plain; 25];
    texts[0] = Text::Code;
    texts[1] = Text::Notice;
    let (mut at, mut parts) = (3, *Text::PARTS.start());
    while parts <= *Text::PARTS.end() {
        texts[at] = Text::Long(parts);
        texts[at + 1] = Text::Unicode(parts);
        (at, parts) = (at + 2, parts + 1);
    }
    texts
};

/// The place of the template that nobody sends and each edition changes.
const CHANGING: usize = 999;

/// Class and text of a template.
fn body(text: Text) -> (&'static str, String) {
    const WORDS: &str = "the quick brown fox jumps over the lazy dog and finds the long way home, ";
    const CHARACTERS: &str = "您的包裹已经到达请尽快到前台领取谢谢合作祝您生活愉快";
    // A text has the same parts whichever header ties them: with one of 16 bits 152 or 66 characters fit, and 160 or 70 where
    // parameters do it.
    match text {
        Text::Code => ("otp", "Your verification code is {{code}}.".to_owned()),
        Text::Notice => (
            "notice",
            "Hello {{name}}, your order waits for you at {{place}}.".to_owned(),
        ),
        Text::Plain => (
            "marketing",
            "Hello from Postrider, this week everything is half the price.".to_owned(),
        ),
        Text::Long(parts) => {
            let words: String = WORDS
                .chars()
                .cycle()
                .take(usize::from(parts) * 152 - 40)
                .collect();
            ("notice", format!("Order {{{{code}}}}: {words}."))
        }
        Text::Unicode(parts) => {
            let characters: String = CHARACTERS
                .chars()
                .cycle()
                .take(usize::from(parts) * 66 - 15)
                .collect();
            ("marketing", format!("{{{{code}}}} {characters}"))
        }
    }
}

/// The text that arrives of a request whose first recipient is at this place.
pub(crate) fn text_of(text: Text, first: u64) -> String {
    let (_, body) = body(text);
    text.values(first).into_iter().fold(body, |body, (name, value)| {
        body.replace(&format!("{{{{{name}}}}}"), &value)
    })
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_arrives_has_its_values() {
        assert_eq!(text_of(Text::Code, 42), "Your verification code is 000042.");
        assert!(text_of(Text::Notice, 1).starts_with("Hello Ada, your order waits for you at London."));
        for parts in Text::PARTS {
            let per_part = |text| {
                let length = text_of(text, 123_456).chars().count() as f64;
                let parts = f64::from(parts);
                (length / parts, length / (parts - 1.0))
            };
            let (least, most) = per_part(Text::Long(parts));
            assert!(least <= 152.0 && most > 160.0, "{parts}: {least} {most}");
            let (least, most) = per_part(Text::Unicode(parts));
            assert!(least <= 66.0 && most > 70.0, "{parts}: {least} {most}");
        }
    }

    #[test]
    fn each_edition_changes_one_carrier_in_turn() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let carrier = CarrierEntry::new("north", address, 1, 1);
        let settings = |edition| Settings {
            api: address,
            metrics: address,
            accounts: 1,
            edition,
            carriers: vec![carrier.clone(), carrier.clone(), carrier.clone()],
            webhooks: Vec::new(),
            notify: "",
            more: String::new(),
        };
        let changes = |edition| {
            let settings = settings(edition);
            [0, 1, 2].map(|at| settings.last_change(at))
        };
        assert_eq!(
            [0, 1, 2, 3, 4].map(changes),
            [[0, 0, 0], [0, 1, 0], [0, 1, 2], [3, 1, 2], [3, 4, 2]]
        );
        assert_ne!(settings(1).catalog(), settings(2).catalog());
    }
}
