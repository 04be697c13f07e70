//! The commands on the banner: the documented request of each vendor, with only host, credentials, template and sender
//! replaced, and the status query.

use super::demo::Demo;
use engine::hex;
use md5::Md5;
use sha1::Sha1;
use sha2::Digest;

/// The template the examples use.
pub(super) const EXAMPLE_CODE: &str = "code";
/// The sender of the examples.
const SENDER: &str = "Postrider";
/// The number in the vendors' own examples.
const PHONE: &str = "13800138000";

/// One dialect's example.
#[derive(Debug, Clone)]
pub(super) struct Example {
    /// The dialect's name.
    pub(super) title: &'static str,
    /// Sends a code.
    pub(super) send: String,
    /// Queries the status; `$ID` is the member `id` of the response.
    pub(super) status: String,
    /// The member of the response with the id.
    pub(super) id: &'static str,
}

/// An example of each API with a status query.
pub(super) fn examples(demo: &Demo) -> Vec<Example> {
    vec![
        uspeedo_rest(demo),
        uspeedo_action(demo),
        ucloud(demo),
        sendcloud(demo),
        engagelab(demo),
    ]
}

/// `$(echo -n 'key:secret' | base64)`, as uSpeedo's documentation builds it.
fn basic(key: &str, secret: &str) -> String {
    format!("Authorization: Basic $(echo -n '{key}:{secret}' | base64)")
}

fn uspeedo_rest(demo: &Demo) -> Example {
    let (host, template) = (&demo.base_url, demo.code_template().ut_id);
    let basic = basic(&demo.uspeedo.access_key_id, &demo.uspeedo.access_key_secret);
    // The uSpeedo REST v1 document, with its missing line ends restored.
    let send = format!(
        r#"curl -X POST "{host}/api/v1/usms/SendBatchUSMSMessage" \
-H "Content-Type: application/json" \
-H "Accept: application/json" \
-H "{basic}" \
-d '{{"TaskContent": [{{"TemplateId": "{template}","SenderId": "{SENDER}","Target": [{{"Phone": "{PHONE}","TemplateParams": ["123456"]}}]}}]}}'"#
    );
    let status = format!(r#"curl "{host}/api/v1/usms/USMSSendReceipt?id=$ID" -H "{basic}""#);
    Example {
        title: "uSpeedo REST v1",
        send,
        status,
        id: "SessionNo",
    }
}

fn uspeedo_action(demo: &Demo) -> Example {
    let (host, template) = (&demo.base_url, demo.code_template().ut_id);
    let basic = basic(&demo.uspeedo.access_key_id, &demo.uspeedo.access_key_secret);
    // The UCloud Action document shows no authentication at all; Basic replaces the SDKs' signature headers.
    let send = format!(
        r#"curl -X POST {host}/api -H 'Content-Type: application/json' -H "{basic}" -d '{{
   "Action": "SendBatchUSMSMessage",
   "AccountId": 1,
   "TaskContent": [
  {{
    "TemplateId": "{template}",
    "SenderId": "{SENDER}",
    "Target": [
      {{
        "TemplateParams": [
          "123456"
        ],
        "Phone": "(852)55311111",
        "ExtendCode": "123",
        "UserId": "456"
      }}
    ]
  }}
]
}}'"#
    );
    let status = format!(
        r#"curl -X POST {host}/api -H 'Content-Type: application/json' -H "{basic}" -d '{{"Action": "GetUSMSSendReceipt", "AccountId": 1, "SessionNoSet": ["'$ID'"]}}'"#
    );
    Example {
        title: "uSpeedo Action",
        send,
        status,
        id: "SessionNo",
    }
}

fn ucloud(demo: &Demo) -> Example {
    let (host, key) = (&demo.base_url, &demo.ucloud);
    let template = demo.code_template().ut_id;
    let mut parameters = [
        ("Action", "SendUSMSMessage"),
        ("PhoneNumbers.0", PHONE),
        ("ProjectId", key.project_id.as_str()),
        ("PublicKey", key.public_key.as_str()),
        ("SigContent", key.sig_content.as_str()),
        ("TemplateId", template.as_str()),
        ("TemplateParams.0", "123456"),
    ];
    let signature = ucloud_signature(&mut parameters, &key.private_key);
    let query: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let send = format!("curl '{host}/?{}&Signature={signature}'", query.join("&"));
    let (project, public, private) = (&key.project_id, &key.public_key, &key.private_key);
    let status = format!(
        r#"curl "{host}/?Action=GetUSMSSendReceipt&ProjectId={project}&PublicKey={public}&SessionNoSet.0=${{ID}}&Signature=$(printf %s "ActionGetUSMSSendReceiptProjectId{project}PublicKey{public}SessionNoSet.0${{ID}}{private}" | sha1sum | cut -d' ' -f1)""#
    );
    Example {
        title: "UCloud",
        send,
        status,
        id: "SessionNo",
    }
}

/// Names and values in the order of the names, then the private key, through SHA-1
/// (docs/dialects/uspeedo.md).
fn ucloud_signature(parameters: &mut [(&str, &str)], private_key: &str) -> String {
    parameters.sort_unstable();
    let mut digest = Sha1::new();
    for (name, value) in parameters {
        digest.update(name);
        digest.update(value);
    }
    digest.update(private_key);
    hex::digits(&digest.finalize())
}

fn sendcloud(demo: &Demo) -> Example {
    let (host, user, key) = (&demo.base_url, &demo.sendcloud.sms_user, &demo.sendcloud.sms_key);
    let template = demo.code_template().number.to_string();
    const VARS: &str = r#"{"code":"123456"}"#;
    let mut parameters = [
        ("smsUser", user.as_str()),
        ("templateId", &template),
        ("phone", PHONE),
        ("vars", VARS),
    ];
    let signature = sendcloud_signature(&mut parameters, key);
    let send = format!(
        "curl {host}/smsapi/send -d smsUser={user} -d templateId={template} -d phone={PHONE} \
         --data-urlencode 'vars={VARS}' -d signature={signature}"
    );
    let status = format!(
        r#"curl {host}/smsapi/status/query -d smsUser={user} -d days=1 --data-urlencode "smsIds=$ID" -d signature=$(printf %s "{key}&days=1&smsIds=$ID&smsUser={user}&{key}" | md5sum | cut -d' ' -f1)"#
    );
    Example {
        title: "SendCloud",
        send,
        status,
        id: "smsIds",
    }
}

/// `key&name=value&…&key` in the order of the names, through MD5 (docs/dialects/sendcloud.md).
fn sendcloud_signature(parameters: &mut [(&str, &str)], key: &str) -> String {
    parameters.sort_unstable();
    let joined: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    hex::digits(&Md5::digest(format!("{key}&{}&{key}", joined.join("&"))))
}

fn engagelab(demo: &Demo) -> Example {
    let (host, template) = (&demo.base_url, demo.code_template().number);
    let basic = basic(&demo.engagelab.sms_user, &demo.engagelab.sms_key);
    // The EngageLab v1 document with valid JSON, and a request id that differs each second: a repeated one would not send again.
    let send = format!(
        r#"curl -X POST "{host}/v1/send" \
--header "{basic}" \
--header "Content-Type: application/json" \
--data '{{
"from": "{SENDER}",
"to": ["+12673800456", "+12673800455"],
"request_id":"'$(date +%s)'" ,
"body":{{
"template_id": {template},
"label_id": 231,
"vars": {{
"code":"123456"
}}
}}
}}'"#
    );
    // The vendor's days are those of UTC+8.
    let status = format!(
        r#"curl -G "{host}/v1/status" --header "{basic}" -d send_date=$(TZ=UTC-8 date +%F) --data-urlencode "sms_ids=$ID""#
    );
    Example {
        title: "EngageLab",
        send,
        status,
        id: "sms_ids",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ucloud_signatures_match_the_published_vector() {
        // docs/dialects/uspeedo.md.
        let mut parameters = [
            ("Limit", "10"),
            ("Action", "DescribeUHostInstance"),
            ("PublicKey", "ucloudsomeone@example.com1296235120854146120"),
            ("Region", "cn-bj2"),
        ];
        let signature = ucloud_signature(&mut parameters, "46f09bb9fab4f12dfc160dae12273d5332b5debe");
        assert_eq!(signature, "cba5cf5ec4d4233d206b1b54951e3787350a642f");
    }

    #[test]
    fn sendcloud_signatures_match_a_published_vector() {
        // docs/dialects/sendcloud.md, V3.
        let mut parameters = [
            ("smsUser", "demo_user"),
            ("phone", "13800138000"),
            ("code", "4826"),
        ];
        let signature = sendcloud_signature(&mut parameters, "demo_key_0123456789");
        assert_eq!(signature, "9bdaa5009db07b70d3cad6e096df7f9f");
    }
}
