//! The binary `hansa`: control plane and command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    connector::cli::run()
}
