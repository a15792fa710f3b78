// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compile-time checks of the layouts on x86_64, against the numbers the
//! interface is defined by. A wrong one stops the build and names itself.

use super::ext::{nm_queue_info, nm_queue_req, nm_rx_meta, nmreq_opt_rx_meta};
use super::*;
use std::mem::{offset_of, size_of};

macro_rules! layout {
    ($t:ty, $size:literal, $($field:ident $at:literal)+) => {
        const _: () = {
            assert!(size_of::<$t>() == $size, concat!("size of ", stringify!($t)));
            $(assert!(
                offset_of!($t, $field) == $at,
                concat!("offset of ", stringify!($t), ".", stringify!($field))
            );)+
        };
    };
}

layout!(netmap_slot, 16,
    buf_idx 0 len 4 flags 6 ptr 8
);
layout!(netmap_ring, 256,
    buf_ofs 0 num_slots 8 nr_buf_size 12 ringid 16 dir 18 head 20 cur 24 tail 28 flags 32
    ts 40 offset_mask 56 buf_align 64 sem 128
);
layout!(netmap_if, 56,
    ni_name 0 ni_version 16 ni_flags 20 ni_tx_rings 24 ni_rx_rings 28 ni_bufs_head 32
    ni_host_tx_rings 36 ni_host_rx_rings 40 ni_spare1 44
);
layout!(nmreq, 60,
    nr_name 0 nr_version 16 nr_offset 20 nr_memsize 24 nr_tx_slots 28 nr_rx_slots 32
    nr_tx_rings 36 nr_rx_rings 38 nr_ringid 40 nr_cmd 42 nr_arg1 44 nr_arg2 46 nr_arg3 48
    nr_flags 52 spare2 56
);
layout!(nmreq_header, 88,
    nr_version 0 nr_reqtype 2 nr_reserved 4 nr_name 8 nr_options 72 nr_body 80
);
layout!(nmreq_register, 56,
    nr_offset 0 nr_memsize 8 nr_tx_slots 16 nr_rx_slots 20 nr_tx_rings 24 nr_rx_rings 26
    nr_host_tx_rings 28 nr_host_rx_rings 30 nr_mem_id 32 nr_ringid 34 nr_mode 36
    nr_extra_bufs 40 nr_flags 48
);
layout!(nmreq_port_info_get, 32,
    nr_memsize 0 nr_tx_slots 8 nr_rx_slots 12 nr_tx_rings 16 nr_rx_rings 18
    nr_host_tx_rings 20 nr_host_rx_rings 22 nr_mem_id 24 pad 26
);
layout!(nmreq_pools_info, 64,
    nr_memsize 0 nr_mem_id 8 nr_if_pool_offset 16 nr_if_pool_objtotal 24
    nr_if_pool_objsize 28 nr_ring_pool_offset 32 nr_ring_pool_objtotal 40
    nr_ring_pool_objsize 44 nr_buf_pool_offset 48 nr_buf_pool_objtotal 56
    nr_buf_pool_objsize 60
);
layout!(nmreq_option, 24,
    nro_next 0 nro_reqtype 8 nro_status 12 nro_size 16
);
layout!(nmreq_opt_extmem, 96,
    nro_usrptr 24 nro_info 32
);
layout!(nmreq_opt_csb, 40,
    csb_atok 24 csb_ktoa 32
);
layout!(nmreq_opt_offsets, 56,
    nro_max_offset 24 nro_initial_offset 32 nro_offset_bits 40 nro_tx_align 44
    nro_min_gap 48
);
layout!(nmreq_opt_sync_kloop_eventfds, 24, nro_opt 0);
layout!(nm_kloop_eventfd, 8, ioeventfd 0 irqfd 4);
layout!(nmreq_opt_sync_kloop_mode, 32, mode 24);
layout!(nmreq_port_hdr, 8, nr_hdr_len 0);
layout!(nmreq_sync_kloop_start, 8, sleep_us 0);
layout!(nm_csb_atok, 64,
    head 0 cur 4 appl_need_kick 8 sync_flags 12
);
layout!(nm_csb_ktoa, 64,
    hwcur 0 hwtail 4 kern_need_kick 8
);
layout!(nmreq_opt_rx_meta, 40,
    nro_meta_ofs 24 nro_meta_size 28 nro_spare 32
);
layout!(nm_rx_meta, 32,
    tstamp_ns 0 hash 8 vlan 12 ptype 14 flags 16 spare 20
);
layout!(nm_queue_req, 16,
    nq_version 0 nq_queue 4 nq_flags 8 nq_spare 12
);
layout!(nm_queue_info, 256,
    nq_version 0 nq_ifindex 4 nq_kind 8 nq_queue 12 nq_name 16 nq_state 32 nq_slots 36
    nq_num_queues 40 nq_pid 44 nq_uid 48 nq_mem_id 52 nq_comm 56 nq_reg_idx 72
    nq_spare0 76 nq_counter 80 nq_spare 208
);

/// The ioctl encoding of Linux: direction, size, type 'i', number.
#[allow(dead_code)] // used at compile time only
const fn ioc(dir: u32, nr: u32, size: usize) -> u32 {
    (dir << 30) | ((size as u32) << 16) | ((b'i' as u32) << 8) | nr
}

const _: () = {
    assert!(NIOCGINFO == ioc(3, 0x91, size_of::<nmreq>()));
    assert!(NIOCREGIF == ioc(3, 0x92, size_of::<nmreq>()));
    assert!(NIOCTXSYNC == ioc(0, 0x94, 0));
    assert!(NIOCRXSYNC == ioc(0, 0x95, 0));
    assert!(NIOCCTRL == ioc(3, 0x97, size_of::<nmreq_header>()));
    assert!(ext::NIOCQADD == ioc(1, 0xa0, size_of::<nm_queue_req>()));
    assert!(ext::NIOCQDEL == ioc(1, 0xa1, size_of::<nm_queue_req>()));
    assert!(ext::NIOCQNEXT == ioc(3, 0xa2, size_of::<nm_queue_info>()));
};
