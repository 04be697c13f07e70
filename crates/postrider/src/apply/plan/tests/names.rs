use super::*;

/// Characters that turn, hide or end what stands beside them.
const UNSEEN: [&str; 8] = [
    "\\u001B[31m",
    "\\u202E",
    "\\u2066",
    "\\u200F",
    "\\u2028",
    "\\u0085",
    "\\n",
    "\\u061C",
];

#[test]
fn names_and_senders_with_characters_that_are_obeyed_are_refused_everywhere() {
    let entries = [
        "[[account]]\nname = \"aXb\"\n",
        "[[account]]\nname = \"a\"\n[[account.webhook]]\nname = \"aXb\"\nformat = \"standard\"\nurl = \"https://a.example/\"\nevents = [\"ended\"]\n",
        "[[account]]\nname = \"a\"\n[[account.template]]\nname = \"aXb\"\nclass = \"otp\"\ntext = \"t\"\n",
        "[[account]]\nname = \"a\"\n[[account.signature]]\ntext = \"aXb\"\n",
        "[[account]]\nname = \"a\"\n[[account.credential]]\nfamily = \"ucloud\"\nkey = \"aXb\"\nsecret = \"0123456789abcdef\"\n",
        "[[account]]\nname = \"a\"\nsenders = [\"aXb\"]\n",
        "[[carrier]]\nname = \"aXb\"\ntype = \"sandbox\"\n",
        "[[carrier]]\nname = \"a\"\ntype = \"smpp\"\nhost = \"smsc.example\"\nsystem_id = \"p\"\ndefault_sender = \"aXb\"\n",
        "[[carrier]]\nname = \"a\"\ntype = \"sandbox\"\n[[route]]\nname = \"aXb\"\ncarriers = [\"a\"]\n",
        "[[blocked_words]]\nname = \"aXb\"\nwords = [\"w\"]\n",
    ];
    for entry in entries {
        for unseen in UNSEEN {
            let text = entry.replace('X', unseen);
            let wrong = plan_with(&text, &Existing::default(), ApplyOptions::default());
            assert!(wrong.is_err(), "{text}");
        }
        let fine = entry.replace('X', "-");
        let plan = plan_with(&fine, &Existing::default(), ApplyOptions::default());
        assert!(plan.is_ok(), "{fine}: {:?}", plan.err());
    }
}
