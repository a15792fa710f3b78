// SPDX-License-Identifier: GPL-2.0
//! The table of registers. Arrays whose elements live in two places have two rows.

use super::Kind::{self, *};
use super::{Reg, RxReg, TxReg};
use crate::phy::ANLP1_ACTIVE;
use crate::ptp::PtpReg as P;
use crate::stats::Stat as S;

const fn reg(name: &'static str, at: u32, reset: u32, kind: Kind, part: &'static str) -> Reg {
    array(name, at, 4, 1, reset, kind, part)
}

const fn array(
    name: &'static str,
    at: u32,
    stride: u32,
    n: u32,
    reset: u32,
    kind: Kind,
    part: &'static str,
) -> Reg {
    Reg {
        name,
        at,
        stride,
        n,
        first: 0,
        reset,
        kind,
        part,
    }
}

/// The upper elements of an array that continues in another place.
const fn upper(first: u32, low: Reg) -> Reg {
    Reg { first, ..low }
}

const GEN: &str = "general control";
const NVM: &str = "EEPROM and flash";
const FLOW: &str = "flow control";
const INT: &str = "interrupt";
const RXF: &str = "receive";
const RXD: &str = "receive DMA";
const TXD: &str = "transmit";
const SEC: &str = "security";
const FDIR: &str = "flow director";
const MAC: &str = "MAC";
const STAT: &str = "statistics";
const MNG: &str = "management";
const SYNC: &str = "time sync";
const OWN: &str = "not on an 82599";

const fn stat(name: &'static str, at: u32, s: S) -> Reg {
    array(name, at, 4, 1, 0, Stat(s), STAT)
}

const fn stats(name: &'static str, at: u32, stride: u32, n: u32, s: S) -> Reg {
    array(name, at, stride, n, 0, Stat(s), STAT)
}

/// Every register with a behaviour or a reset value.
pub const ROWS: &[Reg] = &[
    reg("CTRL", 0x00000, 0, Ctrl, GEN),
    reg("STATUS", 0x00008, 0, Status, GEN),
    reg("CTRL_EXT", 0x00018, 0, Keep, GEN),
    reg("ESDP", 0x00020, 0, Esdp, GEN),
    reg("I2CCTL", 0x00028, 0, I2c, GEN),
    reg("LEDCTL", 0x00200, 0, Keep, GEN),
    // Interrupt
    reg("EICR", 0x00800, 0, Eicr, INT),
    reg("EICS", 0x00808, 0, Eics, INT),
    array("EITR", 0x00820, 4, 24, 0, Kind::Eitr, INT),
    reg("EIMS", 0x00880, 0, Eims, INT),
    reg("EIMC", 0x00888, 0, Eimc, INT),
    reg("GPIE", 0x00898, 0, Gpie, INT),
    array("IVAR", 0x00900, 4, 64, 0, Ivar, INT),
    reg("IVAR_MISC", 0x00a00, 0, IvarMisc, INT),
    array("EICS_EX", 0x00a90, 4, 2, 0, EicsEx, INT),
    array("EIMS_EX", 0x00aa0, 4, 2, 0, EimsEx, INT),
    array("EIMC_EX", 0x00ab0, 4, 2, 0, EimcEx, INT),
    array("EIAM_EX", 0x00ad0, 4, 2, 0, EiamEx, INT),
    upper(24, array("EITR", 0x12300, 4, 40, 0, Kind::Eitr, INT)),
    // Receive queues 0 to 63, then 64 to 127
    array("RDBAL", 0x01000, 0x40, 64, 0, RxQueue(RxReg::BaseLow), RXD),
    array("RDBAH", 0x01004, 0x40, 64, 0, RxQueue(RxReg::BaseHigh), RXD),
    array("RDLEN", 0x01008, 0x40, 64, 0, RxQueue(RxReg::Length), RXD),
    array("RDH", 0x01010, 0x40, 64, 0, RxQueue(RxReg::Head), RXD),
    array(
        "SRRCTL",
        0x01014,
        0x40,
        64,
        0x402,
        RxQueue(RxReg::Split),
        RXD,
    ),
    array("RDT", 0x01018, 0x40, 64, 0, RxQueue(RxReg::Tail), RXD),
    array("RXDCTL", 0x01028, 0x40, 64, 0, RxQueue(RxReg::Control), RXD),
    upper(
        64,
        array("RDBAL", 0x0d000, 0x40, 64, 0, RxQueue(RxReg::BaseLow), RXD),
    ),
    upper(
        64,
        array("RDBAH", 0x0d004, 0x40, 64, 0, RxQueue(RxReg::BaseHigh), RXD),
    ),
    upper(
        64,
        array("RDLEN", 0x0d008, 0x40, 64, 0, RxQueue(RxReg::Length), RXD),
    ),
    upper(
        64,
        array("RDH", 0x0d010, 0x40, 64, 0, RxQueue(RxReg::Head), RXD),
    ),
    upper(
        64,
        array(
            "SRRCTL",
            0x0d014,
            0x40,
            64,
            0x402,
            RxQueue(RxReg::Split),
            RXD,
        ),
    ),
    upper(
        64,
        array("RDT", 0x0d018, 0x40, 64, 0, RxQueue(RxReg::Tail), RXD),
    ),
    upper(
        64,
        array("RXDCTL", 0x0d028, 0x40, 64, 0, RxQueue(RxReg::Control), RXD),
    ),
    array("SRRCTL", 0x02100, 4, 16, 0x402, RxQueue(RxReg::Split), RXD),
    reg("RDRXCTL", 0x02f00, 0x0880_8008, Store, RXD),
    reg("RXCTRL", 0x03000, 0, RxSetup, RXD),
    array("RXPBSIZE", 0x03c00, 4, 1, 0x80000, RxSetup, RXD),
    array("RXPBSIZE", 0x03c04, 4, 7, 0, Store, RXD),
    // Transmit queues
    array("TDBAL", 0x06000, 0x40, 128, 0, TxQueue(TxReg::BaseLow), TXD),
    array(
        "TDBAH",
        0x06004,
        0x40,
        128,
        0,
        TxQueue(TxReg::BaseHigh),
        TXD,
    ),
    array("TDLEN", 0x06008, 0x40, 128, 0, TxQueue(TxReg::Length), TXD),
    array("TDH", 0x06010, 0x40, 128, 0, TxQueue(TxReg::Head), TXD),
    array("TDT", 0x06018, 0x40, 128, 0, TxQueue(TxReg::Tail), TXD),
    array(
        "TXDCTL",
        0x06028,
        0x40,
        128,
        0,
        TxQueue(TxReg::Control),
        TXD,
    ),
    array(
        "TDWBAL",
        0x06038,
        0x40,
        128,
        0,
        TxQueue(TxReg::WriteBackLow),
        TXD,
    ),
    array(
        "TDWBAH",
        0x0603c,
        0x40,
        128,
        0,
        TxQueue(TxReg::WriteBackHigh),
        TXD,
    ),
    reg("DMATXCTL", 0x04a80, 0, Store, TXD),
    array("TXPBSIZE", 0x0cc00, 4, 1, 0x28000, Store, TXD),
    // Receive filters
    reg("RXCSUM", 0x05000, 0, RxSetup, RXF),
    reg("FCTRL", 0x05080, 0, RxSetup, RXF),
    reg("VLNCTRL", 0x05088, 0x8100, RxSetup, RXF),
    reg("MCSTCTRL", 0x05090, 0, RxSetup, RXF),
    array("MTA", 0x05200, 4, 128, 0, Mta, RXF),
    array("RAL", 0x05400, 8, 16, 0, Ral, RXF),
    array("RAH", 0x05404, 8, 16, 0, Rah, RXF),
    array("RAL", 0x0a200, 8, 128, 0, Ral, RXF),
    array("RAH", 0x0a204, 8, 128, 0, Rah, RXF),
    array("VFTA", 0x0a000, 4, 128, 0, Vfta, RXF),
    reg("MRQC", 0x05818, 0, RxSetup, RXF),
    array("RETA", 0x05c00, 4, 32, 0, Reta, RXF),
    array("RSSRK", 0x05c80, 4, 10, 0, Rssrk, RXF),
    // Flow director
    reg("FDIRCTRL", 0x0ee00, 0, FdirCtrl, FDIR),
    reg("FDIRCMD", 0x0ee2c, 0, FdirCmd, FDIR),
    reg("FDIRFREE", 0x0ee38, 0, FdirFree, FDIR),
    reg("FDIRDIP4M", 0x0ee3c, 0, FdirMask, FDIR),
    reg("FDIRSIP4M", 0x0ee40, 0, FdirMask, FDIR),
    reg("FDIRTCPM", 0x0ee44, 0, FdirMask, FDIR),
    reg("FDIRUDPM", 0x0ee48, 0, FdirMask, FDIR),
    reg("FDIRSCTPM", 0x0ee78, 0, FdirMask, FDIR),
    reg("FDIRM", 0x0ee70, 0, FdirMask, FDIR),
    stat("FDIRMATCH", 0x0ee58, S::FdirMatch),
    stat("FDIRMISS", 0x0ee5c, S::FdirMiss),
    // MAC and link
    reg("HLREG0", 0x04240, 0x2, RxSetup, MAC),
    reg("MSCA", 0x0425c, 0, Msca, MAC),
    reg("MSRWD", 0x04260, 0, Const, MAC),
    reg("MHADD", 0x04268, 1518 << 16, RxSetup, MAC),
    reg("AUTOC", 0x042a0, 0x6000, Autoc, MAC),
    reg("LINKS", 0x042a4, 0, Links, MAC),
    reg("AUTOC2", 0x042a8, 0x2_0000, Store, MAC),
    reg("ANLP1", 0x042b0, ANLP1_ACTIVE, Const, MAC),
    reg("LINKS2", 0x04324, 0, Const, MAC),
    reg("MACC", 0x04330, 0, Store, MAC),
    reg("FCCFG", 0x03d00, 0, Store, FLOW),
    // Security engines: ready, and fused off
    reg("SECTXSTAT", 0x08804, 3, Const, SEC),
    reg("SECRXSTAT", 0x08d04, 3, SecRxStat, SEC),
    // PTP
    reg("RXMTRL", 0x05120, 0, Ptp(P::RxMatch), SYNC),
    array("ETQF", 0x05128, 4, 8, 0, Ptp(P::EtherType), SYNC),
    reg("TSYNCRXCTL", 0x05188, 0, Ptp(P::RxControl), SYNC),
    reg("RXSTMPH", 0x051a4, 0, Ptp(P::RxHigh), SYNC),
    reg("RXSTMPL", 0x051e8, 0, Ptp(P::RxLow), SYNC),
    reg("TSYNCTXCTL", 0x08c00, 0, Ptp(P::TxControl), SYNC),
    reg("TXSTMPL", 0x08c04, 0, Ptp(P::TxLow), SYNC),
    reg("TXSTMPH", 0x08c08, 0, Ptp(P::TxHigh), SYNC),
    reg("SYSTIML", 0x08c0c, 0, Ptp(P::TimeLow), SYNC),
    reg("SYSTIMH", 0x08c10, 0, Ptp(P::TimeHigh), SYNC),
    reg("TIMINCA", 0x08c14, 0, Ptp(P::Increment), SYNC),
    // EEPROM, semaphores, management
    reg("EEC", 0x10010, 0, Eec, NVM),
    reg("EERD", 0x10014, 0, Eerd, NVM),
    reg("SWSM", 0x10140, 0, Swsm, MNG),
    reg("FWSM", 0x10148, 0x8000, Const, MNG),
    reg("FACTPS", 0x10150, 0, Const, MNG),
    reg("SW_FW_SYNC", 0x10160, 0, Keep, MNG),
    reg("GRC", 0x10200, 0, Keep, MNG),
    reg("HICR", 0x15f00, 0, Const, MNG),
    // Statistics
    stats("QPRC", 0x01030, 0x40, 16, S::Qprc),
    stats("QBRC_L", 0x01034, 0x40, 16, S::QbrcLow),
    stats("QBRC_H", 0x01038, 0x40, 16, S::QbrcHigh),
    stats("QPRDC", 0x01430, 0x40, 16, S::Qprdc),
    stats("QPTC", 0x06030, 0x40, 16, S::Qptc),
    stats("QBTC_L", 0x08700, 8, 16, S::QbtcLow),
    stats("QBTC_H", 0x08704, 8, 16, S::QbtcHigh),
    stats("MPC", 0x03fa0, 4, 1, S::Mpc),
    stat("CRCERRS", 0x04000, S::Crcerrs),
    stats("PRC", 0x0405c, 4, 6, S::Prc),
    stat("GPRC", 0x04074, S::Gprc),
    stat("BPRC", 0x04078, S::Bprc),
    stat("MPRC", 0x0407c, S::Mprc),
    stat("GPTC", 0x04080, S::Gptc),
    stat("GORCL", 0x04088, S::GorcLow),
    stat("GORCH", 0x0408c, S::GorcHigh),
    stat("GOTCL", 0x04090, S::GotcLow),
    stat("GOTCH", 0x04094, S::GotcHigh),
    stat("RUC", 0x040a4, S::Zero),
    stat("ROC", 0x040ac, S::Roc),
    stat("TORL", 0x040c0, S::TorLow),
    stat("TORH", 0x040c4, S::TorHigh),
    stat("TPR", 0x040d0, S::Tpr),
    stat("TPT", 0x040d4, S::Gptc),
    stats("PTC", 0x040d8, 4, 6, S::Ptc),
    stat("MPTC", 0x040f0, S::Mptc),
    stat("BPTC", 0x040f4, S::Bptc),
    stat("TXDGPC", 0x087a0, S::Gptc),
    // The bench's doorbell
    reg("BENCH_GO", super::at::BENCH_GO, 0, BenchGo, OWN),
    reg("BENCH_DONE", super::at::BENCH_DONE, 0, BenchDone, OWN),
];
