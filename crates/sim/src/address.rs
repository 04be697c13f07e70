//! Parses addresses to listen on.

use std::net::{Ipv4Addr, SocketAddr};

/// Reads an address to listen on: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080` (which is 127.0.0.1).
///
/// # Errors
/// What is missing, with an address that would be right.
pub fn listen_address(written: &str) -> Result<SocketAddr, String> {
    let written = written.trim();
    if let Ok(address) = written.parse() {
        return Ok(address);
    }
    if let Some((host, port)) = written.rsplit_once(':')
        && host.eq_ignore_ascii_case("localhost")
        && let Ok(port) = port.parse()
    {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let port = written.strip_prefix(':').unwrap_or(written);
    if port.parse::<u16>().is_ok() {
        return Err(format!(
            "{written:?} is a port alone; write 127.0.0.1:{port} for this machine only, or 0.0.0.0:{port} for every network"
        ));
    }
    let bare = written.trim_matches(['[', ']']);
    if let Ok(host) = bare.parse::<std::net::IpAddr>() {
        let example = SocketAddr::new(host, 8080);
        return Err(format!("{written:?} has no port; write {example}"));
    }
    if bare.eq_ignore_ascii_case("localhost") {
        return Err(format!("{written:?} has no port; write localhost:8080"));
    }
    Err(format!(
        "{written:?} is no address to listen on: it is an IP address of this machine or localhost, and a port from 0 to \
         65535, such as 127.0.0.1:8080 or [::1]:8080"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_or_the_error_shows_a_valid_one() {
        let reads = [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("LocalHost:0", "127.0.0.1:0"),
            ("[::1]:8080", "[::1]:8080"),
            (" 0.0.0.0:80 ", "0.0.0.0:80"),
        ];
        for (written, address) in reads {
            assert_eq!(
                listen_address(written).map(|read| read.to_string()),
                Ok(address.to_owned())
            );
        }
        let refused = [
            ("8080", "write 127.0.0.1:8080"),
            (":8080", "write 127.0.0.1:8080"),
            ("127.0.0.1", "write 127.0.0.1:8080"),
            ("::1", "write [::1]:8080"),
            ("localhost", "write localhost:8080"),
            ("example.com:8080", "such as 127.0.0.1:8080"),
            ("127.0.0.1:70000", "0 to 65535"),
            ("localhost:http", "0 to 65535"),
            ("", "such as 127.0.0.1:8080"),
        ];
        for (written, hint) in refused {
            let error = listen_address(written).unwrap_err();
            assert!(error.contains(hint), "{written:?} gave: {error}");
        }
    }
}
