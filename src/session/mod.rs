//! The hub: the enforcement point, and the only module that sees both sides.
