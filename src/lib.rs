//! amiwall
pub mod ami;
