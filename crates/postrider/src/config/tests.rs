use super::*;

#[test]
fn the_default_file_says_what_the_crates_do_by_themselves() {
    let config = Config::from_text("").unwrap();
    assert_eq!(config.api.limits, api::Limits::default());
    assert_eq!(config.api.connections, api::serve::ServeLimits::default());
    let (ours, theirs) = (config.engine_settings(), engine::Settings::default());
    assert_eq!(ours.queue, theirs.queue);
    assert_eq!(ours.time_to_live, theirs.time_to_live);
    assert_eq!(ours.catalog_poll, theirs.catalog_poll);
    assert_eq!(ours.retention, theirs.retention);
    assert_eq!(ours.receipt_wait, theirs.receipt_wait);
    assert_eq!(ours.unmatched_receipts_keep, theirs.unmatched_receipts_keep);
    assert_eq!(ours.sweep_every, theirs.sweep_every);
    assert_eq!(ours.clock, theirs.clock);
    assert_eq!(ours.events_keep, theirs.events_keep);
    assert_eq!(ours.dead_calls_keep, theirs.dead_calls_keep);
    assert_eq!(ours.inbound_keep, theirs.inbound_keep);
    assert_eq!(ours.inbound_parts_wait, theirs.inbound_parts_wait);
    assert_eq!(ours.tasks_keep, theirs.tasks_keep);
    assert_eq!(ours.statistics_keep, theirs.statistics_keep);
    assert_eq!(ours.account_limits, theirs.account_limits);
    assert_eq!(config.webhooks.limits(), engine::webhooks::Limits::default());
    assert_eq!(config.webhooks.limits().clamped(), config.webhooks.limits());
    assert_eq!(ours.inbox_messages_max, theirs.inbox_messages_max);
    assert_eq!(ours.metric_accounts_max, theirs.metric_accounts_max);
}

#[test]
fn the_default_file_is_what_the_store_does_by_itself() {
    let ours = Config::from_text("").unwrap().store.sqlite.store_config();
    assert_eq!(ours.clone().clamped(), ours);
    assert_eq!(ours, store::sqlite::SqliteConfig::default());
}

/// Every key of the default file with its value and what stands behind it.
fn documented() -> Vec<(String, String, String)> {
    let (mut table, mut keys) = (String::new(), Vec::new());
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[') {
            name.trim_end_matches(']').clone_into(&mut table);
        } else if let Some((key, rest)) = line.split_once(" = ")
            && !line.starts_with('#')
        {
            let (value, bounds) = rest.split_once(" # ").unwrap_or((rest, ""));
            keys.push((
                format!("{table}.{key}"),
                value.trim().to_owned(),
                bounds.to_owned(),
            ));
        }
    }
    keys
}

/// What is said about one setting, alone in its file.
fn said_of(key: &str, value: u64) -> String {
    let (table, name) = key.rsplit_once('.').unwrap();
    let text = format!("[{table}]\n{name} = {value}\n");
    Config::from_text(&text)
        .err()
        .map_or_else(String::new, |error| format!("{error:#}"))
}

/// `1 to 5`, `1 or more`, `0, or 10 to 50`, with more words behind a comma.
fn bounds(words: &str) -> Option<(u64, Option<u64>)> {
    let words = words.strip_prefix("0, or ").unwrap_or(words);
    let words = words.split(',').next()?;
    match words.split_once(" to ") {
        Some((min, max)) => Some((min.parse().ok()?, Some(max.parse().ok()?))),
        None => Some((words.strip_suffix(" or more")?.parse().ok()?, None)),
    }
}

#[test]
fn every_key_of_the_default_file_says_what_it_may_be_and_that_is_so() {
    let keys = documented();
    assert!(keys.len() > 80, "{}", keys.len());
    for (key, value, words) in keys {
        assert!(!words.is_empty(), "{key} does not say what it may be");
        if value.parse::<u64>().is_err() {
            continue;
        }
        let (min, max) = bounds(&words).unwrap_or_else(|| panic!("{key}: {words} are no bounds"));
        let named = format!("`{key}`");
        for beyond in min.checked_sub(1).into_iter().chain(max.map(|max| max + 1)) {
            let said = said_of(&key, beyond);
            let is_none = beyond == 0 && words.starts_with("0, or ");
            assert_eq!(said.contains(&named), !is_none, "{key} = {beyond}: {said:?}");
        }
        for within in [Some(min), max].into_iter().flatten() {
            // Another setting may be in its way.
            let said = said_of(&key, within);
            let others = said
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|name| *name != key)
                .count();
            assert!(said.is_empty() || others > 0, "{key} = {within}: {said}");
        }
    }
}

#[test]
fn a_value_outside_its_type_is_named() {
    let complaint = |text| format!("{:#}", Config::from_text(text).unwrap_err());
    assert_eq!(
        complaint("[queue]\notp_weight = 70000"),
        "line 2: `queue.otp_weight` is 70000; it must be 0 to 65535"
    );
    assert!(complaint("[api]\nlisten = \"nowhere\"").starts_with("line 2: `api.listen`: "));
    assert_eq!(
        complaint("[log]\nformat = \"xml\""),
        "line 2: `log.format` is \"xml\"; it must be one of \"text\", \"json\""
    );
    let allow = complaint("[webhooks]\nallow = [\"10.0.0.0/8\", \"10.0.0.0/64\"]");
    assert!(
        allow.starts_with("line 2: `webhooks.allow[1]`: a range of 10.0.0.0 has 0 to 32 bits"),
        "{allow}"
    );
}

#[test]
fn proxies_are_addresses_and_ranges_and_not_everybody() {
    for key in ["trusted_proxies", "proxy_protocol_from"] {
        let text = format!("[api]\n{key} = [\"10.1.0.0/16\", \"2001:db8::7\"]");
        let settings = Config::from_text(&text).unwrap().api.settings();
        let (named, other) = match key {
            "trusted_proxies" => (settings.trusted_proxies, settings.proxy_protocol_from),
            _ => (settings.proxy_protocol_from, settings.trusted_proxies),
        };
        assert_eq!(other, TrustedProxies::default());
        assert!(named.contains("10.1.2.3".parse().unwrap()));
        assert!(named.contains("2001:db8::7".parse().unwrap()));
        assert!(!named.contains("10.2.0.0".parse().unwrap()));
        let said = |range: &str| {
            let text = format!("[api]\n{key} = [\"192.0.2.1\", \"{range}\"]");
            format!("{:#}", Config::from_text(&text).unwrap_err())
        };
        for (range, complaint) in [
            ("10.0.0.0/33", "a range of 10.0.0.0 has 0 to 32 bits"),
            ("10.0.0.1/8", "10.0.0.1 has bits set beyond its first 8"),
            (
                "proxy.example",
                "\"proxy.example\" is neither an address nor a range",
            ),
        ] {
            let message = said(range);
            assert!(message.contains(complaint), "{message}");
            assert!(
                message.starts_with(&format!("line 2: `api.{key}[1]`")),
                "{message}"
            );
        }
        let everybody = said("::/0");
        assert!(
            everybody.contains(&format!("`api.{key}` has ::/0")),
            "{everybody}"
        );
    }
}

#[test]
fn mistakes_of_every_kind_come_in_one_run_each_with_its_line() {
    let text = "[api]\nlisten = \"8080\"\n[queue]\notp_weigth = 3\nlane_messages_max = 0\n[store]\npath = data\n\
        [log]\nformat = \"xml\"\n[shutdown]\ngrace_s = 3600\n";
    let message = format!("{:#}", Config::from_text(text).unwrap_err());
    for expected in [
        "line 2: `api.listen`: \"8080\" is a port alone",
        "line 4: unknown key `queue.otp_weigth`; did you mean `queue.otp_weight`?",
        "line 5: `queue.lane_messages_max` is 0",
        "line 7: `path`: a string needs quotes: path = \"data\"",
        "line 9: `log.format` is \"xml\"",
        "line 11: `shutdown.grace_s` is 3600",
    ] {
        assert!(message.contains(expected), "{expected} is not in:\n{message}");
    }
    assert_eq!(message.lines().count(), 6, "{message}");
}

#[test]
fn localhost_is_an_address() {
    let config = Config::from_text("[api]\nlisten = \"localhost:8081\"").unwrap();
    assert_eq!(config.api.listen, SocketAddr::from(([127, 0, 0, 1], 8081)));
}

#[test]
fn a_list_of_exceptions_is_read() {
    let config = Config::from_text("[webhooks]\nallow = [\"10.1.0.0/16\", \"hooks.internal:8080\"]").unwrap();
    let allow: Vec<String> = config.webhooks.allow.iter().map(ToString::to_string).collect();
    assert_eq!(allow, ["10.1.0.0/16", "hooks.internal:8080"]);
}

#[test]
fn an_inline_master_key_is_not_shown_when_printed() {
    let key = "0123456789abcdef".repeat(4);
    let config = Config::from_text(&format!("[secrets]\nmaster_key = \"{key}\"")).unwrap();
    assert!(!format!("{config:?}").contains(&key));
}
