//! The requests of published clients (docs/dialects/sendcloud.md, sources PY, GO, JAVA13, EASY, AUTHGEAR).

use super::*;

#[tokio::test]
async fn the_requests_of_published_clients_are_taken_octet_for_octet() {
    let node = TestNode::start().await;
    let now = node.engine.now().to_string();
    let with_signature = |body: &str, signature: String| format!("{body}&signature={signature}");
    let base = |more: &[(&'static str, &str)]| {
        let mut all = fields(&[("smsUser", USER), ("msgType", "0"), ("timestamp", &now)]);
        all.extend(fields(more));
        all
    };
    let seconds = format!("{}000", &now[..10]);

    // Python, official: SHA-256, JSON with blanks and \uXXXX, blanks as plus.
    let py = base(&[
        ("phone", "13800138001"),
        ("templateId", "1002"),
        ("vars", r#"{"name": "\u5c0f\u660e", "place": "Bath"}"#),
        ("sendRequestId", "r1"),
        ("tag", r#"{"k": "v"}"#),
    ]);
    let py_body = format!(
        "smsUser=demo_user&msgType=0&phone=13800138001&templateId=1002&timestamp={now}\
         &vars=%7B%22name%22%3A+%22%5Cu5c0f%5Cu660e%22%2C+%22place%22%3A+%22Bath%22%7D&sendRequestId=r1\
         &tag=%7B%22k%22%3A+%22v%22%7D"
    );
    // Go, official: SHA-256, names in order, JSON with <>& escaped.
    let go = base(&[
        ("phone", "13800138002"),
        ("templateId", "1002"),
        ("vars", r#"{"name":"a\u003cb\u0026c","place":"York"}"#),
    ]);
    let go_body = |signature: &str| {
        format!(
            "msgType=0&phone=13800138002&signature={signature}&smsUser=demo_user&templateId=1002&timestamp={now}\
             &vars=%7B%22name%22%3A%22a%5Cu003cb%5Cu0026c%22%2C%22place%22%3A%22York%22%7D"
        )
    };
    // Java 1.3, official: MD5, names with percent signs, encoded as URLEncoder does.
    let java = base(&[
        ("phone", "13800138003"),
        ("templateId", "1002"),
        ("vars", r#"{"%name%":"Lucy*~","%place%":"Hull"}"#),
    ]);
    let java_body = format!(
        "smsUser=demo_user&templateId=1002&msgType=0&phone=13800138003\
         &vars=%7B%22%25name%25%22%3A%22Lucy*%7E%22%2C%22%25place%25%22%3A%22Hull%22%7D&timestamp={now}"
    );
    // easy-sms: MD5, `{}` for no variables, whole seconds in milliseconds.
    let easy = fields(&[
        ("smsUser", USER),
        ("templateId", "1003"),
        ("msgType", "0"),
        ("phone", "13800138004"),
        ("vars", "{}"),
        ("timestamp", &seconds),
    ]);
    let easy_body = format!(
        "smsUser=demo_user&templateId=1003&msgType=0&phone=13800138004&vars=%7B%7D&timestamp={seconds}"
    );
    // authgear: MD5, no vars when there are none, the request id a digest, names in order.
    let authgear = fields(&[
        ("smsUser", USER),
        ("templateId", "1003"),
        ("msgType", "2"),
        ("phone", "+15550101"),
        ("sendRequestId", "0cc175b9c0f1b6a831c399e269772661"),
    ]);
    let authgear_body = |signature: &str| {
        format!(
            "msgType=2&phone=%2B15550101&sendRequestId=0cc175b9c0f1b6a831c399e269772661&signature={signature}\
             &smsUser=demo_user&templateId=1003"
        )
    };
    for (client, body, number, text) in [
        (
            "Python",
            with_signature(&py_body, sha256(&py)),
            "+8613800138001",
            "Hello 小明, welcome to Bath",
        ),
        (
            "Go",
            go_body(&sha256(&go)),
            "+8613800138002",
            "Hello a<b&c, welcome to York",
        ),
        (
            "Java",
            with_signature(&java_body, md5(&java)),
            "+8613800138003",
            "Hello Lucy*~, welcome to Hull",
        ),
        (
            "easy-sms",
            with_signature(&easy_body, md5(&easy)),
            "+8613800138004",
            "Hello",
        ),
        ("authgear", authgear_body(&md5(&authgear)), "+15550101", "Hello"),
    ] {
        let answer = node.ask(post("/smsapi/send", body)).await;
        assert_eq!(code_of(&answer), 200, "{client}: {}", answer.body);
        assert!(
            answer.json()["info"]["smsIds"][0].is_string(),
            "{client} reads the first id"
        );
        assert_eq!(node.received(number).await.text, text, "{client}");
    }
}

/// Goal: clients that manage templates and signatures find what they read (a Node admin tool, a Next.js route and BHEX,
/// named in docs/dialects/sendcloud.md).
#[tokio::test]
async fn the_requests_of_published_clients_that_manage_are_taken() {
    let node = TestNode::start().await;
    // Node admin tool: everything in the query string of a POST without a body; MD5.
    let save = fields(&[("smsUser", USER), ("signType", "0"), ("signName", "闪达")]);
    let request = Request::post(format!(
        "/smsapi/sign/save?smsUser={USER}&signType=0&signName=%E9%97%AA%E8%BE%BE&signature={}",
        md5(&save)
    ));
    let answer = node.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!(code_of(&answer), 200, "{}", answer.body);
    let sign_id = answer.json()["info"]["smsSignVo"]["id"].to_string();

    // The same tool: a GET with the names in no order.
    let one = fields(&[("smsUser", USER), ("id", &sign_id)]);
    let request = Request::get(format!(
        "/smsapi/sign/get?smsUser={USER}&id={sign_id}&signature={}",
        md5(&one)
    ));
    let answer = node.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.json()["info"]["smsSignVo"]["verifyStatus"], "待审核");

    // Next.js route: query string of a POST, MD5 in upper case, no position, `result` decides.
    let add = fields(&[
        ("smsUser", USER),
        ("templateName", "next"),
        ("templateText", "Your order %no%"),
        ("signId", &sign_id),
        ("smsTypeStr", "1"),
        ("msgType", "0"),
    ]);
    let mut query = add.clone();
    query.insert("signature", md5(&add).to_uppercase());
    let request = Request::post(format!("/smsapi/addsms?{}", encode(&query)));
    let answer = node.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.json()["result"], true, "{}", answer.body);
    let template = answer.json()["info"]["templateId"].to_string();

    // BHEX: a form with the names in order; submits until it gets a 200.
    let submit = fields(&[("smsUser", USER), ("templateIdStr", &template)]);
    let body = format!(
        "signature={}&smsUser={USER}&templateIdStr={template}",
        md5(&submit)
    );
    let answer = node.ask(post("/smsapi/submitsms", body)).await;
    assert_eq!(answer.json()["statusCode"], 200, "{}", answer.body);

    // Node admin tool: `updatesms` without the text, `list` by review.
    let update = fields(&[
        ("smsUser", USER),
        ("templateIdStr", "1001"),
        ("templateName", "code"),
        ("signId", "7"),
        ("signPositionStr", "1"),
        ("smsTypeStr", "0"),
    ]);
    let answer = node.ask(signed("/smsapi/updatesms", &update)).await;
    assert_eq!(code_of(&answer), 200, "{}", answer.body);
    let list = fields(&[("smsUser", USER), ("isVerifyStr", "0")]);
    let request = Request::get(format!(
        "/smsapi/list?smsUser={USER}&isVerifyStr=0&signature={}",
        md5(&list)
    ));
    let answer = node.ask(request.body(Body::empty()).unwrap()).await;
    let waiting: Vec<_> = answer.json()["info"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["templateName"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(waiting, ["pending", "next"]);
}
