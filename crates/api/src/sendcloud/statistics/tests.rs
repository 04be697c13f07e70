//! Rows, totals and ratios against the samples of the vendor's page.

use super::*;
use engine::sms::class::Class;
use engine::{AccountId, StatsDimensions};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

/// 2026-11-22 00:30 in China.
const NOW: UnixMs = 1_795_278_600_000;
/// Days since 1970 of 2026-11-22.
const DAY: i32 = 20_779;

fn query(query: &str) -> Result<StatisticsQuery, u32> {
    let params = Params::read(Some(query), b"").unwrap();
    StatisticsQuery::read(&params, NOW).map_err(|refused| refused.code.code)
}

fn counted(
    day: i32,
    template: i64,
    country: u16,
    state: MessageState,
    error: &str,
    messages: u64,
) -> Statistic {
    let dimensions = StatsDimensions {
        account: AccountId(1),
        user: "demo_user".into(),
        dialect: Dialect::Sendcloud,
        class: Class::Otp,
        kind: Kind::Text,
        template,
        label: 0,
    };
    Statistic {
        day,
        dimensions: Arc::new(dimensions),
        country,
        state,
        error: error.into(),
        cause: None,
        messages,
        segments: 2 * messages,
    }
}

fn some() -> Vec<Statistic> {
    vec![
        counted(DAY, 1001, 86, MessageState::Delivered, "", 26),
        counted(DAY, 1001, 86, MessageState::Undelivered, "5011", 5),
        counted(DAY, 1001, 86, MessageState::Undelivered, "069", 6),
        counted(DAY, 1001, 86, MessageState::Rejected, "410", 4),
        counted(DAY, 1001, 86, MessageState::Rejected, "450", 2),
        counted(DAY - 1, 1001, 86, MessageState::Expired, "", 1),
        counted(DAY - 1, 1002, 44, MessageState::Submitted, "", 3),
    ]
}

fn words(view: View, requested: &StatisticsQuery) -> serde_json::Value {
    let rows = rows(requested, &some());
    if requested.aggregate {
        return serde_json::to_value(total(view, requested.span, rows.values())).unwrap();
    }
    let all = rows
        .iter()
        .map(|(key, counters)| Row::of(view, *key, counters))
        .collect();
    serde_json::to_value(Rows { view, all }).unwrap()
}

#[test]
fn a_query_needs_a_span_of_at_most_a_hundred_days() {
    for (requested, expected) in [
        ("days=1", 200),
        ("days=100", 200),
        ("days=101", 451),
        ("days=0", 451),
        ("", 451),
        ("startDate=2026-08-15&endDate=2026-11-22", 200),
        ("startDate=2026-08-14&endDate=2026-11-22", 451),
        ("startDate=2026-11-22&endDate=2026-11-21", 451),
        (
            "days=1&msgTypeStr=0&templateIdsStr=1;2&labelIdsStr=3&aggregate=0",
            200,
        ),
        ("days=1&aggregate=1", 200),
        ("days=1&aggregate=2", 441),
        ("days=1&msgTypeStr=9", 441),
        ("days=1&templateIdsStr=x", 441),
        ("days=1&labelIdsStr=1;x", 441),
    ] {
        assert_eq!(
            query(requested).map_or_else(|code| code, |_| 200),
            expected,
            "{requested}"
        );
    }
    let filter = query("days=2").unwrap().filter().unwrap();
    assert_eq!(filter.until - filter.from, 2 * 86_400_000);
    assert_eq!(
        filter.until - NOW,
        86_400_000 - 30 * 60_000,
        "to the end of today in China"
    );
}

#[test]
fn days_are_rendered_as_texts_with_ratios_of_two_decimals() {
    let requested = query("days=2").unwrap();
    let reported = words(View::SendDay, &requested);
    assert_eq!(reported["dataListSize"], 3);
    assert_eq!(
        reported["dataList"][0],
        json!({
            "sendDate": "2026-11-22", "templateId": "1001", "msgType": "0",
            "requestNum": "43", "sendNum": "26", "processFailedNum": "6", "sendFailedNum": "11",
            "billingNum": "74", "sendRatio": "60.47", "processFailedRatio": "13.95", "sendFailedRatio": "25.58"
        }),
        "the numbers of the page's own sample"
    );
    assert_eq!(
        (
            &reported["dataList"][1]["sendDate"],
            &reported["dataList"][2]["msgType"]
        ),
        (&json!("2026-11-21"), &json!("2"))
    );
}

#[test]
fn failures_are_counted_by_their_reason() {
    let requested = query("days=2").unwrap();
    let reported = words(View::ProcessFailed, &requested);
    assert_eq!(reported["count"], 3);
    assert_eq!(
        reported["voList"][0],
        json!({
            "sendDate": "2026-11-22", "templateId": "1001", "msgType": "0",
            "globalBlackListNum": "4", "userBlackListNum": "0", "unsubscribleNum": "0", "keyWordFilterNum": "0",
            "errorVarsNum": "2", "varsContentTooLongNum": "0", "encodingExceptionNum": "0",
            "sendTypeUnsupportedNum": "0"
        })
    );
    let reported = words(View::SendFailed, &requested);
    assert_eq!(
        reported["voList"][0],
        json!({
            "sendDate": "2026-11-22", "templateId": "1001", "msgType": "0",
            "emptyPhoneNumberNum": "5", "outOfServiceNum": "0", "complaintsNum": "0", "busyNum": "0",
            "noAnswerNum": "0", "interceptNum": "0", "breakDownNum": "0", "notInServiceNum": "0",
            "shutDownNum": "0", "othersNum": "6"
        })
    );
    assert_eq!(reported["voList"][1]["shutDownNum"], "1");
}

#[test]
fn aggregated_rows_have_neither_template_nor_type() {
    let requested = query("days=2&aggregate=1").unwrap();
    let reported = words(View::SendDay, &requested);
    assert_eq!(
        reported,
        json!({ "total": {
            "sendDate": "2026-11-21到2026-11-22", "templateId": "None", "msgType": "None",
            "requestNum": "47", "sendNum": "26", "processFailedNum": "6", "sendFailedNum": "12",
            "billingNum": "82", "sendRatio": "55.32", "processFailedRatio": "12.77", "sendFailedRatio": "25.53"
        } })
    );
    assert_eq!(
        words(View::ProcessFailed, &requested)["total"]["globalBlackListNum"],
        "4"
    );
    let abroad = query("days=2&aggregate=1&msgTypeStr=2").unwrap();
    assert_eq!(words(View::SendDay, &abroad)["total"]["requestNum"], "3");
    let unsent = query("days=2&aggregate=1&msgTypeStr=1").unwrap();
    let none = words(View::SendDay, &unsent);
    assert_eq!(
        (&none["total"]["requestNum"], &none["total"]["sendRatio"]),
        (&json!("0"), &json!("0.00"))
    );
}

proptest! {
    #[test]
    fn ratios_lie_between_nought_and_a_hundred(part in 0_u64..1_000_000, more in 0_u64..1_000_000) {
        let reported = ratio(part, part + more);
        let (whole, decimals) = reported.split_once('.').unwrap();
        prop_assert_eq!(decimals.len(), 2);
        let hundredths: u64 = whole.parse::<u64>().unwrap() * 100 + decimals.parse::<u64>().unwrap();
        prop_assert!(hundredths <= 10_000);
    }

    #[test]
    fn aggregating_loses_nothing(
        counts in prop::collection::vec((0_i32..3, 1_i64..4, 0_u64..100, 0_usize..10, 0_usize..4), 0..40),
    ) {
        let errors = ["", "410", "5011", "069"];
        let all: Vec<_> = counts
            .iter()
            .map(|(day, template, messages, state, error)| {
                counted(DAY - day, *template, 86, MessageState::ALL[*state], errors[*error], *messages)
            })
            .collect();
        let requested = query("days=3").unwrap();
        let rows = rows(&requested, &all);
        let mut sum = Counters::default();
        rows.values().for_each(|row| sum.add(row));
        prop_assert_eq!(sum.requested, all.iter().map(|one| one.messages).sum::<u64>());
        prop_assert!(sum.delivered + sum.process_failed + sum.send_failed <= sum.requested);
        prop_assert_eq!(sum.failures.iter().sum::<u64>(), sum.process_failed + sum.send_failed);
    }
}
