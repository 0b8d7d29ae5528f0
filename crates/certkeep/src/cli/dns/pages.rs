//! `certkeep dns providers`, `show` and `lint`: the pages.
use std::fmt::Write;
use std::path::{Path, PathBuf};

use certkeep_core::ports::DnsProviders;
use certkeep_core::provider::{DefaultValue, Parameter, ParameterKind};
use certkeep_dns::page::{self, PageError};
use certkeep_dns::registry::{Registry, RegistryOptions};
use clap::Args;
use serde_json::json;

use crate::cli::CommandError;
use crate::cli::ending::print;

#[derive(Args, Debug)]
pub(in crate::cli) struct Listing {
    /// A folder with pages that are added to those that certkeep brings, or take their place
    #[arg(long, value_name = "DIR")]
    pages: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Showing {
    /// The provider, as `certkeep dns providers` lists it
    flag: String,
    /// A folder with pages that are added to those that certkeep brings, or take their place
    #[arg(long, value_name = "DIR")]
    pages: Option<PathBuf>,
}

fn registry(pages: Option<&PathBuf>) -> Registry {
    Registry::new(RegistryOptions { pages_folder: pages.cloned(), ..RegistryOptions::default() })
}

pub(super) fn list(Listing { pages, json }: &Listing) -> Result<(), CommandError> {
    let registry = registry(pages.as_ref());
    let descriptors = registry.descriptors();
    if *json {
        let providers = descriptors.iter().map(|d| match &d.served {
            Ok(()) => json!({ "flag": d.flag, "name": d.name, "served": true }),
            Err(why) => json!({ "flag": d.flag, "name": d.name, "served": false, "why": why }),
        });
        return print(&format!("{}\n", json!({ "providers": providers.collect::<Vec<_>>() })));
    }
    let width = descriptors.iter().map(|d| d.flag.len()).max().unwrap_or(0);
    print(&descriptors.iter().fold(String::new(), |mut text, d| {
        let why = d.served.as_ref().err().map(|why| format!("  not served: {why}")).unwrap_or_default();
        let _ = writeln!(text, "{:<width$}  {}{why}", d.flag, d.name);
        text
    }))
}

pub(super) fn show(Showing { flag, pages }: &Showing) -> Result<(), CommandError> {
    let registry = registry(pages.as_ref());
    let no_provider = || CommandError::NoProvider(flag.clone());
    let descriptor = registry.descriptor(flag).ok_or_else(no_provider)?;
    let mut text = format!("{}  {}\n", descriptor.flag, descriptor.name);
    if let Err(why) = &descriptor.served {
        let _ = writeln!(text, "Not served: {why}");
    }
    text += "\nParameters\n";
    let width = descriptor.parameters.iter().map(|parameter| parameter.k.len()).max().unwrap_or(0);
    for parameter in &descriptor.parameters {
        let line = format!("  {:<width$}  {}{}", parameter.k, traits(parameter), parameter.help);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = write!(text, "\nPage {flag}.toml\n\n{}", registry.text(flag).unwrap_or_default());
    print(&text)
}

/// What has to be known of a parameter's value, in brackets.
fn traits(parameter: &Parameter) -> String {
    let kind = match parameter.kind {
        ParameterKind::Boolean => "true or false",
        ParameterKind::Integer => "integer",
        ParameterKind::String => "text",
    };
    let mut traits = vec![kind.to_owned()];
    traits.extend(parameter.required.then(|| "required".to_owned()));
    traits.extend(parameter.secret.then(|| "secret".to_owned()));
    traits.extend(parameter.file.then(|| "a file: cannot be given".to_owned()));
    traits.extend(parameter.default.as_ref().map(|default| match default {
        DefaultValue::Boolean(value) => format!("default {value}"),
        DefaultValue::Integer(value) => format!("default {value}"),
        DefaultValue::String(value) => format!("default {value}"),
    }));
    format!("[{}] ", traits.join(", "))
}

pub(super) fn lint(path: &Path) -> Result<(), CommandError> {
    let unreadable = |source| CommandError::Unreadable { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let flag = path.file_stem().unwrap_or_default().to_string_lossy();
    let Err(errors) = page::lint(&flag, &text) else {
        return print(&format!("{} is understood.\n", path.display()));
    };
    let file = path.display();
    print(&errors.iter().fold(String::new(), |mut text, error| {
        let _ = match error {
            PageError::Field { line, field, problem, .. } => writeln!(text, "{file}:{line}: {field}: {problem}"),
            PageError::Format { line, source, .. } => writeln!(text, "{file}:{line}: {}", source.message()),
        };
        text
    }))?;
    Err(CommandError::Told(Box::new(CommandError::Page(path.to_owned()))))
}
