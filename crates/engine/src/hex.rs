//! Octets as hexadecimal digits: sealed secrets, values of TLVs, digests and signatures.

/// The octets that hexadecimal digits stand for, two each; `None` for anything else.
#[must_use]
pub fn octets(digits: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = digits
        .chars()
        .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
        .collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(
        digits
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |octet, digit| octet << 4 | digit))
            .collect(),
    )
}

/// Two lower-case digits for each octet.
#[must_use]
pub fn digits(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_reads_back_and_nothing_else_is_read() {
        assert_eq!(digits(&[0, 255, 16]), "00ff10");
        assert_eq!(octets("00fF10"), Some(vec![0, 255, 16]));
        assert_eq!(octets(""), Some(Vec::new()));
        for none in ["0", "0g", "+f", " f", "f ", "0x", "00f", "\u{ff10}\u{ff10}"] {
            assert_eq!(octets(none), None, "{none}");
        }
    }
}
