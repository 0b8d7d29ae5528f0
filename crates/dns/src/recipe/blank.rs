//! Blanking of secrets in what others said.
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use crate::sign::percent_encoded;

/// What stands where a secret stood.
const BLANK: &str = "***";

/// Texts that may appear nowhere, the longest first, in every form in which a vendor may repeat them.
#[derive(Clone, Default)]
pub(crate) struct Blank(Vec<String>);

impl Blank {
    /// Blanks this text too, and what becomes of it in JSON, in a URL and in base64.
    pub(crate) fn add(&mut self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        let in_json = serde_json::Value::from(secret).to_string();
        let forms = [
            secret.to_owned(),
            in_json.trim_matches('"').to_owned(),
            percent_encoded(secret),
            percent_encoded(secret).replace("%20", "+"),
            percent_encoded(secret).to_ascii_lowercase(),
            STANDARD.encode(secret),
            STANDARD_NO_PAD.encode(secret),
            URL_SAFE.encode(secret),
            URL_SAFE_NO_PAD.encode(secret),
        ];
        self.0.extend(forms);
        self.0.sort_by_key(|form| std::cmp::Reverse(form.len()));
        self.0.dedup();
    }

    /// The text without them.
    pub(crate) fn blank(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for form in &self.0 {
            if text.contains(form.as_str()) {
                text = text.replace(form.as_str(), BLANK);
            }
        }
        text
    }
}

impl std::fmt::Debug for Blank {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blank({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_secret_is_blanked() {
        let mut blank = Blank::default();
        blank.add("s3 cr/t\"x");
        for form in ["s3 cr/t\"x", "s3 cr/t\\\"x", "s3%20cr%2Ft%22x", "s3+cr%2Ft%22x", "s3%20cr%2ft%22x", "czMgY3IvdCJ4"] {
            assert_eq!(blank.blank(&format!("bad key {form}!")), "bad key ***!", "{form}");
        }
        assert_eq!(Blank::default().blank("nothing to hide"), "nothing to hide");
    }
}
