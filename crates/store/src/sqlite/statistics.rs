//! Statistics.

use super::SqliteStore;
use crate::{AccountId, Statistic, StatisticsFilter, StoreError, UnixMs};
use async_trait::async_trait;

#[async_trait]
impl crate::Statistics for SqliteStore {
    async fn statistics(
        &self,
        _account: AccountId,
        _filter: StatisticsFilter,
        _rows_max: usize,
    ) -> Result<Vec<Statistic>, StoreError> {
        Err(StoreError::Other("not kept yet".into()))
    }

    async fn expire_statistics(&self, _before: UnixMs) -> Result<u64, StoreError> {
        Err(StoreError::Other("not kept yet".into()))
    }
}
