//! Random operations against a model so simple that it cannot be wrong.

use super::Side;

/// Placeholder until the model is written.
pub async fn random_operations_agree_with_the_model(side: &mut impl Side) {
    side.store().probe().await.expect("written");
}
