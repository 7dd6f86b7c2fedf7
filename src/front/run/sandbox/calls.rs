//! The system calls that are left, by seccomp.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, apply_filter,
};

/// Leaves nothing else.
pub(super) fn enter() -> Result<String, String> {
    let filter = filter().map_err(|error| error.to_string())?;
    apply_filter(&filter).map_err(|error| error.to_string())?;
    Ok(format!("{} are left", ALWAYS.len() + OF_THIS_PROCESSOR.len() + SOMETIMES.len()))
}

fn filter() -> Result<BpfProgram, BackendError> {
    let always = ALWAYS.iter().chain(OF_THIS_PROCESSOR).map(|call| (*call, Vec::new()));
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> = always.collect();
    for (call, argument, mask, value) in SOMETIMES {
        let operator = SeccompCmpOp::MaskedEq(u64::from(mask));
        let length = SeccompCmpArgLen::Dword;
        let condition = SeccompCondition::new(argument, length, operator, u64::from(value))?;
        rules.insert(call, vec![SeccompRule::new(vec![condition])?]);
    }
    let refused = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let processor = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, refused, SeccompAction::Allow, processor)?.try_into()
}

/// Whatever their arguments are.
const ALWAYS: &[c_long] = &[
    // Packets, peers, and waiting for either.
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_ppoll,
    libc::SYS_accept4,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    // Files, as far as Landlock lets them be opened.
    libc::SYS_openat,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_ftruncate,
    libc::SYS_fsync,
    libc::SYS_fchmod,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_getdents64,
    libc::SYS_readlinkat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_fcntl,
    libc::SYS_dup,
    libc::SYS_dup3,
    // Memory.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Threads and their signals.
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_futex,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_geteuid,
    libc::SYS_tgkill,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Time and chance.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_getrandom,
];

/// Older names for some of them, which this processor still has.
#[cfg(target_arch = "x86_64")]
const OF_THIS_PROCESSOR: &[c_long] = &[
    libc::SYS_poll,
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_newfstatat,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_unlink,
    libc::SYS_dup2,
];

/// Others have one name for each.
#[cfg(not(target_arch = "x86_64"))]
const OF_THIS_PROCESSOR: &[c_long] = &[libc::SYS_newfstatat, libc::SYS_renameat];

/// A call, one of its arguments by number, and what the bits of a mask have to be there.
type Sometimes = (c_long, u8, u32, u32);

/// Only with one argument as it is needed.
const SOMETIMES: [Sometimes; 4] = [
    // Memory is never code.
    (libc::SYS_mmap, 2, libc::PROT_EXEC.cast_unsigned(), 0),
    (libc::SYS_mprotect, 2, libc::PROT_EXEC.cast_unsigned(), 0),
    // Names of threads.
    (libc::SYS_prctl, 0, u32::MAX, libc::PR_SET_NAME.cast_unsigned()),
    // Sockets that do not wait.
    (libc::SYS_ioctl, 1, u32::MAX, FIONBIO),
];

/// `libc` gives it another type with each C library.
const FIONBIO: u32 = 0x5421;
