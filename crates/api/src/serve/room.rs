//! Chooses which connections are closed when there is no room for all. Pure: the listener collects the facts.

use super::watch::Phase;

/// From when on a head or a body that is still incomplete is slow.
pub(super) const SLOW_MS: u64 = 500;
/// How long a connection that is closing has before it may have to make room: a client that is still there has its answer by
/// then, and the rest of what it sends is of no use.
pub(super) const LINGER_MS: u64 = 100;

/// One connection, as it looks when room is needed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<I> {
    /// Which.
    pub(super) id: I,
    /// What it does.
    pub(super) phase: Phase,
    /// For how long, in milliseconds.
    pub(super) for_ms: u64,
    /// A credential was verified on it.
    pub(super) is_verified: bool,
    /// Its address has more than its share of what is wanted: of connections on which nothing was verified, or of bytes.
    pub(super) is_saturated: bool,
    /// Bytes it holds of the room for requests.
    pub(super) held_bytes: usize,
    /// Bytes that came lately, older ones counting less and less.
    pub(super) recent_bytes: u64,
}

/// In which order connections go. A connection at work is not among them, unless its handler only waits for leave to begin, nor one that has just begun to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Answered, on which nothing was verified, and its client does not close it.
    Lingering,
    /// Of an address that has many, on which nothing was verified, and slow or idle.
    SaturatedSlow,
    /// Of an address that has many, on which nothing was verified.
    Saturated,
    /// Nothing was verified, and slow or idle.
    Slow,
    /// Nothing was verified, and neither slow nor idle.
    Fresh,
    /// Verified and idle.
    Idle,
    /// Verified, and slow with a request.
    VerifiedSlow,
}

impl<I: Copy> Seen<I> {
    const fn is_slow(&self) -> bool {
        matches!(self.phase, Phase::Idle) || self.for_ms >= SLOW_MS
    }

    fn rank(&self) -> Option<Rank> {
        match self.phase {
            Phase::Work => return None,
            Phase::Closing => {
                let lingers = !self.is_verified && self.for_ms >= LINGER_MS;
                return lingers.then_some(Rank::Lingering);
            }
            Phase::Idle | Phase::Head | Phase::Body | Phase::Held => {}
        }
        Some(match (self.is_verified, self.is_saturated, self.is_slow()) {
            (false, true, true) => Rank::SaturatedSlow,
            (false, true, false) => Rank::Saturated,
            (false, false, true) => Rank::Slow,
            (false, false, false) => Rank::Fresh,
            (true, _, _) if matches!(self.phase, Phase::Idle) => Rank::Idle,
            (true, _, true) => Rank::VerifiedSlow,
            _ => return None,
        })
    }

    /// Within a rank: first who is idle, then who is slow with a head, then who is slow with a body, of these first who sent
    /// least of late, then who waits for leave to begin; of equals the one that has been at it longest.
    const fn order(&self) -> (u8, u64, u64) {
        let (stage, recent) = match self.phase {
            Phase::Idle | Phase::Closing => (0, 0),
            _ if !self.is_slow() => (4, 0),
            Phase::Head => (1, 0),
            Phase::Held => (3, 0),
            _ => (2, self.recent_bytes),
        };
        (stage, recent, u64::MAX - self.for_ms)
    }
}

/// Who is to go so that others can come in: at most `many` of those on which nothing was verified, or one that was.
pub(super) fn to_free_connections<I: Copy>(seen: impl Iterator<Item = Seen<I>>, many: usize) -> Vec<I> {
    let mut ranked: Vec<_> = seen
        .filter_map(|seen| Some(((seen.rank()?, seen.order()), seen.id)))
        .collect();
    let Some(first) = ranked.iter().map(|(key, _)| *key).min() else {
        return Vec::new();
    };
    // Many at once, because each look at all connections costs; fewer of those that are not slow. Who has proved who he is
    // goes only when nobody else can, and then one at a time.
    let many = match first.0 {
        Rank::Lingering | Rank::SaturatedSlow | Rank::Slow => many.max(1),
        Rank::Saturated | Rank::Fresh => (many / 4).max(1),
        Rank::Idle | Rank::VerifiedSlow => 1,
    };
    ranked.retain(|((rank, _), _)| *rank == first.0);
    if ranked.len() > many {
        ranked.select_nth_unstable_by_key(many - 1, |(key, _)| *key);
        ranked.truncate(many);
    }
    ranked.into_iter().map(|(_, id)| id).collect()
}

/// The connections to close so that at least `bytes` of the memory for requests get free: slow ones, verified ones only when
/// the others hold too little; those of saturated addresses first, and of these those that hold most for the little that
/// still arrives.
pub(super) fn to_free_bytes<I: Copy>(seen: impl Iterator<Item = Seen<I>>, bytes: usize) -> Vec<I> {
    let goes = |seen: &Seen<I>| {
        let may_go = matches!(seen.phase, Phase::Head | Phase::Body | Phase::Held);
        may_go && seen.held_bytes > 0 && seen.for_ms >= SLOW_MS
    };
    let mut holding: Vec<_> = seen.filter(goes).collect();
    holding.sort_unstable_by_key(|seen| {
        let for_each = (seen.held_bytes as u64) / (seen.recent_bytes / 1024 + 1);
        std::cmp::Reverse((!seen.is_verified, seen.is_saturated, for_each, seen.for_ms))
    });
    let mut freed = 0_usize;
    let mut goes_on = |seen: &Seen<I>| {
        let is_needed = freed < bytes;
        freed = freed.saturating_add(seen.held_bytes);
        is_needed
    };
    let going = holding.into_iter().take_while(|seen| goes_on(seen));
    going.map(|seen| seen.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(id: u32, phase: Phase, for_ms: u64) -> Seen<u32> {
        Seen {
            id,
            phase,
            for_ms,
            is_verified: false,
            is_saturated: false,
            held_bytes: 0,
            recent_bytes: 0,
        }
    }

    fn first(all: &[Seen<u32>]) -> Option<u32> {
        to_free_connections(all.iter().copied(), 1).first().copied()
    }

    #[test]
    fn unverified_clients_of_a_saturated_address_are_closed_first_and_connections_at_work_never() {
        let verified = |seen: Seen<u32>| Seen {
            is_verified: true,
            ..seen
        };
        let saturated = |seen: Seen<u32>| Seen {
            is_saturated: true,
            ..seen
        };
        // In the order in which they go.
        let mut all = vec![
            seen(17, Phase::Closing, 1_500),
            saturated(seen(16, Phase::Closing, 100)),
            saturated(seen(0, Phase::Idle, 10)),
            saturated(seen(1, Phase::Head, 600)),
            saturated(seen(2, Phase::Body, 900)),
            saturated(seen(3, Phase::Body, 20)),
            saturated(seen(15, Phase::Head, 10)),
            seen(4, Phase::Idle, 3),
            seen(5, Phase::Head, 501),
            seen(6, Phase::Body, 501),
            seen(19, Phase::Held, 700),
            seen(10, Phase::Head, 499),
            seen(20, Phase::Held, 450),
            seen(11, Phase::Body, 400),
            verified(seen(7, Phase::Idle, 2_000)),
            verified(seen(8, Phase::Idle, 1_000)),
            verified(saturated(seen(9, Phase::Body, 5_000))),
        ];
        let stay = [
            verified(seen(12, Phase::Body, 499)),
            saturated(seen(13, Phase::Work, 90_000)),
            seen(14, Phase::Closing, 99),
            verified(seen(18, Phase::Closing, 1_999)),
        ];
        all.extend(stay);
        for expected in [17, 16, 0, 1, 2, 3, 15, 4, 5, 6, 19, 10, 20, 11, 7, 8, 9] {
            assert_eq!(first(&all), Some(expected));
            all.retain(|seen| seen.id != expected);
        }
        assert_eq!(first(&all), None);
    }

    #[test]
    fn many_unverified_connections_are_closed_at_once_but_one_verified() {
        let unverified: Vec<_> = (0..100)
            .map(|id| seen(id, Phase::Head, 600 + u64::from(id)))
            .collect();
        let mut gone = to_free_connections(unverified.into_iter(), 3);
        gone.sort_unstable();
        assert_eq!(gone, [97, 98, 99], "those that have been at it longest");
        let known = (0..100).map(|id| Seen {
            is_verified: true,
            ..seen(id, Phase::Idle, 1)
        });
        assert_eq!(to_free_connections(known, 3).len(), 1);
    }

    #[test]
    fn bodies_that_hold_much_and_get_little_go_first() {
        let body = |id, held_bytes, recent_bytes| Seen {
            held_bytes,
            recent_bytes,
            ..seen(id, Phase::Body, 1_000)
        };
        let all = [
            body(0, 4_000_000, 1),
            body(1, 4_000_000, 4_000_000),
            body(2, 1_000, 0),
            body(3, 3_000_000, 0),
            Seen {
                is_verified: true,
                ..body(4, 4_000_000, 0)
            },
            Seen {
                for_ms: 499,
                ..body(5, 4_000_000, 0)
            },
        ];
        assert_eq!(to_free_bytes(all.into_iter(), 1), [0]);
        assert_eq!(to_free_bytes(all.into_iter(), 5_000_000), [0, 3]);
        assert_eq!(to_free_bytes(all.into_iter(), usize::MAX), [0, 3, 1, 2, 4]);
        let saturated = Seen {
            is_saturated: true,
            ..body(6, 10, 5_000)
        };
        let all = all.into_iter().chain([saturated]);
        assert_eq!(to_free_bytes(all, 11), [6, 0]);
    }
}
