//! What the reader of a page has done before its blocks: what the page takes for granted.

/// A page with blocks that are run.
pub(crate) struct Page {
    pub(crate) path: &'static str,
    /// Commands that come before the first block that has these words.
    pub(crate) before: &'static [(&'static str, &'static str)],
}

/// A page whose reader has a node of his own, with the configuration `postrider.toml`.
const fn of_a_node(path: &'static str) -> Page {
    Page {
        path,
        before: &[
            ("", CONFIGURATION),
            ("", "postrider serve --config postrider.toml\n"),
        ],
    }
}

/// A page whose reader has `postrider dev`.
const fn of_dev(path: &'static str) -> Page {
    Page {
        path,
        before: &[("", "postrider dev\n")],
    }
}

/// A page that takes nothing for granted.
const fn whole(path: &'static str) -> Page {
    Page { path, before: &[] }
}

/// All pages with blocks that are run.
pub(crate) const PAGES: [Page; 14] = [
    Page {
        path: "README.md",
        before: &[("/sandbox/messages", "make run\n")],
    },
    whole("crates/sim/README.md"),
    of_a_node("docs/carriers-and-routes.md"),
    of_a_node("docs/catalog.md"),
    Page {
        path: "docs/cli.md",
        before: &[
            ("", CONFIGURATION),
            ("", CLI),
            (
                "postrider status",
                "postrider send --to +447700900123 --template code --var code=4711 --config postrider.toml\n",
            ),
        ],
    },
    of_a_node("docs/coming-from-a-vendor.md"),
    whole("docs/compatibility/README.md"),
    whole("docs/dialects/sendcloud.md"),
    of_dev("docs/dialects/uspeedo.md"),
    whole("docs/getting-started.md"),
    of_dev("docs/inbound.md"),
    Page {
        path: "docs/operations.md",
        before: &[
            ("postrider status", OPERATED),
            ("postrider send", SENDING),
            ("postrider template", SUBMITTED),
            ("postrider task", TASK),
        ],
    },
    of_dev("docs/sandbox.md"),
    whole("docs/webhooks.md"),
];

/// A configuration, and its master key.
const CONFIGURATION: &str = r#"
openssl rand -hex 32 > master.key
cat > postrider.toml <<'TOML'
[api]
listen = "127.0.0.1:8081"
[metrics]
listen = "127.0.0.1:0"
[store]
path = "node.db"
[secrets]
master_key_file = "master.key"
[webhooks]
allow = ["127.0.0.0/8"]
TOML
"#;

/// The catalog that the examples of the command line are about.
const CLI: &str = r#"
cat > catalog.toml <<'TOML'
[[account]]
name = "shop"
[[account.template]]
name = "code"
class = "otp"
text = "Your code is {{code}}"
[[account.webhook]]
name = "crm"
format = "standard"
url = "http://127.0.0.1:9000/hook"
events = ["ended"]
[[carrier]]
name = "north"
type = "smpp"
host = "127.0.0.1"
port = 2775
system_id = "shop"
[[route]]
carriers = ["north"]
TOML
"#;

/// An account, a carrier that is away, and messages that wait for it.
const OPERATED: &str = r#"
cat > operated.toml <<'TOML'
[[account]]
name = "acme"
[[account.credential]]
family = "ucloud"
key = "acme"
secret = "0123456789abcdef"
[[account.credential]]
family = "sendcloud"
key = "acme"
secret = "0123456789abcdef"
[[account.signature]]
text = "Acme"
[[account.template]]
name = "code"
class = "otp"
text = "Your code is {{code}}"
signature = "Acme"
[[carrier]]
name = "sandbox"
type = "sandbox"
[[carrier]]
name = "north"
type = "smpp"
host = "10.0.0.9"
port = 2775
system_id = "acme"
binds = 2
[[route]]
prefixes = ["49"]
carriers = ["north"]
[[route]]
carriers = ["sandbox"]
TOML
postrider apply operated.toml --config postrider.toml
postrider send --to +4915112345678 --template code --var code=4711 --account acme --sender Acme --config postrider.toml
"#;

/// What the suppressions of the page before have done to the number is undone.
const SENDING: &str = "postrider suppression remove +447700900123 --config postrider.toml || true\n";

/// Templates and a qualification that wait for their review.
const SUBMITTED: &str = r#"
for number in 1005 1006 1007; do
  printf '[[account]]\nname = "acme"\n[[account.template]]\nname = "t%s"\nnumber = %s\nclass = "notice"\ntext = "Hello"\nreview = "submitted"\n' "$number" "$number" |
    postrider apply - --config postrider.toml
done
cat > ask.py <<'PY'
import hashlib, json, sys, urllib.parse, urllib.request
params = dict(pair.split("=", 1) for pair in sys.argv[1:]) | {"PublicKey": "acme"}
signed = "".join(name + params[name] for name in sorted(params)) + "0123456789abcdef"
params["Signature"] = hashlib.sha1(signed.encode()).hexdigest()
answer = json.load(urllib.request.urlopen("http://127.0.0.1:8080/", urllib.parse.urlencode(params).encode()))
assert answer["RetCode"] == 0, answer
print(answer.get("FileId", ""))
PY
FILE=$(python3 ask.py Action=UploadUSMSFile FileName=licence.png FileType=image/png FileContent=aGVsbG8= Source=0)
python3 ask.py Action=AddUSMSSignatureQualification Name=Acme Attr=0 HandlerPhone=13800138000 "CompanyCertificateFileId=$FILE" Status=1
"#;

/// A task that waits for its time.
const TASK: &str = r#"
cat > task.py <<'PY'
import datetime, hashlib, json, urllib.parse, urllib.request
# In an hour, in China.
due = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))) + datetime.timedelta(hours=1)
def ask(path, **fields):
    fields["smsUser"] = "acme"
    joined = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
    fields["signature"] = hashlib.md5(f"0123456789abcdef&{joined}&0123456789abcdef".encode()).hexdigest()
    answer = json.load(urllib.request.urlopen("http://127.0.0.1:8080" + path, urllib.parse.urlencode(fields).encode()))
    assert answer["statusCode"] == 200, answer
ask("/smsapi/smsContactList/save", contactListName="spring")
ask("/smsapi/smsContactListMember/saveOrUpdate", contactListName="spring", phone="13800138001")
ask("/smsapi/sendContactListTask", contactListName="spring", taskName="greeting", templateId="1006", executeTime=due.strftime("%Y-%m-%d %H:%M:%S"))
PY
python3 task.py
"#;
