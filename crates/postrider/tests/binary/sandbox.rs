//! The sandbox as a tester meets it: the inbox over HTTP, replies, and the page for a browser.

use crate::testkit::{Dev, curl, eventually, folder, json, said, status_of};
use serde_json::Value;

fn inbox(dev: &Dev, query: &str) -> Vec<Value> {
    let url = format!("{}/sandbox/messages{query}", dev.base());
    json(&curl(&[&url])).as_array().unwrap().clone()
}

/// Sends a code over EngageLab's `/v1/send`; the answer.
fn send_engagelab(dev: &Dev, to: &str) -> Value {
    let (pair, body) = dev.engagelab(to);
    dev.post("/v1/send", &pair, &[], &body)
}

#[test]
fn an_entry_carries_the_id_that_the_api_answered_and_the_code() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let answer = send_engagelab(&dev, "+447700900123");
    let id = answer["sms_ids"][0]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"));
    let found = inbox(&dev, "?to=%2B447700900123&wait=30");
    assert_eq!(found[0]["api_id"], id);
    assert_eq!(found[0]["code"], "778899");
    assert!(found[0]["id"].is_string(), "{}", found[0]);
    let session = dev.send_for_session("+447700900124");
    let found = inbox(&dev, "?to=%2B447700900124&wait=30");
    assert_eq!(found[0]["api_id"], session.as_str());
    assert_eq!(found[0]["session"], session.as_str());
    assert_eq!(found[0]["code"], "4711");
}

#[test]
fn a_number_is_found_as_it_was_sent_and_in_every_other_form() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    dev.send("13800138000");
    dev.send("(852)55311111");
    for form in [
        "13800138000",
        "%2B8613800138000",
        "008613800138000",
        "8613800138000",
        "+8613800138000",
    ] {
        let found = inbox(&dev, &format!("?to={form}&wait=30"));
        assert_eq!(found.len(), 1, "{form}");
        assert_eq!(found[0]["to_as_sent"], "13800138000");
    }
    for form in ["(852)55311111", "%2B85255311111", "0085255311111"] {
        let found = inbox(&dev, &format!("?to={form}&wait=30"));
        assert_eq!(found.len(), 1, "{form}");
        assert_eq!(found[0]["to_as_sent"], "(852)55311111");
    }
}

#[test]
fn entries_are_deleted_one_by_one_by_number_and_selected_by_time() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    for phone in ["+447700900101", "+447700900102", "+447700900102", "+447700900103"] {
        dev.send(phone);
    }
    let all = eventually("four entries", || {
        let all = inbox(&dev, "");
        (all.len() == 4).then_some(all)
    });
    let first = all.last().unwrap();
    let later = inbox(&dev, &format!("?since={}", first["time"].as_i64().unwrap() + 1));
    assert!(later.len() < 4 && !later.contains(first), "{later:?}");
    assert_eq!(inbox(&dev, "?since=2000-01-01T00:00:00Z").len(), 4);
    let after = inbox(&dev, &format!("?after={}", first["id"].as_str().unwrap()));
    assert_eq!(after.len(), 3);

    let one = format!(
        "{}/sandbox/messages/{}",
        dev.base(),
        first["id"].as_str().unwrap()
    );
    assert_eq!(
        curl(&["-X", "DELETE", "-o", "/dev/null", "-w", "%{http_code}", &one]),
        "204"
    );
    assert_eq!(
        curl(&["-X", "DELETE", "-o", "/dev/null", "-w", "%{http_code}", &one]),
        "404"
    );
    let of_number = format!("{}/sandbox/messages?to=%2B447700900102", dev.base());
    curl(&["-X", "DELETE", &of_number]);
    let left = inbox(&dev, "");
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["to"], "+447700900103");
    for (query, why) in [("?after=what", "after"), ("?since=yesterday", "since")] {
        let url = format!("{}/sandbox/messages{query}", dev.base());
        assert_eq!(status_of(&url), "400");
        assert!(json(&curl(&[&url]))["error"].as_str().unwrap().contains(why));
    }
}

#[test]
fn what_fails_and_who_is_refused_appear_with_the_reason() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    for (number, reason) in [
        ("+10000000001", "carrier_refused_number"),
        ("+10000000011", "carrier_refused_blocked"),
        ("+10000000012", "carrier_refused_unsubscribed"),
        ("+10000000099", "carrier_refused_frequency"),
        ("+10000000002", "phone_unreachable"),
        ("+10000000018", "phone_off"),
    ] {
        dev.send(number);
        let found = inbox(&dev, &format!("?to={}&wait=30", number.replace('+', "%2B")));
        assert_eq!(
            (&found[0]["state"], &found[0]["reason"]["name"]),
            (&"failed".into(), &reason.into())
        );
        assert!(found[0]["reason"]["message"].as_str().unwrap().len() > 10);
    }
    dev.send("+10000000003");
    assert_eq!(inbox(&dev, "?to=%2B10000000003&wait=30")[0]["state"], "silent");
    dev.send("12");
    let refused = inbox(&dev, "?to=12");
    assert_eq!(refused[0]["state"], "refused");
    assert_eq!(refused[0]["to"], "12");
    assert!(refused[0]["reason"]["name"].is_string(), "{}", refused[0]);
    let shown = dev.running.out.wait_for("REFUSED");
    assert!(shown.contains("FAILED phone_off"), "{shown}");
}

#[test]
fn replies_are_played_over_http_and_from_the_command_line() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    dev.send("+447700900123");
    inbox(&dev, "?to=%2B447700900123&wait=30");
    let url = format!("{}/sandbox/inbound", dev.base());
    let play = |body: &str| json(&curl(&["-H", "Content-Type: application/json", "-d", body, &url]));
    let played = play(r#"{"from":"+44 7700 900123","text":"Thank you"}"#);
    assert!(played["id"].is_string(), "{played}");
    let listed = json(&said(&dev.tool(&["inbound", "list", "--json"])));
    assert_eq!(listed["inbound"][0]["text"], "Thank you");
    assert_eq!(listed["inbound"][0]["account"], "demo");

    let stop = dev.tool(&["sandbox", "reply", "--from", "00447700900123", "STOP"]);
    assert!(stop.status.success(), "{}", said(&stop));
    let answer = dev.send("+447700900123");
    assert_ne!(answer["RetCode"], 0, "{answer}");
    let found = inbox(&dev, "?to=%2B447700900123");
    assert_eq!(found[0]["state"], "refused", "{}", found[0]);

    let wrong = play(r#"{"from":"nobody","text":"x"}"#);
    assert!(wrong["error"].as_str().unwrap().contains("`from`"), "{wrong}");
    let data = dev.data.clone();
    assert!(dev.running.stop().success());
    let alone = crate::testkit::run(&[
        "sandbox",
        "reply",
        "--data",
        data.to_str().unwrap(),
        "--from",
        "+447700900123",
        "STOP",
    ]);
    assert_eq!(alone.status.code(), Some(1));
    assert!(
        said(&alone).contains("start `postrider dev` first"),
        "{}",
        said(&alone)
    );
}

#[test]
fn wrong_requests_are_answered_in_words_and_change_nothing() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    dev.send("+447700900123");
    inbox(&dev, "?to=%2B447700900123&wait=30");
    let base = format!("{}/sandbox", dev.base());
    let request = |method: &str, path: &str, body: &str| {
        let url = format!("{base}/{path}");
        let answer = curl(&["-X", method, "-d", body, "-w", "\n%{http_code}", &url]);
        let (document, code) = answer.rsplit_once('\n').unwrap();
        let error = json(document)["error"].as_str().unwrap().to_owned();
        (code.parse::<u16>().unwrap(), error)
    };
    for (method, path, body, code, words) in [
        (
            "GET",
            "messages?wait=abc",
            "",
            400,
            "`wait` is \"abc\"; it must be a whole number",
        ),
        ("GET", "messages?lim=3", "", 400, "did you mean \"limit\"?"),
        ("DELETE", "messages?limit=1", "", 400, "does not select entries"),
        ("DELETE", "messages?to=", "", 400, "`to` is empty"),
        (
            "POST",
            "messages",
            "",
            405,
            "POST is not supported for /sandbox/messages",
        ),
        ("GET", "inbound", "", 405, "POST /sandbox/inbound"),
        (
            "POST",
            "inbound",
            "{\"from\":1,\"text\":\"x\"}",
            400,
            "`from` must be a string in quotes, not a whole number",
        ),
    ] {
        let (answered, error) = request(method, path, body);
        assert_eq!(answered, code, "{method} {path}: {error}");
        assert!(error.contains(words), "{method} {path}: {error}");
    }
    assert_eq!(inbox(&dev, "").len(), 1);
}

#[test]
fn a_stop_does_not_wait_for_those_who_wait_for_a_message() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let url = format!("{}/sandbox/messages?wait=60", dev.base());
    let metrics = format!("{}/metrics", dev.text("/metrics_url"));
    let waiting = std::thread::spawn(move || curl(&[&url]));
    eventually("the request to be there", || {
        let printed = curl(&[&metrics]);
        let here = printed
            .lines()
            .find(|line| line.starts_with("postrider_http_connections "));
        here.is_some_and(|line| !line.ends_with(" 0")).then_some(())
    });
    let mut running = dev.running;
    running.signal("TERM");
    let printed = waiting.join().unwrap();
    assert_eq!(printed, "[]");
    assert!(running.ended().success());
    let log = running.err.so_far();
    assert!(!log.contains("requests cut off"), "{log}");
}

#[test]
fn a_reply_says_whose_it_is() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let reply = |from: &str| dev.tool(&["sandbox", "reply", "--from", from, "Thanks"]);
    let unassigned = reply("+447700900123");
    assert!(
        said(&unassigned).contains("belongs to no account"),
        "{}",
        said(&unassigned)
    );
    dev.send("+447700900123");
    inbox(&dev, "?to=%2B447700900123&wait=30");
    let own = reply("+447700900123");
    assert!(said(&own).contains("belongs to account demo"), "{}", said(&own));
    let url = format!("{}/sandbox/inbound", dev.base());
    let body = "\u{feff}{\"from\":\"+447700900123\",\"text\":\"Thanks\"}";
    assert_eq!(json(&curl(&["--data-binary", body, &url]))["account"], "demo");
    let wrong = reply("nobody");
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
    assert!(said(&wrong).contains("; it must be a number"), "{}", said(&wrong));
}

#[test]
fn a_browser_at_the_root_gets_a_page_and_programs_get_the_wire() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let root = format!("{}/", dev.base());
    let browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let page = curl(&["-i", "-H", browser, &root]);
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("<title>Postrider sandbox</title>"));
    assert!(
        page.to_ascii_lowercase()
            .contains("content-security-policy: default-src 'none'")
    );
    for file in ["inbox.js", "inbox.css"] {
        assert_eq!(status_of(&format!("{}/sandbox/{file}", dev.base())), "200");
    }
    for other in [
        vec![root.as_str()],
        vec!["-H", "Accept: application/json", &root],
        vec!["-X", "POST", "-H", browser, &root],
    ] {
        let answer = json(&curl(&other));
        assert!(answer["RetCode"].is_number(), "{other:?}: {answer}");
    }
    let query = format!("{root}?Action=GetBalance");
    assert!(json(&curl(&["-H", browser, &query]))["RetCode"].is_number());
}

#[test]
fn a_page_of_another_site_neither_reads_the_inbox_nor_plays_replies() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    dev.send("+447700900131");
    assert_eq!(inbox(&dev, "?to=%2B447700900131&wait=30").len(), 1);
    let port = dev.base().rsplit(':').next().unwrap().to_owned();
    let messages = format!("{}/sandbox/messages", dev.base());
    let inbound = format!("{}/sandbox/inbound", dev.base());
    let rebound = format!("Host: rebound.example:{port}");
    let reply = r#"{"from": "+447700900131", "text": "STOP"}"#;
    for arguments in [
        vec!["-H", &rebound, &messages],
        vec!["-H", &rebound, "-X", "DELETE", &messages],
        vec!["-H", &rebound, "-d", reply, &inbound],
        vec!["-H", "Origin: https://site.example", "-d", reply, &inbound],
        vec![
            "-H",
            "Origin: null",
            "-H",
            "Content-Type: text/plain",
            "-d",
            reply,
            &inbound,
        ],
        vec!["-H", "Origin: https://site.example", "-X", "DELETE", &messages],
        vec!["-H", "Origin: https://site.example", &messages],
    ] {
        let answer = json(&curl(&arguments));
        assert!(
            answer["error"].as_str().unwrap().contains("sandbox"),
            "{arguments:?}: {answer}"
        );
    }
    // Nothing was removed, and the page itself may.
    assert_eq!(inbox(&dev, "?to=%2B447700900131").len(), 1);
    let own = format!("Origin: {}", dev.base());
    let played = json(&curl(&["-H", &own, "-d", reply, &inbound]));
    assert!(played["id"].is_string(), "{played}");
}

/// What a message says is put on the page as text. Nothing on it makes HTML of anything, and its policy runs no script but
/// its own file.
#[test]
fn a_text_with_markup_stays_a_text() {
    let folder = folder();
    let dev = Dev::start(folder.path());
    let script = curl(&[&format!("{}/sandbox/inbox.js", dev.base())]);
    assert!(script.contains("textContent"));
    for way in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "srcdoc",
    ] {
        assert!(!script.contains(way), "{way}");
    }
    let page = curl(&["-i", &format!("{}/sandbox", dev.base())]).to_ascii_lowercase();
    assert!(page.contains("default-src 'none'; script-src 'self'"), "{page}");
    assert!(!page.contains("unsafe-inline"), "{page}");
    let text = "<script>alert(1)</script><img src=x onerror=alert(2)>";
    let reply = serde_json::json!({"from": "+447700900132", "to": "10690", "text": text}).to_string();
    let played = curl(&["-i", "-d", &reply, &format!("{}/sandbox/inbound", dev.base())]);
    assert!(
        played
            .to_ascii_lowercase()
            .contains("content-type: application/json"),
        "{played}"
    );
    let listed = curl(&["-i", &format!("{}/sandbox/messages", dev.base())]).to_ascii_lowercase();
    assert!(listed.contains("content-type: application/json"), "{listed}");
}
