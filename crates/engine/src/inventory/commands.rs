//! Commands: what a caller may want, in values that can only be valid in form.
use certkeep_core::application::{Application, AuthEntry, Names};
use certkeep_core::certificate::ApplyStatus;
use certkeep_core::ports::DnsProviders;

use crate::error::{Invalid, UseCaseError};

/// The provider and its parameters, as a caller gives them.
#[derive(Clone, Debug, Default)]
pub struct ApplicationInput {
    /// The provider's flag.
    pub dns_provider: Option<String>,
    /// Its parameters.
    pub auth: Option<Vec<AuthEntry>>,
}

/// A certificate to be added (contract §4.6).
#[derive(Clone, Debug)]
pub enum Create {
    /// Apply for one.
    Apply {
        /// The names, the first being its `issue_to`.
        names: Names,
        /// How to prove control of them.
        input: ApplicationInput,
    },
    /// Trust a CA that was uploaded.
    Trust {
        /// The upload's base name.
        upload: String,
    },
    /// Serve one that was uploaded.
    Serve {
        /// The upload's base name.
        upload: String,
        /// How to renew it by application; not at all if `None`.
        renewal: Option<ApplicationInput>,
    },
}

/// What adding a certificate answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The entry's file name.
    pub name: String,
    /// Where its application stands; `None` for a trusted one.
    pub status: Option<ApplyStatus>,
}

/// A change of a server certificate (contract §4.7); absent means unchanged.
#[derive(Clone, Debug, Default)]
pub struct Update {
    /// The base name of an upload that is swapped in.
    pub upload: Option<String>,
    /// Other names to apply for; for an applied one only.
    pub names: Option<Names>,
    /// Whether it is renewed; for an uploaded one only.
    pub auto_renewal: Option<bool>,
    /// Another provider or other parameters.
    pub input: ApplicationInput,
}

/// Checks provider and parameters against the provider's descriptor (contract §4.6).
///
/// # Errors
/// [`UseCaseError::Invalid`] with every problem there is.
pub(crate) fn application(
    providers: &dyn DnsProviders,
    names: Names,
    input: ApplicationInput,
) -> Result<Application, UseCaseError> {
    let Some(flag) = input.dns_provider.filter(|flag| !flag.is_empty()) else {
        let mut problems = vec![Invalid::missing("dns_provider")];
        if input.auth.is_none() {
            problems.push(Invalid::missing("auth_info_list"));
        }
        return Err(UseCaseError::Invalid(problems));
    };
    let Some(descriptor) = providers.descriptor(&flag) else {
        let problem = Invalid::new("dns_provider", "oneof", "is no DNS provider that certkeep knows");
        return Err(UseCaseError::Invalid(vec![problem]));
    };
    if let Err(why) = &descriptor.served {
        return Err(UseCaseError::Invalid(vec![Invalid::new("dns_provider", "unsupported", why.clone())]));
    }
    let auth = input.auth.unwrap_or_default();
    let parameters =
        descriptor.parameters(&auth).map_err(|problems| UseCaseError::Invalid(problems.iter().map(Invalid::from).collect()))?;
    // A value that can never work is told at once rather than at the first issuance.
    providers.connect(&flag, &parameters).map_err(|failure| {
        let field = failure.evidence.subject.clone().unwrap_or_else(|| "auth_info_list".to_owned());
        UseCaseError::Invalid(vec![Invalid::new(field, "invalid", failure.to_string())])
    })?;
    Ok(Application { names, dns_provider: flag, auth })
}
