//! Who calls: the request signature (docs/dialects/sendcloud.md) and the clock.

use super::codes::{
    ACCOUNT_GONE, ApiError, NO_PERMISSION, SIGNATURE_MISSING, SIGNATURE_WRONG, TIMESTAMP, USER_EMPTY,
    USER_UNKNOWN,
};
use super::params::Params;
use crate::Limits;
use engine::catalog::Snapshot;
use engine::hex;
use engine::{AccountId, UnixMs};
use md5::{Digest, Md5};
use secrecy::ExposeSecret;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The family of credentials in the catalog.
pub const FAMILY: &str = "sendcloud";

/// What is never part of the sign string.
const UNSIGNED: [&str; 2] = ["signature", "smsKey"];

/// A caller who has proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller<'a> {
    /// Whose credential it is.
    pub account: AccountId,
    /// Its public part.
    pub sms_user: &'a str,
    /// Requests a second that may be made with it; 0: no limit.
    pub requests_per_s_max: u32,
}

/// Finds the caller and checks the signature, then the clock.
///
/// # Errors
/// 472, 421, 471, 422, 601, 474, 461, checked in this order: without its key only the existence of an `smsUser` (which
/// the vendor's API shows too) can be found out.
pub fn authenticate<'a>(
    params: &'a Params<'_>,
    catalog: &Snapshot,
    now: UnixMs,
    limits: &Limits,
) -> Result<Caller<'a>, ApiError> {
    let sms_user = params.get("smsUser").ok_or(&USER_EMPTY)?;
    let signature = Signature::read(params.get("signature").unwrap_or_default()).ok_or(&SIGNATURE_MISSING)?;
    let credential = catalog.credential(FAMILY, sms_user).ok_or(&USER_UNKNOWN)?;
    if !signature.fits(params, credential.secret.expose_secret()) {
        return Err(ApiError::from(&SIGNATURE_WRONG));
    }
    if !credential.enabled {
        return Err(ApiError::from(&NO_PERMISSION));
    }
    if catalog.account(credential.account).is_none() {
        return Err(ApiError::from(&ACCOUNT_GONE));
    }
    check_clock(params.get("timestamp"), now, limits)?;
    Ok(Caller {
        account: credential.account,
        sms_user,
        requests_per_s_max: credential.requests_per_s_max,
    })
}

/// Milliseconds, although the page calls it a UNIX timestamp; optional unless the operator wants it.
fn check_clock(timestamp: Option<&str>, now: UnixMs, limits: &Limits) -> Result<(), ApiError> {
    let window_ms = limits.sendcloud_timestamp_window_ms;
    let timestamp = match timestamp {
        None if !limits.sendcloud_timestamp_required => return Ok(()),
        timestamp => timestamp.unwrap_or_default(),
    };
    let within = |sent: i64| sent.abs_diff(now) <= u64::from(window_ms);
    if timestamp.parse().is_ok_and(within) {
        Ok(())
    } else {
        Err(ApiError::with_limit(&TIMESTAMP, window_ms))
    }
}

/// A digest as sent. Nothing in a request names the algorithm; the length does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// 32 hexadecimal digits.
    Md5([u8; 16]),
    /// 64 hexadecimal digits. A plain hash, not an HMAC.
    Sha256([u8; 32]),
}

impl Signature {
    /// Reads hexadecimal digits in any case.
    pub fn read(written: &str) -> Option<Self> {
        match written.len() {
            32 => hex::octets(written)?.try_into().ok().map(Self::Md5),
            64 => hex::octets(written)?.try_into().ok().map(Self::Sha256),
            _ => None,
        }
    }

    /// Whether this is the signature of the parameters under a key.
    ///
    /// Clients do not agree on parameters without a value: most leave them out of request and string, some sign them
    /// as they send them, and one signs `vars=` without sending it. All of these mean the same request.
    pub fn fits(&self, params: &Params<'_>, key: &str) -> bool {
        let signed = params.iter().filter(|(name, _)| !UNSIGNED.contains(name));
        if self.is_of(signed.clone(), key) {
            return true;
        }
        let filled = signed.clone().filter(|(_, value)| !value.is_empty());
        if filled.clone().count() < signed.clone().count() && self.is_of(filled, key) {
            return true;
        }
        let mut with_vars: Vec<_> = signed.clone().collect();
        match with_vars.binary_search_by(|(name, _)| (*name).cmp("vars")) {
            Ok(_) => false,
            Err(at) => {
                with_vars.insert(at, ("vars", ""));
                self.is_of(with_vars.iter().copied(), key)
            }
        }
    }

    fn is_of<'a>(&self, signed: impl Iterator<Item = (&'a str, &'a str)>, key: &str) -> bool {
        match self {
            Self::Md5(sent) => bool::from(sent.as_slice().ct_eq(&digest::<Md5>(signed, key))),
            Self::Sha256(sent) => bool::from(sent.as_slice().ct_eq(&digest::<Sha256>(signed, key))),
        }
    }
}

/// Hash of `key&name=value&name=value&key`, values as decoded.
fn digest<'a, D: Digest>(signed: impl Iterator<Item = (&'a str, &'a str)>, key: &str) -> Box<[u8]> {
    let mut digest = D::new();
    digest.update(key);
    for (name, value) in signed {
        digest.update("&");
        digest.update(name);
        digest.update("=");
        digest.update(value);
    }
    digest.update("&");
    digest.update(key);
    Box::from(digest.finalize().as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "demo_key_0123456789";

    /// docs/dialects/sendcloud.md: name, key, parameters, MD5, SHA-256.
    type Vector = (
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
        &'static str,
    );
    const VECTORS: [Vector; 9] = [
        (
            "V1",
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            &[
                ("smsUser", "testuser"),
                ("templateId", "1"),
                ("phone", "18888888888"),
                ("vars", "{}"),
            ],
            "31eda13789be63afca40a32e37880d6d",
            "473959199cbb4bcac74310296ba880b1394ff73fd0953f3661c5d5eb999d43d3",
        ),
        (
            "V2",
            KEY,
            &[
                ("smsUser", "demo_user"),
                ("templateId", "1001"),
                ("msgType", "0"),
                ("phone", "13800138000,13900139000"),
                ("vars", r#"{"%code%":"8341","%name%":"小明"}"#),
                ("timestamp", "1700000000123"),
                ("sendRequestId", "req-0001"),
                ("tag", r#"{"k":"v"}"#),
            ],
            "01e5be4a5e95bd52ccc5a7b235dd76b4",
            "39bed1802f42dfe93d15e6d4af1959a58ab6ee5d035aee9f50762f292792f346",
        ),
        (
            "V3 sendVoice",
            KEY,
            &[
                ("smsUser", "demo_user"),
                ("phone", "13800138000"),
                ("code", "4826"),
            ],
            "9bdaa5009db07b70d3cad6e096df7f9f",
            "94ffffb92e4424b2dc200209f01cc62bd6dd46987438c0cc5a0653851215217d",
        ),
        (
            "V4 sendCode",
            KEY,
            &[
                ("smsUser", "demo_user"),
                ("msgType", "0"),
                ("phone", "13800138000"),
                ("signName", "示例"),
                ("code", "4826"),
                ("timestamp", "1700000000123"),
            ],
            "bb94893fc0e6a7b0dee945c4b65e87a8",
            "c3cefe3b5004d4d5d2ea852e44e7d7858fd2798912885508af2d31a20845edde",
        ),
        (
            "V5 empty kept",
            KEY,
            &[
                ("smsUser", "demo_user"),
                ("templateId", "1001"),
                ("msgType", "0"),
                ("phone", "13800138000"),
                ("vars", ""),
            ],
            "0ee80f48714c2f7923ad4ad5b0465c43",
            "5f40ef11201e751c9f8a80f9ea2c0d369d58d37c8daee7c63bbaf9805168ea03",
        ),
        (
            "V6 raw specials",
            KEY,
            &[
                ("smsUser", "demo_user"),
                ("templateId", "1001"),
                ("msgType", "0"),
                ("phone", "13800138000"),
                ("vars", r#"{"%q%":"a&b=c%20d+e f"}"#),
            ],
            "c190f48aaf4723374cfe7df017b7a63b",
            "75440716029b5c40989de8f4ae7ab5a99169d2002714ee24715b091f0eb96056",
        ),
        (
            "V7 sendx",
            KEY,
            &[
                ("smsUser", "demo_user"),
                ("templateId", "1001"),
                ("msgType", "0"),
                (
                    "tos",
                    r#"[{"phone":"13800138000","vars":{"%n%":"1"}},{"phone":"13900139000","vars":{}}]"#,
                ),
            ],
            "5b5380c0fe15203ab8c13ec6bbc48dd8",
            "65d1da4775dd37c491aa65b0115294fbab36a0cc5647d5859f39605ae52090a4",
        ),
        (
            "V8 template get",
            KEY,
            &[("smsUser", "demo_user"), ("templateIdStr", "1001")],
            "22b036206c7d7486c9f5cc486bce15c8",
            "404b19b5de429768792e42baa7d1511c8c46c51aac49908e747802dcd9daef74",
        ),
        (
            "V9 addsms",
            KEY,
            &[
                ("smsUser", "demo_user"),
                ("templateName", "t1"),
                ("templateText", "code %code%"),
                ("signId", "7"),
                ("signPositionStr", "0"),
                ("smsTypeStr", "0"),
            ],
            "8a6308c912a3d6037d9d7e2cdf430778",
            "b694548f05b6a314d62d8adc05b2574cc5d2df0b6e2726a21675b97e96a12efe",
        ),
    ];

    fn encode(parameters: &[(&str, &str)]) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish()
    }

    fn fits(parameters: &[(&str, &str)], key: &str, signature: &str) -> bool {
        let form = encode(parameters);
        Signature::read(signature)
            .unwrap()
            .fits(&Params::read(None, form.as_bytes()).unwrap(), key)
    }

    #[test]
    fn the_vectors_of_the_contract_verify_in_both_algorithms_and_any_case() {
        for (name, key, parameters, md5, sha256) in VECTORS {
            for signature in [md5, sha256] {
                assert!(fits(parameters, key, signature), "{name} {signature}");
                assert!(
                    fits(parameters, key, &signature.to_uppercase()),
                    "{name} in upper case"
                );
                assert!(
                    !fits(parameters, "another_key", signature),
                    "{name} under another key"
                );
            }
        }
    }

    #[test]
    fn signature_and_key_are_not_signed_and_unknown_parameters_are() {
        let (_, key, parameters, md5, _) = VECTORS[2];
        let with = |extra: (&'static str, &'static str)| [parameters, &[extra]].concat();
        assert!(fits(&with(("signature", md5)), key, md5));
        assert!(fits(&with(("smsKey", key)), key, md5));
        assert!(!fits(&with(("unknown", "1")), key, md5));
        let unknown = hex::digits(&digest::<Md5>(
            [
                ("code", "4826"),
                ("phone", "13800138000"),
                ("smsUser", "demo_user"),
                ("unknown", "1"),
            ]
            .into_iter(),
            key,
        ));
        assert!(fits(&with(("unknown", "1")), key, &unknown));
    }

    #[test]
    fn empty_parameters_may_be_signed_or_left_out() {
        let (_, key, parameters, kept, _) = VECTORS[4];
        assert!(fits(parameters, key, kept), "sent and signed");
        let without = &parameters[..4];
        let dropped = hex::digits(&digest::<Md5>(
            [
                ("msgType", "0"),
                ("phone", "13800138000"),
                ("smsUser", "demo_user"),
                ("templateId", "1001"),
            ]
            .into_iter(),
            key,
        ));
        assert!(fits(parameters, key, &dropped), "sent, not signed");
        assert!(fits(without, key, &dropped), "not sent, not signed");
        assert!(
            fits(without, key, kept),
            "signed, not sent, as CASDOOR does with vars"
        );
    }

    #[test]
    fn what_is_no_digest_is_not_read() {
        for written in [
            "",
            "abc",
            "31eda13789be63afca40a32e37880d6",
            "zzeda13789be63afca40a32e37880d6d",
            "小小小小小小小小小小a1",
        ] {
            assert_eq!(Signature::read(written), None, "{written}");
        }
    }

    #[test]
    fn the_clock_may_be_off_by_the_window_and_no_more() {
        let now = 1_700_000_000_123;
        let limits = Limits {
            sendcloud_timestamp_window_ms: 60_000,
            ..Limits::default()
        };
        for (sent, good) in [
            (None, true),
            (Some("1700000000123"), true),
            (Some("1700000060123"), true),
            (Some("1699999940123"), true),
            (Some("1700000060124"), false),
            (Some("1699999940122"), false),
            (Some("1700000000"), false),
            (Some("soon"), false),
            (Some("-9223372036854775808"), false),
        ] {
            let checked = check_clock(sent, now, &limits);
            assert_eq!(checked.is_ok(), good, "{sent:?}");
            assert!(checked.is_ok() || checked.unwrap_err().code.code == 461);
        }
    }
}
