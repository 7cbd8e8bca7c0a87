//! A batch on a pipe: one line with many messages, answered with one line.

use futures_util::future::join_all;
use quaymaster_core::rpc::Batch;

use super::Client;
use super::calls::Answer;
use crate::ingress::batch::{Refused, list, members};
use crate::ingress::door::Door;
use crate::ingress::era::RequestHead;
use crate::ingress::front::Trail;

impl<D: Door> Client<D> {
    /// Takes a batch. Its answers come together when the last of its calls has ended
    /// (JSON-RPC 2.0, section 6); without any there is no line.
    pub(super) async fn batch(&mut self, batch: Batch<'_>, trail: Trail) {
        let (mut answers, mut refused) = (Vec::new(), Vec::new());
        for member in members(batch, &RequestHead::default(), &trail) {
            let outcome = match member {
                Ok((message, detected)) => {
                    let mut trail = trail.clone();
                    let done = self.message(&message, &detected, &mut trail).await;
                    done.map_err(|refusal| Refused::new(refusal, &message, trail))
                }
                Err(refused) => Err(refused),
            };
            match outcome {
                Ok(answer) => answers.extend(answer),
                Err(member) => {
                    answers.extend(member.answer().map(Answer::Now));
                    refused.push(*member);
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
        let record = async |refused: &Refused| {
            self.front.record(&refused.refusal, refused.trail.clone()).await;
        };
        // All at once, so that none is lost if this is given up.
        join_all(refused.iter().map(record)).await;
    }
}
