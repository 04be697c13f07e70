//! The catalog in memory: what operators set up, indexed the way a request asks for it.

mod settings;
mod snapshot;
mod vault;

pub use settings::{
    BindKind, CarrierSettings, DataCoding, InDoubt, Linking, RouteRule, SandboxSettings, SmppSettings, Tls,
};
pub(crate) use snapshot::signed;
pub use snapshot::{
    CarrierEntry, CatalogError, CredentialEntry, EndpointEntry, Snapshot, TemplateEntry, carrier_secret_name,
    credential_secret_name, endpoint_secret_name,
};
pub use store::{
    Account, Caps, Catalog, CatalogChange, Credential, Position, Review, Signature, Suppression,
    SuppressionKind, Template,
};
pub use vault::{Vault, VaultError};
