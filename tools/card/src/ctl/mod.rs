// SPDX-License-Identifier: GPL-2.0
//! The control protocol: one request line, zero or more answer lines, then `ok` or `err TEXT`.

mod counts;
mod fault;
mod words;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use log::warn;

use crate::shared::{Running, Shared};
use crate::stats::Counters;
use crate::wire::generator::Generator;
use crate::wire::pcap::Capture;
use crate::wire::profile;
use words::{frame, hex, info, list, pairs};

/// Frames of one `send` per turn of the lock.
const SEND_BATCH: u64 = 128;

const HELP: &str = "\
counts [reset]                     what the card counted
send HEX [xN]                      N copies of this frame arrive now
gen start NAME profile=udp|flows|dnsflood [rate=PPS] [count=N] [burst=N] [wait=1]
    [size=BYTES] [dmac=] [smac=] [src=] [dst=] [sport=] [dport=] [flows=N] [zone=NAME] [seed=N]
gen stop NAME|all
gen list
replay FILE [rate=PPS] [loop=N] [wait=1] [burst=N]
link up|down
txlog start|stop|get               frames the guest sends
trace on FILE|off                  register trace
fault rxq|txq N|all NAME on|off|NUMBER
fault port NAME on|off|NUMBER      'fault list' names them
fault irq V|all lost|storm on|off
fault cause HEX                    raises these causes of EICR once
fault off                          ends all
fault list
bench template HEX                 the frame of the bench's doorbell
regs                               the registers that are modelled, with what is stored
info
quit
";

/// Accepts clients for ever, a thread each.
pub fn serve(listener: &UnixListener, shared: &Arc<Shared>) {
    let base = Arc::new(Mutex::new(Counters::default()));
    for client in listener.incoming() {
        match client {
            Ok(stream) => {
                let ctl = Ctl {
                    shared: shared.clone(),
                    base: base.clone(),
                };
                let run = move || ctl.talk(&stream);
                if thread::Builder::new()
                    .name("client".into())
                    .spawn(run)
                    .is_err()
                {
                    warn!("no thread for another control client");
                }
            }
            Err(e) => warn!("control socket: {e}"),
        }
    }
}

/// One client's view.
struct Ctl {
    shared: Arc<Shared>,
    /// The counters at the last `counts reset`.
    base: Arc<Mutex<Counters>>,
}

type Answer = Result<String, String>;

impl Ctl {
    fn talk(&self, stream: &UnixStream) {
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        loop {
            line.clear();
            match lines.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            let mut answer = match self.command(text) {
                Ok(mut lines) => {
                    if !lines.is_empty() && !lines.ends_with('\n') {
                        lines.push('\n');
                    }
                    lines + "ok"
                }
                Err(e) => format!("err {e}"),
            };
            answer.push('\n');
            let mut out = stream;
            if out.write_all(answer.as_bytes()).is_err() {
                return;
            }
            if text == "quit" {
                // SAFETY: a signal to this very process; the main thread waits for it.
                unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
            }
        }
    }

    fn command(&self, line: &str) -> Answer {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["counts"] => {
                let base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(self.shared.with(|card, _| counts::show(card, &base)))
            }
            ["counts", "reset"] => {
                let now = self.shared.with(|card, _| card.counters.clone());
                *self.base.lock().unwrap_or_else(PoisonError::into_inner) = now;
                Ok(String::new())
            }
            ["send", hex] => self.send(hex, 1),
            ["send", hex, n] => {
                let n = n.strip_prefix('x').and_then(|n| n.parse().ok());
                self.send(hex, n.ok_or("how often? e.g. x100")?)
            }
            ["gen", "start", name, ref options @ ..] => self.gen_start(name, options),
            ["gen", "stop", name] => self.gen_stop(name),
            ["gen", "list"] => Ok(self.gen_list()),
            ["replay", file, ref options @ ..] => self.replay(file, options),
            ["link", state @ ("up" | "down")] => {
                let up = state == "up";
                self.shared.with(|card, now| card.set_link(up, now));
                if let Some(tap) = &self.shared.tap {
                    tap.set_carrier(up);
                }
                Ok(String::new())
            }
            ["txlog", what @ ("start" | "stop" | "get")] => Ok(self.txlog(what)),
            ["trace", "on", file] => self
                .shared
                .with(|card, _| card.trace.on(file))
                .map(|()| String::new())
                .map_err(|e| format!("{file}: {e}")),
            ["trace", "off"] => self
                .shared
                .with(|card, _| card.trace.off())
                .map(|()| String::new())
                .map_err(|e| e.to_string()),
            ["fault", ref words @ ..] => self
                .shared
                .with(|card, now| fault::command(card, words, now)),
            ["bench", "template", hex] => {
                let f = frame(hex)?;
                self.shared.with(|card, _| card.bench.template = f);
                Ok(String::new())
            }
            ["regs"] => Ok(self.shared.with(|card, _| card.regs.describe())),
            ["info"] => Ok(self.shared.with(|card, _| info(&self.shared.name, card))),
            ["help"] => Ok(HELP.into()),
            ["quit"] => Ok(String::new()),
            _ => Err(format!("{line}: not understood; 'help' lists the commands")),
        }
    }

    fn send(&self, hex: &str, n: u64) -> Answer {
        let f = frame(hex)?;
        let mut left = n;
        while left > 0 {
            let batch = left.min(SEND_BATCH);
            self.shared.with(|card, now| {
                for _ in 0..batch {
                    card.receive(&f);
                }
                card.after_rx(now);
            });
            left -= batch;
        }
        Ok(String::new())
    }

    fn gen_start(&self, name: &str, options: &[&str]) -> Answer {
        let mut options = pairs(options)?;
        let at = options.iter().position(|o| o.0 == "profile");
        let profile = options.swap_remove(at.ok_or("which profile=?")?).1;
        let mac = self.shared.with(|card, _| card.mac);
        // Options about pace are the generator's, the rest the profile's.
        let mut pace = Vec::new();
        options.retain(|o| {
            let mine = matches!(o.0, "rate" | "count" | "burst" | "wait");
            if mine {
                pace.push(*o);
            }
            !mine
        });
        let source = profile::source(profile, mac, &options)?;
        self.start(name, source, &pace)
    }

    fn replay(&self, file: &str, options: &[&str]) -> Answer {
        let mut options = pairs(options)?;
        let mut rounds = 1;
        if let Some(at) = options.iter().position(|o| o.0 == "loop") {
            let n = options.swap_remove(at).1;
            rounds = n.parse().map_err(|_| format!("loop={n}: a number"))?;
        }
        let bytes = std::fs::read(file).map_err(|e| format!("{file}: {e}"))?;
        let source = Capture::parse(&bytes, rounds).map_err(|e| format!("{file}: {e}"))?;
        self.start("replay", Box::new(source), &options)
    }

    fn start(
        &self,
        name: &str,
        source: Box<dyn crate::wire::generator::Source>,
        pace: &[(&str, &str)],
    ) -> Answer {
        let mut gen = Generator::new(name, source, self.shared.now());
        for (key, value) in pace {
            if !gen.option(key, value)? {
                return Err(format!("{key}: no such option"));
            }
        }
        let mut gens = self.shared.gens.urgent();
        if gens.iter().any(|r| r.gen.name == name && r.gen.running) {
            return Err(format!("{name} is running"));
        }
        gens.retain(|r| r.gen.name != name);
        gens.push(Running {
            gen,
            again: Vec::new(),
        });
        drop(gens);
        self.shared.bell.ring();
        Ok(String::new())
    }

    fn gen_stop(&self, name: &str) -> Answer {
        let mut gens = self.shared.gens.urgent();
        let mut hit = name == "all";
        for r in gens.iter_mut() {
            if name == "all" || r.gen.name == name {
                r.gen.running = false;
                hit = true;
            }
        }
        match hit {
            true => Ok(list(&gens)),
            false => Err(format!("{name}: no such generator")),
        }
    }

    fn gen_list(&self) -> String {
        list(&self.shared.gens.urgent())
    }

    fn txlog(&self, what: &str) -> String {
        let mut log = self
            .shared
            .txlog
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match what {
            "start" => {
                log.frames.clear();
                log.on = true;
                String::new()
            }
            "stop" => {
                log.on = false;
                String::new()
            }
            _ => log.frames.iter().map(|f| hex(f) + "\n").collect(),
        }
    }
}

#[cfg(test)]
mod tests;
