//! The program: everything is in the library.

fn main() -> amiwall::cli::Exit {
    amiwall::cli::run()
}
