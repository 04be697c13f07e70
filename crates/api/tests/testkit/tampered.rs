//! Signed requests that somebody on the way has changed.

use rand::Rng;
use rand::rngs::StdRng;

/// Parameters in their order.
pub(crate) type Pairs = Vec<(String, String)>;

/// Parameters as a form, or as a query.
pub(crate) fn form(pairs: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// The query and the body that a signed body becomes when one thing is changed, added, taken away, said again or moved
/// between the two; `values` is what may be put in the place of a value or beside it.
pub(crate) fn tampered(random: &mut StdRng, mut body: Pairs, values: &[(&str, &str)]) -> (Pairs, Pairs) {
    let mut query = Pairs::new();
    let (name, value) = values[random.random_range(0..values.len())];
    let added = (name.to_owned(), value.to_owned());
    let at = random.random_range(0..body.len());
    match random.random_range(0..8) {
        0 => body[at].1 = value.to_owned(),
        1 => body.push(added),
        2 => drop(body.remove(at)),
        3 => query.push(added),
        4 => query.push(body.remove(at)),
        5 => query.push((body[at].0.clone(), value.to_owned())),
        6 => query.push(body[at].clone()),
        _ => body.insert(0, (body[at].0.clone(), value.to_owned())),
    }
    (query, body)
}
