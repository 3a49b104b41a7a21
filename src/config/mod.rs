//! The policy file: YAML to validated types. All problems of a file are reported at once.
