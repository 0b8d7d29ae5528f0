//! What the engine asks of its adapters. Each port is a small trait that is safe to use as `dyn`.
mod dns;
mod issuer;
mod store;

pub use dns::{DnsProvider, DnsProviders, Propagation, Resolver};
pub use issuer::{
    Authorization, AuthorizationStatus, CertificateAuthority, Challenge, ExternalAccount, Issuer, Order, OrderStatus,
};
pub use store::{
    BlockSubject, Certificates, Change, ChangeError, ClientChange, Clients, CreateError, DeleteError, Issuances, NewCertificate,
    NewServer, Opening, Outcome, Rotation, Settings, Store, StoreError, Upload, Uploads, UsedUpload, Version,
};
