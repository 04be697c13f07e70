//! Former names of metrics (docs/renames.md): served beside the present ones for one release, so that dashboards and alarms can
//! be changed while both are there.

use std::fmt::Write;

/// Former and present name of metric families, without `_total`. An entry that ends in `_` stands for all other names that
/// begin so.
const FORMER_NAMES: [(&str, &str); 6] = [
    ("postrider_notify_behind_seconds", "postrider_webhook_lag_seconds"),
    (
        "postrider_notify_calls_under_way",
        "postrider_webhook_calls_in_flight",
    ),
    ("postrider_notify_given_up", "postrider_webhook_dead_deliveries"),
    ("postrider_notify_", "postrider_webhook_"),
    (
        "postrider_store_parked_dropped",
        "postrider_store_unmatched_receipts_dropped",
    ),
    (
        "postrider_store_nobodys_inbound_dropped",
        "postrider_store_unassigned_inbound_dropped",
    ),
];

/// Adds the families of `open_metrics` that had another name, under the former name.
pub(super) fn with_former_names(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + open_metrics.len() / 8);
    let mut former = String::new();
    // The present and the former name of the family that is copied.
    let mut family: Option<(&str, String)> = None;
    for line in open_metrics.lines() {
        if line == "# EOF" {
            break;
        }
        text.push_str(line);
        text.push('\n');
        let mut words = line.splitn(4, ' ');
        if let (Some("#"), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) {
            if kind == "HELP" {
                family = former_name(name).map(|old| (name, old));
            }
            let Some((present, old)) = &family else { continue };
            // Writing to a string does not fail.
            let _ = match kind {
                "HELP" => writeln!(former, "# HELP {old} Deprecated: use {present}."),
                _ => writeln!(former, "# {kind} {old} {}", words.next().unwrap_or_default()),
            };
        } else if let Some((present, old)) = &family
            && let Some(rest) = line.strip_prefix(present)
        {
            let _ = writeln!(former, "{old}{rest}");
        }
    }
    text + &former + "# EOF\n"
}

fn former_name(name: &str) -> Option<String> {
    FORMER_NAMES.iter().find_map(|(former, present)| {
        if present.ends_with('_') {
            name.strip_prefix(present).map(|rest| format!("{former}{rest}"))
        } else {
            (name == *present).then(|| (*former).to_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_that_were_renamed_are_served_under_both_names() {
        let text = "# HELP postrider_webhook_calls Deliveries by result.\n# TYPE postrider_webhook_calls counter\n\
             postrider_webhook_calls_total{result=\"ok\"} 3\n\
             # HELP postrider_inbound Inbound messages.\n# TYPE postrider_inbound counter\npostrider_inbound_total 1\n# EOF\n";
        let both = with_former_names(text);
        assert_eq!(
            both.strip_prefix(text.trim_end_matches("# EOF\n")).unwrap(),
            "# HELP postrider_notify_calls Deprecated: use postrider_webhook_calls.\n\
             # TYPE postrider_notify_calls counter\n\
             postrider_notify_calls_total{result=\"ok\"} 3\n# EOF\n"
        );
    }

    #[test]
    fn what_was_not_renamed_is_served_as_it_is() {
        let text = "# HELP d Gauge d.\n# TYPE d gauge\nd 1\n# EOF\n";
        assert_eq!(with_former_names(text), text);
    }

    #[test]
    fn the_page_of_renames_lists_every_former_name() {
        let page = include_str!("../../../../docs/renames.md");
        for (former, present) in FORMER_NAMES {
            let star = if present.ends_with('_') { "*" } else { "" };
            let row = format!("| `{former}{star}` | `{present}{star}` |");
            assert!(page.contains(&row), "docs/renames.md lacks the row {row}");
        }
    }
}
