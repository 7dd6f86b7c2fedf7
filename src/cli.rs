//! Flags of the program; no side effects.
