//! Data of accounts beside templates and their limits: labels, documents, contact lists, suppressions and statistics.

use crate::engine::Engine;
use crate::manage::ManageError;
use crate::metrics::LimitLabel;
use sms::phone::Msisdn;
use store::{
    AccountId, CatalogChange, Contact, ContactBounds, ContactList, ContactRefusal, Page, PutContact, Record,
    RecordBounds, RecordFilter, RecordKind, RecordRefusal, Statistic, StatisticsFilter, StoreError,
    Suppression, SuppressionEntry, SuppressionKind, SuppressionOrigin,
};

/// Files an account may have, as the vendor's lists of them have no pages.
pub const FILES_MAX: u64 = 1_000;

/// Bounds on what one account keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountLimits {
    /// Contact lists of an account.
    pub contact_lists_max: u64,
    /// Members of one list.
    pub contacts_max: u64,
    /// Members of all lists of an account; a number in two lists counts twice.
    pub account_contacts_max: u64,
    /// Records of one kind (labels, documents, files, reports) of an account.
    pub documents_max: u64,
    /// Octets of all files of an account.
    pub files_bytes_max: u64,
    /// Templates of an account, whatever their review.
    pub templates_max: usize,
    /// Signatures of an account, whatever their review.
    pub signatures_max: usize,
    /// Tasks of an account that wait or run.
    pub open_tasks_max: u64,
    /// Rows of statistics that one query may read.
    pub statistics_rows_max: usize,
}

impl Default for AccountLimits {
    fn default() -> Self {
        Self {
            contact_lists_max: 1_000,
            contacts_max: 1_000_000,
            account_contacts_max: 1_000_000,
            documents_max: 10_000,
            files_bytes_max: 50 * 1024 * 1024,
            templates_max: 5_000,
            signatures_max: 5_000,
            open_tasks_max: 100,
            statistics_rows_max: 100_000,
        }
    }
}

impl Engine {
    pub(crate) fn account_limits(&self) -> AccountLimits {
        self.settings().account_limits
    }

    /// Counts that an account reached a bound.
    pub(crate) fn count_full(&self, limit: &'static str) {
        let full = &self.shared.metrics.full;
        full.get_or_create(&LimitLabel { limit }).inc();
    }

    /// Makes a record; its id is given here.
    ///
    /// # Errors
    /// When the store failed. What the account did wrong is in the inner result.
    pub async fn add_record(&self, record: Record) -> Result<Result<Record, RecordRefusal>, StoreError> {
        let limits = self.account_limits();
        let documents_max = match record.kind {
            RecordKind::File => limits.documents_max.min(FILES_MAX),
            _ => limits.documents_max,
        };
        let bounds = RecordBounds {
            documents_max,
            data_octets_max: limits.files_bytes_max,
        };
        let kind = record.kind;
        let added = self.store().add_record(record, bounds).await?;
        match added {
            // The oldest reports make room.
            Err(RecordRefusal::Full) if kind != RecordKind::Backfill => self.count_full("documents_max"),
            Err(RecordRefusal::NoRoom) => self.count_full("files_bytes_max"),
            _ => {}
        }
        Ok(added)
    }

    /// Replaces name, body and data of a record.
    ///
    /// # Errors
    /// As [`Engine::add_record`].
    pub async fn change_record(&self, record: Record) -> Result<Result<Record, RecordRefusal>, StoreError> {
        self.store().change_record(record).await
    }

    /// Removes a record; false when there was none.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn remove_record(
        &self,
        account: AccountId,
        kind: RecordKind,
        id: i64,
    ) -> Result<bool, StoreError> {
        self.store().remove_record(account, kind, id).await
    }

    /// A record with its data.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn record(
        &self,
        account: AccountId,
        kind: RecordKind,
        id: i64,
    ) -> Result<Option<Record>, StoreError> {
        self.store().record(account, kind, id).await
    }

    /// Records by id, without their data.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn records(
        &self,
        account: AccountId,
        kind: RecordKind,
        filter: RecordFilter,
    ) -> Result<Page<Record>, StoreError> {
        self.store().records(account, kind, filter).await
    }

    /// Makes a contact list.
    ///
    /// # Errors
    /// As [`Engine::add_record`].
    pub async fn add_list(
        &self,
        account: AccountId,
        name: &str,
        description: &str,
    ) -> Result<Result<ContactList, ContactRefusal>, StoreError> {
        let lists_max = self.account_limits().contact_lists_max;
        let added = self
            .store()
            .add_list(account, name.into(), description.into(), self.now(), lists_max)
            .await?;
        if matches!(added, Err(ContactRefusal::Full)) {
            self.count_full("contact_lists_max");
        }
        Ok(added)
    }

    /// Changes a list's name or description; `None` leaves it.
    ///
    /// # Errors
    /// As [`Engine::add_record`].
    pub async fn change_list(
        &self,
        account: AccountId,
        id: i64,
        name: Option<&str>,
        description: Option<&str>,
    ) -> Result<Result<ContactList, ContactRefusal>, StoreError> {
        self.store()
            .change_list(
                account,
                id,
                name.map(Box::from),
                description.map(Box::from),
                self.now(),
            )
            .await
    }

    /// Removes a list with its members.
    ///
    /// # Errors
    /// As [`Engine::add_record`].
    pub async fn remove_list(
        &self,
        account: AccountId,
        id: i64,
    ) -> Result<Result<(), ContactRefusal>, StoreError> {
        self.store().remove_list(account, id).await
    }

    /// The account's list of that name.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn list_named(
        &self,
        account: AccountId,
        name: &str,
    ) -> Result<Option<ContactList>, StoreError> {
        self.store().list_named(account, name.into()).await
    }

    /// Lists by id, those whose name contains `name_contains`.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn lists(
        &self,
        account: AccountId,
        name_contains: &str,
        offset: u64,
        limit: usize,
    ) -> Result<Page<ContactList>, StoreError> {
        self.store()
            .lists(account, name_contains.into(), offset, limit)
            .await
    }

    /// Adds members to a list, or changes those whose number is in it.
    ///
    /// # Errors
    /// As [`Engine::add_record`].
    pub async fn put_contacts(
        &self,
        account: AccountId,
        list: i64,
        contacts: Vec<PutContact>,
    ) -> Result<Result<Vec<Contact>, ContactRefusal>, StoreError> {
        let limits = self.account_limits();
        let bounds = ContactBounds {
            list_max: limits.contacts_max,
            account_max: limits.account_contacts_max,
        };
        let put = self
            .store()
            .put_contacts(account, list, contacts, self.now(), bounds)
            .await?;
        match put {
            Err(ContactRefusal::Full) => self.count_full("contacts_max"),
            Err(ContactRefusal::AccountFull) => self.count_full("account_contacts_max"),
            _ => {}
        }
        Ok(put)
    }

    /// Takes a member out of a list.
    ///
    /// # Errors
    /// As [`Engine::add_record`].
    pub async fn remove_contact(
        &self,
        account: AccountId,
        list: i64,
        msisdn: Msisdn,
    ) -> Result<Result<(), ContactRefusal>, StoreError> {
        self.store()
            .remove_contact(account, list, msisdn, self.now())
            .await
    }

    /// Members of a list by id.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn contacts(
        &self,
        account: AccountId,
        list: i64,
        msisdn: Option<Msisdn>,
        name_contains: &str,
        offset: u64,
        limit: usize,
    ) -> Result<Page<Contact>, StoreError> {
        self.store()
            .contacts(account, list, msisdn, name_contains.into(), offset, limit)
            .await
    }

    /// The counters of an account: see [`Statistic`].
    ///
    /// # Errors
    /// When the store failed.
    pub async fn statistics(
        &self,
        account: AccountId,
        filter: StatisticsFilter,
    ) -> Result<Vec<Statistic>, StoreError> {
        let rows_max = self.account_limits().statistics_rows_max;
        self.store().statistics(account, filter, rows_max).await
    }

    /// Puts numbers on an account's suppression list. Those that are there already stay.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn suppress(
        &self,
        account: AccountId,
        numbers: Vec<Msisdn>,
        kind: SuppressionKind,
    ) -> Result<(), ManageError> {
        let created_at = self.now();
        let changes = numbers.into_iter().map(|msisdn| {
            CatalogChange::Suppress(SuppressionEntry {
                suppression: Suppression {
                    account: Some(account),
                    msisdn,
                    kind,
                },
                created_at,
                origin: SuppressionOrigin::Api,
                note: Box::default(),
            })
        });
        self.store().change_catalog(changes.collect()).await?;
        Ok(())
    }
}
