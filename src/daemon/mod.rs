//! The process: start order, reload, drain.
