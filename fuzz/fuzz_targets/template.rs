//! A template's text: every text is one, and unfilled it is itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sms::template::Template;

fuzz_target!(|text: &str| {
    let template = Template::parse(text);
    assert_eq!(template.render(&[]), text);
});
