//! amiwall
fn main() {}
