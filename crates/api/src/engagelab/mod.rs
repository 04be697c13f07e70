//! (filled next)

use crate::Api;
use std::sync::Arc;

/// Its routes.
pub fn routes() -> axum::Router<Arc<Api>> {
    axum::Router::new()
}
