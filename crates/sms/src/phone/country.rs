//! The country of a number, and the list of assigned calling codes.
//!
//! Source: ITU-T, "List of Recommendation ITU-T E.164 assigned country codes" (annex to ITU Operational Bulletin
//! No. 1114, position on 15 December 2016), with the amendments known in November 2026: 383 (Kosovo, 2016) and 997
//! (Kazakhstan, beside 7). Codes of global services and of groups of countries are assigned too (388, 800, 808, 870,
//! 878, 881, 882, 883, 888, 979, 991). Left out is what the list marks as spare or reserved, such as 210, 259, 28x,
//! 384, 422, 699, 851, 875 to 877, 969 and 999; 970, which it marks as reserved, is in use and is kept, as is 886.
//!
//! The table is part of this crate because only the code is needed and it changes about once in ten years.

use super::Msisdn;

/// A calling code and the country that administers it, if there is one.
pub(super) struct Country {
    pub(super) code: u16,
    pub(super) iso: Option<&'static str>,
}

/// The country code that `number` begins with. No assigned code is a prefix of another, so at most one matches.
pub(super) fn of(number: Msisdn) -> Option<Country> {
    (1..=3).find_map(|digits| {
        let code = u16::try_from(number.leading(digits)?).ok()?;
        let at = CODES.binary_search_by_key(&code, |&(code, _)| code).ok()?;
        let &(_, iso) = CODES.get(at)?;
        let iso = if code == 7 {
            shared_by_russia_and_kazakhstan(number)
        } else {
            iso
        };
        Some(Country {
            code,
            iso: (!iso.is_empty()).then_some(iso),
        })
    })
}

/// +7 belongs to Russia, except 76 and 77, which belong to Kazakhstan.
fn shared_by_russia_and_kazakhstan(number: Msisdn) -> &'static str {
    match number.leading(2) {
        Some(76 | 77) => "KZ",
        Some(_) => "RU",
        None => "",
    }
}

/// Assigned codes in ascending order, each with its ISO 3166-1 alpha-2 country; empty if the code has no single
/// country. `XK` is the user-assigned code in general use for Kosovo.
#[rustfmt::skip]
const CODES: &[(u16, &str)] = &[
    (1, ""), (7, ""), (20, "EG"), (27, "ZA"), (30, "GR"), (31, "NL"), (32, "BE"), (33, "FR"), (34, "ES"),
    (36, "HU"), (39, "IT"), (40, "RO"), (41, "CH"), (43, "AT"), (44, "GB"), (45, "DK"), (46, "SE"),
    (47, "NO"), (48, "PL"), (49, "DE"), (51, "PE"), (52, "MX"), (53, "CU"), (54, "AR"), (55, "BR"),
    (56, "CL"), (57, "CO"), (58, "VE"), (60, "MY"), (61, "AU"), (62, "ID"), (63, "PH"), (64, "NZ"),
    (65, "SG"), (66, "TH"), (81, "JP"), (82, "KR"), (84, "VN"), (86, "CN"), (90, "TR"), (91, "IN"),
    (92, "PK"), (93, "AF"), (94, "LK"), (95, "MM"), (98, "IR"), (211, "SS"), (212, "MA"), (213, "DZ"),
    (216, "TN"), (218, "LY"), (220, "GM"), (221, "SN"), (222, "MR"), (223, "ML"), (224, "GN"), (225, "CI"),
    (226, "BF"), (227, "NE"), (228, "TG"), (229, "BJ"), (230, "MU"), (231, "LR"), (232, "SL"), (233, "GH"),
    (234, "NG"), (235, "TD"), (236, "CF"), (237, "CM"), (238, "CV"), (239, "ST"), (240, "GQ"), (241, "GA"),
    (242, "CG"), (243, "CD"), (244, "AO"), (245, "GW"), (246, "IO"), (247, "SH"), (248, "SC"), (249, "SD"),
    (250, "RW"), (251, "ET"), (252, "SO"), (253, "DJ"), (254, "KE"), (255, "TZ"), (256, "UG"), (257, "BI"),
    (258, "MZ"), (260, "ZM"), (261, "MG"), (262, "RE"), (263, "ZW"), (264, "NA"), (265, "MW"), (266, "LS"),
    (267, "BW"), (268, "SZ"), (269, "KM"), (290, "SH"), (291, "ER"), (297, "AW"), (298, "FO"), (299, "GL"),
    (350, "GI"), (351, "PT"), (352, "LU"), (353, "IE"), (354, "IS"), (355, "AL"), (356, "MT"), (357, "CY"),
    (358, "FI"), (359, "BG"), (370, "LT"), (371, "LV"), (372, "EE"), (373, "MD"), (374, "AM"), (375, "BY"),
    (376, "AD"), (377, "MC"), (378, "SM"), (379, "VA"), (380, "UA"), (381, "RS"), (382, "ME"), (383, "XK"),
    (385, "HR"), (386, "SI"), (387, "BA"), (388, ""), (389, "MK"), (420, "CZ"), (421, "SK"), (423, "LI"), (500, "FK"),
    (501, "BZ"), (502, "GT"), (503, "SV"), (504, "HN"), (505, "NI"), (506, "CR"), (507, "PA"), (508, "PM"),
    (509, "HT"), (590, "GP"), (591, "BO"), (592, "GY"), (593, "EC"), (594, "GF"), (595, "PY"), (596, "MQ"),
    (597, "SR"), (598, "UY"), (599, "CW"), (670, "TL"), (672, "NF"), (673, "BN"), (674, "NR"), (675, "PG"),
    (676, "TO"), (677, "SB"), (678, "VU"), (679, "FJ"), (680, "PW"), (681, "WF"), (682, "CK"), (683, "NU"),
    (685, "WS"), (686, "KI"), (687, "NC"), (688, "TV"), (689, "PF"), (690, "TK"), (691, "FM"), (692, "MH"),
    (800, ""), (808, ""), (850, "KP"), (852, "HK"), (853, "MO"), (855, "KH"), (856, "LA"), (870, ""),
    (878, ""), (880, "BD"), (881, ""), (882, ""), (883, ""), (886, "TW"), (888, ""), (960, "MV"),
    (961, "LB"), (962, "JO"), (963, "SY"), (964, "IQ"), (965, "KW"), (966, "SA"), (967, "YE"), (968, "OM"),
    (970, "PS"), (971, "AE"), (972, "IL"), (973, "BH"), (974, "QA"), (975, "BT"), (976, "MN"), (977, "NP"),
    (979, ""), (991, ""), (992, "TJ"), (993, "TM"), (994, "AZ"), (995, "GE"), (996, "KG"), (997, "KZ"), (998, "UZ"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_none_is_in_front_of_another() {
        for pair in CODES.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{pair:?}");
        }
        for (code, _) in CODES {
            for (other, _) in CODES.iter().filter(|(other, _)| other != code) {
                assert!(
                    !other.to_string().starts_with(&code.to_string()),
                    "{code} is in front of {other}"
                );
            }
        }
    }

    #[test]
    fn what_the_list_calls_spare_or_reserved_is_not_assigned() {
        let assigned = |code: u16| CODES.binary_search_by_key(&code, |&(code, _)| code).is_ok();
        for code in [
            210, 214, 215, 217, 219, 259, 280, 289, 292, 295, 296, 384, 422, 424, 429, 671, 684, 693, 699,
            801, 809, 830, 839, 851, 854, 857, 859, 871, 872, 873, 874, 875, 876, 877, 879, 884, 885, 887,
            889, 969, 978, 990, 999,
        ] {
            assert!(!assigned(code), "{code}");
        }
        for code in [388, 800, 808, 870, 878, 881, 882, 883, 888, 979, 991, 997] {
            assert!(assigned(code), "{code}");
        }
    }

    #[test]
    fn only_saint_helena_has_two_codes() {
        let mut countries: Vec<_> = CODES
            .iter()
            .map(|&(_, iso)| iso)
            .filter(|iso| !iso.is_empty())
            .collect();
        assert!(
            countries
                .iter()
                .all(|iso| iso.len() == 2 && iso.bytes().all(|byte| byte.is_ascii_uppercase()))
        );
        countries.sort_unstable();
        let twice: Vec<_> = countries
            .windows(2)
            .filter(|pair| pair[0] == pair[1])
            .map(|pair| pair[0])
            .collect();
        // 290, and 247 for its dependency Ascension.
        assert_eq!(twice, ["SH"]);
    }
}
