//! The data connection: what is asked of it, and what comes back.
//!
//! Not inside: what is said of it, which the replies are held against elsewhere.

use longshore_proto::server::{DataEvent, DataOp, End, OperationId};

use super::super::known::{Asked, Data, File, Kind, Waiting};
use super::super::model::is_upload;
use super::Judge;

impl Judge {
    pub(super) fn data(&mut self, id: OperationId, op: &DataOp) {
        let under_way = self.under_way.clone();
        let busy =
            |kinds: &[Kind]| under_way.iter().find(|(_, kind)| kinds.contains(kind)).map(|(id, _)| *id);
        let front = self.unanswered.front();
        let (marked, asked) = (front.is_some_and(|front| front.marked), front.map(|front| front.asked));
        let data = self.data;
        match op {
            DataOp::Reserve => {
                self.kept = None;
                self.begin(id, Kind::Reserve);
            }
            DataOp::Release => {
                self.new_id(id);
                self.holds = false;
                self.kept = None;
                let ending = self.farewell.is_some() || self.lost;
                let idle = busy(&[Kind::Reserve, Kind::Probe, Kind::Establish, Kind::Move]).is_none();
                self.demand(idle || ending, || format!("Release while {under_way:?} was under way"));
            }
            DataOp::Probe => {
                let holds = self.holds;
                self.demand(holds && !marked, || format!("Probe, holding: {holds}, marked: {marked}"));
                self.begin(id, Kind::Probe);
            }
            DataOp::Establish(channel) => {
                self.demand(marked, || "Establish before the mark".to_owned());
                let wanted = self.guard.transfer();
                self.demand(channel.protection == wanted, || format!("{channel:?} instead of {wanted:?}"));
                let now = (channel.protection, self.model.mode);
                if let Some(kept) = self.kept.take() {
                    self.holds = false;
                    self.demand(kept == now, || format!("{now:?} on a connection that was kept of {kept:?}"));
                }
                self.begin(id, Kind::Establish);
            }
            DataOp::Move(job) => {
                let fits = marked
                    && data == Data::Established
                    && asked == Some(Asked::Verb(job.verb))
                    && job.id == id;
                self.demand(fits, || format!("{job:?} for {asked:?}, marked: {marked}, {data:?}"));
                let offset = self.model.offset(job.verb);
                self.demand(job.offset == offset, || format!("{job:?} instead of from {offset}"));
                let wanted = self.guard.transfer();
                self.demand(job.protection == wanted, || format!("{job:?} instead of {wanted:?}"));
                let form = (job.representation.is_text(), job.structure, job.mode);
                let settled = (self.model.is_text, self.model.structure, self.model.mode);
                self.demand(form == settled, || format!("{job:?} instead of {settled:?}"));
                let keeps = self.model.keeps_connection();
                self.demand(job.keeps_connection == keeps, || format!("{job:?} instead of {keeps}"));
                self.made = Some((job.protection, job.mode));
                self.begin(id, Kind::Move);
                if !is_upload(job.verb) {
                    self.file = File::Nothing;
                }
            }
            DataOp::Progress => {
                self.demand(busy(&[Kind::Move]) == Some(id), || {
                    format!("Progress of {id} while {under_way:?}")
                });
            }
            DataOp::Cancel => {
                let fits = busy(&[Kind::Establish, Kind::Move]) == Some(id);
                self.demand(fits, || format!("Cancel of {id} while {under_way:?}"));
            }
        }
    }

    /// An answer is about to be handed in.
    pub fn data_answered(&mut self, id: OperationId, event: &DataEvent) {
        if matches!(event, DataEvent::Progress(_) | DataEvent::Marker { .. }) {
            return;
        }
        self.answered(id);
        match event {
            DataEvent::Reserved(_) => self.holds = true,
            DataEvent::NoPort | DataEvent::NoResources => self.holds = false,
            DataEvent::Standing | DataEvent::NotYet => {
                let standing = *event == DataEvent::Standing;
                self.data = Data::Probed { standing };
                if self.kept.is_some() && !standing {
                    self.model.lose_kept();
                }
            }
            DataEvent::Established => {
                self.holds = false;
                self.data = Data::Established;
            }
            DataEvent::NotEstablished(_) | DataEvent::Progress(_) | DataEvent::Marker { .. } => {}
            DataEvent::Finished { end, kept, .. } => {
                self.data = Data::Finished { end: *end, kept: *kept };
                self.kept = self.made.take().filter(|_| *kept);
                self.holds = *kept;
                if let Some(front) = self.unanswered.front_mut()
                    && let Asked::Verb(verb) = front.asked
                {
                    front.completed = *end == End::Complete && !is_upload(verb);
                }
            }
        }
    }
}
