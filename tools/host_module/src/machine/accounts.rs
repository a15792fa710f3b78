// SPDX-License-Identifier: GPL-2.0

//! The module loaded and unloaded, and what must be as it was.

use kernel::init::PinInit;
use kernel::sync::lockdep;
use kernel::uaccess;

use super::{card, driver, mem, net, skb, tasks};
use crate::file::File;
use crate::os;
use crate::os::chardev::Registration;
use crate::os::netdev::Notifier;

/// A loaded module on a machine of its own. One at a time in a process.
pub struct Machine {
    device: Option<Registration<File>>,
    notifier: Option<Notifier>,
    _alone: Option<std::sync::MutexGuard<'static, ()>>,
}

static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

impl Machine {
    /// Empty but for the module, and user memory of `user` bytes.
    pub fn new(user: usize) -> Self {
        // A model that fails never drops it; models run one after the other anyway.
        let alone = (!cfg!(loom)).then(|| super::locked(&ALONE));
        // Should a test before this one have failed.
        net::forget();
        mem::forget();
        driver::forget();
        tasks::forget();
        kernel::sync::poll::forget();
        card::reset();
        uaccess::map(user);
        uaccess::before_writes(None);
        mem::set_bounces(false);
        tasks::become_(tasks::INIT);
        tasks::signal_after(-1);
        kernel::alloc::fail_after(None);
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(os::init_statics);
        let notifier = Notifier::register().expect("a notifier");
        let device = Registration::new(c"netmap").build().expect("a device");
        Machine {
            device: Some(device),
            notifier: Some(notifier),
            _alone: alone,
        }
    }

    /// All files are closed: nothing is left.
    pub fn end(mut self) {
        kernel::alloc::fail_after(None);
        self.device = None;
        self.notifier = None;
        assert_eq!(lockdep::held(), 0, "a lock is left");
        assert_eq!(skb::alive(), 0, "packets are left");
        let (eventfds, sleepers, processes) = tasks::counts();
        assert_eq!(
            (eventfds, sleepers),
            (0, 0),
            "eventfds or sleepers are left"
        );
        card::reset();
        net::reset();
        assert_eq!(processes, 0, "references to processes are left");
        assert_eq!(
            mem::counts(),
            (0, 0, 0, 0),
            "pages, mappings, pins or device references are left"
        );
        assert_eq!(
            driver::module_refs(),
            0,
            "the driver's module is still held"
        );
    }
}
