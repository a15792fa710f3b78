use crate::vm::Config;
#[derive(Debug, clap::Args)]
pub struct TestArgs {}
pub fn run(_a: &TestArgs, _c: &Config) -> anyhow::Result<i32> {
    anyhow::bail!("not yet")
}
