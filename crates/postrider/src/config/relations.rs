//! Settings that are valid alone and invalid together; each complaint names the consequence.

use super::Config;
use super::bounds::{store_bounds, webhook_bounds, within};

/// Minimum octets of a recipient in a request: `"13800138000",`.
const RECIPIENT_BYTES_MIN: usize = 14;

/// Adds a complaint unless a condition holds.
macro_rules! demand {
    ($wrong:ident, $holds:expr, $($complaint:tt)+) => {
        if !$holds {
            $wrong.push(format!($($complaint)+));
        }
    };
}

/// Checks settings against each other. Each complaint begins with the name of the setting in backticks.
pub(super) fn check(config: &Config) -> Vec<String> {
    let mut wrong = Vec::new();
    listeners(config, &mut wrong);
    connections(config, &mut wrong);
    requests(config, &mut wrong);
    bodies(config, &mut wrong);
    signed_requests(config, &mut wrong);
    credentials(config, &mut wrong);
    queues(config, &mut wrong);
    store(config, &mut wrong);
    webhooks(config, &mut wrong);
    account_limits(config, &mut wrong);
    life(config, &mut wrong);
    wrong
}

fn listeners(config: &Config, wrong: &mut Vec<String>) {
    let (api, metrics) = (config.api.listen, config.metrics.listen);
    demand!(
        wrong,
        api.port() == 0 || api != metrics,
        "`metrics.listen` and `api.listen` are both {api}: they must differ"
    );
    for (key, ranges) in [
        ("trusted_proxies", &config.api.trusted_proxies),
        ("proxy_protocol_from", &config.api.proxy_protocol_from),
    ] {
        for range in ranges {
            demand!(
                wrong,
                !range.is_everybody(),
                "`api.{key}` has {range}: any client could set its own address"
            );
        }
    }
    let tls = &config.api.tls;
    match (
        tls.cert_file.as_os_str().is_empty(),
        tls.key_file.as_os_str().is_empty(),
    ) {
        (true, false) => {
            wrong.push("`api.tls.key_file` is set without `api.tls.cert_file`: TLS needs both".to_owned())
        }
        (false, true) => {
            wrong.push("`api.tls.cert_file` is set without `api.tls.key_file`: TLS needs both".to_owned())
        }
        _ => {}
    }
}

fn connections(config: &Config, wrong: &mut Vec<String>) {
    let connections = &config.api.connections;
    demand!(
        wrong,
        connections.connections_max > 0,
        "`api.connections.connections_max` is 0: no client could connect"
    );
    demand!(
        wrong,
        connections.header_bytes_max >= 8192,
        "`api.connections.header_bytes_max` is {}; below 8192 common clients would be rejected",
        connections.header_bytes_max
    );
    demand!(
        wrong,
        connections.headers_max >= 16,
        "`api.connections.headers_max` is {}; below 16 common clients would be rejected",
        connections.headers_max
    );
    demand!(
        wrong,
        connections.per_address_max > 0,
        "`api.connections.per_address_max` is 0: no client could connect"
    );
    let timeouts = [
        ("header_read_timeout_ms", connections.header_read_timeout_ms),
        ("request_timeout_ms", connections.request_timeout_ms),
        ("keep_alive_idle_ms", connections.keep_alive_idle_ms),
    ];
    for (name, ms) in timeouts {
        demand!(
            wrong,
            ms > 0,
            "`api.connections.{name}` is 0: every connection would be closed at once"
        );
    }
    demand!(
        wrong,
        connections.stop_grace_ms <= u64::from(config.shutdown.grace_s) * 1000,
        "`api.connections.stop_grace_ms` is longer than `shutdown.grace_s`: the engine would stop before the requests end"
    );
}

fn requests(config: &Config, wrong: &mut Vec<String>) {
    let limits = &config.api.limits;
    let recipients = [
        ("uspeedo_recipients_max", limits.uspeedo_recipients_max),
        ("sendcloud_recipients_max", limits.sendcloud_recipients_max),
        (
            "sendcloud_sendx_recipients_max",
            limits.sendcloud_sendx_recipients_max,
        ),
        ("engagelab_recipients_max", limits.engagelab_recipients_max),
    ];
    for (name, max) in recipients {
        demand!(
            wrong,
            max > 0,
            "`api.limits.{name}` is 0: every request would be rejected"
        );
        demand!(
            wrong,
            max.saturating_mul(RECIPIENT_BYTES_MIN) <= limits.body_bytes_max,
            "`api.limits.{name}` is {max}, but so many do not fit in `api.limits.body_bytes_max` of {} bytes: \
             requests would be rejected for their size first",
            limits.body_bytes_max
        );
        demand!(
            wrong,
            max <= config.store.sqlite.messages_waiting_max,
            "`api.limits.{name}` is {max}, more than `store.sqlite.messages_waiting_max` of {}: such a request \
             would be accepted only when nothing else is queued",
            config.store.sqlite.messages_waiting_max
        );
    }
}

fn bodies(config: &Config, wrong: &mut Vec<String>) {
    let limits = &config.api.limits;
    let (each, all, address) = (
        limits.body_bytes_max,
        limits.bodies_bytes_max,
        limits.bodies_per_address_bytes_max,
    );
    demand!(
        wrong,
        all >= 1024 * 1024,
        "`api.limits.bodies_bytes_max` is {all}; below 1048576 common clients would be rejected"
    );
    demand!(
        wrong,
        address >= 64 * 1024,
        "`api.limits.bodies_per_address_bytes_max` is {address}; below 65536 common clients would be rejected"
    );
    demand!(
        wrong,
        all / 2 >= each,
        "`api.limits.bodies_bytes_max` is {all}, less than twice `api.limits.body_bytes_max` of {each}: the longest \
         request would not fit into the three quarters for unauthenticated clients"
    );
    demand!(
        wrong,
        address >= each,
        "`api.limits.bodies_per_address_bytes_max` is {address}, less than `api.limits.body_bytes_max` of {each}: the \
         longest request would always be rejected"
    );
}

/// Values of `uspeedo_values_max` that a recipient of uSpeedo's and UCloud's APIs needs.
const RECIPIENT_VALUES: usize = 32;

fn credentials(config: &Config, wrong: &mut Vec<String>) {
    let limits = &config.api.limits;
    demand!(
        wrong,
        limits.uspeedo_values_max >= 32_000
            && limits.uspeedo_recipients_max.saturating_mul(RECIPIENT_VALUES) <= limits.uspeedo_values_max,
        "`api.limits.uspeedo_values_max` is {}; it must be 32000 or more, and {RECIPIENT_VALUES} for each of {} recipients: \
         requests would be rejected for their number of values first",
        limits.uspeedo_values_max,
        limits.uspeedo_recipients_max
    );
    demand!(
        wrong,
        limits.failed_credentials_wait_ms_max <= 60_000,
        "`api.limits.failed_credentials_wait_ms_max` is {}; it must be 0 to 60000",
        limits.failed_credentials_wait_ms_max
    );
    demand!(
        wrong,
        limits.failed_credentials_waiting_max <= 1_000_000,
        "`api.limits.failed_credentials_waiting_max` is {}; it must be 0 to 1000000",
        limits.failed_credentials_waiting_max
    );
    let waiting = limits.failed_credentials_waiting_per_address_max;
    demand!(
        wrong,
        waiting <= 1_000_000,
        "`api.limits.failed_credentials_waiting_per_address_max` is {waiting}; it must be 0 to 1000000"
    );
}

/// Replays are remembered within this window; a longer one would not be kept completely.
const REPLAY_WINDOW_S_MAX: u32 = 86_400;

fn signed_requests(config: &Config, wrong: &mut Vec<String>) {
    let limits = &config.api.limits;
    let windows = [
        (
            "uspeedo_timestamp_window_s",
            u64::from(limits.uspeedo_timestamp_window_s),
        ),
        (
            "sendcloud_timestamp_window_ms",
            u64::from(limits.sendcloud_timestamp_window_ms),
        ),
    ];
    for (name, window) in windows {
        demand!(
            wrong,
            window > 0,
            "`api.limits.{name}` is 0: every signed timestamp would be expired"
        );
    }
    let replays = [
        ("uspeedo_replay_window_s", limits.uspeedo_replay_window_s),
        ("ucloud_replay_window_s", limits.ucloud_replay_window_s),
    ];
    for (name, window_s) in replays {
        demand!(
            wrong,
            window_s <= REPLAY_WINDOW_S_MAX,
            "`api.limits.{name}` is {window_s}; it must be 0 to {REPLAY_WINDOW_S_MAX}"
        );
        demand!(
            wrong,
            window_s > REPLAY_WINDOW_S_MAX || window_s <= limits.request_id_keep_s,
            "`api.limits.{name}` is {window_s}, more than `api.limits.request_id_keep_s` of {}: a request repeated with its \
             Idempotency-Key would be sent again within the window",
            limits.request_id_keep_s
        );
    }
    demand!(
        wrong,
        limits.sessions_per_query_max > 0,
        "`api.limits.sessions_per_query_max` is 0: every receipt query would be rejected"
    );
}

fn queues(config: &Config, wrong: &mut Vec<String>) {
    let queue = &config.queue;
    demand!(
        wrong,
        queue.lane_messages_max > 0,
        "`queue.lane_messages_max` is 0: no message would be sent"
    );
    demand!(
        wrong,
        queue.lane_messages_max <= queue.ready_messages_max,
        "`queue.lane_messages_max` is {}, more than `queue.ready_messages_max` of {}: the campaign of one account could \
         fill the queue of its carrier",
        queue.lane_messages_max,
        queue.ready_messages_max
    );
    let weights = [
        ("otp_weight", queue.otp_weight),
        ("notice_weight", queue.notice_weight),
        ("marketing_weight", queue.marketing_weight),
    ];
    for (name, weight) in weights {
        demand!(
            wrong,
            weight > 0,
            "`queue.{name}` is 0: messages of that class would never be sent while others are queued"
        );
    }
    demand!(
        wrong,
        queue.otp_weight >= queue.marketing_weight,
        "`queue.otp_weight` is below `queue.marketing_weight`: one-time codes would wait for campaigns"
    );
}

fn store(config: &Config, wrong: &mut Vec<String>) {
    let sqlite = &config.store.sqlite;
    demand!(
        wrong,
        !config.store.path.as_os_str().is_empty(),
        "`store.path` is empty: it must name a file"
    );
    within(wrong, "store.sqlite", &store_bounds(sqlite));
}

fn life(config: &Config, wrong: &mut Vec<String>) {
    let poll_ms = config.engine.catalog_poll_ms;
    demand!(
        wrong,
        (50..=60_000).contains(&poll_ms),
        "`engine.catalog_poll_ms` is {poll_ms}; it must be 50 to 60000: less only costs reads, more delays changes"
    );
    let clock = [
        ("clock_jump_s", config.engine.clock_jump_s, 5..=3_600),
        ("clock_hold_s", config.engine.clock_hold_s, 0..=604_800),
    ];
    for (name, value, bounds) in clock {
        demand!(
            wrong,
            bounds.contains(&value),
            "`engine.{name}` is {value}; it must be {} to {} seconds",
            bounds.start(),
            bounds.end()
        );
    }
    let lifetimes = [
        ("otp_ttl_s", config.engine.otp_ttl_s),
        ("notice_ttl_s", config.engine.notice_ttl_s),
        ("marketing_ttl_s", config.engine.marketing_ttl_s),
    ];
    for (name, ttl_s) in lifetimes {
        demand!(
            wrong,
            ttl_s == 0 || (engine::accept::TTL_S_MIN..=engine::accept::TTL_S_MAX).contains(&ttl_s),
            "`engine.{name}` is {ttl_s}; it must be 0 (no end) or {} to {} seconds: with less, messages expire before a carrier \
             can accept them",
            engine::accept::TTL_S_MIN,
            engine::accept::TTL_S_MAX
        );
    }
    let retention_s = u64::from(config.engine.retention_days) * 86_400;
    demand!(
        wrong,
        retention_s == 0 || retention_s >= u64::from(config.api.limits.request_id_keep_s),
        "`engine.retention_days` is shorter than `api.limits.request_id_keep_s`: the messages of a request would be \
         deleted before its id expires"
    );
    demand!(
        wrong,
        config.engine.receipt_wait_s > 0,
        "`engine.receipt_wait_s` is 0: every message would become unknown before its receipt arrives"
    );
    demand!(
        wrong,
        config.engine.sweep_every_s > 0,
        "`engine.sweep_every_s` is 0: it must be 1 or more"
    );
    demand!(
        wrong,
        config.engine.inbox_messages_max > 0,
        "`engine.inbox_messages_max` is 0: no message of the sandbox could be read"
    );
    demand!(
        wrong,
        config.shutdown.grace_s <= 600,
        "`shutdown.grace_s` is {}; more than 600 s only delays a restart",
        config.shutdown.grace_s
    );
}

fn webhooks(config: &Config, wrong: &mut Vec<String>) {
    within(wrong, "webhooks", &webhook_bounds(&config.webhooks));
    let engine = &config.engine;
    demand!(
        wrong,
        engine.events_keep_days > 0,
        "`engine.events_keep_days` is 0: no event could be replayed"
    );
    demand!(
        wrong,
        engine.dead_deliveries_keep_days > 0,
        "`engine.dead_deliveries_keep_days` is 0: dead letters could not be resent"
    );
    demand!(
        wrong,
        (10..=86_400).contains(&engine.inbound_parts_wait_s),
        "`engine.inbound_parts_wait_s` is {}; it must be 10 to 86400: the parts of a message arrive seconds apart",
        engine.inbound_parts_wait_s
    );
}

fn account_limits(config: &Config, wrong: &mut Vec<String>) {
    let limits = &config.account_limits;
    let bounds = [
        ("contact_lists_max", limits.contact_lists_max),
        ("contacts_max", limits.contacts_max),
        ("account_contacts_max", limits.account_contacts_max),
        ("documents_max", limits.documents_max),
        ("files_bytes_max", limits.files_bytes_max),
        ("templates_max", limits.templates_max as u64),
        ("signatures_max", limits.signatures_max as u64),
        ("open_tasks_max", limits.open_tasks_max),
    ];
    for (name, max) in bounds {
        demand!(
            wrong,
            max > 0,
            "`account_limits.{name}` is 0: accounts could have none"
        );
    }
    demand!(
        wrong,
        limits.statistics_rows_max >= 1_000,
        "`account_limits.statistics_rows_max` is {}; below 1000 it is too low for one month of an account",
        limits.statistics_rows_max
    );
}

#[cfg(test)]
mod tests;
