//! Why an uploaded file is refused (contract §4.6).

/// Why an uploaded file is refused; nothing of it is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The chain has a gap, or a certificate that belongs to no chain of the leaf; or several CAs to be trusted that do
    /// not lead up from one.
    #[error("the certificates do not form one chain from the server's up")]
    BrokenChain,
    /// A CA certificate where a server's is wanted.
    #[error("this is the certificate of a CA, not of a server")]
    CaAsServer,
    /// The key is encrypted and no password was given, or the wrong one; or in the manner of RFC 1421, whose weak
    /// derivation is never opened.
    #[error("the private key or container is encrypted and the password is missing or wrong")]
    EncryptedKey,
    /// The leaf, or the CA to be trusted, is no longer valid.
    #[error("the certificate has expired")]
    Expired,
    /// The key does not belong to the leaf.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// A server's certificate where a CA's is wanted.
    #[error("this is not the certificate of a CA")]
    LeafAsTrusted,
    /// No certificate in the file.
    #[error("the file holds no certificate")]
    NoCertificate,
    /// No private key in the file.
    #[error("the file holds no private key")]
    NoKey,
    /// More certificates than any chain has, more than one private key, or a private key among certificates to be
    /// trusted.
    #[error("the file holds too many certificates or keys")]
    TooMany,
    /// Something that is neither certificate nor key, or octets after the end.
    #[error("the file holds something that is neither a certificate nor a key")]
    TrailingGarbage,
    /// The file is damaged: it begins like PEM, DER or PKCS#12 but cannot be read as such.
    #[error("the file cannot be read as PEM, DER or PKCS#12")]
    Unreadable,
    /// A key algorithm that is not served: others than RSA, ECDSA (P-256, P-384, P-521) and Ed25519.
    #[error("the key's algorithm is not supported")]
    UnsupportedKey,
    /// RSA under 2048 bits.
    #[error("the RSA key is shorter than 2048 bits")]
    WeakKey,
}

impl Refusal {
    /// The API's `validation_type`.
    pub fn validation_type(&self) -> &'static str {
        match self {
            Refusal::BrokenChain => "broken_chain",
            Refusal::CaAsServer => "ca_as_server",
            Refusal::EncryptedKey => "encrypted_key",
            Refusal::Expired => "expired",
            Refusal::KeyMismatch => "key_mismatch",
            Refusal::LeafAsTrusted => "leaf_as_trusted",
            Refusal::NoCertificate => "no_certificate",
            Refusal::NoKey => "no_key",
            Refusal::TooMany => "max",
            Refusal::TrailingGarbage => "trailing_garbage",
            Refusal::Unreadable => "pem",
            Refusal::UnsupportedKey => "unsupported_key",
            Refusal::WeakKey => "weak_key",
        }
    }
}
