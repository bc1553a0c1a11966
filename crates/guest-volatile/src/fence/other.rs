//! No barrier: the feature is off, or the target is none on which it is known to hold.

use super::error::FenceError;

pub(super) fn register() -> Result<(), FenceError> {
    Err(FenceError::Unsupported)
}

pub(super) fn barrier() -> Result<(), FenceError> {
    Err(FenceError::Unsupported)
}
