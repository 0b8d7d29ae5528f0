//! CAA: which CAs a domain allows to issue (RFC 8659), for which accounts and by which methods (RFC 8657).
use std::fmt;

/// The method by which certkeep proves control of a name, as `validationmethods` names it.
pub const METHOD: &str = "dns-01";

/// The kinds of property that a CA knows: one that is critical and none of these stops it (RFC 8659 §4.1, RFC 9495 §4).
const KNOWN: &[&str] = &["issue", "issuewild", "iodef", "issuemail", "issuevmc"];

/// The flag of a critical property is 128 (RFC 8659 §4.1). People who count bits from the other end write 1, and CAs that
/// mean it well, Let's Encrypt for one, heed that too.
const CRITICAL: u8 = 128 | 1;

/// One CAA record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The flags.
    pub flags: u8,
    /// The tag, matched without regard to case.
    pub tag: String,
    /// The value; octets that are no text make it malformed.
    pub value: String,
}

/// The records that rule a name, and where they were found (RFC 8659 §3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelevantSet {
    /// The names that were asked for records, from the name itself upwards.
    pub asked: Vec<String>,
    /// The records of the last one asked; none where no level has any.
    pub properties: Vec<Property>,
}

/// Who wants to issue, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Applicant<'a> {
    /// The names by which the CA goes in CAA records (RFC 8555 §9.7.6, `caaIdentities`); none if it does not tell.
    pub identities: &'a [String],
    /// The URL of the account at the CA, if it is known.
    pub account: Option<&'a str>,
}

/// What a set of records means for an applicant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// This record allows the CA to issue.
    Allowed(Property),
    /// Nobody may, or not this one; a sentence for each record that says so.
    Forbidden(Vec<String>),
    /// It depends on something that is not known, in one sentence.
    Unsure(String),
    /// No record restricts this kind of certificate.
    Unrestricted,
}

/// What one record means for an applicant.
enum Word {
    Allows,
    Forbids(&'static str),
    Unsure(String),
}

impl RelevantSet {
    /// The name that the records stand at.
    pub fn found_at(&self) -> Option<&str> {
        self.asked.last().filter(|_| !self.properties.is_empty()).map(String::as_str)
    }

    /// Whether an applicant may have a certificate, of a wildcard or not (RFC 8659 §4.2, §4.3).
    pub fn judge(&self, wildcard: bool, applicant: Applicant<'_>) -> Judgement {
        let unknown = self.properties.iter().filter(|property| property.flags & CRITICAL != 0 && !property.is_one_of(KNOWN));
        let unknown: Vec<String> = unknown.map(|p| format!("{p} is critical, and CAs do not know its kind")).collect();
        if !unknown.is_empty() {
            return Judgement::Forbidden(unknown);
        }
        let of = |tag: &str| self.properties.iter().filter(|p| p.is_one_of(&[tag])).collect::<Vec<_>>();
        let mut ruling = if wildcard { of("issuewild") } else { Vec::new() };
        if ruling.is_empty() {
            ruling = of("issue");
        }
        if ruling.is_empty() {
            return Judgement::Unrestricted;
        }
        let (mut unsure, mut reasons) = (None, Vec::new());
        for property in ruling {
            match property.word(applicant) {
                Word::Allows => return Judgement::Allowed(property.clone()),
                Word::Forbids(why) => reasons.push(format!("{property} {why}")),
                Word::Unsure(what) => unsure = unsure.or(Some(format!("{property} {what}"))),
            }
        }
        unsure.map_or(Judgement::Forbidden(reasons), Judgement::Unsure)
    }
}

impl Property {
    fn is_one_of(&self, tags: &[&str]) -> bool {
        tags.iter().any(|tag| self.tag.eq_ignore_ascii_case(tag))
    }

    /// What an `issue` or `issuewild` says of an applicant.
    fn word(&self, applicant: Applicant<'_>) -> Word {
        // What cannot be understood allows nobody (RFC 8659 §4.2).
        let Some(IssueValue { issuer, parameters }) = IssueValue::parse(&self.value) else {
            return Word::Forbids("is malformed, which forbids every CA");
        };
        let Some(issuer) = issuer else { return Word::Forbids("forbids every CA") };
        let named = applicant.identities.iter().any(|identity| identity.trim_end_matches('.').eq_ignore_ascii_case(issuer));
        if !named && !applicant.identities.is_empty() {
            return Word::Forbids("is for another CA");
        }
        let values = |tag: &str| {
            let values = parameters.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(tag));
            values.map(|(_, value)| *value).collect::<Vec<_>>()
        };
        match values("validationmethods").as_slice() {
            [] => {}
            [methods] if !methods.split(',').all(is_method) => return Word::Forbids("names methods that are none"),
            [methods] if methods.split(',').any(|method| method == METHOD) => {}
            [_] => return Word::Forbids("does not allow dns-01"),
            _ => return Word::Forbids("says validationmethods twice, which nobody can meet"),
        }
        match (values("accounturi").as_slice(), applicant.account) {
            ([], _) => {}
            ([wanted], Some(account)) if *wanted == account => {}
            ([_], Some(_)) => return Word::Forbids("is for another account"),
            ([_], None) => return Word::Unsure("is for one account only, and which one ours is is not known here".to_owned()),
            _ => return Word::Forbids("says accounturi twice, which nobody can meet"),
        }
        if !named {
            return Word::Unsure("names a CA, and this one does not tell the names it goes by".to_owned());
        }
        Word::Allows
    }
}

impl fmt::Display for Property {
    /// As a zone file has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value: String = self.value.chars().take(200).collect();
        write!(f, "{} {} {value:?}", self.flags, self.tag)
    }
}

/// The value of an `issue` or `issuewild` (RFC 8659 §4.2).
struct IssueValue<'a> {
    issuer: Option<&'a str>,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> IssueValue<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let blank = [' ', '\t'];
        let (issuer, rest) = text.split_once(';').unwrap_or((text, ""));
        let (issuer, rest) = (issuer.trim_matches(blank), rest.trim_matches(blank));
        if !issuer.is_empty() && !issuer.split('.').all(is_label) {
            return None;
        }
        let parameter = |part: &'a str| {
            let (tag, value) = part.split_once('=')?;
            let (tag, value) = (tag.trim_matches(blank), value.trim_matches(blank));
            (is_label(tag) && value.bytes().all(|b| b.is_ascii_graphic())).then_some((tag, value))
        };
        let parameters = if rest.is_empty() { Some(Vec::new()) } else { rest.split(';').map(parameter).collect() };
        Some(IssueValue { issuer: Some(issuer).filter(|issuer| !issuer.is_empty()), parameters: parameters? })
    }
}

/// The name of a method (RFC 8657 §4).
fn is_method(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Letters and digits with hyphens between them.
fn is_label(text: &str) -> bool {
    let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    fits && !text.is_empty() && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: &str = "https://ca.example.net/account/1";

    /// Records as a zone file has them: flags, tag, and the rest as the value.
    fn set(records: &[&str]) -> RelevantSet {
        let property = |record: &&str| {
            let mut parts = record.splitn(3, ' ');
            let flags = parts.next().unwrap().parse().unwrap();
            Property { flags, tag: parts.next().unwrap().into(), value: parts.next().unwrap_or_default().into() }
        };
        RelevantSet { asked: vec!["example.com".into()], properties: records.iter().map(property).collect() }
    }

    /// `+` allowed, `-` forbidden, `?` unsure, `*` unrestricted.
    fn letter(judgement: &Judgement) -> char {
        match judgement {
            Judgement::Allowed(_) => '+',
            Judgement::Forbidden(reasons) if !reasons.is_empty() => '-',
            Judgement::Forbidden(_) => panic!("forbidden without a reason"),
            Judgement::Unsure(_) => '?',
            Judgement::Unrestricted => '*',
        }
    }

    /// What the records say of a plain name and of a wildcard at the CA `ca1.example.net` with an account.
    fn words(records: &[&str]) -> String {
        let identities = ["CA1.example.net".to_owned(), "other-name.example".to_owned()];
        let applicant = Applicant { identities: &identities, account: Some(OURS) };
        [false, true].map(|wildcard| letter(&set(records).judge(wildcard, applicant))).iter().collect()
    }

    #[test]
    fn issue_and_issuewild() {
        for (records, expected) in [
            // RFC 8659 §3: nothing there.
            (&[][..], "**"),
            // §4.2: one of several CAs; nobody; malformed; additive.
            (&["0 issue ca1.example.net", "0 issue ca2.example.org"], "++"),
            (&["0 issue ca2.example.org"], "--"),
            (&["0 issue ;"], "--"),
            (&["0 issue "], "--"),
            (&["0 issue %%%%%"], "--"),
            (&["0 issue ;", "0 issue ca1.example.net"], "++"),
            (&["0 issue %%%%%", "0 issue other-name.example"], "++"),
            (&["0 issue ca1.example.net; account=230123"], "++"),
            (&["0 issue \t ca1.example.net \t ;  account = 230123 ; x=y"], "++"),
            (&["0 issue CA1.Example.NET"], "++"),
            (&["0 issue ca1.example.net."], "--"),
            (&["0 issue ca1.example.net;"], "++"),
            (&["0 issue ca1.example.net; account"], "--"),
            (&["0 issue ca1.example.net; account=1;"], "--"),
            (&["0 issue ca1.example.net; a_b=1"], "--"),
            (&["0 issue ca1.example.net; a=1 2"], "--"),
            (&["0 issue ca1.example.net extra"], "--"),
            (&["0 issue sub.ca1.example.net"], "--"),
            // §4.3: issuewild rules wildcards alone, and in the place of issue.
            (&["0 issue ca1.example.net", "0 issuewild ca2.example.org"], "+-"),
            (&["0 issue ca2.example.org", "0 issuewild ca1.example.net"], "-+"),
            (&["0 issuewild ca2.example.org"], "*-"),
            (&["0 issuewild ;"], "*-"),
            (&["0 issue ca2.example.org", "0 issuewild ;"], "--"),
            (&["0 issue ca1.example.net", "0 issuewild %%%"], "+-"),
            // §4.4: iodef says nothing about issuing.
            (&["0 iodef mailto:security@example.com"], "**"),
            (&["128 iodef mailto:security@example.com", "0 issue ca1.example.net"], "++"),
            // §4.1: tags in any case; critical and unknown; unknown but not critical.
            (&["0 ISSUE ca2.example.org"], "--"),
            (&["128 issue ca1.example.net"], "++"),
            (&["0 issue ca1.example.net", "128 tbs Unknown"], "--"),
            (&["0 issue ca1.example.net", "1 tbs Unknown"], "--"),
            (&["0 issue ca1.example.net", "64 tbs Unknown"], "++"),
            (&["0 issue ca1.example.net", "0 tbs Unknown"], "++"),
            (&["0 tbs Unknown"], "**"),
            (&["128 issuemail ;", "128 issuevmc ;"], "**"),
        ] {
            assert_eq!(words(records), expected, "{records:?}");
        }
    }

    #[test]
    fn accounts_and_methods() {
        let uri = format!("accounturi={OURS}");
        for (parameters, expected) in [
            // RFC 8657 §3.
            (uri.clone(), "++"),
            (format!("{uri}/2"), "--"),
            ("accounturi=https://other.example/account/1".to_owned(), "--"),
            (format!("{uri}; {uri}"), "--"),
            (format!("ACCOUNTURI={OURS}"), "++"),
            // §4.
            ("validationmethods=dns-01".to_owned(), "++"),
            ("validationmethods=http-01,dns-01".to_owned(), "++"),
            ("validationmethods=http-01".to_owned(), "--"),
            ("validationmethods=ca-dns-01".to_owned(), "--"),
            ("validationmethods=ca-x,dns-01".to_owned(), "++"),
            ("validationmethods=dns-01,".to_owned(), "--"),
            ("validationmethods=a_b,dns-01".to_owned(), "--"),
            ("validationmethods=".to_owned(), "--"),
            ("validationmethods=dns-01; validationmethods=dns-01".to_owned(), "--"),
            (format!("validationmethods=dns-01; {uri}"), "++"),
            (format!("validationmethods=http-01; {uri}"), "--"),
            (format!("validationmethods=dns-01; {uri}x"), "--"),
        ] {
            let record = format!("0 issue ca1.example.net; {parameters}");
            assert_eq!(words(&[&record]), expected, "{parameters}");
            // Another record that allows makes up for it.
            assert_eq!(words(&[&record, "0 issue ca1.example.net"]), "++", "{parameters}");
            // At another CA the parameters do not matter.
            assert_eq!(words(&[&record.replace("ca1", "ca2")]), "--", "{parameters}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_judged() {
        let ca = ["ca1.example.net".to_owned()];
        let uri = format!("0 issue ca1.example.net; accounturi={OURS}");
        for (records, identities, account, expected) in [
            (&[uri.as_str()][..], &ca[..], None, '?'),
            (&[&uri, "0 issue ca1.example.net"], &ca, None, '+'),
            (&[&uri, "0 issue ;"], &ca, None, '?'),
            (&["0 issue ca9.example"], &[], Some(OURS), '?'),
            (&["0 issue ;"], &[], Some(OURS), '-'),
            (&["0 issue ca9.example; validationmethods=http-01"], &[], None, '-'),
            (&[], &[], None, '*'),
        ] {
            assert_eq!(letter(&set(records).judge(false, Applicant { identities, account })), expected, "{records:?}");
        }
    }

    #[test]
    fn reasons_name_the_record() {
        let applicant = Applicant { identities: &["ca1.example.net".to_owned()], account: None };
        let judgement = set(&["0 issue ca2.example.org", "128 issue ;"]).judge(false, applicant);
        let expected = ["0 issue \"ca2.example.org\" is for another CA", "128 issue \";\" forbids every CA"];
        assert_eq!(judgement, Judgement::Forbidden(expected.map(str::to_owned).to_vec()));
        assert_eq!(set(&["0 issue ;"]).found_at(), Some("example.com"));
        assert_eq!(set(&[]).found_at(), None);
    }

    proptest! {
        #[test]
        fn any_value_can_be_judged(value in ".*", tag in "(issue|issuewild|tbs|\\PC{0,5})", flags: u8, wildcard: bool) {
            let properties = vec![Property { flags, tag, value }];
            let set = RelevantSet { asked: vec!["example.com".into()], properties };
            letter(&set.judge(wildcard, Applicant { identities: &["ca.example".to_owned()], account: None }));
        }

        #[test]
        fn more_issue_records_never_take_a_right_away(values in prop::collection::vec("(;|ca1.example.net|ca2.example|%|ca1.example.net; validationmethods=dns-01)", 0..5)) {
            let mut records: Vec<String> = values.iter().map(|value| format!("0 issue {value}")).collect();
            records.push("0 issue ca1.example.net".to_owned());
            let records: Vec<&str> = records.iter().map(String::as_str).collect();
            prop_assert_eq!(words(&records), "++");
        }
    }
}
