//! The `swarmer` program: see [`swarmer::cli`].

fn main() -> std::process::ExitCode {
    swarmer::cli::main()
}
