//! Valid requests with damage: sent with a valid key, so that more of them is processed than of unauthenticated ones.

use std::path::Path;

use anyhow::Context;
use bytes::Bytes;
use rand::Rng;

/// Octets that mean something to one parser or another.
const FAVOURITES: &[u8] = b"{}[]\":,.&=%+0\\u\x00\xff\r\n;'eE-";

/// Good requests, to be damaged.
#[derive(Debug, Default)]
pub(super) struct Mutations {
    requests: Vec<String>,
}

impl Mutations {
    /// Reads them from a file that [`write`] has written.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let requests = serde_json::from_slice(&text).context("reading requests")?;
        Ok(Self { requests })
    }

    /// One of them, damaged. Half of the time its head says how long its body has become.
    pub(super) fn draw(&self, random: &mut impl Rng) -> Bytes {
        let at = random.random_range(0..self.requests.len().max(1));
        let Some((head, body)) = self
            .requests
            .get(at)
            .and_then(|request| request.split_once("\r\n\r\n"))
        else {
            return Bytes::new();
        };
        let (mut head, mut body) = (head.as_bytes().to_vec(), body.as_bytes().to_vec());
        if random.random_bool(0.3) {
            damage(random, &mut head);
        }
        let fits = random.random_bool(0.8);
        damage(random, &mut body);
        if fits {
            head = with_length(&head, body.len());
        }
        head.extend(b"\r\n\r\n");
        head.extend(body);
        head.into()
    }
}

/// Writes requests to a file.
pub(super) fn write(path: &Path, requests: &[String]) -> anyhow::Result<()> {
    std::fs::write(path, serde_json::to_vec(requests)?).with_context(|| format!("writing {}", path.display()))
}

/// Changes, drops, doubles or inserts a few octets; now and then cuts.
fn damage(random: &mut impl Rng, octets: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..5) {
        let at = random.random_range(0..=octets.len());
        let favourite = FAVOURITES
            .get(random.random_range(0..FAVOURITES.len()))
            .copied()
            .unwrap_or(0);
        match random.random_range(0..5) {
            0 if at < octets.len() => drop(octets.splice(at..=at, [favourite])),
            1 if at < octets.len() => drop(octets.remove(at)),
            2 => octets.insert(at, favourite),
            3 => {
                let piece: Vec<u8> = octets.iter().skip(at).take(20).copied().collect();
                drop(octets.splice(at..at, piece));
            }
            4 if random.random_bool(0.1) => octets.truncate(at),
            _ => octets.insert(at, random.random()),
        }
    }
}

/// The head with this length in the place of the one that it says.
fn with_length(head: &[u8], length: usize) -> Vec<u8> {
    const NAME: &[u8] = b"Content-Length: ";
    let Some(at) = head.windows(NAME.len()).position(|window| window == NAME) else {
        return head.to_vec();
    };
    let start = at + NAME.len();
    let digits = head
        .iter()
        .skip(start)
        .take_while(|octet| octet.is_ascii_digit())
        .count();
    let mut changed = head.to_vec();
    drop(changed.splice(start..start + digits, length.to_string().into_bytes()));
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn a_length_is_put_in_the_place_of_another() {
        let head = b"POST / HTTP/1.1\r\nContent-Length: 12\r\nHost: x";
        assert_eq!(
            with_length(head, 7),
            b"POST / HTTP/1.1\r\nContent-Length: 7\r\nHost: x"
        );
        assert_eq!(with_length(b"Host: x", 7), b"Host: x");
    }

    #[test]
    fn requests_are_damaged_in_many_ways_and_some_keep_their_form() {
        let request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}".to_owned();
        let mutations = Mutations {
            requests: vec![request],
        };
        let mut random = StdRng::seed_from_u64(7);
        let drawn: std::collections::HashSet<Bytes> =
            (0..1_000).map(|_| mutations.draw(&mut random)).collect();
        assert!(drawn.len() > 900, "{}", drawn.len());
        let whole = drawn
            .iter()
            .filter(|octets| octets.starts_with(b"POST / HTTP/1.1\r\nHost: x\r\n"));
        assert!(whole.count() > 500);
        assert_eq!(Mutations::default().draw(&mut random), Bytes::new());
    }
}
