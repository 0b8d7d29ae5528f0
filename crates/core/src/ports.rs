//! What the engine asks of its adapters. Each port is a small trait that is safe to use as `dyn`.
mod audit;
mod clients;
mod dns;
mod inventory;
mod issuances;
mod issuer;
mod ledger;
mod overview;
mod people;
mod store;
mod zones;

pub use audit::{Audit, AuditRange};
pub use clients::{BlockSubject, ClientChange, Clients, Opening, Rotation};
pub use dns::{AGAIN, DnsProvider, DnsProviders, Propagation, Resolver, Sighting};
pub use inventory::{
    Certificates, Change, ChangeError, CreateError, DeleteError, NewCertificate, NewServer, Upload, Uploads, UsedUpload, Version,
};
pub use issuances::{Issuances, Outcome};
pub use issuer::{
    Authorization, AuthorizationStatus, CertificateAuthority, Challenge, ExternalAccount, Issuer, Order, OrderRequest,
    OrderStatus, RevocationReason, Revoker,
};
pub use ledger::{Ledger, Question, RenewalState, Renewals, Told};
pub use overview::Overview;
pub use people::{Credentials, FirstUser, NewApiToken, NewUser, People, UserChange, UserChanged};
pub use store::{Epoch, Settings, Store, StoreError};
pub use zones::ZoneLocks;
