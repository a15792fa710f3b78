// SPDX-License-Identifier: GPL-2.0

//! Layouts of regions: whatever sizes are asked for, objects lie beside each other within the memory
//! there is, and every page and buffer belongs to one of them.

use super::bytes::Bytes;
use crate::mem::layout::{Layout, Place, CHUNK_PAGES, FIRST_BUF, PAGE};
use crate::uapi::ctrl::PoolsInfo;

pub fn run(data: &[u8]) {
    let mut b = Bytes::new(data);
    let within = b.flip();
    let bytes = b.odd_u64();
    let layout = if within {
        let mut ask = PoolsInfo {
            nr_if_pool_objtotal: b.odd_u32(),
            nr_if_pool_objsize: b.odd_u32(),
            nr_ring_pool_objtotal: b.odd_u32(),
            nr_ring_pool_objsize: b.odd_u32(),
            nr_buf_pool_objtotal: b.odd_u32(),
            nr_buf_pool_objsize: b.odd_u32(),
            ..PoolsInfo::default()
        };
        ask.nr_memsize = bytes;
        let Ok(layout) = Layout::within(bytes, &ask) else {
            return;
        };
        assert!(layout.memsize() as u64 <= bytes, "more than there is");
        assert!(layout.if_count() >= ask.nr_if_pool_objtotal as usize);
        assert_eq!(
            layout.ring_count(),
            match ask.nr_ring_pool_objtotal {
                0 => layout.ring_count(),
                n => n as usize,
            }
        );
        assert!(layout.ring_size() >= ask.nr_ring_pool_objsize as usize);
        assert!(layout.buf_size() >= ask.nr_buf_pool_objsize as usize);
        layout
    } else {
        Layout::for_ports(bytes, b.odd_u64())
    };
    consistent(&layout, &mut b);
}

fn consistent(layout: &Layout, b: &mut Bytes<'_>) {
    let size = layout.memsize();
    assert!(size <= u32::MAX as usize && size % PAGE == 0);
    assert!(layout.ring_pool() >= layout.if_count() * PAGE);
    assert!(layout.buf_pool() >= layout.ring_pool() + layout.ring_count() * layout.ring_size());
    assert_eq!(
        size - layout.buf_pool(),
        layout.buf_count() * layout.buf_size()
    );
    // Programs compute the number of a buffer from its offset to the pool's.
    assert_eq!(layout.buf_pool() % layout.buf_size().min(PAGE), 0);
    let info = layout.pools_info(7);
    assert_eq!(info.nr_memsize as usize, size);
    assert_eq!(info.nr_buf_pool_offset as usize, layout.buf_pool());
    let chunks = layout.buf_count().div_ceil(layout.bufs_per_chunk());
    for _ in 0..8 {
        let page = u64::from(b.odd_u32());
        match layout.place(page) {
            None => assert!(page as usize >= size / PAGE),
            Some(Place::If(i)) => {
                assert_eq!(page as usize * PAGE, layout.if_offset(i));
            }
            Some(Place::Ring(i, at)) => {
                assert!(i < layout.ring_count());
                assert_eq!(page as usize * PAGE, layout.ring_offset(i) + at * PAGE);
            }
            Some(Place::Bufs(i, at)) => {
                assert!(i < chunks && at < layout.chunk_pages(i), "a page of no run");
                let run = i * CHUNK_PAGES + at;
                assert_eq!(page as usize * PAGE, layout.buf_pool() + run * PAGE);
            }
        }
        let index = b.odd_u32();
        match layout.buffer(index) {
            None => assert!(index < FIRST_BUF || index as usize >= layout.buf_count()),
            Some((chunk, at)) => {
                assert!(at < layout.chunk_bufs(chunk), "a buffer of no run");
                assert_eq!(chunk * layout.bufs_per_chunk() + at, index as usize);
                let end = layout.buf_offset(at) + layout.buf_size();
                assert!(
                    end <= layout.chunk_pages(chunk) * PAGE,
                    "a buffer beyond its run"
                );
            }
        }
    }
}
