//! How long what is returned is, in bytes.

use guest_memory::WindowError;

use crate::compare::session::Session;

/// An access's result, empty and with an integer, by each contestant.
pub(crate) fn all(session: &Session) {
    session.tell_size("error", "0.16", size_of::<vm_memory_016::GuestMemoryResult<()>>());
    session.tell_size("error", "0.18", size_of::<vm_memory::GuestMemoryResult<()>>());
    session.tell_size("error", "ours", size_of::<guest_memory::GuestMemoryResult<()>>());
    session.tell_size("error", "facade", size_of::<facade::GuestMemoryResult<()>>());
    session.tell_size("result_u32", "0.16", size_of::<vm_memory_016::GuestMemoryResult<u32>>());
    session.tell_size("result_u32", "0.18", size_of::<vm_memory::GuestMemoryResult<u32>>());
    session.tell_size("result_u32", "ours", size_of::<guest_memory::GuestMemoryResult<u32>>());
    session.tell_size("result_u32", "facade", size_of::<facade::GuestMemoryResult<u32>>());
    // Nobody else has windows.
    session.tell_size("window_error", "ours", size_of::<Result<(), WindowError>>());
    session.tell_size("window_result_u32", "ours", size_of::<Result<u32, WindowError>>());
}
