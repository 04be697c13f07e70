//! What the catalog says of inbound messages: the numbers that are an account's, the words that unsubscribe, the country
//! of a carrier.

use crate::route::Rule;
use sms::phone::Msisdn;
use sms::phone::carrier::{NumberType, name, names};
use std::collections::HashMap;
use std::sync::Arc;
use store::{Account, AccountId, AccountWords, CarrierNo};

/// The `inbound_to` and the words of all accounts and the countries that routes lead to, ready for look-ups.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// By [`name`]. A number that several accounts claim belongs to the oldest.
    numbers: HashMap<String, AccountId>,
    words: Arc<AccountWords>,
    /// The one country that all routes of a carrier lead to; `None` for several.
    countries: HashMap<CarrierNo, Option<u16>>,
}

impl Claims {
    pub(crate) fn of(accounts: &[Account], rules: &[Rule]) -> Self {
        let mut claims = Self::default();
        let mut words = AccountWords::new();
        for account in accounts {
            for number in &account.inbound_to {
                let owner = claims.numbers.entry(name(number)).or_insert(account.id);
                *owner = account.id.min(*owner);
            }
            let of_account = account.words();
            if !of_account.is_empty() {
                words.insert(account.id, of_account);
            }
        }
        claims.words = Arc::new(words);
        for rule in rules {
            let country = country_of(&rule.rule.prefixes);
            for (carrier, _) in &rule.to {
                let known = claims.countries.entry(*carrier).or_insert(country);
                if *known != country {
                    *known = None;
                }
            }
        }
        claims
    }

    /// The country whose numbers a carrier may write as they are dialled there, where its settings name none: the one
    /// that all its routes lead to.
    pub(crate) fn country(&self, carrier: CarrierNo) -> Option<u16> {
        self.countries.get(&carrier).copied().flatten()
    }

    /// The account that claims a number or code, in whatever form the carrier and the account write it.
    pub(crate) fn owner(&self, to: &str, kind: NumberType, country: Option<u16>) -> Option<AccountId> {
        if self.numbers.is_empty() {
            return None;
        }
        names(to, kind, country)
            .iter()
            .find_map(|name| self.numbers.get(name))
            .copied()
    }

    pub(crate) fn words(&self) -> Arc<AccountWords> {
        Arc::clone(&self.words)
    }
}

/// The country that all of these prefixes are of.
fn country_of(prefixes: &[String]) -> Option<u16> {
    let mut countries = prefixes.iter().map(|prefix| {
        // As a number that begins so: a prefix shorter than a code is of no one country.
        let code = Msisdn::from_digits(&format!("{prefix:0<12}"))?.country_code()?;
        (code.to_string().len() <= prefix.len()).then_some(code)
    });
    let first = countries.next()??;
    countries.all(|country| country == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::RouteRule;

    fn rule(prefixes: &[&str], carriers: &[u16]) -> Rule {
        Rule {
            position: 0,
            rule: RouteRule {
                prefixes: prefixes.iter().map(ToString::to_string).collect(),
                ..RouteRule::default()
            },
            account_ids: Vec::new(),
            to: carriers.iter().map(|no| (CarrierNo(*no), false)).collect(),
        }
    }

    #[test]
    fn a_carriers_country_is_the_one_that_its_routes_lead_to() {
        let rules = [
            rule(&["44", "447700"], &[1, 2]),
            rule(&["447"], &[1]),
            rule(&["49"], &[2]),
            rule(&["1", "44"], &[3]),
            rule(&["4"], &[4]),
            rule(&[], &[5]),
            rule(&["370"], &[6]),
            rule(&["44"], &[7]),
            rule(&[], &[7]),
        ];
        let claims = Claims::of(&[], &rules);
        let countries: Vec<Option<u16>> = (1..=8).map(|no| claims.country(CarrierNo(no))).collect();
        assert_eq!(
            countries,
            [Some(44), None, None, None, None, Some(370), None, None]
        );
    }
}
