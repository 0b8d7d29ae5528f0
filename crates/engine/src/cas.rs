//! The CAs of the operator's choice, and which of them an application is for.
use certkeep_core::authority::Authority;
use certkeep_core::material::KeyType;
use certkeep_core::name::DnsName;
use certkeep_core::ports::CertificateAuthority;

/// A CA, and what is asked of it.
#[derive(Clone, Debug)]
pub struct Choice {
    /// What the operator calls it.
    pub name: Option<String>,
    /// The CA.
    pub ca: CertificateAuthority,
    /// The keys of the versions it issues.
    pub key_type: KeyType,
    /// The certificate profile to ask for; the CA's own choice if absent.
    pub profile: Option<String>,
    /// The common name of the root that the chain should lead to, where the CA offers several chains.
    pub preferred_chain: Option<String>,
}

impl Choice {
    /// A CA that is left to choose whatever it offers.
    pub fn of(ca: CertificateAuthority, key_type: KeyType) -> Choice {
        Choice { name: None, ca, key_type, profile: None, preferred_chain: None }
    }

    /// Whether a person means this one: by its name, its directory URL, or the word for a public CA.
    pub fn is_called(&self, text: &str) -> bool {
        self.name.as_deref() == Some(text) || self.ca.directory == text || self.word() == Some(text)
    }

    /// What people may call it.
    pub fn called(&self) -> &str {
        self.name.as_deref().or_else(|| self.word()).unwrap_or(&self.ca.directory)
    }

    fn word(&self) -> Option<&'static str> {
        Authority::by_directory(&self.ca.directory).map(|known| known.word)
    }
}

/// Which CAs are asked for names below a suffix, in the place of all.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What the names are, or lie below.
    pub suffix: DnsName,
    /// The directory URLs of the CAs, in the order in which they are asked.
    pub directories: Vec<String>,
}

/// The CAs in the order in which they are asked.
#[derive(Clone, Debug)]
pub struct Cas {
    /// Asked first.
    pub first: Choice,
    /// Asked, in this order, when those before could not issue for reasons of their own.
    pub further: Vec<Choice>,
    /// What is so for some names only.
    pub rules: Vec<Rule>,
}

impl Cas {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Choice> {
        std::iter::once(&self.first).chain(&self.further)
    }

    /// The one with this directory URL.
    pub fn at(&self, directory: &str) -> Option<&Choice> {
        self.iter().find(|choice| choice.ca.directory == directory)
    }

    /// The one that a person calls so ([`Choice::is_called`]).
    pub fn called(&self, text: &str) -> Option<&Choice> {
        self.iter().find(|choice| choice.is_called(text))
    }

    /// Those that are asked for a certificate with these names, in order: of the rules that all of the names are in the one
    /// with the longest suffix decides.
    pub fn order_for(&self, names: &[DnsName]) -> Vec<&Choice> {
        let fits = |rule: &&Rule| names.iter().all(|name| name.base().is_within(rule.suffix.as_str()));
        match self.rules.iter().filter(fits).max_by_key(|rule| rule.suffix.as_str().len()) {
            Some(rule) => rule.directories.iter().filter_map(|directory| self.at(directory)).collect(),
            None => self.iter().collect(),
        }
    }

    /// The one that is asked first for a certificate with these names.
    pub fn first_for(&self, names: &[DnsName]) -> &Choice {
        self.order_for(names).into_iter().next().unwrap_or(&self.first)
    }
}

impl From<Choice> for Cas {
    fn from(first: Choice) -> Self {
        Cas { first, further: Vec::new(), rules: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(name: &str) -> Choice {
        let directory = format!("https://{name}.example/");
        let ca = CertificateAuthority { directory, roots: Vec::new(), contact: Vec::new(), external_account: None };
        Choice { name: Some(name.to_owned()), ..Choice::of(ca, KeyType::P256) }
    }

    fn order(cas: &Cas, names: &[&str]) -> Vec<String> {
        let names: Vec<DnsName> = names.iter().map(|name| name.parse().unwrap()).collect();
        cas.order_for(&names).into_iter().map(|choice| choice.called().to_owned()).collect()
    }

    #[test]
    fn the_longest_suffix_that_all_names_are_in_decides() {
        let rule = |suffix: &str, cas: &[&str]| Rule {
            suffix: suffix.parse().unwrap(),
            directories: cas.iter().map(|name| choice(name).ca.directory).collect(),
        };
        let rules = vec![rule("example.com", &["c", "a"]), rule("sub.example.com", &["b"])];
        let cas = Cas { first: choice("a"), further: vec![choice("b"), choice("c")], rules };
        assert_eq!(order(&cas, &["www.example.org"]), ["a", "b", "c"]);
        assert_eq!(order(&cas, &["example.com", "*.example.com"]), ["c", "a"]);
        assert_eq!(order(&cas, &["x.sub.example.com"]), ["b"]);
        assert_eq!(order(&cas, &["x.sub.example.com", "example.com"]), ["c", "a"], "the shorter one has both");
        assert_eq!(order(&cas, &["example.com", "example.org"]), ["a", "b", "c"], "no rule has both");
        assert_eq!(order(&cas, &["notexample.com"]), ["a", "b", "c"]);
    }

    #[test]
    fn a_ca_goes_by_its_name_its_directory_and_the_word_for_it() {
        let mut public = choice("main");
        public.ca.directory = "https://acme-v02.api.letsencrypt.org/directory".to_owned();
        for text in ["main", "letsencrypt", "https://acme-v02.api.letsencrypt.org/directory"] {
            assert!(public.is_called(text), "{text}");
        }
        assert!(!public.is_called("zerossl"));
        assert_eq!(Choice { name: None, ..public }.called(), "letsencrypt");
    }
}
