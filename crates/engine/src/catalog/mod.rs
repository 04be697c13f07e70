//! The catalog in memory: what operators set up, indexed the way a request asks for it.

mod settings;
mod snapshot;
mod vault;

pub use settings::{Linking, 
    BindKind, CarrierSettings, DataCoding, InDoubt, RouteRule, SandboxSettings, SmppSettings, Tls,
};
pub use snapshot::{carrier_secret_name, credential_secret_name, CarrierEntry, CatalogError, CredentialEntry, Snapshot, TemplateEntry};
pub use store::{
    Account, Caps, Catalog, CatalogChange, Credential, Position, Review, Signature, Suppression, SuppressionKind,
    Template,
};
pub use vault::{Vault, VaultError};
