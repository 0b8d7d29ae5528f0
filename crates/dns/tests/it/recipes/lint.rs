//! What is wrong with a page is told with line and field; the operator's pages; the schema for editors.
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use certkeep_core::ports::DnsProviders as _;
use certkeep_dns::page::{PageError, lint};
use certkeep_dns::registry::{Registry, RegistryOptions};
use serde_json::Value;

use super::vendor::Folder;

const WRONG: &str = "flag = \"x\"
name = \"X\"
param = [{ k = \"Key\" }]

[http]
base = \"https://x.example\"
header.Auth = \"{{ Token }}\"

[zone]
unlisted = true

[add]
post = \"/r\"
json = { name = \"{{ name | nonsense }}\" }

[remove]
delete = \"/r\"
next = \"more\"
";

#[test]
fn everything_is_told_at_once_with_line_and_field() {
    let errors = lint("x", WRONG).unwrap_err();
    let told: Vec<(usize, &str)> = errors
        .iter()
        .map(|error| match error {
            PageError::Field { line, field, .. } => (*line, field.as_str()),
            PageError::Format { line, .. } => (*line, ""),
        })
        .collect();
    assert_eq!(told, [(7, "http.header.Auth"), (14, "add.json.name"), (16, "remove")], "{errors:?}");
    let errors = lint("x", "flag = \"x\"\nname = \"X\"\nnonsense = 1\n").unwrap_err();
    assert!(matches!(errors[..], [PageError::Format { line: 3, .. }]), "{errors:?}");
}

#[test]
fn forms_that_do_not_fit_together() {
    let changes = "[add]\npost = \"/r\"\n[remove]\ndelete = \"/r\"\n";
    let page = |http: &str, zone: &str, rest: &str| {
        format!("flag = \"x\"\nname = \"X\"\nparam = [{{ k = \"Key\" }}]\n[http]\n{http}\n[zone]\n{zone}\n{rest}")
    };
    let (base, unlisted) = ("base = \"https://x.example\"", "unlisted = true");
    let set = "[set]\nread.get = \"/s\"\nread.each = \"s\"\nread.where = { a = \"b\" }\nentry = \"e\"\nvalue = \"v\"\nwrite.put = \"/s\"\n";
    let login = "[login]\npost = \"/l\"\nkeep = { at = \"at\" }\n";
    for (text, field, words) in [
        (page(&format!("{base}\ntls.cert = \"{{{{ Key }}}}\""), unlisted, changes), "http.tls", "needs its key"),
        (page(&format!("{base}\nanswer = \"html\""), unlisted, changes), "http.ok", "whose it is"),
        (
            page(base, unlisted, &format!("{changes}[wait]\nbefore = true\nget = \"/j/{{{{ got.job }}}}\"\nuntil = \"done\"\n")),
            "wait.before",
            "may not use got",
        ),
        (page(base, unlisted, &format!("{changes}[login]\nwhen = \"got.x\"\npost = \"/l\"\n")), "login.when", "got is neither"),
        (page("base = \"{{ session.at }}\"", unlisted, &format!("{changes}{login}")), "http.base", "a base of its own"),
        (page("base = \"{{ session.at }}\"", unlisted, changes), "http.base", "session is neither"),
        (page(base, "soa = true\neach = \"z\"", changes), "zone", "each has no meaning without a call"),
        (page(base, unlisted, set), "set.read.where", "mine tells"),
    ] {
        let errors = lint("x", &text).unwrap_err();
        let [PageError::Field { field: told, problem, .. }] = errors.as_slice() else { panic!("{text}: {errors:?}") };
        assert_eq!(told, field);
        assert!(problem.contains(words), "{problem}");
    }
    assert!(lint("x", &page(base, "soa = true", changes)).is_ok());
    assert!(lint("x", &page(base, unlisted, &set.replace("read.where = { a = \"b\" }\n", ""))).is_ok());
}

#[test]
fn pages_of_the_operator() {
    let folder = Folder::new();
    let good = WRONG.replace("Token", "Key").replace(" | nonsense", "").replace("next = \"more\"\n", "");
    folder.write("mine", &good.replace("\"x\"", "\"mine\""));
    folder.write("gandiv5", &good.replace("\"x\"", "\"gandiv5\"").replace("\"X\"", "\"Mended\""));
    folder.write("luadns", &WRONG.replace("\"x\"", "\"luadns\""));
    let options = RegistryOptions { pages_folder: Some(folder.0.clone()), ..RegistryOptions::default() };
    let registry = Registry::new(options);
    assert!(registry.descriptor("mine").unwrap().served.is_ok());
    assert_eq!(registry.descriptor("gandiv5").unwrap().name, "Mended");
    assert_eq!(registry.descriptor("luadns").unwrap().name, "LuaDNS");
}

/// The fields that a table knows, as the parser tells them when it meets one that it does not know.
fn known(page: &str) -> BTreeSet<String> {
    let Err(errors) = lint("x", page) else { panic!("{page} can be read") };
    let [PageError::Format { source, .. }] = errors.as_slice() else { panic!("{errors:?}") };
    let (_, list) = source.message().split_once(", expected ").unwrap_or_else(|| panic!("{source}"));
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_schema_knows_the_same_fields() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/provider.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let fields = |schema: &Value| schema["properties"].as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>();
    let head = "flag = \"x\"\nname = \"X\"\n";
    let http = format!("{head}[http]\nbase = \"https://x.example\"\n");
    let set = format!("{head}[set]\nentries = \"e\"\nentry = \"e\"\nvalue = \"v\"\nread.get = \"/\"\nwrite.put = \"/\"\n");
    for (name, page) in [
        ("", format!("{head}zzz = 1")),
        ("http", format!("{http}zzz = 1")),
        ("limit", format!("{http}limit.zzz = 1")),
        ("enroll", format!("{head}[enroll]\nzzz = 1")),
        ("fails", format!("{http}fails.zzz = 1")),
        ("tls", format!("{http}tls.zzz = 1")),
        ("set", format!("{set}zzz = 1")),
        ("call", format!("{head}[add]\nzzz = 1")),
        ("xmlrpc", format!("{head}[add]\nxmlrpc.method = \"m\"\nxmlrpc.zzz = 1")),
        ("parameter", format!("{head}[[param]]\nk = \"K\"\nzzz = 1")),
        ("requirement", format!("{head}[[require]]\nthat = \"a\"\nsay = \"b\"\nzzz = 1")),
    ] {
        let part = if name.is_empty() { &schema } else { &schema["$defs"][name] };
        assert_eq!(fields(part), known(&page), "{name}");
        assert_eq!(part["additionalProperties"], false, "{name}");
    }
}
