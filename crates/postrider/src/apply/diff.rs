//! The changes of an apply, one line each. They never contain a secret.

use crate::table::sanitize_for_terminal;
use std::fmt;

/// An object's properties in display order.
pub(crate) type Fields = Vec<(&'static str, String)>;

/// What happens to one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The object is new.
    Add,
    /// The object exists and differs.
    Change,
    /// The object is deleted.
    Remove,
    /// The object is not in the file and is kept.
    Keep,
}

impl Sign {
    /// The name in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Remove => "remove",
            Self::Keep => "keep",
        }
    }
}

/// The changes of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) sign: Sign,
    /// Kind and name: `template acme/code`.
    pub(crate) what: String,
    /// `property: value` or `property: old -> new`.
    pub(crate) details: Vec<String>,
}

impl Line {
    /// A new object with the properties that have a value.
    pub(crate) fn add(what: String, fields: &Fields) -> Self {
        let said = fields.iter().filter(|(_, value)| !value.is_empty());
        Self {
            sign: Sign::Add,
            what,
            details: said.map(|(name, value)| format!("{name}: {value}")).collect(),
        }
    }

    /// A changed object; `None` when nothing differs.
    pub(crate) fn change(what: String, old: &Fields, new: &Fields) -> Option<Self> {
        let details: Vec<String> = old
            .iter()
            .zip(new)
            .filter(|(old, new)| old.1 != new.1)
            .map(|(old, new)| format!("{}: {} -> {}", new.0, shown(&old.1), shown(&new.1)))
            .collect();
        (!details.is_empty()).then_some(Self {
            sign: Sign::Change,
            what,
            details,
        })
    }

    /// An object without properties to show.
    pub(crate) fn bare(sign: Sign, what: String) -> Self {
        Self {
            sign,
            what,
            details: Vec::new(),
        }
    }
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "(none)" } else { value }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.sign {
            Sign::Add => '+',
            Sign::Change => '~',
            Sign::Remove => '-',
            Sign::Keep => '=',
        };
        // Names and texts may come from accounts: they must not move the cursor or start a line.
        write!(f, "{sign} {}", sanitize_for_terminal(&self.what))?;
        for detail in &self.details {
            write!(f, "\n      {}", sanitize_for_terminal(detail))?;
        }
        Ok(())
    }
}

/// Words in quotes, separated by commas; `all` when there are none.
pub(crate) fn list<T: fmt::Display>(items: &[T], none: &str) -> String {
    if items.is_empty() {
        return none.to_owned();
    }
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_shows_only_what_differs() {
        let old = vec![("weight", "1".to_owned()), ("senders", String::new())];
        let new = vec![("weight", "1".to_owned()), ("senders", "Acme".to_owned())];
        let line = Line::change("account acme".to_owned(), &old, &new).unwrap();
        assert_eq!(line.to_string(), "~ account acme\n      senders: (none) -> Acme");
        assert_eq!(Line::change("account acme".to_owned(), &new, &new), None);
        assert_eq!(
            Line::add("account b".to_owned(), &old).to_string(),
            "+ account b\n      weight: 1"
        );
        assert_eq!(
            Line::bare(Sign::Remove, "route 3".to_owned()).to_string(),
            "- route 3"
        );
    }

    #[test]
    fn a_value_stays_on_its_line_and_moves_no_cursor() {
        let fields = vec![("reason", "red \u{1b}[31m\nnote: all is well".to_owned())];
        assert_eq!(
            Line::add("template a\u{202e}b".to_owned(), &fields).to_string(),
            "+ template a b\n      reason: red  [31m note: all is well"
        );
    }
}
