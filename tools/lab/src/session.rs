use crate::vm::Config;
#[derive(Debug, clap::Args)]
pub struct RunArgs {}
pub fn run(_a: &RunArgs, _c: &Config) -> anyhow::Result<i32> {
    anyhow::bail!("not yet")
}
