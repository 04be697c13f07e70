//! The catalog in memory, indexed for the lookups of requests.

mod changes;
mod sealer;
mod secret;
mod settings;
mod shared_map;
mod snapshot;
mod texts;
pub(crate) mod tlvs;

pub(crate) use changes::Changes;
pub use sealer::{SealError, SecretSealer};
pub use secret::{SECRET_OCTETS_ADVISED, SecretFault, secret_fault};
pub(crate) use settings::Shape;
pub use settings::{
    BindKind, CarrierSettings, DataCoding, DefaultAlphabet, InDoubt, Linking, LongText, ReceiptFor,
    RouteRule, SandboxSettings, SmppSettings, Tls,
};
pub(crate) use snapshot::signed;
pub use snapshot::{
    CarrierEntry, CatalogError, CredentialEntry, EndpointEntry, OpenCredential, Snapshot, TemplateEntry,
    carrier_secret_name, credential_secret_name, endpoint_secret_name,
};
pub use store::{
    Account, Caps, Catalog, CatalogChange, Credential, Position, Review, Signature, Suppression,
    SuppressionEntry, SuppressionKind, SuppressionOrigin, Template,
};
pub use tlvs::{
    DETAIL_TLVS, TLV_OCTETS_MAX, TLVS_MAX, TlvError, TlvList, TlvMap, TlvValue, read_tlvs, tlv_mistakes,
};
