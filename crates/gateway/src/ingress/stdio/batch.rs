//! A batch on a pipe: one line with many messages, answered with one line.

use futures_util::future::join_all;
use quaymaster_core::rpc::Batch;

use super::Client;
use super::calls::Answer;
use crate::ingress::answer::Pieces;
use crate::ingress::batch::{list, members};
use crate::ingress::door::Door;
use crate::ingress::era::RequestHead;
use crate::ingress::front::Trail;
use crate::ingress::refusal::Refusal;

impl<D: Door> Client<D> {
    /// Takes a batch. Its answers come together when the last of its calls has ended
    /// (JSON-RPC 2.0, section 6); without any there is no line.
    pub(super) async fn batch(&mut self, batch: Batch<'_>, trail: Trail) {
        let (mut answers, mut refused) = (Vec::new(), Vec::new());
        for member in members(batch, &RequestHead::default(), &trail) {
            let outcome = member.and_then(|(message, detected)| {
                let mut trail = trail.clone();
                self.message(&message, &detected, &mut trail).map_err(|refusal| {
                    trail.name(&message);
                    (refusal, trail)
                })
            });
            match outcome {
                Ok(answer) => answers.extend(answer),
                Err((refusal, trail)) => {
                    if trail.wants_answer() {
                        let answer = Pieces::whole(refusal.to_json(trail.id.as_ref()));
                        answers.push(Answer::Now(answer));
                    }
                    refused.push((refusal, trail));
                }
            }
        }
        let outbox = self.outbox.clone();
        self.tasks.spawn(async move {
            let lines: Vec<_> = join_all(answers.into_iter().map(Answer::line)).await;
            let lines: Vec<_> = lines.into_iter().flatten().collect();
            if !lines.is_empty() {
                let _ = outbox.send(list(&lines)).await;
            }
        });
        // All at once, so that none is lost if this is given up.
        join_all(refused.into_iter().map(|(refusal, trail)| self.record(refusal, trail))).await;
    }

    async fn record(&self, refusal: Refusal, trail: Trail) {
        self.front.record(&refusal, trail).await;
    }
}
