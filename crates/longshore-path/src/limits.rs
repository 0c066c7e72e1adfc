//! Every bound of paths, in one place.

/// The longest path in bytes, the same as Linux' `PATH_MAX`.
pub const PATH_LIMIT_BYTES: usize = 4096;
/// The longest component in bytes, the same as Linux' `NAME_MAX`.
pub const COMPONENT_LIMIT_BYTES: usize = 255;
