//! A simulated Asterisk, for the demo and for tests. Its reader behaves byte for byte as manager.c's does.
