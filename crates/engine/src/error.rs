//! Why a use case did not do as asked.
use certkeep_core::certificate::Kind;
use certkeep_core::material::Refusal;
use certkeep_core::people::Act;
use certkeep_core::ports::{ChangeError, CreateError, DeleteError, StoreError};
use certkeep_core::provider::ParameterProblem;

/// One parameter that is missing or cannot be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The API's name of it, or the key inside `auth_info_list`.
    pub field: String,
    /// What is wrong, as the contract's `validation_type`.
    pub kind: &'static str,
    /// What is wrong, in a sentence without any secret.
    pub message: String,
}

impl Invalid {
    /// A parameter, what kind of wrong, and a sentence.
    pub fn new(field: impl Into<String>, kind: &'static str, message: impl Into<String>) -> Self {
        Invalid { field: field.into(), kind, message: message.into() }
    }

    /// A parameter that must be there.
    pub fn missing(field: impl Into<String>) -> Self {
        Invalid::new(field, "required", "is required")
    }
}

/// Why a use case did not do as asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum UseCaseError {
    /// An application is running for this certificate.
    #[error("an application is running for this certificate")]
    Busy,
    /// The name is taken.
    #[error("the name {0:?} is taken")]
    Duplicate(String),
    /// This is not allowed.
    #[error("this is not allowed: {} is missing", .0.as_str())]
    Forbidden(Act),
    /// A fault of ours.
    #[error("certkeep met a fault of its own: {0}")]
    Internal(String),
    /// Certkeep's own web server uses the certificate.
    #[error("certkeep's own web server uses this certificate")]
    InUse,
    /// Parameters are missing or cannot be accepted.
    #[error("parameters cannot be accepted")]
    Invalid(Vec<Invalid>),
    /// As many as the configuration allows are there.
    #[error("there are {limit} {} certificates already, as many as are allowed", kind.as_str())]
    LimitReached {
        /// Of which kind.
        kind: Kind,
        /// How many.
        limit: u32,
    },
    /// There is no such certificate.
    #[error("there is no such certificate")]
    NotFound,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// So many temporary files are kept that no more are taken.
    #[error("{0} temporary files wait to be used; use them, or wait until they are swept")]
    TooManyUploads(u32),
    /// There is no such temporary file.
    #[error("there is no such temporary file; upload it again")]
    UploadNotFound,
}

impl From<DeleteError> for UseCaseError {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Busy => UseCaseError::Busy,
            DeleteError::NotFound => UseCaseError::NotFound,
            DeleteError::Store(e) => UseCaseError::Store(e),
        }
    }
}

impl UseCaseError {
    /// What the store said when an entry of this kind and name was to be added.
    pub(crate) fn from_create(error: CreateError, kind: Kind, name: &str) -> Self {
        match error {
            CreateError::LimitReached(limit) => UseCaseError::LimitReached { kind, limit },
            CreateError::NameTaken => UseCaseError::Duplicate(name.to_owned()),
            CreateError::Store(e) => UseCaseError::Store(e),
            CreateError::UploadGone => UseCaseError::UploadNotFound,
        }
    }

    /// What the store said when an entry was to be changed and perhaps renamed.
    pub(crate) fn from_change(error: ChangeError, renamed: Option<String>) -> Self {
        match error {
            ChangeError::Busy => UseCaseError::Busy,
            ChangeError::NameTaken => UseCaseError::Duplicate(renamed.unwrap_or_default()),
            ChangeError::NotFound => UseCaseError::NotFound,
            ChangeError::Store(e) => UseCaseError::Store(e),
            ChangeError::UploadGone => UseCaseError::UploadNotFound,
        }
    }
}

/// A refused file, told of the parameter that named it.
pub(crate) fn refused(refusal: &Refusal) -> UseCaseError {
    UseCaseError::Invalid(vec![Invalid::new("name", refusal.validation_type(), refusal.to_string())])
}

impl From<&ParameterProblem> for Invalid {
    fn from(problem: &ParameterProblem) -> Self {
        let message = match problem {
            ParameterProblem::File(_) => "names a file on the server, which the API may not do".to_owned(),
            ParameterProblem::Duplicate(_) => "is given twice".to_owned(),
            ParameterProblem::Kind(_, kind) => format!("must be of the kind {kind:?}").to_lowercase(),
            ParameterProblem::Missing(_) => "is required".to_owned(),
            ParameterProblem::Unknown(_) => "is no parameter of this DNS provider".to_owned(),
        };
        Invalid::new(problem.key(), problem.validation_type(), message)
    }
}
