//! The program: see [`certkeep::cli`].
use std::process::ExitCode;

fn main() -> ExitCode {
    certkeep::cli::main()
}
