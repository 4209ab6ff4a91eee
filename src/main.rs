//! tmp
use gpu_digits::*;
fn main() {
    let filter: Vec<String> = std::env::args().skip(1).collect();
    pollster::block_on(async {
        let mut gpus = vec![];
        for a in gpu::adapters(&gpu::Backend::ALL).await {
            println!("{}", a.info);
            gpus.push(gpu::Gpu::open(&a).await.unwrap());
        }
        for e in ops::TABLE {
            if !filter.is_empty() && !filter.iter().any(|f| e.name.contains(f.as_str())) { continue }
            let t = std::time::Instant::now();
            let mut n = 0; let mut worst = 0.0f64;
            for c in verify::cases(e.name) {
                verify::check_case(&gpus, &c, |g, c| { n += 1; match c.outcome { verify::Outcome::Passed { worst_ratio } => worst = worst.max(worst_ratio), o => println!("{g} {} {o:?}", c.label) } }).await;
            }
            println!("{} {n} worst {worst} {:?}", e.name, t.elapsed());
        }
        if filter.is_empty() || filter.iter().any(|f| f == "lockstep") {
        for l in verify::lockstep_labels() { for g in &gpus { println!("{:?}", verify::check_lockstep(g, &l).await); } } }
    });
}
