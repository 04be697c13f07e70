use super::*;

/// Lays one setting over the defaults.
fn with(table: &str, name: &str, value: u64) -> anyhow::Result<Config> {
    Config::from_text(&format!("[{table}]\n{name} = {value}"))
}

/// Goal: no component replaces a configured value by another one.
#[test]
fn what_a_part_of_the_program_would_change_is_refused() {
    let defaults = Config::from_text("").unwrap();
    let tables = [
        ("store.sqlite", store_bounds(&defaults.store.sqlite)),
        ("webhooks", webhook_bounds(&defaults.webhooks)),
    ];
    for (table, bounds) in tables {
        for (name, _, min, max) in bounds {
            for value in [min, max] {
                // Some contradict other settings there; what is taken is taken as it is.
                match with(table, name, value) {
                    Ok(config) => {
                        let sqlite = config.store.sqlite.store_config();
                        assert_eq!(sqlite.clone().clamped(), sqlite, "{name} = {value}");
                        let limits = config.webhooks.limits();
                        assert_eq!(limits.clone().clamped(), limits, "{name} = {value}");
                    }
                    Err(error) => assert!(!format!("{error:#}").contains("it must be"), "{error:#}"),
                }
            }
            for value in [min.checked_sub(1), Some(max + 1)].into_iter().flatten() {
                let said = format!("{:#}", with(table, name, value).unwrap_err());
                assert!(said.contains(&format!("it must be {min} to {max}")), "{said}");
            }
        }
    }
    assert!(with("engine", "sweep_every_s", 0).is_err());
}

#[test]
fn settings_that_contradict_each_other_say_what_would_go_wrong() {
    let cases = [
        ("[metrics]\nlisten = \"127.0.0.1:8080\"", "they must differ"),
        ("[api.tls]\nkey_file = \"k.pem\"", "TLS needs both"),
        ("[api.tls]\ncert_file = \"c.pem\"", "TLS needs both"),
        (
            "[api.limits]\nengagelab_recipients_max = 0",
            "every request would be rejected",
        ),
        (
            "[api.limits]\nbody_bytes_max = 1000",
            "rejected for their size first",
        ),
        (
            "[store.sqlite]\nmessages_waiting_max = 1500",
            "only when nothing else is queued",
        ),
        (
            "[queue]\nlane_messages_max = 30000",
            "fill the queue of its carrier",
        ),
        ("[queue]\nlane_messages_max = 0", "no message would be sent"),
        ("[queue]\nnotice_weight = 0", "would never be sent"),
        ("[queue]\notp_weight = 1", "codes would wait for campaigns"),
        ("[store]\npath = \"\"", "it must name a file"),
        ("[store.sqlite]\nreaders_max = 1", "must be 2 to 16"),
        ("[engine]\ncatalog_poll_ms = 1", "must be 50 to 60000"),
        (
            "[engine]\nretention_days = 1\n[api.limits]\nrequest_id_keep_s = 90000",
            "before its id expires",
        ),
        ("[engine]\ninbox_messages_max = 0", "could be read"),
        ("[engine]\notp_ttl_s = 2", "before a carrier can accept them"),
        (
            "[engine]\nmarketing_ttl_s = 2592001",
            "0 (no end) or 10 to 2592000",
        ),
        ("[shutdown]\ngrace_s = 3600", "only delays a restart"),
        ("[webhooks]\nbreaker_failures = 1", "must be 2 to 1000"),
        ("[engine]\nevents_keep_days = 0", "no event could be replayed"),
        ("[engine]\ndead_calls_keep_days = 0", "could not be resent"),
        ("[engine]\ninbound_parts_wait_s = 1", "seconds apart"),
        ("[account_limits]\ncontacts_max = 0", "accounts could have none"),
        (
            "[account_limits]\nstatistics_rows_max = 10",
            "too low for one month",
        ),
    ];
    for (text, expected) in cases {
        let complaint = format!("{:#}", Config::from_text(text).unwrap_err());
        assert!(complaint.contains(expected), "{text:?} gave: {complaint}");
    }
}

#[test]
fn port_zero_may_stand_twice() {
    let text = "[api]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"127.0.0.1:0\"";
    assert!(Config::from_text(text).is_ok());
}
