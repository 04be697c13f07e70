//! HTTP in: one module a vendor's dialect, over one engine.
//!
//! Only a dialect module knows its vendor's API: it authenticates, parses a request into a
//! [`engine::accept::Submission`], and renders the response. The engine does everything else.
//!
//! One listener serves all dialects; their paths do not collide:
//!
//! | path | dialect |
//! |---|---|
//! | `/api/v1/usms/*` | uSpeedo REST v1 |
//! | `/api`, `/api/` | uSpeedo Action |
//! | `/` | UCloud Action |
//! | `/smsapi/*` | SendCloud |
//! | `/v1/*` | EngageLab, generations A and C |

mod access;
mod body;
mod days;
mod delivery_result;
pub mod engagelab;
pub mod idempotency;
mod json;
pub mod limits;
mod lists;
mod lookup;
pub mod peek;
pub mod sendcloud;
pub mod serve;
pub mod uspeedo;

use engine::Engine;
use engine::webhooks::Format;
use std::sync::Arc;

pub use limits::Limits;

/// What every handler shares.
#[derive(Debug)]
pub struct Api {
    /// The engine all dialects speak for.
    pub engine: Arc<Engine>,
    /// How much a request may ask for.
    pub limits: Limits,
    access: access::Access,
}

impl Api {
    /// Handlers over an engine, within limits.
    #[must_use]
    pub fn new(engine: Arc<Engine>, limits: Limits) -> Self {
        let access = access::Access::new(&limits);
        Self {
            engine,
            limits,
            access,
        }
    }
}

/// All dialects on one router.
pub fn router(api: Arc<Api>) -> axum::Router {
    axum::Router::new()
        .merge(uspeedo::routes())
        .merge(sendcloud::routes())
        .merge(engagelab::routes())
        .with_state(api)
}

/// All webhook formats: those of the dialects, and the general one.
pub fn formats() -> Vec<Arc<dyn Format>> {
    let mut formats: Vec<Arc<dyn Format>> = vec![Arc::new(engine::webhooks::Standard)];
    formats.extend(uspeedo::push::formats());
    formats.extend(sendcloud::hook::formats());
    formats.extend(engagelab::formats());
    formats
}
