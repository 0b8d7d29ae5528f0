//! Puts every page of `providers/` into the crate, by flag.
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../providers");
    let mut flags = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let name = entry?.file_name();
        let name = name.to_str().ok_or("a page's file name is not UTF-8")?;
        flags.extend(name.strip_suffix(".toml").map(str::to_owned));
    }
    flags.sort_unstable();
    let mut table = String::from("&[\n");
    for flag in flags {
        writeln!(
            table,
            "    ({flag:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/../../providers/{flag}.toml\"))),"
        )?;
    }
    table.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("pages.rs"), table)?;
    println!("cargo::rerun-if-changed={}", folder.display());
    Ok(())
}
