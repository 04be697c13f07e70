//! Arbitrary template texts: each is a template, and rendered without values it is unchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sms::template::Template;

fuzz_target!(|text: &str| {
    let template = Template::parse(text);
    assert_eq!(template.render(&[]), text);
});
